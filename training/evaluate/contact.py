"""Contact sheets: what a model tells and draws from fixed beginnings, and another model from the same ones, to look at.

python -m training.evaluate.contact OUT.webp MODEL [BEFORE] [--stories 12] [--scenes 4] [--seed 0]

A story a row: the true first picture, then scenes of the model's own, each as a picture under way, its last picture and
its words; the row below is the other model's. No judge runs: defects are counted by eye and written beside the sheet.
"""

from __future__ import annotations

import argparse
import logging
import os
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from nsp_core.types import Frames, Scene, StoryContext
from training.evaluate import cases
from training.evaluate.labels import font
from training.evaluate.measure import Measure, Plan

log = logging.getLogger(__name__)

SHOWN = (8, 16)  # frames of a clip
GAP, LINES, LINE = 4, 2, 15
Told = tuple[str, Frames | None]  # words of a scene and its clip; none where it told nothing or was not drawn


def stories(model: Any, count: int, scenes: int, seed: int) -> Iterable[tuple[Frames, list[Told]]]:
    """The first picture of each story and what `model` makes of it; a story ends where nothing is told or drawn."""
    measure = Measure(model, Plan(count, seed))
    for number in range(count):
        context = StoryContext(cases.case(seed, number).context.scenes[:1])
        told: list[Told] = []
        for depth in range(scenes):
            noise = seed + 1000 * depth + number
            words = measure.think(context, noise)
            made = measure.draw(context, words, "continue", noise) if words else None
            told.append((words or "(nothing came to mind)", None if made is None else made.frames))
            if made is None:
                break
            context = StoryContext((*context.scenes, Scene(words, made.frames, made.latents)))
        log.info("story %d of %d", number + 1, count)
        yield cases.last_picture(StoryContext(context.scenes[:1])), told


def sheet(rows: Sequence[tuple[str, Frames, Sequence[Told]]], scenes: int) -> Image.Image:
    """Each row has a name, the picture before all, and its scenes."""
    height, width = rows[0][1].shape[:2]
    across, down = width + GAP, height + LINES * LINE + 2 * GAP
    out = Image.new("RGB", ((1 + len(SHOWN) * scenes) * across + GAP, down * len(rows) + GAP), "white")
    draw = ImageDraw.Draw(out)
    for at, (name, first, told) in enumerate(rows):
        top = GAP + at * down
        out.paste(Image.fromarray(first), (GAP, top))
        draw.text((GAP, top + height + 1), name, fill="black", font=font(12))
        for number, (words, clip) in enumerate(told):
            left = GAP + (1 + number * len(SHOWN)) * across
            for column, frame in enumerate(SHOWN if clip is not None else ()):
                assert clip is not None
                out.paste(Image.fromarray(clip[min(frame, len(clip) - 1)]), (left + column * across, top))
            lines = textwrap.wrap(f"{number + 1} {words}", 52)[:LINES]
            draw.text((left, top + height + 1), "\n".join(lines), fill="black", font=font(12))
    return out


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL")
    parser.add_argument("--stories", type=int, default=12)
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    from nsp_core.pipeline import NextScenePipeline

    found = [
        [
            (path.name, *one)
            for one in stories(NextScenePipeline.from_pretrained(path), args.stories, args.scenes, args.seed)
        ]
        for path in args.models
    ]
    picture = sheet([row for same in zip(*found, strict=True) for row in same], args.scenes)
    part = args.out.with_name(f".{args.out.name}")
    picture.save(part, args.out.suffix.removeprefix(".") or "png", quality=70)
    os.replace(part, args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
