"""What examples become before they are learnt from: latents and the reader's states, kept on disk in shards.

A cache lies in a folder whose name tells everything it was made with (weights, settings, the rows of published sets
that were there), so that another model never finds it, nor other pictures' captions. A shard is whole or absent:
several processes make one cache together, and one that was stopped goes on where it was. What is learnt from lies in
memory, or, streamed, stays in the shards, and a step reads its rows. Both are the same to the bit.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from nsp_core.model.vision_language import Prompt
from training.flow_matching import Cache
from training.generator import RULE_NUMBERS, encode_clips, read_queries, stamp
from training.parallel import Ranks
from training.pretrain.examples import (
    HELD_OUT,
    Example,
    ExampleConfig,
    Kind,
    nothing_readable,
    readable,
    real_rows,
    sources_of,
)

log = logging.getLogger(__name__)
SHARD = 500  # examples


def make_cache(
    pipeline: Any,
    config: ExampleConfig,
    kind: Kind,
    folder: Path,
    held_out: bool,
    *,
    states: bool = True,
    stream: bool = False,
    ranks: Ranks | None = None,
) -> Cache:
    """Everything of a kind (bf16), made by all of `ranks` together where it is not in `folder` yet.

    Without `states` there are latents alone: where the queries learn, their states are made at every step. `stream`:
    rows stay on disk until a step asks for them. Raises ConfigError when not one example can be read.
    """
    ranks = ranks or Ranks()
    count = config.held_out if held_out else config.count(kind)
    place = place_of(pipeline, config, kind, folder, held_out, states)
    place.mkdir(parents=True, exist_ok=True)
    first = HELD_OUT if held_out else 0
    starts = range(first, first + count, SHARD)
    for number in range(ranks.rank, len(starts), ranks.size):
        path = place / f"shard_{number:05d}.safetensors"
        if not path.is_file():
            size = min(SHARD, first + count - starts[number])
            part = path.with_suffix(".partial")
            save_file(rows_of(pipeline, config, kind, starts[number], size, states), part)
            os.replace(part, path)
            log.info("%s: shard %d of %d", place.name, number + 1, len(starts))
    ranks.wait()
    shards = shards_of(place)
    if not shards:
        raise nothing_readable(config, kind, count)
    null = read_queries(pipeline.vision_language, pipeline.processor, pipeline.connector.queries, [Prompt("")])[0]
    numbers = whole(shards, "numbers")
    found = {
        part: Streamed.of(shards, part) if stream else whole(shards, part)
        for part in ("latents", "tails", "conditions")
    }
    labels, scale = whole(shards, "labels"), pipeline._scale.float().cpu()
    return Cache(**found, null=null.float().cpu(), labels=labels, residual_scale=scale, numbers=numbers)


def rows_of(
    pipeline: Any, config: ExampleConfig, kind: Kind, first: int, count: int, states: bool
) -> dict[str, Tensor]:
    """A shard's tensors; of examples none of which can be read there are no `numbers`."""
    rows: dict[str, list[Tensor]] = {"numbers": [torch.zeros(0, dtype=torch.long)]}
    for numbered in readable(pipeline, config, kind, first, count):
        some = [e for _, e in numbered]
        latents = encode_clips(pipeline.vae, np.stack([e.frames for e in some])).bfloat16()
        read = torch.zeros(len(some), 0, 0)
        if states:
            model, queries = pipeline.vision_language, pipeline.connector.queries
            read = read_queries(model, pipeline.processor, queries, [e.prompt for e in some])
        made = {
            "latents": latents,
            "tails": tails_of(pipeline, some, latents),
            "conditions": read[:, None].bfloat16(),
            "labels": torch.tensor([label(kind, e) for e in some]),
            "numbers": torch.tensor([number for number, _ in numbered]),
        }
        for part, tensor in made.items():
            rows.setdefault(part, []).append(tensor.cpu())
    return {part: torch.cat(tensors).contiguous() for part, tensors in rows.items()}


def label(kind: Kind, one: Example) -> int:
    """-1 marks what continues nothing (as described beginnings in stage generator)."""
    if kind != "next" or one.before is None:
        return -1
    return len(RULE_NUMBERS) if one.rule is None else RULE_NUMBERS[one.rule]


