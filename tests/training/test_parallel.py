"""Several processes take the steps that one would take; sharded weights are really divided, and can be divided anew.

Two gloo processes on the CPU, started by torchrun as a user would.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from nsp_core.errors import CheckpointMismatch, ConfigError
from tests.training.parallel_parts import run
from tests.training.test_loop import assert_same_run, figures
from tests.training.tiny_parts import flow_objective, loop_config
from training import checkpoint, parallel
from training.loop import PREEMPTED, train
from training.parallel import Share

ROOT = Path(__file__).resolve().parents[2]
STEPS = 6
ADAM = {"optimiser": "adamw", "adam_lr": 3e-3}
SHARD = {**ADAM, "parallel": "shard"}
CUT = {"cut_share": 0.5}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def on_two(folder: Path, jobs: list[dict]) -> None:
    """All jobs one after the other in two processes."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "tests.training.parallel_parts", str(folder / "jobs.json")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        _, said = process.communicate(timeout=200)
    finally:
        process.terminate()  # torchrun ends its processes; a kill would leave them waiting for each other
    assert process.returncode == 0, said[-4000:]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Every run that the tests compare. One process first: what two go on from must be there."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("runs")

    def job(name: str, **settings) -> dict:
        (folder / name).mkdir(exist_ok=True)
        return {"out": str(folder / name), "steps": STEPS, "loop": ADAM, "flow": CUT, **settings}

    run(job("one"))
    run(job("one_muon", loop={}))
    run(job("one_shard", loop=SHARD))
    run(job("from_one", loop=SHARD, stop=3))
    on_two(
        folder,
        [
            job("two"),
            job("two_muon", loop={}),
            job("two_cut", stop=3),
            job("two_cut"),
            job("two_shard", loop=SHARD),
            job("two_shard_again", loop=SHARD, recompute=True),
            job("from_two", loop=SHARD, stop=3),
            job("from_one", loop=SHARD),
            job("half", loop=SHARD, autocast=True),
            job("lone", lone_figure=True),
        ],
    )
    run(job("from_two", loop=SHARD))
    return folder


def assert_near(one: Path, two: Path, exact: float = 1e-5) -> None:
    """Weights, averages and losses but for the order in which fp32 numbers were added."""
    a, b = (checkpoint.load(out / "checkpoints") for out in (one, two))
    assert a.step == b.step == STEPS and a.model.keys() == b.model.keys() and a.ema.keys() == b.ema.keys()
    start = {n: p.detach() for n, p in flow_objective().module.named_parameters()}
    for left, right in ((a.model, b.model), (a.ema, b.ema)):
        for name in left:
            assert (left[name] - right[name]).abs().max() < exact, name
    moved = max(float((a.model[n] - start[n]).abs().max()) for n in start)
    assert moved > 100 * exact, "a run that hardly moves proves nothing"
    for x, y in zip(figures(one), figures(two), strict=True):
        assert x.keys() == y.keys()
        assert {k: v for k, v in x.items() if k != "held_out"} == pytest.approx(
            {k: v for k, v in y.items() if k != "held_out"}, rel=1e-4
        )


def test_two_processes_take_the_steps_of_one_on_the_same_global_batch(runs):
    assert_near(runs / "one", runs / "two")
    # Muon makes its update in bfloat16, where the last bit of a gradient is seen: its losses are near, not its bits
    for x, y in zip(figures(runs / "one_muon"), figures(runs / "two_muon"), strict=True):
        assert ("held_out" in x) == ("held_out" in y)
        assert x.get("loss", 0) == pytest.approx(y.get("loss", 0), rel=5e-3)


def test_two_processes_with_divided_weights_take_the_steps_of_one(runs):
    assert_near(runs / "one", runs / "two_shard")
    assert_near(runs / "one", runs / "one_shard", 1e-7)
    assert_near(runs / "two_shard", runs / "two_shard_again")  # with gradient checkpointing


def test_each_process_holds_its_part_of_weights_and_average(runs):
    for rank in (0, 1):
        divided = json.loads((runs / "two_shard" / f"rank{rank}of2.json").read_text())
        copied = json.loads((runs / "two" / f"rank{rank}of2.json").read_text())
        assert copied["held"] == copied["total"] == divided["total"]
        assert divided["held"] < 0.6 * divided["total"] and divided["average"] < 0.6 * divided["total"]
    shards = next((runs / "two_shard" / "checkpoints").glob("step_*/shards"))
    assert len(list(shards.glob("*.distcp"))) == 2


