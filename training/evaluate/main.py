"""`python launch.py eval picturebook [--json] [--n 64] ...`: how good is a model, with intervals, floors and ceiling.

What each figure means stands in training/evaluate/measure.py. With --json the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import sys
from pathlib import Path
from typing import Any

from nsp_core.errors import CheckpointMismatch, ModelUnavailable, UserError
from nsp_core.types import Frames
from training.evaluate.measure import Measure, Plan, RoundTrip
from training.evaluate.report import Gallery

STARTER = Path(__file__).resolve().parent.parent.parent / "assets" / "starter"
QUICK = {"n": 6, "closed_loops": 2, "depth": 4, "what_ifs": 3, "phrases": 6}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="launch.py eval", description=__doc__.splitlines()[0])
    suites = parser.add_subparsers(dest="suite", required=True)
    one = suites.add_parser("picturebook", help="the starter's world: exact verdicts on held-out compositions")
    one.add_argument("--checkpoint", type=Path, default=STARTER, help="a pipeline folder (default: assets/starter)")
    one.add_argument("--n", type=int, default=64, help="held-out stories (default: 64)")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--minutes", type=float, default=math.inf, help="stop after about so many minutes")
    one.add_argument("--quick", action="store_true", help=f"a look: {QUICK['n']} stories, closed loops of 4 scenes")
    one.add_argument("--no-cut", action="store_true", help="leave out the mode cut")
    one.add_argument("--device", default="cpu")
    one.add_argument("--report", type=Path, help="write every clip beside its rendering into one HTML file")
    one.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    args = parser.parse_args(argv)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        return picturebook(args)
    except (UserError, CheckpointMismatch, ModelUnavailable) as error:
        print(error, file=sys.stderr)
        return 2


def picturebook(args: argparse.Namespace) -> int:
    plan = plan_of(args)
    from nsp_core.pipeline import NextScenePipeline

    pipeline: Any = NextScenePipeline.from_pretrained(args.checkpoint)
    pipeline.to(args.device)
    gallery = Gallery()
    report = Measure(pipeline, plan, round_trip_of(pipeline), gallery.add if args.report else None).run()
    result = report.plain()
    text = table(result, report.seconds)
    print(text)
    if args.report:
        gallery.write(args.report.expanduser(), f"Picture book: {args.checkpoint.resolve().name}", text)
    if args.json:
        print(json.dumps(result, allow_nan=False))
    return 0


def plan_of(args: argparse.Namespace) -> Plan:
    if args.n < 1:
        raise UserError(f"--n must be 1 or more, got {args.n}.")
    if args.quick:
        return Plan(seed=args.seed, minutes=args.minutes, cut=not args.no_cut, **QUICK)
    return Plan(
        args.n,
        args.seed,
        closed_loops=max(1, args.n // 4),
        what_ifs=max(1, args.n // 2),
        cut=not args.no_cut,
        minutes=args.minutes,
    )


def round_trip_of(pipeline: Any) -> RoundTrip:
    import torch

    def round_trip(frames: Frames) -> Frames:
        with torch.no_grad():
            return pipeline.decode(pipeline.encode(frames))

    return round_trip


def table(result: dict[str, Any], seconds: float) -> str:
    """For a person: one figure a line; decibels or percent."""
    lines = [f"picturebook, held-out stories: {result['n']}, seed {result['seed']}, {seconds:.0f} s"]
    for name, value in flat(result):
        if value is None:
            lines.append(f"  {name:34} not measured")
        elif isinstance(value, dict):
            scale, unit = (1, " dB") if name.startswith(("continuity", "idle_chain", "vae")) else (100, " %")
            mean, low, high = (scale * value[k] for k in ("mean", "low", "high"))
            lines.append(f"  {name:34} {mean:6.1f}{unit:3} [{low:5.1f}, {high:5.1f}]  n={value['n']}")
    return "\n".join(lines)


def flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """The figures of a result with their dotted names."""
    found: list[tuple[str, Any]] = []
    for key, inner in value.items():
        if key in ("split", "n", "seed") and not prefix:
            continue
        if isinstance(inner, dict) and "mean" not in inner:
            found += flat(inner, f"{prefix}{key}.")
        else:
            found.append((prefix + key, inner))
    return found


if __name__ == "__main__":
    sys.exit(main())
