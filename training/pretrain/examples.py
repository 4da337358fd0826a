"""What pre-training and fine-tuning learn from, in the picture-book world: images, videos, and scenes that come next.

`image` is a described still, `video` a described scene with what happens in it (both without a story: text to picture),
`next` a story and the clip that comes. They stand for the paper's image set, its video sets, and its pairs. Example
`number` of a kind is the same on every machine. With `image_sources` or `video_sources` images or videos come from
published sets of real pictures instead (NAME:FOLDER, for example vidgen:/data/vidgen; training.data.published), with
`pair_sources` pairs from a pack of `launch.py data`; their clip is a cut, unless it goes on from the clip before.
Knows nothing of latents and of what is kept (training/pretrain/cache.py).
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np
from torch import Tensor

from nsp_core.errors import ConfigError, UnreadableMedia
from nsp_core.model.vision_language import Prompt
from nsp_core.types import Frames, Scene, StoryContext
from training.data.published import Row, frames_of, in_a_mirror, rows
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
    style: str = "house"  # or space: the same world as somebody else would draw it
    image_sources: tuple[str, ...] = ()  # NAME:FOLDER of published sets; () is the picture-book world
    video_sources: tuple[str, ...] = ()
    pair_sources: tuple[str, ...] = ()  # pack_pairs:FOLDER of what `launch.py data` made
    mirrored: bool = False  # every second round through published rows shows them left for right, words and all

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

    if row := real_row(config, kind, number):
        c = pipeline.config
        frames = frames_of(row, c.width, c.height, c.num_frames, c.fps)
        if kind == "next":
            seen = before_of(pipeline, row, frames)
            asked = follows(pipeline, config, row, seen)
            return Example(asked, frames, seen if row.goes_on else None, None, row.caption)
        return Example(begins(pipeline, row.caption), frames, None, None, row.caption)
    stories = AskConfig(told=config.told, scenes=config.scenes, rules=config.rules, seed=config.seed)
    one, rng = story_of(stories, number)
    now, event = one.worlds[-2], one.events[-1]
    if kind == "image":
        world = rng.choice(one.worlds)
        words = describe(world, rng)
        return Example(begins(pipeline, words), still(world, style=config.style)[None], None, None, words)
    frames = clip(now, event, step(now, event), style=config.style)
    words = tell(event, now, rng.choice(TRAIN_VARIANTS))
    if kind == "video":
        words = f"{describe(now, rng)} {words}"
        return Example(begins(pipeline, words), frames, None, event.rule, words)
    context = context_of(one, TRAIN_VARIANTS, rng, config.style)
    told = config.told and (not config.untold_share or rng.random() >= config.untold_share)
    asked = pipeline.prompt_to_draw(context, words if told else "")
    return Example(asked, frames, context.scenes[-1].frames, event.rule)


def begins(pipeline: Any, words: str) -> Prompt:
    """What is drawn from its words alone, asked for as the pipeline will ask for it."""
    prompt: Prompt = pipeline.prompt_to_draw(StoryContext(), words)
    return prompt


def before_of(pipeline: Any, row: Row, frames: Frames | None = None) -> Frames | None:
    """The clip before, where it was seen; of a clip's own first picture (`frames`, if they are known) so many."""
    c = pipeline.config
    if row.before is None:
        return None
    if row.goes_on and row.key.startswith(f"{row.before.key}."):
        own = frames_of(row.before, c.width, c.height, 1, c.fps) if frames is None else frames
        return np.repeat(own[:1], c.num_frames, 0)
    return frames_of(row.before, c.width, c.height, c.num_frames, c.fps)


def follows(pipeline: Any, config: ExampleConfig, row: Row, seen: Frames | None) -> Prompt:
    """What comes after a scene of a real pair: its words, and its pictures where they were seen."""
    untold = config.untold_share and Random(f"told {config.seed}/{row.key}").random() < config.untold_share
    told = row.caption if config.told and not untold else ""
    prompt: Prompt = pipeline.prompt_to_draw(StoryContext((Scene(row.preceding, seen),)), told)
    return prompt


def sources_of(config: ExampleConfig, kind: Kind) -> tuple[str, ...]:
    """The published sets of a kind; () is the picture book."""
    return {"image": config.image_sources, "video": config.video_sources, "next": config.pair_sources}[kind]


