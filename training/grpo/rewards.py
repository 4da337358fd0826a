"""What a candidate is worth: plain functions of a verdict and of pixels. Their truth tables are the tests.

None is missing (no verdict, nothing to compare with): it never counts as zero. Knows nothing of models.
Letters: T frames, H, W pixels. Pictures are (T, H, W, 3) uint8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from nsp_core.judges import Verdict
from nsp_core.types import Frames


@dataclass(frozen=True)
class Weights:
    """How much each part of the reward counts; a part of weight 0 is logged only."""

    causal: float = 1.0
    motion: float = 0.0
    adherence: float = 0.0


PARTS = tuple(f.name for f in fields(Weights))


def causal(verdict: Verdict, graded: bool = False) -> float | None:
    """1 for a pass, 0 for a fail (paper, reinforcement section), or the judge's own score where `graded`."""
    if verdict.passed is None:
        return None
    if graded and verdict.score is not None:
        return verdict.score
    return float(verdict.passed)


def motion(frames: Frames) -> float:
    """How much changes from frame to frame: mean absolute difference, of 255."""
    if len(frames) < 2:
        return 0.0
    return float(np.abs(np.diff(frames.astype(np.int16), axis=0)).mean())


def motion_floor(frames: Frames, floor: float) -> float:
    """1 from `floor` on, less in proportion below it: a guard against still pictures, no praise for unrest."""
    return 1.0 if floor <= 0 else min(1.0, motion(frames) / floor)


def adherence(frames: Frames, told: Frames | None, still: Frames | None) -> float | None:
    """How far the clip's end is on the way from nothing happening (`still`) to what the words tell (`told`), 0 to 1.

    The projection of (clip - still) on (told - still), on the last frame: a copy has 0, the rendering 1, a half-sharp
    change something between. None when there is no rendering, or when it differs nowhere.
    """
    if told is None or still is None:
        return None
    way = told[-1].astype(np.float64) - still[-1]
    length = float((way * way).sum())
    if length == 0:
        return None
    gone = float(((frames[-1].astype(np.float64) - still[-1]) * way).sum())
    return min(1.0, max(0.0, gone / length))


def combine(parts: Mapping[str, float | None], weights: Weights) -> float | None:
    """The weighted mean. None as soon as a part that counts is missing: half a reward is another reward."""
    total = counted = 0.0
    for name in PARTS:
        weight = getattr(weights, name)
        if weight == 0:
            continue
        value = parts[name]
        if value is None:
            return None
        total += weight * value
        counted += weight
    if counted <= 0:
        raise ValueError("A reward needs at least one part with a weight above 0.")
    return total / counted
