"""A person's taste in takes: which of two drawings of one scene they like better, from what can be measured of both.

A Bradley-Terry model (1952): the log-odds that a take is preferred are the difference of two scores, each a weighted
sum of plain measures of its pictures (colour, light, contrast, motion). Two takes of one scene share the scene, so what
they differ in is the drawing. Nine measures and a prior on their weights can be learnt from a few dozen choices, which
a network could not; what the measures do not see (a face, a mood) is not learnt. Whether there is a taste at all is
asked of stories that were left out. Knows nothing of models.

Letters: T frames, H, W pixels, N pairs, K measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from nsp_core.types import Frames
from training.evaluate.intervals import Figure, estimate

NAMES = ("light", "saturation", "warmth", "green", "contrast", "sharpness", "motion", "late motion", "change")
PRIOR = 1.0  # of a weight: a normal law of this precision, in units of a measure's spread over pairs
LEAST = 12  # pairs of takes
FOLDS = 5
Measures = NDArray[np.float64]  # (K,)


def measures(frames: Frames) -> Measures:
    """(T, H, W, 3) uint8 -> (K,), in the order of NAMES, most of them from 0 to 1."""
    x = frames.astype(np.float64) / 255
    luma = x @ np.array([0.299, 0.587, 0.114])
    steps = np.abs(np.diff(luma, axis=0)).mean((1, 2)) if len(x) > 1 else np.zeros(1)
    half = len(steps) // 2
    edges = np.abs(np.diff(luma, axis=1)).mean() + np.abs(np.diff(luma, axis=2)).mean()
    return np.array(
        [
            luma.mean(),
            (x.max(-1) - x.min(-1)).mean(),
            (x[..., 0] - x[..., 2]).mean(),
            (x[..., 1] - (x[..., 0] + x[..., 2]) / 2).mean(),
            luma.std(axis=(1, 2)).mean(),
            edges,
            steps.mean(),
            steps[half:].mean() - steps[:half].mean() if half else 0.0,
            np.abs(luma[-1] - luma[0]).mean(),
        ]
    )


@dataclass(frozen=True)
class Pair:
    story: str
    better: Measures
    worse: Measures


@dataclass(frozen=True)
class TakeTaste:
    """`weights` are of measures in units of `spread` (K,). `right`: how often it agrees with choices of stories that
    were left out, with its 95% interval; None when there are too few stories."""

    weights: Measures
    spread: Measures
    pairs: int
    right: Figure | None

    @property
    def believed(self) -> bool:
        """Surely better than a coin on stories that it was not learnt from."""
        return self.right is not None and self.right.low > 0.5

    def score(self, frames: Frames) -> float:
        """Higher is liked better; only differences within one scene mean anything."""
        return float(self.weights @ (measures(frames) / self.spread))


def fit(pairs: Sequence[Pair], seed: int = 0) -> TakeTaste | None:
    """None for fewer than LEAST pairs."""
    if len(pairs) < LEAST:
        return None
    differences = np.stack([pair.better - pair.worse for pair in pairs])
    spread = np.maximum(np.sqrt((differences**2).mean(0)), 1e-6)
    return TakeTaste(logistic(differences / spread), spread, len(pairs), _left_out(pairs, differences / spread, seed))


def logistic(differences: NDArray[np.float64]) -> Measures:
    """(N, K) better minus worse -> (K,): the most likely weights under the prior, by Newton's method. The problem is
    convex; no side has an intercept, because both takes are the same scene's."""
    weights = np.zeros(differences.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(differences @ weights, -30, 30)))
        slope = differences.T @ (1 - p) - PRIOR * weights
        curve = (differences * (p * (1 - p))[:, None]).T @ differences + PRIOR * np.eye(len(weights))
        move = np.linalg.solve(curve, slope)
        weights = weights + move
        if np.abs(move).max() < 1e-9:
            break
    return weights


def _left_out(pairs: Sequence[Pair], differences: NDArray[np.float64], seed: int) -> Figure | None:
    """Whole stories are left out in turn."""
    stories = sorted({pair.story for pair in pairs})
    if len(stories) < 2 * FOLDS:
        return None
    Random(f"takes {seed}").shuffle(stories)
    fold = {story: at % FOLDS for at, story in enumerate(stories)}
    of = np.array([fold[pair.story] for pair in pairs])
    right = np.zeros(len(pairs))
    for each in range(FOLDS):
        weights = logistic(differences[of != each])
        right[of == each] = (differences[of == each] @ weights > 0).astype(float)
    return estimate(right.tolist(), [pair.story for pair in pairs])


def win_rates(scores: Sequence[float]) -> list[float]:
    """How often each of several takes of one scene would be preferred to another of them, by the same law: what a take
    is worth among its like, from 0 to 1, whatever the scene."""
    values = np.asarray(scores, float)
    odds = 1 / (1 + np.exp(-np.clip(values[:, None] - values[None], -30, 30)))
    return [float((row.sum() - 0.5) / (len(values) - 1)) for row in odds]
