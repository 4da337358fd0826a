"""The dataclasses that cross borders: what the app sends to the model and what comes back.

Knows nothing of torch, databases or pages: numpy arrays and plain values only, so that the page
process, the command line and the worker can all read them.

Letters: T frames, H height, W width, C latent channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]  # (T, H, W, 3), RGB
Latents = NDArray[np.float32]  # (C, T', H', W'), normalised VAE latents
Mode = Literal["continue", "cut"]
ShouldStop = Callable[[], bool]


@dataclass(frozen=True)
class Scene:
    """One scene on the path, as the model reads it.

    `frames` are lossless (never decoded from the mp4); None for a scene of which only words are known.
    """

    words: str
    frames: Frames | None = None
    tail_latents: Latents | None = None


@dataclass(frozen=True)
class StoryContext:
    """The path from the first scene to the one that is being continued, oldest first."""

    scenes: tuple[Scene, ...] = ()
    bible: str = ""


@dataclass(frozen=True)
class SamplingOptions:
    """How pictures are drawn. None means: what the checkpoint recommends for the mode."""

    steps: int | None = None
    guidance: float | None = None
    shift: float | None = None
    seed: int = 0
    preview_every: int = 4  # steps between previews; 0 for none
    faster: str = ""  # a shortcut of nsp_core.shortcuts, which changes the picture; "" for none


@dataclass(frozen=True)
class SceneRequest:
    """Draw `words` after `context`. An empty context is text-to-scene and needs mode "cut"."""

    context: StoryContext
    words: str
    mode: Mode = "continue"
    options: SamplingOptions = field(default_factory=SamplingOptions)


@dataclass(frozen=True)
class Description:
    """What the model understood of a picture or clip: `in_world` is False for a scene that it never learnt to read."""

    words: str
    in_world: bool
    confidence: float


@dataclass(frozen=True)
class Thought:
    """The words of one alternative so far. `score` (mean token log-probability) comes with the last one."""

    alternative: int
    text: str
    done: bool = False
    score: float | None = None


@dataclass(frozen=True)
class Progress:
    """One step of drawing. `preview` is a small clip (T, H, W, 3) decoded from the current estimate, or None."""

    phase: Literal["read", "draw", "decode"]
    step: int
    total: int
    preview: Frames | None = None


@dataclass(frozen=True)
class NextScene:
    """A finished take: raw frames, the latents they came from, and what is needed to draw it again."""

    words: str
    frames: Frames
    latents: Latents
    fps: int
    mode: Mode
    options: SamplingOptions
    seconds: float
    fingerprint: str
    how: str = ""  # which way words became pictures and why, one sentence; "" where there is only one way


class Predictor(Protocol):
    """What the app asks of a model. `NextScenePipeline` is one; tests put a fake here and nowhere below."""

    fingerprint: str

    def describe(self, frames: Frames) -> Description: ...

    def think(
        self,
        context: StoryContext,
        *,
        steer: str | None = None,
        alternatives: int = 1,
        seed: int = 0,
        should_stop: ShouldStop | None = None,
    ) -> Iterator[Thought]:
        """Stream the words of the next scene. Raises OutsideLanguage when `steer` is not in the model's language."""
        ...

    def act(self, request: SceneRequest, *, should_stop: ShouldStop | None = None) -> Iterator[Progress | NextScene]:
        """Draw one take; the last item is the NextScene. Raises Cancelled within one step of should_stop()."""
        ...
