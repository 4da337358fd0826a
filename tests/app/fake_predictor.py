"""A predictor that needs no model: colour bars that move, words that come one by one. Speaks the Predictor protocol.

`load` is what settings.predictor names; settings.model is JSON with the fields of `Fake`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

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


@dataclass
class Fake:
    fingerprint: str = "fake-1"
    load_seconds: float = 0.0
    word_seconds: float = 0.0
    step_seconds: float = 0.0
    steps: int = 4
    fail_load: str = ""
    fail_load_while: str = ""  # as long as that file is there
    die_on_load: bool = False
    die_while_drawing: str = ""  # a file that is made at the first death; "always": every time
    deaf: bool = False  # never asks whether to stop
    trace: str = ""  # a file that gets one line a step

    def describe(self, frames: Frames) -> Description:
        return Description(f"{len(frames)} frames, {frames.shape[2]} wide.", in_world=True, confidence=0.9)

    def think(
        self,
        context: StoryContext,
        *,
        steer: str | None = None,
        alternatives: int = 1,
        seed: int = 0,
        should_stop: ShouldStop | None = None,
    ) -> Iterator[Thought]:
        if steer and "dragon" in steer:
            raise OutsideLanguage("I don't know that yet: 'dragon'.", ("A seed sprouts.",))
        if steer and "unicorn" in steer:
            raise NotHere(f"I don't see how this can happen here: '{steer}'.", ("A seed sprouts.",))
        last = context.scenes[-1].words if context.scenes else "nothing"
        for number in range(alternatives):
            text = ""
            for word in f"After {last} comes number {number} of {seed} {steer or ''}".split():
                self._pause(self.word_seconds)
                if should_stop and should_stop():
                    raise Cancelled("Stopped.")
                text = f"{text} {word}".strip()
                yield Thought(number, text)
            yield Thought(number, text + ".", done=True, score=-0.1 * number)

    def act(self, request: SceneRequest, *, should_stop: ShouldStop | None = None) -> Iterator[Progress | NextScene]:
        started = time.monotonic()
        options = replace(request.options, steps=request.options.steps or self.steps)
        total = options.steps or self.steps
        yield Progress("read", 0, total)
        frames = bars(options.seed, last_of(request.context) if request.mode == "continue" else None)
        for step in range(1, total + 1):
            self._pause(self.step_seconds)
            self._note(f"{os.getpid()} step {step}")
            if self.die_while_drawing and step == 2:
                self._die()
            if should_stop and not self.deaf and should_stop():
                raise Cancelled("Stopped.")
            yield Progress("draw", step, total, frames)
        yield Progress("decode", total, total)
        latents = np.full((4, 5, 6, 10), options.seed, dtype=np.float32)
        yield NextScene(
            request.words,
            frames,
            latents,
            8,
            request.mode,
            options,
            time.monotonic() - started,
            self.fingerprint,
        )

    def _pause(self, seconds: float) -> None:
        if seconds:
            time.sleep(seconds)

    def _note(self, line: str) -> None:
        if self.trace:
            with Path(self.trace).open("a") as file:
                file.write(line + "\n")

    def _die(self) -> None:
        mark = Path(self.die_while_drawing)
        if self.die_while_drawing == "always" or not mark.exists():
            if self.die_while_drawing != "always":
                mark.touch()
            os.kill(os.getpid(), 9)


def load(spec: str) -> Fake:
    fake = Fake(**json.loads(spec or "{}"))
    if fake.die_on_load:
        fake._note("die")
        os._exit(7)
    time.sleep(fake.load_seconds)
    fake._note("load")
    if fake.fail_load or (fake.fail_load_while and Path(fake.fail_load_while).exists()):
        from nsp_core.errors import ModelUnavailable

        raise ModelUnavailable(fake.fail_load or "It cannot be loaded just now.")
    return fake


def bars(seed: int, first: Frames | None = None) -> Frames:
    """(17, 96, 160, 3) of vertical bars that wander; frame 0 is `first` when there is one."""
    columns = np.arange(160)[None, :] // 20
    frames = np.empty((17, 96, 160, 3), dtype=np.uint8)
    for t in range(17):
        shade = (columns * 31 + seed * 17 + t * 5) % 256
        frames[t] = np.stack([shade, 255 - shade, (shade * 2) % 256], axis=-1).repeat(96, axis=0)
    if first is not None:
        frames[0] = first
    return frames


def last_of(context: StoryContext) -> Frames | None:
    scene = context.scenes[-1] if context.scenes else None
    return None if scene is None or scene.frames is None else scene.frames[-1]
