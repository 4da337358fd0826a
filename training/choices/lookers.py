"""People who are made up, each with a hidden taste in how scenes are drawn. Who they are follows from a seed alone.

What they see is not measured as training.choices.takes measures it: other places, other formulas. So a taste that is
learnt is no copy of the one that is hidden. Knows nothing of models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from nsp_core.types import Frames

NOISE = 0.5  # of a choice, in units of how far two takes usually are apart
LIKED = 2  # things that a person looks at


def _luma(frames: Frames) -> NDArray[np.float64]:
    return frames.astype(np.float64).mean(-1) / 255


def _warm(frames: Frames) -> float:
    ground = frames[-1, frames.shape[1] // 3 :].astype(np.float64) / 255
    return float((ground[..., 0] - ground[..., 2]).mean())


def _lively(frames: Frames) -> float:
    return float((np.abs(np.diff(_luma(frames), axis=0)) > 0.06).any(0).mean())


def _late(frames: Frames) -> float:
    """When most of it happens, from 0 to 1."""
    moved = np.abs(np.diff(_luma(frames), axis=0)).sum((1, 2))
    return float((moved * np.linspace(0, 1, len(moved))).sum() / max(moved.sum(), 1e-9))


SEEN: Mapping[str, Callable[[Frames], float]] = {
    "a light sky": lambda f: float(_luma(f[-1:])[0, : f.shape[1] // 3].mean()),
    "warm ground": _warm,
    "much that moves": _lively,
    "late changes": _late,
    "bold contrasts": lambda f: float(np.subtract(*np.percentile(_luma(f[-1:]), (95, 5)))),
    "many colours": lambda f: float((f[-1] / 255).std(-1).mean()),
}


@dataclass(frozen=True)
class Looker:
    number: int
    likes: Mapping[str, float]  # what is seen -> how much it counts, more or less of it

    def value(self, seen: Mapping[str, float], apart: Mapping[str, float]) -> float:
        """Of one take; `apart`: how far two takes of a scene usually are apart in each thing."""
        return sum(weight * seen[name] / max(apart[name], 1e-9) for name, weight in self.likes.items())

    def chooses(self, one: float, other: float, rng: Random) -> int:
        """0 or 1, by the logistic law."""
        odds = max(-30.0, min(30.0, (one - other) / NOISE))
        return 0 if rng.random() < 1 / (1 + math.exp(-odds)) else 1


def looker(seed: int, number: int) -> Looker:
    """The person of that number; another seed is another village."""
    rng = Random(f"looker {seed}/{number}")
    return Looker(number, {name: rng.choice((-1.0, 1.0)) for name in sorted(rng.sample(sorted(SEEN), LIKED))})


def look_at(frames: Frames) -> dict[str, float]:
    return {name: see(frames) for name, see in SEEN.items()}
