"""The reader-free score: of all that could happen next, which rendering is nearest to the clip?

Knows no reader and no model; see `cases.futures` for what is compared.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from nsp_core.types import Frames
from training.evaluate import cases
from training.picturebook.draw import clip
from training.picturebook.reader import idle
from training.picturebook.rules import step
from training.picturebook.world import Event, World


def nearest_is(before: World, event: Event, frames: Frames, style: str = "house") -> bool:
    """Is the rendering of `event` the nearest of all futures, where these differ?"""
    return nearest_future(before, event, frames, style)[0] == 0


def nearest_future(before: World, event: Event, frames: Frames, style: str = "house") -> tuple[int, int]:
    """Which of the futures of `cases.futures` is nearest to the clip, and how many there are; the last is none."""
    stack, differ = drawn_futures(before, event, len(frames), style)
    errors = np.square(stack - frames[2::2].astype(np.float32))[:, differ].mean((1, 2))
    return int(errors.argmin()), len(stack)


@lru_cache(maxsize=2)
def drawn_futures(before: World, event: Event, count: int, style: str = "house") -> tuple[np.ndarray, np.ndarray]:
    """Renderings (futures and none, every other frame; the first is given) and where they differ."""
    told = cases.futures(before, event)
    drawn = [clip(before, e, step(before, e), style=style) for e in told]
    drawn.append(np.array(idle(before.seen(), count, style)))
    stack = np.stack([d[2::2] for d in drawn]).astype(np.float32)
    return stack, np.ptp(stack, axis=0).max(-1) > 24
