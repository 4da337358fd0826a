"""The paper's stages: what should move moves, everything else is the same to the bit; kinds, shares, exact resume."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from nsp_core.errors import ConfigError
from nsp_core.model import build
from nsp_core.pipeline import NextScenePipeline
from tests.training.test_loop import assert_same_run
from tests.training.tiny_parts import StoppedAt, loop_config
from training import loop
from training.flow_matching import FlowConfig
from training.models import open_model
from training.parallel import Ranks
from training.picturebook.words import corpus
from training.pretrain import cache
from training.pretrain.cache import make_cache
from training.pretrain.examples import HELD_OUT, ExampleConfig, example, pick
from training.pretrain.stage import TABLE, StageConfig, new_objective, part_of, renew, shares_of, train_row

EXAMPLES = ExampleConfig(images=5, videos=4, pairs=4, held_out=2, scenes=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A whole model of random weights on disk, and room for caches beside it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("recipe")
    build.tiny_pipeline(corpus(Random(0), 200)).to(torch.bfloat16).save_pretrained(path / "start")
    yield path
    torch.set_num_threads(before)


def config_for(folder: Path, out: Path, steps: int = 2, **settings) -> StageConfig:
    run = loop_config(steps, muon_lr=1e-2, adam_lr=1e-2, eval_every=100, autocast=False)
    values = {"flow": FlowConfig(batch=2), "examples": EXAMPLES, "threads": 1, **settings}
    return StageConfig(run, folder / "start", out, folder / "cache", **values)


def weights(pipeline) -> dict[str, torch.Tensor]:
    parts = ("connector", "transformer", "vae", "vision_language")
    return {f"{p}.{n}": t.clone() for p in parts for n, t in getattr(pipeline, p).state_dict().items()}


@pytest.mark.parametrize("name", TABLE)
def test_what_should_move_moves_and_the_rest_is_the_same_to_the_bit(folder, tmp_path, name):
    row, config = TABLE[name], config_for(folder, tmp_path, 3)
    pipeline = open_model(config.init)
    renew(pipeline, row.fresh, config.transformer)
    objective = new_objective(row, config, pipeline, shares_of(name, row, config))
    before = weights(pipeline)
    # the loss of every kind, so that a short run can't miss one
    assert loop.train(objective, config.loop, tmp_path) == 0
    after = weights(pipeline)
    moved = {n for n in before if not torch.equal(before[n], after[n])}
    assert {part_of(n) if n.startswith(("connector", "transformer")) else n for n in moved} == set(row.moves)
    # not one tensor of a part, but nearly all of it: K's bias has no effect under a softmax, and fresh layers wait
    for part in row.moves:
        mine = [n for n in before if n.startswith(("connector", "transformer")) and part_of(n) == part]
        assert len(moved & set(mine)) > 0.7 * len(mine), (part, sorted(set(mine) - moved))


def test_a_stage_leaves_a_model_that_the_next_begins_with(folder, tmp_path):
    out = tmp_path / "sft"
    out.mkdir()
    assert train_row("sft", config_for(folder, out), True) == 0
    start, left = NextScenePipeline.from_pretrained(folder / "start"), open_model(out)
    assert not torch.equal(start.transformer.proj_out.weight, left.transformer.proj_out.weight)
    assert torch.equal(start.connector.queries, left.connector.queries)
    assert weights(start)["vae.decoder.conv_out.conv.weight"].equal(weights(left)["vae.decoder.conv_out.conv.weight"])
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert {"next", "next_words_worth"} <= rows[-1]["held_out"].keys()
    with pytest.raises(ConfigError, match="no model"):
        open_model(tmp_path)


@pytest.mark.parametrize(("name", "optimiser"), [("pt1", "muon"), ("pt2", "prodigy")])
def test_a_stage_cut_and_resumed_is_the_stage_that_was_not(folder, tmp_path, name, optimiser):
    config = config_for(folder, tmp_path, 4)
    config = replace(config, loop=replace(config.loop, optimiser=optimiser))

    def run(out, stop=None):
        pipeline = open_model(config.init)
        torch.manual_seed(0)
        renew(pipeline, TABLE[name].fresh, config.transformer)
        objective = new_objective(TABLE[name], config, pipeline, shares_of(name, TABLE[name], config))
        return loop.train(objective if stop is None else StoppedAt(objective, stop), config.loop, out)

    assert run(tmp_path / "whole") == 0
    assert run(tmp_path / "cut", 2) == loop.PREEMPTED
    assert run(tmp_path / "cut") == 0
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


def test_queries_that_learn_see_the_prompts_that_the_cache_was_made_from(folder, tmp_path):
    """The same states, once from a cache of them (bf16) and once through the reader with a graph; pt1 keeps none."""
    config = config_for(folder, tmp_path)
    pipeline = open_model(config.init)
    objective = new_objective(TABLE["pt1"], config, pipeline, {"image": 1.0})
    live = objective.states(objective.prompts["image"])
    assert objective.caches["image"].conditions.numel() == 0
    kept = make_cache(pipeline, EXAMPLES, "image", tmp_path, False).conditions[:, 0].float()
    assert live.requires_grad and torch.allclose(live.detach(), kept, atol=0.1)
    assert not torch.allclose(live.detach(), kept.roll(1, 0), atol=0.1)


def test_examples_are_what_they_are_called(folder):
    pipeline = open_model(folder / "start")
    image, video, pair = (example(pipeline, EXAMPLES, k, 3) for k in ("image", "video", "next"))
    assert image.frames.shape == (1, 96, 160, 3) and image.before is None and not image.prompt.clips
    assert video.frames.shape == (17, 96, 160, 3) and video.before is None and video.prompt.text.startswith("Draw: ")
    assert pair.frames.shape == (17, 96, 160, 3) and pair.before is not None and len(pair.prompt.clips) == 1
    untold = example(pipeline, replace(EXAMPLES, told=False), "next", 3)
    assert "Draw:" in pair.prompt.text and untold.prompt.text.endswith("What happens next?")
    assert np.array_equal(untold.frames, pair.frames)  # what comes is the same, told or not
    again = example(pipeline, EXAMPLES, "next", 3)
    assert again.prompt.text == pair.prompt.text and np.array_equal(again.frames, pair.frames)
    cut = make_cache(pipeline, EXAMPLES, "image", folder / "cache", False)
    assert cut.latents.shape == (5, 16, 1, 6, 10) and (cut.labels == -1).all()
    assert (make_cache(pipeline, EXAMPLES, "next", folder / "cache", False).labels >= 0).all()


def test_a_cache_belongs_to_its_model_and_settings(folder, tmp_path):
    pipeline = open_model(folder / "start")

    def names():
        return {p.name for p in tmp_path.iterdir()}

    make_cache(pipeline, EXAMPLES, "image", tmp_path, False)
    first = names()
    make_cache(pipeline, EXAMPLES, "image", tmp_path, False)
    assert names() == first
    make_cache(pipeline, replace(EXAMPLES, seed=1), "image", tmp_path, False)
    with torch.no_grad():
        pipeline.connector.queries.add_(1.0)
    make_cache(pipeline, EXAMPLES, "image", tmp_path, False)
    assert len(names()) == 3 and not any(n.endswith(".partial") for n in names())


@pytest.mark.parametrize("name", ["pt1", "sft"])
def test_a_streamed_run_is_the_one_from_memory(folder, tmp_path, monkeypatch, name):
    """Shards of two examples, so that a batch is of several: every weight and loss to the bit."""
    monkeypatch.setattr(cache, "SHARD", 2)
    for stream in (False, True):
        config = config_for(folder, tmp_path / str(stream), 3, stream=stream, flow=FlowConfig(batch=4))
        pipeline = open_model(config.init)
        row = TABLE[name]
        objective = new_objective(row, config, pipeline, shares_of(name, row, config))
        part = next(iter(objective.caches.values())).latents
        assert isinstance(part, cache.Streamed if stream else torch.Tensor) and len(part) > 2
        assert loop.train(objective, config.loop, tmp_path / str(stream)) == 0
    assert_same_run(tmp_path / "True", tmp_path / "False")


def test_streamed_rows_are_those_of_the_tensor(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "SHARD", 2)
    pipeline = open_model(folder / "start")
    stays, streamed = (make_cache(pipeline, EXAMPLES, "next", tmp_path, False, stream=s) for s in (False, True))
    rows = torch.tensor([3, 0, 3, 1])
    for part in ("latents", "tails", "conditions"):
        kept, read = getattr(stays, part), getattr(streamed, part)
        assert torch.equal(read[rows], kept[rows]) and read.shape == kept.shape and len(read) == 4
    wordings = torch.zeros(4, dtype=torch.long)
    assert torch.equal(streamed.conditions[rows, wordings], stays.conditions[rows, wordings])


def test_several_processes_make_one_cache_together(folder, tmp_path, monkeypatch):
    """Each makes its shards, waits, and finds those of the others; one that was stopped goes on where it was."""
    monkeypatch.setattr(cache, "SHARD", 1)
    pipeline = open_model(folder / "start")
    alone = make_cache(pipeline, EXAMPLES, "image", tmp_path / "alone", False)
    made: list[int] = []
    real = cache.rows_of
    monkeypatch.setattr(cache, "rows_of", lambda *a: made.append(a[3]) or real(*a))

    class Second(Ranks):
        rank, size = 1, 2

        def wait(self):
            assert made == [1, 3]
            monkeypatch.setattr(Ranks, "size", 2)  # the first of two comes through meanwhile
            make_cache(pipeline, EXAMPLES, "image", tmp_path / "two", False)

    together = make_cache(pipeline, EXAMPLES, "image", tmp_path / "two", False, ranks=Second())
    assert made == [1, 3, 0, 2, 4]
    assert torch.equal(together.latents, alone.latents) and torch.equal(together.numbers, alone.numbers)
    monkeypatch.setattr(Ranks, "size", 1)
    gone = sorted(next((tmp_path / "two").iterdir()).iterdir())[2]
    gone.unlink()
    gone.with_suffix(".partial").write_bytes(b"cut off")
    again = make_cache(pipeline, EXAMPLES, "image", tmp_path / "two", False)
    assert made[5:] == [2] and torch.equal(again.latents, alone.latents)


def test_kinds_come_in_the_shares_that_were_asked_for():
    drawn = [pick(np.random.default_rng(i), {"image": 3.0, "video": 1.0}) for i in range(400)]
    assert set(drawn) == {"image", "video"} and 0.68 < drawn.count("image") / 400 < 0.82


def test_a_stage_without_examples_says_which_it_wants(folder, tmp_path):
    config = config_for(folder, tmp_path, examples=ExampleConfig(images=3))
    with pytest.raises(ConfigError, match="set examples.videos above 0"):
        shares_of("pt2", TABLE["pt2"], config)
    assert shares_of("pt2", TABLE["pt2"], replace(config, shares={"image": 1.0})) == {"image": 1.0}
    with pytest.raises(ConfigError, match="shares names"):
        shares_of("pt2", TABLE["pt2"], replace(config, shares={"images": 1.0}))


def test_held_out_examples_are_other_ones(folder):
    pipeline = open_model(folder / "start")
    texts = {example(pipeline, EXAMPLES, "next", n).prompt.text for n in range(6)}
    assert not texts & {example(pipeline, EXAMPLES, "next", HELD_OUT + n).prompt.text for n in range(6)}


@pytest.mark.parametrize("name", ["pt1", "pt2"])
def test_gradient_checkpointing_changes_no_gradient(folder, tmp_path, name):
    def gradients(**settings) -> dict[str, torch.Tensor]:
        config = config_for(folder, tmp_path, **settings)
        pipeline = open_model(config.init)
        objective = new_objective(TABLE[name], config, pipeline, shares_of(name, TABLE[name], config))
        if config.recompute:  # as learn_to_draw does
            objective.module.transformer.enable_gradient_checkpointing()
        batch = objective.batch(np.random.default_rng(0))
        objective.loss(batch, torch.Generator().manual_seed(0))[0].backward()
        return {n: p.grad for n, p in objective.module.named_parameters() if p.grad is not None}

    kept, again = gradients(), gradients(recompute=True)
    assert kept.keys() == again.keys() and len(kept) > 5
    assert [n for n in kept if not torch.equal(kept[n], again[n])] == []


def test_what_stays_may_be_in_bfloat16_and_what_learns_is_fp32(folder, tmp_path):
    config = config_for(folder, tmp_path, half=True)
    config = replace(config, loop=replace(config.loop, autocast=True))
    pipeline = open_model(config.init)
    objective = new_objective(TABLE["pt1"], config, pipeline, {"image": 1.0})
    kinds = {n: {p.dtype for p in getattr(pipeline, n).parameters()} for n in ("transformer", "connector", "vae")}
    assert kinds == {"transformer": {torch.bfloat16}, "connector": {torch.float32}, "vae": {torch.bfloat16}}
    before = {n: p.clone() for n, p in objective.module.named_parameters()}
    assert loop.train(objective, config.loop, tmp_path) == 0
    moved = {part_of(n) for n, p in objective.module.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {"queries", "bridge"}
