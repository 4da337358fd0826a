"""`python launch.py train STAGE --check`: is a cache what it says? Some of its examples are made again.

A cache is found by a hash of the weights and settings it was made with, so that another model never reads it. What no
hash tells: a disk that lost bits, a library whose numbers changed, code that draws the world otherwise than it did.
Latents and states are kept in bfloat16; made again in another batch they may differ by its rounding, not by more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from nsp_core.errors import ConfigError, UserError
from training import config as configs
from training.generator import (
    SHARD,
    GeneratorConfig,
    clip_after,
    clip_before,
    encode_clips,
    label_of,
    numbered_pair,
    read_queries,
)
from training.pretrain import cache, examples
from training.pretrain.stage import TABLE, begin, row_of, shares_of

log = logging.getLogger(__name__)

ALLOWED = 0.03  # of the deviation of what is compared: bfloat16 keeps 1/256 of a number, in two forward passes
CHECKED = 12


@dataclass(frozen=True)
class Difference:
    """Root mean square between what is kept and what is made again, as a share of the deviation of what is kept."""

    example: int
    part: str
    share: float


def check(stage: str, path: Path, overrides: list[str], count: int = CHECKED) -> int:
    """0 when everything is as it was made. Raises UserError when something is not (and logs what), or there is none."""
    from training.table import STAGES

    if stage != "generator" and stage not in TABLE:
        raise ConfigError(f"--check is for generator, {', '.join(TABLE)}; '{stage}' keeps no cache that it can read.")
    resolved: Any = configs.load(STAGES[stage][0], path, overrides)
    torch.set_num_threads(resolved.threads)
    pairs = generator_rows(resolved, count) if stage == "generator" else recipe_rows(stage, resolved, count)
    checked, bad = 0, []
    for number, kept, made in pairs:
        checked += 1
        for part in kept:
            share = apart(kept[part], made[part])
            if not share <= ALLOWED:  # not a number is wrong, too
                bad.append(Difference(number, part, share))
    for one in bad:
        log.error("example %d: its %s differ by %.2f of their deviation", one.example, one.part, one.share)
    if not checked:
        raise ConfigError(f"There is no cache in {resolved.cache} yet; run the stage once to make it.")
    if bad:
        wrong = len({one.example for one in bad})
        raise UserError(
            f"{wrong} of {checked} examples in {resolved.cache} are not what is made today: remove that folder, and "
            "the stage makes it anew."
        )
    log.info("%s: %d examples made again, all as they were", resolved.cache, checked)
    return 0


def apart(kept: Tensor, made: Tensor) -> float:
    if kept.shape != made.shape:
        return float("inf")
    scale = kept.float().std().item() if kept.numel() > 1 else 1.0
    return (kept.float() - made.float()).square().mean().sqrt().item() / max(scale, 1e-6)


Rows = Iterator[tuple[int, dict[str, Tensor], dict[str, Tensor]]]  # number, as kept, as made again


def generator_rows(config: GeneratorConfig, count: int) -> Rows:
    from training.stages import load_reader, load_vae
    from training.stories import read_pool

    shards = sorted((config.cache / "train").glob("shard_*.safetensors"))
    if not shards:
        return
    vae = load_vae(config.vae)
    _, processor, reader = load_reader(config.reader)
    stories = read_pool(config.stories)
    for shard in Random(0).sample(shards, min(count, len(shards))):
        rows = load_file(shard)
        at = Random(shard.name).randrange(len(rows["labels"]))
        number = int(shard.stem.removeprefix("shard_")) * SHARD + at
        pair = numbered_pair(config, stories, "train", number)
        states = read_queries(reader.model, processor, reader.connector.queries, list(pair.prompts))
        made = {
            "latents": encode_clips(vae, clip_after(pair)[None])[0],
            "tails": encode_clips(vae, clip_before(pair)[None])[0, :, -1],
            "conditions": states,
            "labels": torch.tensor(label_of(pair)),
        }
        yield number, {part: rows[part][at] for part in made}, made


def recipe_rows(stage: str, config: Any, count: int) -> Rows:
    row = row_of(stage, config)
    pipeline = begin(row, config)
    for kind in shares_of(stage, row, config):
        live = "queries" in row.moves
        place = cache.place_of(pipeline, config.examples, kind, config.cache, False, not live)
        shards = cache.shards_of(place)
        sizes = [cache.length(shard) for shard in shards]
        places = [(shard, at) for shard, size in zip(shards, sizes, strict=True) for at in range(size)]
        for shard, at in Random(0).sample(places, min(count, len(places))):
            rows = load_file(shard)
            number = int(rows["numbers"][at])
            one = examples.example(pipeline, config.examples, kind, number)
            latents = encode_clips(pipeline.vae, np.asarray(one.frames)[None]).bfloat16()
            queries = pipeline.connector.queries
            made = {
                "latents": latents[0],
                "tails": cache.tails_of(pipeline, [one], latents)[0],
                "labels": torch.tensor(cache.label(kind, one)),
            }
            if not live:
                made["conditions"] = read_queries(pipeline.vision_language, pipeline.processor, queries, [one.prompt])
            yield number, {part: rows[part][at] for part in made}, made
