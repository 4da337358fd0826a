"""The loop: resume is exact to the bit, signals end a piece in order, bad losses stop a run."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from nsp_core.errors import ConfigError
from tests.training.tiny_parts import StoppedAt, flow_objective, loop_config, vae_objective
from training import checkpoint
from training.loop import PREEMPTED, LoopConfig, evaluate, learning_rate, train

STEPS = 8


@pytest.fixture(autouse=True)
def one_thread():
    """Bits are promised for one machine and one number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def figures(out: Path) -> list[dict]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def assert_same_run(one: Path, two: Path) -> None:
    """Weights, average, optimiser state and metrics, to the bit."""
    a, b = (checkpoint.load(out / "checkpoints") for out in (one, two))
    assert a.step == b.step
    for left, right in ((a.model, b.model), (a.ema, b.ema)):
        assert left.keys() == right.keys()
        assert [n for n in left if not torch.equal(left[n], right[n])] == []
    assert a.manifest == b.manifest
    flat_a, flat_b = (torch.utils._pytree.tree_leaves(s.optimiser) for s in (a, b))
    assert len(flat_a) == len(flat_b) > 10
    assert all(
        torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y for x, y in zip(flat_a, flat_b, strict=True)
    )
    assert figures(one) == figures(two)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("whole")
    assert train(flow_objective(), loop_config(STEPS), out) == 0
    return out


@pytest.mark.parametrize("at", [1, 4, 7])
def test_a_flow_run_cut_at_a_step_and_resumed_is_the_run_that_was_not(tmp_path, uninterrupted, at):
    assert train(StoppedAt(flow_objective(), at), loop_config(STEPS), tmp_path) == PREEMPTED
    assert checkpoint.load(tmp_path / "checkpoints").step == at
    assert train(flow_objective(), loop_config(STEPS), tmp_path) == 0
    assert_same_run(tmp_path, uninterrupted)
    assert len(figures(tmp_path)) == STEPS + 2  # every step once, held out at 5 and at the end


def test_an_autoencoder_run_cut_and_resumed_is_the_run_that_was_not(tmp_path):
    loop, pool = loop_config(5, eval_every=100), tmp_path / "pool"
    assert train(vae_objective(pool, loop), loop, tmp_path / "whole") == 0
    assert train(StoppedAt(vae_objective(pool, loop), 3), loop, tmp_path / "cut") == PREEMPTED
    assert train(vae_objective(pool, loop), loop, tmp_path / "cut") == 0
    assert_same_run(tmp_path / "cut", tmp_path / "whole")
    assert {"psnr", "psnr_things", "psnr_three_trips"} <= figures(tmp_path / "cut")[-1]["held_out"].keys()


def start(out: Path, *arguments: int) -> subprocess.Popen:
    script = Path(__file__).with_name("tiny_parts.py")
    root = script.parent.parent.parent
    command = [sys.executable, "-m", "tests.training.tiny_parts", str(out), *map(str, arguments)]
    return subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True)


def test_a_killed_process_resumes_from_its_last_save_to_the_same_bits(tmp_path, uninterrupted):
    """SIGKILL gives no time to save: the steps since the last checkpoint are taken again, their figures rewritten."""
    process = start(tmp_path, STEPS, 6, int(signal.SIGKILL))
    assert process.wait(120) == -signal.SIGKILL
    assert checkpoint.load(tmp_path / "checkpoints").step == 5
    (tmp_path / "metrics.jsonl").open("a").write('{"step": 6, "loss": 1.0}\n{"step": 7, "lo')
    assert train(flow_objective(), loop_config(STEPS), tmp_path) == 0
    assert_same_run(tmp_path, uninterrupted)


def test_sigterm_from_outside_saves_and_exits_75(tmp_path):
    process = start(tmp_path, 100_000, 0, 0)
    metrics = tmp_path / "metrics.jsonl"
    try:
        deadline = time.monotonic() + 120
        while not (metrics.exists() and metrics.read_text().count("\n") > 3):
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == PREEMPTED
    finally:
        process.kill()
    taken = [row["step"] for row in figures(tmp_path) if "loss" in row]
    assert checkpoint.load(tmp_path / "checkpoints").step == taken[-1]


def test_a_piece_of_no_minutes_saves_where_it_stands(tmp_path):
    assert train(flow_objective(), loop_config(STEPS), tmp_path, minutes=0) == PREEMPTED
    assert checkpoint.load(tmp_path / "checkpoints").step == 0


