"""Stage `generator`: teach the transformer to draw, from a cache of latents and of the frozen reader's queries.

python launch.py train generator --config training/configs/starter/generator.yaml

The cache is made once (`make_cache`): every pair is a clip that was, the clip that comes, and the queries' states for
several wordings of it. It is sharded, written `.partial` until whole, and stamped with the weights that it came from.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import math
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from nsp_core import prompts
from nsp_core.errors import CheckpointMismatch
from nsp_core.latents import normalise
from nsp_core.model import build
from nsp_core.model.vision_language import Prompt, prepare, query_states
from training.flow_matching import Cache, FlowConfig
from training.loop import LoopConfig
from training.picturebook.loosely import describe_vaguely
from training.picturebook.rules import RULES, enabled, step
from training.picturebook.splits import is_train
from training.picturebook.words import TRAIN_VARIANTS, describe, tell
from training.picturebook.world import Event, World
from training.plan.machine import PlanConfig
from training.reader_data import VAGUE_SHARE, Moment, ends_of, pictures, story_words
from training.remembering import recalls
from training.vae import to_tensor
from training.worker import begin

log = logging.getLogger(__name__)
RULE_NUMBERS = {name: i for i, name in enumerate(RULES)}
SHARD = 500
RECALLS = 1000


@dataclass(frozen=True)
class GeneratorConfig:
    loop: LoopConfig
    flow: FlowConfig
    stories: Path
    cache: Path
    vae: Path  # a run folder of stage vae
    reader: Path  # a run folder of stage reader
    out: Path
    pairs: int = 12000
    held_out_pairs: int = 256
    wordings: int = 2
    siblings: int = 3  # pairs that continue the same moment
    frozen_share: float = 0.15  # moments whose last clip is a still
    begin_share: float = 0.15  # pairs that are described beginnings (text-to-scene)
    idle_share: float = 0.0  # pairs in which nothing changes, told by what there is
    recall_share: float = 0.0  # moments at which what went away in the first scene comes back (training.remembering)
    width: int = 256
    layers: int = 6
    heads: int = 4
    compile: bool = True
    errors: Path | None = None  # the model's own, from training.own_errors; flow.error_share says how often
    recompute: bool = False  # gradient checkpointing: less memory, a forward pass more
    threads: int = 2
    device: str = "cpu"
    workers: int = 0  # processes that draw the cache's clips; 0 draws them in this one
    minutes: float = math.inf
    init: Path | None = None
    plan: PlanConfig = PlanConfig()


@dataclass(frozen=True)
class Pair:
    """A clip that was (`past` -> `now`, by `past_event`) and the one that comes (`now` -> `after`, by `event`)."""

    past: World
    past_event: Event | None
    now: World
    event: Event | None
    after: World
    prompts: tuple[Prompt, ...]
    frozen: bool = False  # what was is a still picture that somebody brought: not even the rain moves


def pair_of(moment: Moment, event: Event | None, rng: Random, wordings: int) -> Pair:
    """`event` None: nothing changes, and the words say what there is."""
    now = moment.world
    past, _ = ends_of(moment)
    past_event = moment.story.events[moment.at - 1] if moment.at else None
    clips = (pictures(past, now),)
    asks = []
    for _ in range(wordings):
        text = prompts.story_text(prompts.STARTER, story_words(moment, rng))
        variant = rng.choice(TRAIN_VARIANTS)
        words = tell(event, now, variant) if event else describe(now, variant)
        asks.append(Prompt(text + prompts.STARTER.draw.format(words=words), clips))
    return Pair(past, past_event, now, event, step(now, event) if event else now, tuple(asks))


def beginning_of(moment: Moment, rng: Random, wordings: int) -> Pair:
    """A described beginning (text-to-scene): the pair's clip is the scene at rest. Where not everything is told, it is
    one of the scenes that would do: from many such pairs one learns to draw one of them and not their mean."""
    now = moment.world
    if rng.random() < VAGUE_SHARE:
        told = [describe_vaguely(now, rng) for _ in range(wordings)]
    else:
        told = [describe(now, rng.choice(TRAIN_VARIANTS)) for _ in range(wordings)]
    return Pair(now, None, now, None, now, tuple(Prompt(prompts.STARTER.draw.format(words=t)) for t in told))


def numbered_pair(config: GeneratorConfig, stories: list[Any], name: str, number: int) -> Pair:
    """Pair `number` of a cache. `siblings` neighbours continue one moment of a story, by its own event and by others
    that could happen there: the words alone tell them apart, and the clip that was is encoded once for all."""
    shared = Random(f"{name}/{config.loop.seed}/{number // config.siblings}")
    own = Random(f"{name}/{config.loop.seed}/{number}/own")
    if config.recall_share and shared.random() < config.recall_share:
        moment = shared.choice(remembered(name))
    else:
        story = shared.choice(stories)
        while not story.events:
            story = shared.choice(stories)
        moment = Moment(story, shared.randrange(len(story.events)))
    frozen = shared.random() < config.frozen_share
    others = [e for e in enabled(moment.world) if e != moment.event and is_train(moment.world, e)]
    shared.shuffle(others)
    events = [moment.event, *others]
    if own.random() < config.begin_share:
        return beginning_of(moment, own, config.wordings)
    event = None if own.random() < config.idle_share else events[number % config.siblings % len(events)]
    pair = pair_of(moment, event, own, config.wordings)
    return replace(pair, frozen=frozen)


@functools.cache
def remembered(name: str) -> list[Moment]:
    """The moments of `recall_share`: others for each cache."""
    return recalls(RECALLS, name)


def label_of(pair: Pair) -> int:
    """The rule's number; -1 for a described beginning, which has nothing to continue from."""
    if pair.event:
        return RULE_NUMBERS[pair.event.rule]
    return len(RULE_NUMBERS) if pair.prompts[0].clips else -1


