"""The fake predictor of the journeys: draws a ball that rolls over a meadow, knows a handful of words, takes its time.

A picture belongs to its world when its lower edge is meadow green; everything else is somebody's photo.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from nsp_core.errors import Cancelled, NotHere, OutsideLanguage
from nsp_core.types import (
    Description,
    Frames,
    NextScene,
    Progress,
    SceneRequest,
    ShouldStop,
    StoryContext,
    Thought,
)
from tests.app.fake_predictor import Fake, last_of

KNOWN = (
    "The sun sets and it is night.",
    "It rains on the meadow.",
    "A red ball rolls to the right.",
    "A blue ball rolls to the left.",
)
ALIEN = ("dragon", "castle", "robot", "spaceship")
NEXT = (
    "The ball rolls to the right and stops beside the tree.",
    "Clouds come, and it begins to rain on the meadow.",
    "The sun sets. A star shines over the hill.",
)
MEADOW = (143, 190, 120)


@dataclass
class Painter(Fake):
    word_seconds: float = 0.02
    step_seconds: float = 0.25
    fingerprint: str = "painter-1"

    def describe(self, frames: Frames) -> Description:
        floor = frames[0, -4:, 4:-4].reshape(-1, 3).mean(axis=0)
        if np.abs(floor - MEADOW).max() < 40:
            return Description("It is day on the meadow. A red ball lies on the left.", in_world=True, confidence=0.93)
        return Description("It is day. A red ball lies on the left.", in_world=False, confidence=0.11)

    def think(
        self,
        context: StoryContext,
        *,
        steer: str | None = None,
        alternatives: int = 1,
        seed: int = 0,  # noqa: ARG002
        should_stop: ShouldStop | None = None,
    ) -> Iterator[Thought]:
        check(steer or "")
        if "comet" in (steer or ""):
            raise NotHere(f"I don't see how this can happen here: '{steer}'.", KNOWN)
        for number in range(alternatives):
            whole = NEXT[(number + len(context.scenes) - 1) % len(NEXT)]
            if steer and number == 0:
                whole = f"{steer[0].upper()}{steer[1:].rstrip('.')}. The ball gets wet."
            text = ""
            for word in whole.split():
                time.sleep(self.word_seconds)
                if should_stop and should_stop():
                    raise Cancelled("Stopped.")
                text = f"{text} {word}".strip()
                yield Thought(number, text)
            yield Thought(number, whole, done=True, score=-0.1 * number)

    def act(self, request: SceneRequest, *, should_stop: ShouldStop | None = None) -> Iterator[Progress | NextScene]:
        started = time.monotonic()
        check(request.words)
        options = replace(request.options, steps=request.options.steps or self.steps)
        total = options.steps or self.steps
        yield Progress("read", 0, total)
        frames = paint(request.words, len(request.context.scenes))
        first = last_of(request.context)
        if first is not None and request.mode == "continue":
            frames[0] = first
        noise = np.random.default_rng(options.seed).integers(0, 256, frames.shape, dtype=np.uint8)
        for step in range(1, total + 1):
            time.sleep(3.0 if "slowly" in request.words else self.step_seconds)  # a word to test with
            if should_stop and should_stop():
                raise Cancelled("Stopped.")
            share = step / total
            yield Progress("draw", step, total, (frames * share + noise * (1 - share)).astype(np.uint8)[::4])
        yield Progress("decode", total, total)
        yield NextScene(
            request.words,
            frames,
            np.zeros((4, 5, 6, 10), dtype=np.float32),
            8,
            request.mode,
            options,
            time.monotonic() - started,
            self.fingerprint,
        )


def check(text: str) -> None:
    unknown = [word for word in ALIEN if word in text.lower()]
    if unknown:
        raise OutsideLanguage(f"I don't know that yet: {', '.join(unknown)}.", KNOWN)


def paint(words: str, number: int = 0) -> Frames:
    """(17, 96, 160, 3): one clip for some words."""
    return _paint(words, number % 3).copy()


@cache
def _paint(words: str, place: int) -> Frames:
    night, rain = "night" in words or "sets" in words, "rain" in words
    sky = (66, 78, 122) if night else (176, 190, 200) if rain else (190, 221, 235)
    meadow = tuple(c // 2 for c in MEADOW) if night else MEADOW
    ball = (70, 110, 190) if "blue" in words else (206, 74, 52)
    frames = []
    for t in range(17):
        image = Image.new("RGB", (640, 384), sky)
        pen = ImageDraw.Draw(image)
        pen.ellipse((470, 30, 550, 110), fill=(240, 236, 210) if night else (247, 200, 88))
        pen.ellipse((-200, 210, 420, 640), fill=tuple(int(c * 0.92) for c in meadow))
        pen.rectangle((0, 270, 640, 384), fill=meadow)
        pen.rectangle((515, 190, 535, 300), fill=(120, 86, 60))
        pen.ellipse((465, 110, 585, 220), fill=(86, 138, 84))
        x = 90 + place * 90 + t * 5
        pen.ellipse((x - 34, 246, x + 34, 314), fill=ball)
        pen.ellipse((x - 20, 256, x - 4, 272), fill=(250, 235, 225))
        if rain:
            for k in range(40):
                rx, ry = (k * 97 + t * 3) % 640, (k * 61 + t * 24) % 384
                pen.line((rx, ry, rx - 4, ry + 16), fill=(230, 240, 248), width=3)
        small = image.resize((160, 96), Image.Resampling.BOX)
        if "worn" in words:  # as after many scenes: soft, and something else
            small = small.transpose(Image.Transpose.ROTATE_180).filter(ImageFilter.GaussianBlur(6))
        frames.append(np.asarray(small))
    return np.stack(frames)


def load(spec: str) -> Painter:
    return Painter(**json.loads(spec or "{}"))
