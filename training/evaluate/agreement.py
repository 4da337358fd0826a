"""How far two judges agree: who said what how often, Cohen's kappa with its interval, and who passes more.

What is asked of one story is not independent, so intervals come from whole stories drawn again. A verdict that is
missing on either side is counted and left out of every figure. Knows nothing of judges.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.evaluate.intervals import DRAWS, LEVEL, estimate

OUTCOMES = ("pass", "fail", "missing")
PARTS = 3  # of the captions, by length


@dataclass(frozen=True)
class Item:
    """One scene that both judges were asked about. `words`: the length of its caption."""

    story: Hashable
    first: str
    second: str
    words: int = 0
    kind: str = ""


@dataclass(frozen=True)
class Interval:
    """`value` None: it is not defined (a judge that always says the same). The interval may be undefined alone."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def plain(self) -> dict[str, float | None]:
        return {
            k: None if v is None else round(v, 4)
            for k, v in (("value", self.value), ("low", self.low), ("high", self.high))
        }


@dataclass(frozen=True)
class Part:
    """The items of one kind, or of captions of one length."""

    name: str
    n: int
    agreed: float
    kappa: Interval
    bias: Interval


@dataclass(frozen=True)
class Comparison:
    """`bias` is the pass rate of the second judge less that of the first; `flips` are (pass to fail, fail to pass) and
    `p` the chance of so uneven ones if neither judge were stricter (McNemar, exact)."""

    table: dict[tuple[str, str], int]
    n: int
    agreed: float
    kappa: Interval
    rates: tuple[Interval, Interval]
    bias: Interval
    flips: tuple[int, int]
    p: float
    by_length: tuple[Part, ...]
    by_kind: tuple[Part, ...]

    def plain(self) -> dict[str, Any]:
        def part(one: Part) -> dict[str, Any]:
            more = {"agreed": round(one.agreed, 4), "kappa": one.kappa.plain(), "bias": one.bias.plain()}
            return {"name": one.name, "n": one.n, **more}

        return {
            "n": self.n,
            "missing": sum(n for pair, n in self.table.items() if "missing" in pair),
            "table": {f"{one}/{other}": n for (one, other), n in self.table.items()},
            "agreed": round(self.agreed, 4),
            "kappa": self.kappa.plain(),
            "pass_rates": [one.plain() for one in self.rates],
            "bias": self.bias.plain(),
            "flips": {"pass to fail": self.flips[0], "fail to pass": self.flips[1], "p": round(self.p, 4)},
            "by_length": [part(one) for one in self.by_length],
            "by_kind": [part(one) for one in self.by_kind],
        }


def compare(items: Sequence[Item], seed: int = 0) -> Comparison:
    """Raises ValueError when no item has two verdicts."""
    counted = Counter((item.first, item.second) for item in items)
    both = [item for item in items if "missing" not in (item.first, item.second)]
    if not both:
        raise ValueError(f"two judges were to be compared, but none of {len(items)} scenes has a verdict of both")
    draws = _draws(both, seed)
    cells = _cells(both).sum(0)
    falls, rises = int(cells[1]), int(cells[2])
    return Comparison(
        table={(one, other): counted[one, other] for one in OUTCOMES for other in OUTCOMES},
        n=len(both),
        agreed=float(cells[0] + cells[3]) / len(both),
        kappa=_interval(_kappa, cells, draws),
        rates=(_rate([item.first for item in both], both, seed), _rate([item.second for item in both], both, seed)),
        bias=_interval(_bias, cells, draws),
        flips=(falls, rises),
        p=_mcnemar(falls, rises),
        by_length=tuple(_part(name, some, seed) for name, some in _lengths(both)),
        by_kind=tuple(
            _part(kind, [item for item in both if item.kind == kind], seed)
            for kind in dict.fromkeys(item.kind for item in both)
            if kind
        ),
    )


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen 1960, of verdicts that are pass or fail. None when there are none, or chance explains everything."""
    if not pairs:
        return None
    found = float(_kappa(_cells([Item(0, *pair) for pair in pairs]).sum(0)))
    return None if math.isnan(found) else found


def kappa_interval(pairs: Sequence[tuple[str, str]], stories: Sequence[Hashable], seed: int = 0) -> Interval:
    items = [Item(story, *pair) for story, pair in zip(stories, pairs, strict=True)]
    return _interval(_kappa, _cells(items).sum(0), _draws(items, seed))


# --- counts of (both pass, first only, second only, both fail), one row a story ------------------------------------
def _cells(items: Sequence[Item]) -> np.ndarray:
    numbers: dict[Hashable, int] = {}
    rows = np.zeros((len({item.story for item in items}), 4))
    for item in items:
        row = numbers.setdefault(item.story, len(numbers))
        rows[row, 2 * (item.first != "pass") + (item.second != "pass")] += 1
    return rows


def _draws(items: Sequence[Item], seed: int) -> np.ndarray:
    """(DRAWS, 4): the counts of as many stories, drawn with replacement."""
    rows = _cells(items)
    weights = np.random.default_rng(seed).multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=DRAWS)
    return weights @ rows


def _kappa(cells: np.ndarray) -> np.ndarray:
    total = cells.sum(-1)
    one, other = (cells[..., 0] + cells[..., 1]) / total, (cells[..., 0] + cells[..., 2]) / total
    chance = one * other + (1 - one) * (1 - other)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = ((cells[..., 0] + cells[..., 3]) / total - chance) / (1 - chance)
    return np.where(np.isclose(chance, 1), np.nan, found)


def _bias(cells: np.ndarray) -> np.ndarray:
    return (cells[..., 2] - cells[..., 1]) / cells.sum(-1)


def _rate(said: Sequence[str], items: Sequence[Item], seed: int) -> Interval:
    found = estimate([float(one == "pass") for one in said], [item.story for item in items], seed=seed)
    return Interval(found.mean, found.low, found.high)


def _interval(figure: Any, cells: np.ndarray, draws: np.ndarray) -> Interval:
    value = float(figure(cells))
    drawn = figure(draws)
    drawn = drawn[~np.isnan(drawn)]
    if math.isnan(value) or not len(drawn):
        return Interval(None if math.isnan(value) else value)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


def _part(name: str, items: Sequence[Item], seed: int) -> Part:
    cells, draws = _cells(items).sum(0), _draws(items, seed)
    agreed = float(cells[0] + cells[3]) / len(items)
    return Part(name, len(items), agreed, _interval(_kappa, cells, draws), _interval(_bias, cells, draws))


def _lengths(items: Sequence[Item]) -> list[tuple[str, list[Item]]]:
    """PARTS parts of about the same size, from short captions to long ones; equal lengths stay together."""
    edges = np.quantile([item.words for item in items], np.linspace(0, 1, PARTS + 1))
    parts = []
    for number in range(PARTS):
        low, high = edges[number], edges[number + 1]
        last = number == PARTS - 1
        some = [item for item in items if low <= item.words and (item.words <= high if last else item.words < high)]
        if some:
            shortest, longest = min(item.words for item in some), max(item.words for item in some)
            parts.append((f"{shortest} to {longest} words", some))
    return parts


def _mcnemar(falls: int, rises: int) -> float:
    n, least = falls + rises, min(falls, rises)
    return 1.0 if not n else min(1.0, 2 * sum(math.comb(n, k) for k in range(least + 1)) / 2**n)
