"""What pre-training and fine-tuning learn from, in the picture-book world: images, videos, and scenes that come next.

`image` is a described still, `video` a described scene with what happens in it (both without a story: text to picture),
`next` a story and the clip that comes. They stand for the paper's image set, its video sets, and its pairs. Example
`number` of a kind is the same on every machine. With `image_sources` or `video_sources` images or videos come from
published sets of real pictures instead (NAME:FOLDER, for example vidgen:/data/vidgen; training.data.published).
Latents and the reader's states are kept on disk under a name that tells everything they were made with, so that
another model never finds them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from nsp_core.errors import ConfigError
from nsp_core.model.vision_language import Prompt
from nsp_core.types import Frames, StoryContext
from training.data.published import Row, frames_of, rows
from training.flow_matching import Cache
from training.generator import RULE_NUMBERS, encode_clips, read_queries, stamp
from training.grpo.asks import AskConfig, context_of, story_of
from training.picturebook.rules import step
from training.picturebook.words import TRAIN_VARIANTS, describe, tell

log = logging.getLogger(__name__)

Kind = Literal["image", "video", "next"]
KINDS: tuple[Kind, ...] = ("image", "video", "next")
HELD_OUT = 10**6  # as in training.grpo.asks: stories from this number on may be of compositions never trained on
AT_ONCE = 20


@dataclass(frozen=True)
class ExampleConfig:
    images: int = 0
    videos: int = 0
    pairs: int = 0
    held_out: int = 32  # of each kind that is there
    told: bool = True  # a pair's prompt holds the words of what comes; without, only the story (the paper's setting)
    untold_share: float = 0.0  # where `told`: pairs that hold only the story all the same, so that a model learns both
    scenes: int = 4
    rules: tuple[str, ...] = ()  # only these may happen; () is all
    seed: int = 0
    image_sources: tuple[str, ...] = ()  # NAME:FOLDER of published sets; () is the picture-book world
    video_sources: tuple[str, ...] = ()

    def count(self, kind: Kind) -> int:
        return {"image": self.images, "video": self.videos, "next": self.pairs}[kind]


@dataclass(frozen=True)
class Example:
    prompt: Prompt
    frames: Frames  # (T, H, W, 3), T = 1 for an image
    before: Frames | None  # the clip that is continued
    rule: str | None
    words: str = ""  # what is shown, without the task around it: the caption


def example(pipeline: Any, config: ExampleConfig, kind: Kind, number: int) -> Example:
    from training.picturebook.draw import clip, still

    sources = {"image": config.image_sources, "video": config.video_sources}.get(kind, ())
    if sources:
        return real_example(pipeline, kind, sources, number)
    stories = AskConfig(told=config.told, scenes=config.scenes, rules=config.rules, seed=config.seed)
    one, rng = story_of(stories, number)
    now, event = one.worlds[-2], one.events[-1]
    if kind == "image":
        world = rng.choice(one.worlds)
        words = describe(world, rng)
        return Example(begins(pipeline, words), still(world)[None], None, None, words)
    frames = clip(now, event, step(now, event))
    words = tell(event, now, rng.choice(TRAIN_VARIANTS))
    if kind == "video":
        words = f"{describe(now, rng)} {words}"
        return Example(begins(pipeline, words), frames, None, event.rule, words)
    context = context_of(one, TRAIN_VARIANTS, rng)
    told = config.told and (not config.untold_share or rng.random() >= config.untold_share)
    asked = pipeline.prompt_to_draw(context, words if told else "")
    return Example(asked, frames, context.scenes[-1].frames, event.rule)


def begins(pipeline: Any, words: str) -> Prompt:
    """What is drawn from its words alone, asked for as the pipeline will ask for it."""
    prompt: Prompt = pipeline.prompt_to_draw(StoryContext(), words)
    return prompt


def real_example(pipeline: Any, kind: Kind, sources: tuple[str, ...], number: int) -> Example:
    """Row `number` of the sets, of each in turn; from HELD_OUT on of the fiftieth part that is kept apart."""
    kept = real_rows(sources, number >= HELD_OUT)
    row = kept[number % HELD_OUT % len(kept)]
    if row.kind != kind:
        raise ConfigError(f"examples.{kind}_sources names {row.source}, a set of {row.kind}s: put it in the other one.")
    c = pipeline.config
    frames = frames_of(row, c.width, c.height, c.num_frames, c.fps)
    return Example(begins(pipeline, row.caption), frames, None, None, row.caption)


@lru_cache(maxsize=4)
def real_rows(sources: tuple[str, ...], held_out: bool) -> list[Row]:
    """Rows of all sets that can be read, in turns; the split is by the row's own name, so that it never moves."""
    columns = []
    for source in sources:
        name, colon, folder = source.partition(":")
        if not colon:
            raise ConfigError(f"A source is NAME:FOLDER, for example vidgen:/data/vidgen; got '{source}'.")
        columns.append([r for r in rows(name, Path(folder)) if (zlib.crc32(r.key.encode()) % 50 == 0) == held_out])
    turns = [row for turn in zip_longest(*columns) for row in turn if row is not None]
    if not turns:
        part = "held-out part" if held_out else "training part"
        raise ConfigError(f"There is no row with its file in the {part} of {', '.join(sources)}; download more of it.")
    return turns