def real_row(config: ExampleConfig, kind: Kind, number: int) -> Row | None:
    """Row `number` of the sets, of each in turn; from HELD_OUT on of the fiftieth part that is kept apart. None in the
    picture book."""
    sources = sources_of(config, kind)
    if not sources:
        return None
    there = real_rows(sources, number >= HELD_OUT)
    again, at = divmod(number % HELD_OUT, len(there))
    row = in_a_mirror(there[at]) if config.mirrored and again % 2 else there[at]
    if row.kind != kind:
        wanted, its = ({"next": "pair"}.get(one, one) for one in (kind, row.kind))
        raise ConfigError(f"examples.{wanted}_sources names {row.source}, but that is for {its}_sources: put it there.")
    return row


@lru_cache(maxsize=4)
def real_rows(sources: tuple[str, ...], held_out: bool) -> list[Row]:
    """Rows of all sets that can be read, in turns; the split is by the row's own name, so that it never moves."""
    columns = []
    for source in sources:
        name, colon, folder = source.partition(":")
        if not colon:
            raise ConfigError(f"A source is NAME:FOLDER, for example vidgen:/data/vidgen; got '{source}'.")
        columns.append([r for r in rows(name, Path(folder)) if is_held_out(r) == held_out])
    turns = [row for turn in zip_longest(*columns) for row in turn if row is not None]
    if not turns:
        part = "held-out part" if held_out else "training part"
        raise ConfigError(f"There is no row with its file in the {part} of {', '.join(sources)}; download more of it.")
    return turns


def any_row(sources: tuple[str, ...], *, held_out: bool) -> bool:
    """Whether there is one in that part of the sets."""
    try:
        return bool(real_rows(sources, held_out))
    except ConfigError:
        return False


def is_held_out(row: Row) -> bool:
    """A pack keeps whole films apart; of other sets it is a fiftieth of the rows."""
    return zlib.crc32(row.key.encode()) % 50 == 0 if row.held_out is None else row.held_out


def prompts(pipeline: Any, config: ExampleConfig, kind: Kind, numbers: Sequence[int] | Tensor) -> Sequence[Prompt]:
    """What is asked for in the examples of `numbers`."""
    if sources_of(config, kind):
        return Captioned(pipeline, config, kind, numbers)
    return [example(pipeline, config, kind, int(number)).prompt for number in numbers]


@dataclass(frozen=True)
class Captioned(Sequence[Prompt]):
    """Prompts of published sets, each made when it is needed, since there may be millions. A file is opened only for
    the scene before, where that was seen."""

    pipeline: Any
    config: ExampleConfig
    kind: Kind
    numbers: Sequence[int] | Tensor

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: Any) -> Any:
        row = real_row(self.config, self.kind, int(self.numbers[index]))
        assert row is not None
        if self.kind == "next":
            return follows(self.pipeline, self.config, row, before_of(self.pipeline, row))
        return begins(self.pipeline, row.caption)


def captions(pipeline: Any, config: ExampleConfig, numbers: Sequence[int]) -> tuple[str, ...]:
    """What images show, without the task around it."""
    rows_of = [real_row(config, "image", number) for number in numbers]
    return tuple(
        row.caption if row else example(pipeline, config, "image", number).words
        for number, row in zip(numbers, rows_of, strict=True)
    )


def readable(
    pipeline: Any, config: ExampleConfig, kind: Kind, first: int, count: int
) -> Iterator[list[tuple[int, Example]]]:
    """Examples with their numbers, AT_ONCE or fewer at a time. One whose file cannot be read is named and left out."""
    for start in range(first, first + count, AT_ONCE):
        some = []
        for number in range(start, min(start + AT_ONCE, first + count)):
            try:
                some.append((number, example(pipeline, config, kind, number)))
            except UnreadableMedia as error:
                log.warning("%s %d is left out: %s", kind, number, error)
        if some:
            yield some


def nothing_readable(config: ExampleConfig, kind: Kind, count: int) -> ConfigError:
    sources = ", ".join(sources_of(config, kind))
    return ConfigError(f"Of {count} examples of kind '{kind}' in {sources} not one can be read: download them again.")


def pick(rng: np.random.Generator, shares: Mapping[str, float]) -> str:
    """The kind of a batch: one a step, so that all of a batch have one shape. The order of `shares` counts."""
    kinds = [k for k, share in shares.items() if share > 0]
    weights = np.array([shares[k] for k in kinds])
    return kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
