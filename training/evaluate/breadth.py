"""Whether a model tells many stories or one: the events it tells, against those of the world.

Knows nothing of pictures. Events are counted by rule, as the parser reads them from words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np

from training.evaluate.intervals import DRAWS, LEVEL, Figure
from training.picturebook.rules import enabled, step
from training.picturebook.scenes import choose
from training.picturebook.world import Event, World


def choices(before: World) -> int:
    """How many possible events look different from each other and from nothing."""
    return len({step(before, event).seen() for event in enabled(before)} - {before.seen()})


def world_rules(before: World, past: Sequence[Event], count: int, rng: Random) -> list[str]:
    """What the world itself would do now, drawn `count` times."""
    drawn = [choose(before, rng, past=past) for _ in range(count)]
    return [event.rule for event in drawn if event is not None]


@dataclass
class Spread:
    """Rules told by the model and by the world at the same moments, one entry a story."""

    told: list[Counter[str]] = field(default_factory=list)
    world: list[Counter[str]] = field(default_factory=list)
    again: list[Counter[str]] = field(default_factory=list)  # the world a second time: what chance alone makes

    def add(self, told: Iterable[str], world: Iterable[str], again: Iterable[str]) -> None:
        self.told.append(Counter(told))
        self.world.append(Counter(world))
        self.again.append(Counter(again))

    def distance(self, seed: int = 0) -> Figure | None:
        """Total variation between the model's rules and the world's, 0 (the same) to 1; None without stories."""
        return _distance(self.told, self.world, seed)

    def noise(self, seed: int = 0) -> Figure | None:
        """The same between two draws of the world: the distance that so few stories cannot go below."""
        return _distance(self.again, self.world, seed)


def _distance(one: Sequence[Counter[str]], other: Sequence[Counter[str]], seed: int) -> Figure | None:
    names = sorted({rule for counts in (*one, *other) for rule in counts})
    if not names or not any(one) or not any(other):
        return None
    left, right = _table(one, names), _table(other, names)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(left), size=(DRAWS, len(left)))
    spread = [_variation(left[rows].sum(0), right[rows].sum(0)) for rows in drawn]
    low, high = np.nanquantile(spread, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(_variation(left.sum(0), right.sum(0)), float(low), float(high), len(left))


def _table(counts: Sequence[Counter[str]], names: Sequence[str]) -> np.ndarray:
    return np.array([[each[name] for name in names] for each in counts], float)


def _variation(one: np.ndarray, other: np.ndarray) -> float:
    if not one.sum() or not other.sum():
        return float("nan")
    return float(np.abs(one / one.sum() - other / other.sum()).sum() / 2)
