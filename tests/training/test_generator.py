"""The generator stage at tiny size: its cache is made once, exactly, by any number of workers, and trained from."""

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nsp_core import prompts
from nsp_core.errors import CheckpointMismatch
from training import checkpoint, generator
from training.generator import RULE_NUMBERS, make_cache, numbered_pair, read_cache, read_queries
from training.picturebook.parse import parse, parse_world
from training.picturebook.rules import MEMORY, enabled, step
from training.run import provenance
from training.stages import load_reader, load_vae, train_generator
from training.stories import read_pool


@pytest.fixture(scope="module")
def parts(tiny_runs):
    vae = load_vae(tiny_runs.vae.out)
    _, processor, reader = load_reader(tiny_runs.reader.out)
    return vae, reader.model, processor, reader.connector.queries


@pytest.fixture(scope="module")
def stories(tiny_runs):
    return read_pool(tiny_runs.generator.stories)


@pytest.fixture
def config(tiny_runs, tmp_path, monkeypatch):
    monkeypatch.setattr(generator, "SHARD", 10)
    return dataclasses.replace(tiny_runs.generator, cache=tmp_path / "cache")


def drawn(monkeypatch):
    """The ranges that are drawn from now on."""
    ranges = []
    draw = generator.draw_some
    monkeypatch.setattr(generator, "draw_some", lambda rows: ranges.append(rows) or draw(rows))
    return ranges


def test_what_went_away_comes_back_in_some_pairs(config, stories):
    config = dataclasses.replace(config, begin_share=0.0, siblings=1)

    def told(share, name="train"):
        some = dataclasses.replace(config, recall_share=share)
        return [numbered_pair(some, stories, name, i) for i in range(40)]

    always = told(1.0)
    assert all(pair.event.rule in MEMORY and pair.event.colour for pair in always)
    assert [pair.event for pair in always] == [pair.event for pair in told(1.0)] != [p.event for p in told(0.0)]
    kept = [pair.now for pair in always] != [pair.now for pair in told(1.0, "held_out")]
    assert kept, "other moments for each cache"
    assert 0 < sum(pair.event.rule in MEMORY for pair in told(0.4)) < 40


def test_a_pair_is_what_its_words_say(config, stories):
    config = dataclasses.replace(config, idle_share=0.3)
    kinds, vague = set(), 0
    for i in range(60):
        pair = numbered_pair(config, stories, "train", i)
        assert len(pair.prompts) == 2
        for prompt in pair.prompts:
            told = prompt.text.rsplit(prompts.STARTER.draw.split("{")[0], 1)[1]
            kinds.add((pair.event is None, len(prompt.clips)))
            assert (generator.label_of(pair) < 0) is (not prompt.clips), "only a beginning continues nothing"
            if pair.event is None:
                assert pair.after == pair.now
                world = parse_world(told)
                vague += world is None and not prompt.clips  # a beginning that leaves something open
                assert world == pair.after.seen() or not prompt.clips
            else:
                assert parse(told) == pair.event and pair.event in enabled(pair.now)
                assert pair.after == step(pair.now, pair.event) and len(prompt.clips) == 1
    assert kinds == {(False, 1), (True, 0), (True, 1)}, "events, described beginnings, nothing that changes"
    assert 0 < vague < 12


def test_siblings_continue_one_moment_in_different_ways(config, stories):
    """The words alone tell them apart: the clip that was is the same, and it is encoded once."""
    config = dataclasses.replace(config, begin_share=0.0, frozen_share=0.4)
    generator._drawn_from = (config, stories, "train")
    pairs, before, which, after = generator.draw_some(range(30))
    assert len(after) == len(which) == 30 and len(before) < 15
    for i in range(0, 30, 3):
        group = pairs[i : i + 3]
        assert len({(p.past, p.past_event, p.now, p.frozen) for p in group}) == 1 and len(set(which[i : i + 3])) == 1
        assert len({p.event for p in group}) == min(3, len(enabled(group[0].now)))
    assert any(p.frozen for p in pairs) and not all(p.frozen for p in pairs)
    for pair, number in zip(pairs, which, strict=True):
        clip = before[number]
        assert np.array_equal(clip[-1], generator.clip_before(pair)[-1])
        assert not pair.frozen or all(np.array_equal(frame, clip[0]) for frame in clip)