def test_a_light_checkpoint_is_gone_on_from_with_fresh_optimiser_state(tmp_path):
    """What comes from another machine: bf16 weights and average, no optimiser."""
    out = tmp_path / "run"
    train(StoppedAt(flow_objective(), 4), loop_config(STEPS), out)
    whole = checkpoint.load(out / "checkpoints")
    light = tmp_path / "light"
    checkpoint.save(
        light / "checkpoints",
        whole.step,
        {n: t.bfloat16() for n, t in whole.model.items()},
        {n: t.bfloat16() for n, t in whole.ema.items()},
        None,
        {},
    )
    objective = flow_objective()
    assert train(objective, loop_config(STEPS), light) == 0
    assert [r["step"] for r in figures(light) if "loss" in r] == [5, 6, 7, 8]
    assert checkpoint.load(light / "checkpoints").optimiser is not None
    assert all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in objective.module.parameters())


class Constant:
    """An objective whose loss at each step is given."""

    def __init__(self, values: list[float]) -> None:
        self.values = values
        self.module = torch.nn.Linear(1, 1, bias=False)

    def batch(self, rng) -> None:  # noqa: ARG002
        return None

    def loss(self, batch, generator):  # noqa: ARG002
        value = self.values.pop(0)
        return self.module.weight.sum() * 0 + value, {}

    def evaluate(self):
        return {}


@pytest.mark.parametrize(("bad", "said"), [(math.nan, "nan"), (math.inf, "inf"), (25.0, "25")])
def test_a_loss_that_jumps_or_is_no_number_stops_the_run_before_the_weights_move(tmp_path, bad, said):
    objective = Constant([1.0] * 60 + [bad])
    with pytest.raises(FloatingPointError, match=f"went to {said} at step 60"):
        train(objective, loop_config(100, eval_every=1000), tmp_path)
    assert torch.isfinite(objective.module.weight).all()


def test_a_young_run_may_jump_and_a_resumed_one_is_guarded_at_once(tmp_path):
    young = Constant([1.0] * 10 + [25.0] + [1.0] * 49)
    assert train(young, loop_config(60, eval_every=1000), tmp_path) == 0
    with pytest.raises(FloatingPointError, match="at step 61"):
        train(Constant([1.0, 500.0]), loop_config(70, eval_every=1000), tmp_path)


def test_reinforcement_whose_loss_is_nothing_is_never_taken_for_a_jump(tmp_path):
    """Its loss is zero but for rounding, of either sign; what it says about the model is in its gradient."""
    values = [-3e-10] * 60 + [0.0, 2e-8]
    assert train(Constant(values), loop_config(62, eval_every=1000, spike=math.inf), tmp_path) == 0


def test_a_new_run_never_mixes_with_an_old_one(tmp_path):
    train(StoppedAt(flow_objective(), 2), loop_config(STEPS), tmp_path)
    with pytest.raises(ConfigError, match="earlier run"):
        train(flow_objective(), loop_config(STEPS), tmp_path, resume=False)
    assert checkpoint.load(tmp_path / "checkpoints").step == 2


def test_evaluation_sees_the_averaged_weights_and_puts_the_trained_ones_back():
    class Seen(Constant):
        def evaluate(self):
            return {"weight": self.module.weight.item(), "training": float(self.module.training)}

    from training.ema import Ema

    objective = Seen([])
    ema = Ema(objective.module, 0.5)
    ema.shadow["weight"].fill_(7.0)
    kept = objective.module.weight.item()
    assert evaluate(objective, ema) == {"weight": 7.0, "training": 0.0}
    assert objective.module.weight.item() == kept and objective.module.training


def test_the_rate_warms_up_stays_and_falls_to_its_floor():
    config = LoopConfig(steps=100, warmup=4, decay_from=0.5, floor=0.1)
    rates = [learning_rate(s, config) for s in range(100)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:50] == [1.0] * 46
    assert all(a > b for a, b in zip(rates[50:-1], rates[51:], strict=True))
    assert learning_rate(100, config) == pytest.approx(0.1) and learning_rate(500, config) == 0.1


def test_batches_made_ahead_in_other_processes_are_the_same_run(tmp_path, uninterrupted):
    out = tmp_path / "ahead"
    assert train(StoppedAt(flow_objective(), 3), loop_config(STEPS, workers=2), out) == PREEMPTED
    assert train(flow_objective(), loop_config(STEPS, workers=2), out) == 0
    assert_same_run(out, uninterrupted)
