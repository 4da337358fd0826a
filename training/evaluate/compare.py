"""`python launch.py eval compare A B`: is one result better than another, on the cases that both were asked?

A and B are files that `eval ... --out` wrote. A case is compared with itself: what is hard about it is hard for both,
so that far fewer cases are needed than for two separate figures. Knows nothing of models.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nsp_core.errors import UserError
from training.evaluate.intervals import DRAWS, LEVEL

Values = Mapping[str, Sequence[float]]  # story -> what was measured of it


@dataclass(frozen=True)
class Paired:
    """`difference` is B minus A with its 95% interval; `p` two-sided; won and lost count stories in which B differs."""

    a: float
    b: float
    difference: float
    low: float
    high: float
    p: float
    won: int
    lost: int
    n: int

    def plain(self) -> dict[str, float | int]:
        return {k: round(v, 4) if isinstance(v, float) else v for k, v in vars(self).items()}


def paired(a: Values, b: Values, seed: int = 0) -> Paired | None:
    """None when no story was measured in both. Whole stories are drawn again, as in training.evaluate.intervals.

    p is the sign test's over stories that differ (for one yes or no a story: McNemar's exact test). Where every story
    differs alike no bootstrap can be anything else: there the interval is the exact binomial bound of so many stories.
    """
    shared = sorted(set(a) & set(b))
    if not shared:
        return None
    of_a, of_b = (np.array([float(np.mean(one[s])) for s in shared]) for one in (a, b))
    differences = of_b - of_a
    won, lost = int((differences > 0).sum()), int((differences < 0).sum())
    middle, count = float(differences.mean()), len(shared)
    if np.ptp(differences) == 0:
        room = 1 - ((1 - LEVEL) / 2) ** (1 / count)
        low, high = middle - room, middle + room
    else:
        drawn = np.random.default_rng(seed).integers(count, size=(DRAWS, count))
        low, high = np.quantile(differences[drawn].mean(1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Paired(
        *(float(of_a.mean()), float(of_b.mean()), middle, float(low), float(high), sign_test(won, lost)),
        *(won, lost, count),
    )


def sign_test(won: int, lost: int) -> float:
    """Two-sided exact binomial probability of a split at least as uneven, were either equally likely."""
    total = won + lost
    tail = sum(math.comb(total, k) for k in range(min(won, lost) + 1)) / 2**total
    return min(1.0, 2 * tail)


def compare(one: Path, other: Path) -> dict[str, Any]:
    """Every figure that both files hold. Raises UserError for files that can't be compared."""
    a, b = read(one), read(other)
    for key in ("split", "seed", "mode", "captioner", "judge", "template"):
        if a["result"].get(key) != b["result"].get(key):
            raise UserError(
                f"{one.name} and {other.name} were measured with {key} {a['result'].get(key)} and "
                f"{b['result'].get(key)}: their cases are different ones, measure both with the same {key}."
            )
    found = {
        name: pair.plain()
        for name in a["cases"]
        if name in b["cases"] and (pair := paired(a["cases"][name], b["cases"][name])) is not None
    }
    return {"a": str(one), "b": str(other), "figures": found}


def read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} can't be read ({error}); give a file that `eval ... --out FILE` wrote.") from error
    if not isinstance(value, dict) or not {"result", "cases"} <= value.keys():
        raise UserError(f"{path} holds no single cases; give a file that `eval ... --out FILE` wrote.")
    return value


def table(found: dict[str, Any]) -> str:
    lines = [f"B - A, paired by story; A {found['a']}, B {found['b']}"]
    for name, f in found["figures"].items():
        sure = "  *" if f["low"] > 0 or f["high"] < 0 else ""
        lines.append(
            f"  {name:34} {f['a']:7.3f} {f['b']:7.3f} {f['difference']:+7.3f} [{f['low']:+.3f}, {f['high']:+.3f}]"
            f"  p={f['p']:.3f}  won {f['won']}, lost {f['lost']}  n={f['n']}{sure}"
        )
    lines.append("  * the interval leaves zero out; with many figures one in twenty does so by chance")
    return "\n".join(lines)
