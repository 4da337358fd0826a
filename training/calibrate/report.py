"""A comparison of two judges in words and columns. Knows nothing of how verdicts were got."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nsp_core.judges import Verdict
from training.calibrate.pairs import Pair
from training.evaluate.agreement import OUTCOMES, Comparison, Interval, Item, Part


def items_of(
    pairs: Sequence[Pair], first: Mapping[str, Verdict], second: Mapping[str, Verdict], captions: Mapping[str, str]
) -> list[Item]:
    """A scene without a verdict is missing; one that neither was asked about is left out. `captions`: what a judge saw,
    by scene, where that was not the scene's own words."""

    def said(by: Mapping[str, Verdict], name: str) -> str:
        return by[name].outcome if name in by else "missing"

    return [
        Item(
            pair.story,
            said(first, pair.id),
            said(second, pair.id),
            len(captions.get(pair.id, pair.words).split()),
            pair.kind,
        )
        for pair in pairs
        if pair.id in first or pair.id in second
    ]


def table(first: str, second: str, found: Comparison) -> str:
    """The measure is `first`: rows are its verdicts, columns those of `second`."""
    lines = [f"{second} (columns) against {first} (rows)", ""]
    lines.append(f"  {'':10}" + "".join(f"{name:>9}" for name in OUTCOMES))
    for row in OUTCOMES:
        lines.append(f"  {row:10}" + "".join(f"{found.table[row, column]:9d}" for column in OUTCOMES))
    one, other = found.rates
    chance = "< 0.001" if found.p < 0.001 else f"= {found.p:.3f}"
    lines += [
        "",
        f"  kappa      {_said(found.kappa)}   of {found.n} scenes with both verdicts; they agree on {found.agreed:.1%}",
        f"  pass rate  {_said(one, percent=True)} and {_said(other, percent=True)}",
        f"  shift      {_said(found.bias, percent=True, sign=True)}   pass to fail {found.flips[0]}, fail to pass "
        f"{found.flips[1]} (p {chance})",
    ]
    if len(found.by_length) > 1:
        lines += ["", f"  {'by length of the caption':24}{'n':>6}{'agree':>8}   kappa                  shift"]
        lines += [f"{_part(part)}   {_said(part.kappa):22} {_shift(part)}" for part in found.by_length]
    if len(found.by_kind) > 1:  # of one kind a good judge always says the same, so there is no kappa
        lines += ["", f"  {'by kind':24}{'n':>6}{'agree':>8}   shift"]
        lines += [f"{_part(part)}   {_shift(part)}" for part in found.by_kind]
    return "\n".join(lines) + "\n"


def _part(part: Part) -> str:
    return f"  {part.name:24}{part.n:>6}{part.agreed:>8.1%}"


def _shift(part: Part) -> str:
    return _said(part.bias, percent=True, sign=True)


def _said(figure: Interval, *, percent: bool = False, sign: bool = False) -> str:
    if figure.value is None:
        return "not defined"
    style = f"{'+' if sign else ''}{'.1%' if percent else '.2f'}"
    text = format(figure.value, style)
    if figure.low is None or figure.high is None:
        return text
    return f"{text} ({figure.low:{style}} to {figure.high:{style}})"