def test_what_was_divided_by_two_goes_on_in_one_and_the_reverse(runs):
    """Saved at step 3, loaded by another number of processes: the run that was never cut."""
    for name in ("from_two", "from_one"):
        assert json.loads((runs / name / "rank0of1.json").read_text())["code"] in (0, PREEMPTED)
        assert json.loads((runs / name / "rank0of2.json").read_text())["code"] in (0, PREEMPTED)
        assert_near(runs / "one", runs / name)
        assert [row["step"] for row in figures(runs / name) if "loss" in row] == [*range(1, STEPS + 1)]


def test_a_run_of_two_that_one_was_told_to_stop_is_the_run_that_was_not(runs):
    """SIGTERM reached one process only; both saved at the same step, and the resumed run is the same to the bit."""
    assert_same_run(runs / "two_cut", runs / "two")


def test_a_figure_that_one_process_alone_has_is_logged_and_nobody_waits(runs):
    row = figures(runs / "lone")[0]
    assert row["lone"] == 7.0 and row["all"] == 0.5


def test_masters_stay_fp32_where_blocks_come_together_in_bfloat16(runs):
    saved = checkpoint.load(runs / "half" / "checkpoints")
    assert {t.dtype for t in [*saved.model.values(), *saved.ema.values()]} == {torch.float32}
    whole = checkpoint.load(runs / "two_shard" / "checkpoints")
    far = [(saved.model[n] - whole.model[n]).abs().max() for n in saved.model]
    assert 0 < max(far) < 0.02  # rounding was seen, and is no other run


def test_rows_are_dealt_out_once_and_no_process_is_left_without_a_pass():
    kinds = torch.tensor([False, True, False, False, False])
    dealt = [Share(rank, 2).rows(kinds) for rank in (0, 1)]
    counted = [rows[count > 0].tolist() for rows, count in dealt]
    assert sorted(counted[0] + counted[1]) == [0, 1, 2, 3, 4]
    for rows, count in dealt:
        assert set(kinds[rows].tolist()) == {False, True}, "another number of passes would wait for ever"
        assert len(rows) == len(count)
    assert dealt[1][1].tolist() == [1, 1, 0]  # the second has no row of the second kind: it takes one for company
    alone = Share().rows(kinds)
    assert alone[0].tolist() == [0, 1, 2, 3, 4] and alone[1].sum() == 5


@pytest.mark.parametrize("size", [2, 3])
def test_the_mean_of_the_parts_losses_is_the_loss_of_the_batch(size):
    def loss_of(share: Share) -> tuple[float, dict[str, torch.Tensor]]:
        objective = flow_objective(batch=7, cut_share=0.5)
        objective.share = share
        batch = objective.batch(np.random.default_rng(3))
        loss, _ = objective.loss(batch, torch.Generator().manual_seed(3))
        loss.backward()
        return float(loss.detach()), {n: p.grad for n, p in objective.module.named_parameters() if p.grad is not None}

    whole, gradient = loss_of(Share())
    parts = [loss_of(Share(rank, size)) for rank in range(size)]
    assert sum(value for value, _ in parts) / size == pytest.approx(whole, rel=1e-5)
    for name, wanted in gradient.items():
        found = sum(p[1][name] for p in parts) / size
        assert torch.allclose(found, wanted, atol=1e-6), name


def test_weights_that_are_not_divided_are_noticed():
    with pytest.raises(RuntimeError, match="not sharded"):
        parallel.check_sharded(flow_objective().module, 2)


def test_what_cannot_be_divided_says_so(tmp_path):
    class Two(parallel.Ranks):
        rank, size = 1, 2

    with pytest.raises(ConfigError, match="can't be divided between processes"):
        parallel.take_part(object(), Two())
    with pytest.raises(ConfigError, match="goes with loop.optimiser=adamw"):
        train(flow_objective(), loop_config(2, parallel="shard"), tmp_path)


def test_a_checkpoint_of_one_form_is_not_taken_for_the_other(runs, tmp_path):
    with pytest.raises(CheckpointMismatch, match="loop.parallel=shard"):
        train(flow_objective(), loop_config(STEPS + 1, **ADAM), runs / "two_shard")
    with pytest.raises(CheckpointMismatch, match="loop.parallel=replicate"):
        train(flow_objective(), loop_config(STEPS + 1, **SHARD), runs / "one")