def prompts(pipeline: Any, config: ExampleConfig, kind: Kind, first: int, count: int) -> list[Prompt]:
    return [example(pipeline, config, kind, first + i).prompt for i in range(count)]


def make_cache(pipeline: Any, config: ExampleConfig, kind: Kind, folder: Path, held_out: bool) -> Cache:
    """Everything of a kind in memory (bf16); read from `folder` where the same was made before."""
    count = config.held_out if held_out else config.count(kind)
    first = HELD_OUT if held_out else 0
    null = read_queries(pipeline.vision_language, pipeline.processor, pipeline.connector.queries, [Prompt("")])[0]
    path = path_of(pipeline, config, kind, folder, held_out)
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        rows: dict[str, list[torch.Tensor]] = {"latents": [], "tails": [], "conditions": [], "labels": []}
        for start in range(first, first + count, AT_ONCE):
            some = [example(pipeline, config, kind, i) for i in range(start, min(start + AT_ONCE, first + count))]
            latents = encode_clips(pipeline.vae, np.stack([e.frames for e in some])).bfloat16()
            rows["latents"].append(latents)
            rows["tails"].append(tails_of(pipeline, some, latents))
            model, queries = pipeline.vision_language, pipeline.connector.queries
            rows["conditions"].append(
                read_queries(model, pipeline.processor, queries, [e.prompt for e in some])[:, None].bfloat16()
            )
            rows["labels"].append(torch.tensor([label(kind, e) for e in some]))
        part = path.with_suffix(".partial")
        save_file({k: torch.cat(v).cpu().contiguous() for k, v in rows.items()}, part)
        os.replace(part, path)
        log.info("%s: %d examples", path.name, count)
    rows_of = load_file(path)
    return Cache(null=null.float().cpu(), residual_scale=pipeline._scale.float().cpu(), **rows_of)


def path_of(pipeline: Any, config: ExampleConfig, kind: Kind, folder: Path, held_out: bool) -> Path:
    """Where such examples are kept: the name tells the weights and everything that was asked for."""
    count = config.held_out if held_out else config.count(kind)
    return folder / f"{kind}-{'held_out' if held_out else 'train'}-{name_of(pipeline, config, count)}.safetensors"


def label(kind: Kind, one: Example) -> int:
    """-1 marks what continues nothing (as described beginnings in stage generator)."""
    return RULE_NUMBERS[one.rule] if kind == "next" and one.rule is not None else -1


def tails_of(pipeline: Any, some: list[Example], latents: torch.Tensor) -> torch.Tensor:
    """(N, C, h, w): the last latent of the clip that was; zero where nothing was."""
    before = [e.before for e in some if e.before is not None]
    if len(before) < len(some):
        return torch.zeros_like(latents[:, :, 0])
    return encode_clips(pipeline.vae, np.stack(before))[:, :, -1].bfloat16()


def name_of(pipeline: Any, config: ExampleConfig, count: int) -> str:
    weights = stamp(pipeline.vae, pipeline.vision_language, pipeline.connector.queries)
    asked = {k: v for k, v in asdict(config).items() if k not in ("images", "videos", "pairs", "held_out")}
    text = json.dumps([weights, asked, count, pipeline.config.dialect], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def pick(rng: np.random.Generator, shares: dict[Kind, float]) -> Kind:
    """The kind of a batch: one a step, so that all of a batch have one shape."""
    kinds = [k for k in KINDS if shares.get(k, 0) > 0]
    weights = np.array([shares[k] for k in kinds])
    return kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