def clip_before(pair: Pair) -> np.ndarray:
    from training.picturebook.draw import clip, still

    if pair.frozen:
        return np.repeat(still(pair.now)[None], build.FRAMES, 0)
    return clip(pair.past, pair.past_event, pair.now)


def clip_after(pair: Pair) -> np.ndarray:
    from training.picturebook.draw import clip

    return clip(pair.now, pair.event, pair.after)


@torch.no_grad()
def encode_clips(vae: Any, frames: np.ndarray) -> Tensor:
    """(B, T, H, W, 3) uint8 -> (B, C, F, h, w) normalised, in bf16 for the cache."""
    with torch.autocast(vae.device.type, torch.bfloat16):
        latents = vae.encode(to_tensor(frames).to(vae.device)).latent_dist.mode()
    return normalise(latents.float(), vae.latents_mean, vae.latents_std)


@torch.no_grad()
def read_queries(model: Any, processor: Any, queries: Tensor, asks: list[Prompt]) -> Tensor:
    inputs = {k: v.to(queries.device) for k, v in prepare(processor, asks, multiple=64).items()}
    with torch.autocast(queries.device.type, torch.bfloat16):
        states, _ = query_states(model, inputs, queries)
    return states


def stamp(vae: Any, model: Any, queries: Tensor) -> str:
    """A hash of the weights that a cache was made with; the decoder has no part in it."""
    digest = hashlib.sha256()
    latents = (*vae.encoder.state_dict().values(), vae.latents_mean, vae.latents_std)
    for tensor in (*latents, *model.state_dict().values(), queries):
        digest.update(tensor.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def make_cache(
    config: GeneratorConfig, stories: list[Any], parts: tuple[Any, Any, Any, Tensor], name: str, pairs: int
) -> Path:
    """Shards of `pairs` pairs under cache/name; whole shards of the same weights are kept and not made again."""
    vae, model, processor, queries = parts
    folder = config.cache / name
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / "stamp.json"
    made_with = {
        "weights": stamp(vae, model, queries),
        "wordings": config.wordings,
        "begin_share": config.begin_share,
        "siblings": config.siblings,
        "frozen_share": config.frozen_share,
        "seed": config.loop.seed,
    }
    if config.idle_share:  # a cache without any is the same as before there could be some
        made_with["idle_share"] = config.idle_share
    if config.recall_share:
        made_with["recall_share"] = config.recall_share
    if mark.exists() and json.loads(mark.read_text()) != made_with:
        raise CheckpointMismatch(
            f"The cache in {folder} was made with other weights or settings; remove it or name another."
        )
    mark.write_text(json.dumps(made_with))
    with drawing(config, stories, name) as draw_all:
        for start in range(0, pairs, SHARD):
            path = folder / f"shard_{start // SHARD:04d}.safetensors"
            end = min(start + SHARD, pairs)
            if path.exists() and rows_of(path) >= end - start:
                continue
            rows: dict[str, list[Tensor]] = {"latents": [], "tails": [], "conditions": [], "labels": []}
            for batch, before, which, after in draw_all([range(i, min(i + 20, end)) for i in range(start, end, 20)]):
                rows["tails"].append(encode_clips(vae, before)[which, :, -1].bfloat16())
                rows["latents"].append(encode_clips(vae, after).bfloat16())
                states = read_queries(model, processor, queries, [a for p in batch for a in p.prompts])
                rows["conditions"].append(states.view(len(batch), config.wordings, *states.shape[1:]).bfloat16())
                rows["labels"].append(torch.tensor([label_of(p) for p in batch]))
            part = path.with_suffix(".partial")
            save_file({k: torch.cat(v).contiguous() for k, v in rows.items()}, part)
            os.replace(part, path)
            log.info("%s: %d of %d pairs", name, end, pairs)
    return folder


def rows_of(shard: Path) -> int:
    with safe_open(shard, "np") as opened:
        return int(opened.get_slice("labels").get_shape()[0])


Drawn = tuple[list[Pair], np.ndarray, list[int], np.ndarray]
_drawn_from: tuple[GeneratorConfig, list[Any], str] | None = None  # set before workers are forked: stories are shared


@contextmanager
def drawing(
    config: GeneratorConfig, stories: list[Any], name: str
) -> Iterator[Callable[[list[range]], Iterable[Drawn]]]:
    """A function that draws the pairs of some ranges, in order, in `config.workers` processes or in this one."""
    global _drawn_from
    _drawn_from = (config, stories, name)
    try:
        if config.workers:
            context = multiprocessing.get_context("fork")
            with ProcessPoolExecutor(config.workers, mp_context=context, initializer=begin) as pool:
                yield lambda ranges: pool.map(draw_some, ranges)
        else:
            yield lambda ranges: map(draw_some, ranges)
    finally:
        _drawn_from = None


def draw_some(rows: range) -> Drawn:
    """Pairs by number, the different clips that were, which of them each pair continues, and the clips that come."""
    assert _drawn_from is not None
    config, stories, name = _drawn_from
    batch = [numbered_pair(config, stories, name, i) for i in rows]
    kinds = [(p.past, p.past_event, p.now, p.frozen) for p in batch]
    first = list(dict.fromkeys(kinds))
    before = np.stack([clip_before(batch[kinds.index(k)]) for k in first])
    return batch, before, [first.index(k) for k in kinds], np.stack([clip_after(p) for p in batch])


def read_cache(folder: Path, null: Tensor, residual_scale: Tensor | None = None) -> Cache:
    """All shards in memory (bf16). `residual_scale` is measured on them unless given."""
    shards = [load_file(p) for p in sorted(folder.glob("shard_*.safetensors"))]
    if not shards:
        raise CheckpointMismatch(f"No cache in {folder}; run the generator stage once to make it.")
    rows = {k: torch.cat([s[k] for s in shards]) for k in shards[0]}
    if residual_scale is None:
        some = slice(0, 2000)
        residual = rows["latents"][some, :, 1:].float() - rows["tails"][some][:, :, None].float()
        # twice the deviation: residuals are mostly zero with rare large values, as in the spike that worked
        residual_scale = 2 * residual.std((0, 2, 3, 4)).clamp(min=1e-3)
    return Cache(rows["latents"], rows["tails"], rows["conditions"], null, rows["labels"], residual_scale)
