"""A figure with its 95% interval. Scenes of one story are not independent, so whole stories are drawn again.

Knows nothing of what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Figure:
    """`n` is how many single measurements the mean is taken over."""

    mean: float
    low: float
    high: float
    n: int

    def plain(self, digits: int = 4) -> dict[str, float | int]:
        return {k: round(v, digits) if isinstance(v, float) else v for k, v in asdict(self).items()}


@dataclass
class Tally:
    """Collects (story, value); a value of None (missing) is counted apart and never averaged."""

    stories: list[Hashable] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    missing: int = 0

    def add(self, story: Hashable, value: float | bool | None) -> None:
        if value is None:
            self.missing += 1
            return
        self.stories.append(story)
        self.values.append(float(value))

    def figure(self, seed: int = 0) -> Figure | None:
        """None when nothing was measured."""
        return estimate(self.values, self.stories, seed=seed) if self.values else None


def estimate(values: Sequence[float], stories: Sequence[Hashable] | None = None, *, seed: int = 0) -> Figure:
    """Mean with the percentiles of DRAWS bootstrap means; `stories[i]` is the cluster of `values[i]`.

    When every value is 0, or every value is 1, no bootstrap can be anything else, which would claim certainty: there
    the exact binomial bound of as many independent stories is taken.
    """
    data = np.asarray(values, float)
    if data.ndim != 1 or not len(data) or not np.isfinite(data).all():
        raise ValueError(f"an interval of {len(data)} values was asked for: give one finite number or more")
    sums, counts = _clusters(data, stories)
    mean = float(data.mean())
    if mean in (0.0, 1.0) and (data == mean).all():
        bound = ((1 - LEVEL) / 2) ** (1 / len(sums))
        return Figure(mean, bound, 1.0, len(data)) if mean else Figure(mean, 0.0, 1 - bound, len(data))
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(sums), size=(DRAWS, len(sums)))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(mean, float(low), float(high), len(data))


def _clusters(data: np.ndarray, stories: Sequence[Hashable] | None) -> tuple[np.ndarray, np.ndarray]:
    if stories is None:
        return data, np.ones(len(data))
    if len(stories) != len(data):
        raise ValueError(f"{len(data)} values came with {len(stories)} stories: name one story for each value")
    numbers: dict[Hashable, int] = {}
    of = np.array([numbers.setdefault(story, len(numbers)) for story in stories])
    return np.bincount(of, data), np.bincount(of).astype(float)


def plain(value: object) -> object:
    """Figures, tallies and mappings of them as JSON can hold them; NaN is never written."""
    if isinstance(value, Tally):
        value = value.figure()
    if isinstance(value, Figure):
        return value.plain()
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def mean_of(values: Iterable[float]) -> float:
    data = list(values)
    return sum(data) / len(data) if data else math.nan
