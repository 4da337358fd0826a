"""`python launch.py eval told`: told in words what comes, does a model draw it? Fewer questions than `eval picturebook`
asks, so many more cases in the same time; single cases are kept, for `eval compare`.

exact          the exact judge passes the clip
nearest        the told event's rendering is the nearest of all possible futures and none: no trained or tuned reader
adherence      how far the end is on the way from the last picture to what was told, 0 to 1
motion         mean change from frame to frame, of 255
copy_last      `nearest` for the last picture again
most_frequent  `nearest` for the true pictures of the event that happens most often, where it can happen: what a drawer
               has who does not listen

Held-out stories in held-out words. Knows nothing of the command line.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from nsp_core.types import Frames, NextScene, SamplingOptions, Scene, SceneRequest
from training.grpo.asks import HELD_OUT, Ask, AskConfig, Asks, story_of
from training.grpo.rewards import adherence, motion
from training.grpo.witness import CutJudge, NearestJudge
from training.picturebook.judge import ExactJudge

log = logging.getLogger(__name__)

FIRST = HELD_OUT + 1000  # others than those of stage grpo's own evaluation
BASELINES = ("copy_last", "most_frequent")
Cases = dict[str, dict[str, list[float]]]  # figure -> story -> values


def measure(
    pipelines: Mapping[str, Any], config: AskConfig, count: int, options: SamplingOptions | None = None
) -> dict[str, Cases]:
    """The cases of every model; all see the same stories, words and noise. Baselines are in each, for pairing."""
    asks = {name: Asks(pipeline, config) for name, pipeline in pipelines.items()}
    exact = CutJudge() if config.mode == "cut" else ExactJudge()
    nearest, usual = NearestJudge(), most_frequent(config)
    found: dict[str, Cases] = {name: {} for name in pipelines}

    def add(name: str, figure: str, number: int, value: float | bool | None) -> None:
        if value is not None:  # missing
            found[name].setdefault(figure, {}).setdefault(str(number), []).append(float(value))

    for number in range(FIRST, FIRST + count):
        first = next(iter(asks.values())).make(number)  # the story and its pictures are the same for every model
        for base, pictures in zip(BASELINES, (first.still, rendering(config, first, usual)), strict=True):
            passed = nearest.judge(first.context, Scene(first.words, pictures)).passed
            for name in pipelines:
                add(name, base, number, passed)
        for name, pipeline in pipelines.items():
            ask = asks[name].make(number)
            frames = draw(pipeline, ask, config.mode, options or SamplingOptions())
            scene = Scene(ask.words, frames)
            add(name, "exact", number, exact.judge(ask.context, scene).passed)
            add(name, "nearest", number, nearest.judge(ask.context, scene).passed)
            add(name, "adherence", number, adherence(frames, ask.told, ask.still))
            add(name, "motion", number, motion(frames))
        log.info("case %d of %d", number - FIRST + 1, count)
    return found


@torch.no_grad()
def draw(pipeline: Any, ask: Ask, mode: Any, options: SamplingOptions) -> Frames:
    """One clip as the shipped sampler draws it."""
    request = SceneRequest(ask.context, ask.words, mode, replace(options, seed=ask.number, preview_every=0))
    *_, made = pipeline.act(request)
    assert isinstance(made, NextScene)
    return made.frames


def rendering(config: AskConfig, ask: Ask, rule: str) -> Frames:
    """The true pictures of an event of `rule` where it can happen, else the last picture."""
    from training.picturebook.draw import clip
    from training.picturebook.rules import enabled, step

    now = story_of(config, ask.number)[0].worlds[-2]
    event = next((e for e in enabled(now) if e.rule == rule), None)
    return np.array(ask.still) if event is None else clip(now, event, step(now, event))


def most_frequent(config: AskConfig, count: int = 200) -> str:
    """The rule that training asks end with most often."""
    return Counter(story_of(config, n)[0].events[-1].rule for n in range(count)).most_common(1)[0][0]
