"""`python launch.py eval composition`: is what was named in the picture? The paper's Table 7 in kind, exact here.

object    one thing was named, and it is there
objects   several were named, and all are there
colour    of the things named with a colour, the share that is there in it
relation  several were named, and each is where the sentence puts it, left, middle or right
scene     everything is there and nothing else: place, light, weather, every thing as it was told
event     a scene and what happens in it were told, and it ends as the rules say (the exact judge, first picture free)
motion    mean change from frame to frame of these clips, of 255

Held-out stories in held-out words, or worlds that no story would come to (`anywhere`: what a person may describe); a
picture that the reader of the world can't read has nothing in it. Knows nothing of the command line.
"""

from __future__ import annotations

import logging
from random import Random
from typing import Any

import torch

from nsp_core.model.vision_language import Prompt
from nsp_core.types import Frames, SamplingOptions
from training.evaluate.ways import drawn
from training.grpo.asks import HELD_OUT, AskConfig, story_of
from training.grpo.rewards import motion
from training.picturebook.judge import ExactJudge
from training.picturebook.reader import reader_of
from training.picturebook.rules import enabled
from training.picturebook.words import HELD_OUT_VARIANTS, describe, tell
from training.picturebook.world import Event, Thing, World
from training.stories import any_world

log = logging.getLogger(__name__)

FIRST = HELD_OUT + 5000  # others than those of `eval told`
FIGURES = ("object", "objects", "colour", "relation", "scene", "event", "motion")
Cases = dict[str, dict[str, list[float]]]  # figure -> story -> values


@torch.no_grad()
def measure(
    pipeline: Any, config: AskConfig, count: int, options: SamplingOptions | None = None, *, anywhere: bool = False
) -> Cases:
    """`count` described scenes, and as many in which something happens."""
    found: Cases = {}
    judge = ExactJudge()
    for number in range(FIRST, FIRST + count):
        now, event = strange(config, number) if anywhere else last_of(config, number)
        words = describe(now, Random(number).choice(HELD_OUT_VARIANTS))
        asked = Random(f"event {number}").choice(HELD_OUT_VARIANTS)
        still = clip(pipeline, words, number, options)
        for figure, value in parts(now, reader_of().read(still[-1]).world).items():
            found.setdefault(figure, {})[str(number)] = [value]
        moving = clip(pipeline, f"{words} {tell(event, now, asked)}", number, options)
        passed = judge.judge_clip(now, event, moving, "cut").passed
        if passed is not None:
            found.setdefault("event", {})[str(number)] = [float(passed)]
        found.setdefault("motion", {})[str(number)] = [motion(moving)]
        log.info("scene %d of %d", number - FIRST + 1, count)
    return found


def last_of(config: AskConfig, number: int) -> tuple[World, Event]:
    one, _ = story_of(config, number)
    return one.worlds[-2], one.events[-1]


def strange(config: AskConfig, number: int) -> tuple[World, Event]:
    """Any things at all, and something that can happen there."""
    rng = Random(f"anywhere {config.seed}/{number}")
    world = any_world(rng)
    return world, rng.choice(enabled(world))


def clip(pipeline: Any, words: str, seed: int, options: SamplingOptions | None) -> Frames:
    asked = Prompt(pipeline.dialect.draw.format(words=words))
    return drawn(pipeline, asked, None, seed, pipeline.resolve("cut", options or SamplingOptions()))


def parts(told: World, found: World | None) -> dict[str, float]:
    """What of `told` is in `found`; a figure is only there where the sentence asks for it."""
    wanted = told.seen().things
    seen = {} if found is None else {thing.slot: thing for thing in found.things}
    kinds = [thing.kind for thing in seen.values()]
    there = all(kinds.count(kind) >= [t.kind for t in wanted].count(kind) for kind in {t.kind for t in wanted})
    figures = {"scene": float(found is not None and found.seen() == told.seen())}
    if len(wanted) == 1:
        figures["object"] = float(there)
    if len(wanted) > 1:
        figures["objects"] = float(there)
        figures["relation"] = float(all(t.slot in seen and seen[t.slot].kind == t.kind for t in wanted))
    coloured = [thing for thing in wanted if thing.visible_colour]
    if coloured:
        figures["colour"] = sum(any(same_look(t, s) for s in seen.values()) for t in coloured) / len(coloured)
    return figures


def same_look(one: Thing, other: Thing) -> bool:
    return one.kind == other.kind and one.visible_colour == other.visible_colour