def test_the_cache_is_sharded_and_goes_on_after_a_kill(config, parts, stories, monkeypatch):
    ranges = drawn(monkeypatch)
    folder = make_cache(config, stories, parts, "train", 25)
    shards = sorted(folder.glob("shard_*.safetensors"))
    assert [len(load_file(p)["labels"]) for p in shards] == [10, 10, 5]
    whole = {p.name: p.read_bytes() for p in shards}

    os.replace(shards[1], shards[1].with_suffix(".partial"))  # killed while the second was being written
    shards[1].with_suffix(".partial").write_bytes(b"half")
    ranges.clear()
    make_cache(config, stories, parts, "train", 25)
    assert [(r.start, r.stop) for r in ranges] == [(10, 20)]
    assert {p.name: p.read_bytes() for p in folder.glob("shard_*.safetensors")} == whole

    ranges.clear()
    make_cache(config, stories, parts, "train", 32)  # more pairs: the short last shard is made anew
    assert [(r.start, r.stop) for r in ranges] == [(20, 30), (30, 32)]
    assert len(read_cache(folder, torch.zeros(4, 64)).labels) == 32


def test_workers_make_the_same_cache(config, parts, stories, tmp_path):
    one = make_cache(config, stories, parts, "train", 20)
    ahead = dataclasses.replace(config, workers=2, cache=tmp_path / "ahead")
    two = make_cache(ahead, stories, parts, "train", 20)
    for path in one.glob("shard_*"):
        a, b = load_file(path), load_file(two / path.name)
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_a_cache_of_other_weights_or_settings_is_refused(config, parts, stories):
    make_cache(config, stories, parts, "train", 10)
    vae, model, processor, queries = parts
    with pytest.raises(CheckpointMismatch, match="other weights"):
        make_cache(config, stories, (vae, model, processor, queries + 1), "train", 10)
    with pytest.raises(CheckpointMismatch, match="other weights or settings"):
        make_cache(dataclasses.replace(config, wordings=1), stories, parts, "train", 10)
    make_cache(config, stories, parts, "train", 10)


def test_rows_of_the_cache_are_the_pairs_latents_states_and_labels(config, parts, stories):
    vae, model, processor, queries = parts
    cache = read_cache(make_cache(config, stories, parts, "train", 10), torch.zeros(4, 64))
    generator._drawn_from = (config, stories, "train")
    pairs, _, _, after = generator.draw_some(range(10))
    assert cache.latents.shape == (10, 64, 5, 6, 10) and cache.tails.shape == (10, 64, 6, 10)
    assert cache.conditions.shape == (10, 2, 4, 64) and cache.latents.dtype == torch.bfloat16
    assert cache.labels.tolist() == [RULE_NUMBERS[p.event.rule] if p.event else -1 for p in pairs]
    latents = generator.encode_clips(vae, after[3:4])
    assert torch.allclose(latents[0], cache.latents[3].float(), atol=0.1)
    states = read_queries(model, processor, queries, list(pairs[3].prompts))
    assert torch.allclose(states.float(), cache.conditions[3].float(), atol=0.1)
    assert (cache.residual_scale > 0).all()
    # the tail is the end of the clip that was: a pair of a beginning stands still
    begins = cache.labels < 0
    assert torch.allclose(cache.latents[begins][:, :, -1], cache.tails[begins], atol=0.1)


def test_no_cache_is_said_in_words(tmp_path):
    with pytest.raises(CheckpointMismatch, match="No cache"):
        read_cache(tmp_path, torch.zeros(1))


def test_the_stage_trains_resumes_and_leaves_what_export_needs(tiny_runs, config):
    config = dataclasses.replace(config, out=config.cache.with_name("generator"), minutes=0.0)
    config.out.mkdir()
    (config.out / "run.json").write_text(json.dumps(provenance(config)))
    assert train_generator(config, True) == 75
    assert train_generator(dataclasses.replace(config, minutes=60.0), True) == 0
    saved = checkpoint.load(config.out / "checkpoints")
    assert saved.step == 2 and saved.optimiser is not None
    assert load_file(config.out / "residual_scale.safetensors")["residual_scale"].shape == (64,)
    rows = [json.loads(line) for line in (config.out / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["held_out"].keys() >= {"continue", "continue_words_worth"}
    # the queries are the reader's: the generator never moves them
    _, _, reader = load_reader(tiny_runs.reader.out)
    kept = saved.model["connector.queries"].bfloat16().float()
    assert torch.equal(kept, reader.connector.queries.detach())
