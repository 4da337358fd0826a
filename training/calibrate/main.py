"""`python launch.py judge agree|label|migrate|doctor`: how far judges can be relied on, and what they cost.

agree and migrate hold verdicts of two judges against each other; label gives a sheet to people and reads it back. How
judges are named stands in training/calibrate/asking.py, what a set is in pairs.py. With --json the last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from nsp_core.errors import CheckpointMismatch, ModelUnavailable, UserError
from nsp_core.judges.config import JudgeConfig
from training.calibrate.asking import verdicts_of
from training.calibrate.book import set_called
from training.calibrate.doctor import ask_one, examine
from training.calibrate.pairs import Pair, judges_of, keep_verdicts, kept_captions, kept_verdicts, read_pairs
from training.calibrate.report import items_of, table
from training.calibrate.sheet import read_answers, write_sheet
from training.evaluate.agreement import compare

STARTER = Path(__file__).resolve().parent.parent.parent / "assets" / "starter"


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for loud in ("httpx2", "httpx", "anthropic"):
        logging.getLogger(loud).setLevel(logging.WARNING)
    try:
        return int(args.task(args))
    except (UserError, CheckpointMismatch, ModelUnavailable) as error:
        print(error, file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="launch.py judge", description=__doc__.splitlines()[0])
    tasks = whole.add_subparsers(required=True)
    one = tasks.add_parser("agree", help="two judges or more about the same scenes; the first one is the measure")
    one.add_argument("set", help="a folder, or picturebook:N for N held-out stories of the starter's world")
    one.add_argument(
        "--judge", action="append", default=[], help="a judge's name, own, or one with verdicts in the set"
    )
    one.add_argument("--keep", type=Path, help="folder in which a picturebook set is kept, with all verdicts")
    one.set_defaults(task=agree)
    two = tasks.add_parser("label", help="a sheet for people: SHEET.html is written, ANSWERS.json is read back")
    two.add_argument("set")
    two.add_argument("file", type=Path)
    two.set_defaults(task=label)
    three = tasks.add_parser("migrate", help="score a stored set with a new judge, and say what that shifts")
    three.add_argument("set")
    three.add_argument("--from", dest="old", required=True, help="a judge whose verdicts are in the set")
    three.add_argument("--to", dest="new", required=True, help="the judge to ask now")
    three.set_defaults(task=migrate)
    four = tasks.add_parser("doctor", help="key, model, budget and an estimate, before Claude is asked anything")
    four.add_argument("--n", type=int, default=1000, help="verdicts to estimate the cost of (default: 1000)")
    four.add_argument("--ask", action="store_true", help="ask one real question, too (a fraction of a cent)")
    four.set_defaults(task=doctor)
    for some in (one, two, three):
        some.add_argument("--limit", type=int, default=0, help="only so many scenes: the first ones; on a sheet, any")
    for asks in (one, three):
        asks.add_argument("--batch", action="store_true", help="ask Claude in batches: half the price, up to a day")
        asks.add_argument(
            "--model", type=Path, default=STARTER, help="whose opinion 'own' is (default: assets/starter)"
        )
    for each in (one, two, three, four):
        each.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return whole


def agree(args: argparse.Namespace) -> int:
    if len(args.judge) < 2:
        raise UserError("Agreement needs two judges: give --judge twice or more, the measure first.")
    _check_batch(args, args.judge)
    with tempfile.TemporaryDirectory() as scratch:
        pairs = _limited(set_called(args.set, args.keep, Path(scratch)), args.limit)
        found = dict(verdicts_of(name, pairs, args.model, batch=_batch(args, name)) for name in args.judge)
        if len(found) < 2:
            raise UserError(f"Both names mean the judge {next(iter(found))}: give two judges.")
        first, *others = found
        answer = [_held_against(pairs, first, other, found) for other in others]
    cost = sum(verdict.cost_usd or 0.0 for verdicts in found.values() for verdict in verdicts.values())
    return _end(args, {"scenes": len(pairs), "comparisons": answer, "cost_usd": round(cost, 6)})


def migrate(args: argparse.Namespace) -> int:
    _check_batch(args, [args.new])
    pairs = _limited(read_pairs(Path(args.set)), args.limit)
    if args.old not in judges_of(pairs[0].folder):
        there = ", ".join(judges_of(pairs[0].folder)) or "none"
        raise UserError(f"The set has no verdicts of '{args.old}' (there are {there}): `judge agree` makes them.")
    before = kept_verdicts(pairs[0].folder, args.old)
    scored = [pair for pair in pairs if pair.id in before]  # nothing is paid for scenes that show no shift
    if not scored:
        raise UserError(f"None of the {len(pairs)} scenes has a verdict of '{args.old}'.")
    new, after = verdicts_of(args.new, scored, args.model, batch=_batch(args, args.new))
    if new == args.old:
        raise UserError(f"'{args.new}' is the judge whose verdicts are there ({new}): migrate to another one.")
    return _end(args, {"scenes": len(scored), **_held_against(scored, args.old, new, {args.old: before, new: after})})


def label(args: argparse.Namespace) -> int:
    pairs = read_pairs(Path(args.set))
    if args.file.suffix.lower() in (".html", ".htm"):
        n = write_sheet(args.file, pairs, len(_limited(pairs, args.limit)))
        print(f"{args.file}: {n} scenes. Open it in a browser; `judge label {args.set} ANSWERS.json` reads back.")
        return _end(args, {"sheet": str(args.file), "scenes": n})
    person, found = read_answers(args.file, pairs)
    keep_verdicts(pairs[0].folder, found, person)
    print(f"{len(found)} of {len(pairs)} scenes answered: `judge agree {args.set} --judge {person} --judge NAME`.")
    return _end(args, {"judge": person, "answered": len(found), "scenes": len(pairs)})


def doctor(args: argparse.Namespace) -> int:
    if args.n < 1:
        raise UserError(f"--n is {args.n}: give a number of verdicts from 1 on.")
    config = JudgeConfig.from_environment()
    found = examine(config, args.n)
    if args.ask and found.ok:
        ask_one(found, config)
    print("\n".join(found.lines))
    _end(args, {"ok": found.ok, **found.figures})
    return 0 if found.ok else 1


def _held_against(pairs: list[Pair], first: str, second: str, found: dict[str, Any]) -> dict[str, Any]:
    try:
        captions = kept_captions(pairs[0].folder, first) | kept_captions(pairs[0].folder, second)
        comparison = compare(items_of(pairs, found[first], found[second], captions))
    except ValueError:
        reasons = {verdict.reason for verdict in itertools.chain(found[first].values(), found[second].values())}
        why = "; ".join(sorted(reason for reason in reasons if reason)[:3])
        raise UserError(f"No scene has a verdict of both {first} and {second} (reasons given: {why}).") from None
    print(table(first, second, comparison))
    return {"first": first, "second": second, **comparison.plain()}


def _limited(pairs: list[Pair], limit: int) -> list[Pair]:
    if limit < 0:
        raise UserError(f"--limit is {limit}: give a number of scenes from 1 on.")
    return pairs[:limit] if limit else pairs


def _batch(args: argparse.Namespace, name: str) -> bool:
    """Batches are for Claude; another judge in the same comparison is asked as usual."""
    return bool(args.batch) and name == "claude"


def _check_batch(args: argparse.Namespace, names: list[str]) -> None:
    if args.batch and "claude" not in names:
        raise UserError("Only the judge 'claude' is asked in batches: leave out --batch, or name it.")


def _end(args: argparse.Namespace, answer: dict[str, Any]) -> int:
    if args.json:
        print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
