"""`python launch.py eval pool A B ...`: results of unlike stories as one, with intervals over all of them.

The files are what `eval ... --out` wrote: of one model, with unlike seeds, so that two processes can share the work.
Only what is kept case by case is pooled. Knows nothing of models.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nsp_core.errors import UserError
from training.evaluate.intervals import Figure, Tally


def pool(paths: Sequence[Path]) -> dict[str, Figure]:
    """Every figure that stands case by case in one of the files. Raises UserError where they are not of one kind."""
    found = [_read(path) for path in paths]
    if len({one["checkpoint"] for one in found}) > 1:
        raise UserError("These results are of unlike models: pool files that name the same --checkpoint.")
    seeds = [one["result"].get("seed") for one in found]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"Seeds {', '.join(map(str, seeds))}: the same stories would count twice; pool unlike seeds.")
    tallies: dict[str, Tally] = defaultdict(Tally)
    for seed, one in zip(seeds, found, strict=True):
        for name, by in one["cases"].items():
            for story, values in by.items():
                for value in values:
                    tallies[name].add(f"{seed}/{story}", value)
    figures = {name: tally.figure() for name, tally in sorted(tallies.items())}
    return {name: figure for name, figure in figures.items() if figure is not None}


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found["checkpoint"], found["result"].get, found["cases"].items  # noqa: B018
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} holds no result: give files that `eval ... --out` wrote.") from None
    return found


def table(figures: dict[str, Figure]) -> str:
    return "\n".join(f"  {name:24} {f.mean:7.3f}  [{f.low:.3f}, {f.high:.3f}]  n={f.n}" for name, f in figures.items())
