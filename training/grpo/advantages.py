"""From rewards to advantages: a group's own mean and spread, the best and the worst of it, and what is missing.

A reward of None is missing: it is in no mean, and its candidate is not trained on. Knows nothing of models or judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

EPSILON = 1e-4  # Flow-GRPO's, beside the deviation


@dataclass(frozen=True)
class GroupConfig:
    candidates: int = 24
    top: int = 4  # best-of-N: so many of the best and of the worst are trained on; both 0: all
    bottom: int = 4
    recentre: bool = True  # the chosen ones' advantages to mean zero: with a pass rate above 1/2, 4 + 4 would push down
    least: int = 6  # fewer verdicts than this: the group is left out
    least_spread: float = 0.0  # a group of less deviation counts as flat: dividing by it makes nothing into something
    limit: float = 5.0  # advantages are cut off here


@dataclass(frozen=True)
class Chosen:
    """What is trained on of a group. Empty rows: nothing, because of `why`."""

    rows: tuple[int, ...] = ()
    advantages: tuple[float, ...] = ()
    why: str = ""  # "missing": too few verdicts; "flat": all rewards are the same


def choose(rewards: Sequence[float | None], config: GroupConfig) -> Chosen:
    """Advantages (r - mean) / (deviation + 1e-4) over the *full* group, then the best and the worst (DanceGRPO).

    The deviation is the population's, as Flow-GRPO has it. Of equal rewards the candidate drawn first counts as better:
    ties are broken the same way on every machine. A group without spread teaches nothing and is left out whole.
    """
    given = [(value, row) for row, value in enumerate(rewards) if value is not None]
    if len(given) < max(2, config.least):
        return Chosen(why="missing")
    values = [value for value, _ in given]
    mean, spread = fmean(values), pstdev(values)
    if max(values) == min(values) or spread < config.least_spread:
        return Chosen(why="flat")
    ranked = sorted(given, key=lambda one: (-one[0], one[1]))
    wanted = config.top + config.bottom
    if wanted and wanted < len(ranked):
        ranked = ranked[: config.top] + ranked[len(ranked) - config.bottom :]
    found = [min(config.limit, max(-config.limit, (value - mean) / (spread + EPSILON))) for value, _ in ranked]
    if config.recentre:
        middle = fmean(found)
        found = [value - middle for value in found]
        if max(found) == min(found):  # what was chosen is all alike, though the group is not
            return Chosen(why="flat")
    return Chosen(tuple(row for _, row in ranked), tuple(found))