def tails_of(pipeline: Any, some: list[Example], latents: Tensor) -> Tensor:
    """(N, C, h, w): the last latent of the clip that was; zero where nothing was."""
    tails = torch.zeros_like(latents[:, :, 0])
    before = [(number, e.before) for number, e in enumerate(some) if e.before is not None]
    if before:
        made = encode_clips(pipeline.vae, np.stack([frames for _, frames in before]))[:, :, -1]
        tails[[number for number, _ in before]] = made.bfloat16()
    return tails


# -- names ------------------------------------------------------------------------------------------------------------
def place_of(
    pipeline: Any, config: ExampleConfig, kind: Kind, folder: Path, held_out: bool, states: bool = True
) -> Path:
    """Where such examples are kept: the name tells the weights and everything that was asked for."""
    count = config.held_out if held_out else config.count(kind)
    weights = stamp(pipeline.vae, pipeline.vision_language, pipeline.connector.queries)
    asked = {k: v for k, v in asdict(config).items() if k not in ("images", "videos", "pairs", "held_out")}
    if config.style == "house":
        del asked["style"]  # caches of before there was another keep their names
    if not config.pair_sources:
        del asked["pair_sources"]  # caches that were made before there were any keep their names
    if not config.mirrored:
        del asked["mirrored"]
    made = [weights, asked, count, states, SHARD, pipeline.config.dialect]
    made += made_from(pipeline, config, kind, held_out, count)
    digest = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:16]
    return folder / f"{kind}-{'held_out' if held_out else 'train'}-{digest}"


def made_from(pipeline: Any, config: ExampleConfig, kind: Kind, held_out: bool, count: int) -> list[Any]:
    """What else examples of published sets depend on: the rows that are there now, and the clip that is cut from them.
    Nothing in the picture book, whose clips have one form."""
    sources, c, digest = sources_of(config, kind), pipeline.config, hashlib.sha256()
    if not sources:
        return []
    for row in real_rows(sources, held_out)[:count]:
        place = [row.path.name, row.member, row.frames, row.crop]
        before = ([row.preceding] if row.preceding else []) + (["goes on"] if row.goes_on else [])
        digest.update(json.dumps([row.source, row.key, row.caption, *place, *before]).encode())
    return [c.width, c.height, c.num_frames, c.fps, digest.hexdigest()]


# -- reading ----------------------------------------------------------------------------------------------------------
def shards_of(place: Path) -> tuple[Path, ...]:
    """The shards of a cache in which there is something."""
    return tuple(p for p in sorted(place.glob("shard_*.safetensors")) if length(p))


def length(shard: Path) -> int:
    with safe_open(shard, "pt") as opened_:
        return int(opened_.get_slice("numbers").get_shape()[0])


def whole(shards: Sequence[Path], part: str) -> Tensor:
    found = []
    for path in shards:
        with safe_open(path, "pt") as shard:
            found.append(shard.get_tensor(part))
    return torch.cat(found)


class Streamed:
    """Rows of a cache's part that stay on disk: indexed as the tensor would be, by row numbers (B,) or by row numbers
    and wordings (B,), it reads these alone, through the system's own memory of files."""

    def __init__(self, shards: tuple[Path, ...], part: str, starts: np.ndarray, row: tuple[int, ...]) -> None:
        self._shards, self._part, self._starts = shards, part, starts
        self.shape = (int(starts[-1]), *row)
        self.device = torch.device("cpu")

    @classmethod
    def of(cls, shards: tuple[Path, ...], part: str) -> Streamed:
        starts = np.cumsum([0, *map(length, shards)])
        return cls(shards, part, starts, tuple(opened(shards[0]).get_slice(part).get_shape()[1:]))

    def to(self, device: str) -> Streamed:
        """The same, whose rows go to `device`."""
        other = Streamed(self._shards, self._part, self._starts, self.shape[1:])
        other.device = torch.device(device)
        return other

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Tensor | tuple[Tensor, Tensor]) -> Tensor:
        rows, wordings = index if isinstance(index, tuple) else (index, None)
        found = [self._row(row) for row in rows.tolist()]
        if wordings is not None:
            found = [row[wording] for row, wording in zip(found, wordings.tolist(), strict=True)]
        return torch.stack(found).to(self.device)

    def _row(self, number: int) -> Tensor:
        shard = int(np.searchsorted(self._starts, number, "right")) - 1
        at = number - int(self._starts[shard])
        row: Tensor = opened(self._shards[shard]).get_slice(self._part)[at : at + 1][0]
        return row


@lru_cache(maxsize=256)  # of tens of thousands of shards: systems allow about a thousand open files
def opened(shard: Path) -> Any:
    return safe_open(shard, "pt")
