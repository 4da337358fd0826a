"""`python launch.py eval picturebook [--json] [--n 64] ...`: how good is a model, with intervals, floors and ceiling.
`python launch.py eval told`: a few of its questions, about many cases.
`python launch.py eval composition`: objects, colours and places of described scenes.
`python launch.py eval memory`: does a fact of the first scene decide the eighth and the twelfth?
`python launch.py eval wishes`: is each rule done when wished for, the rare as the common?
`python launch.py eval nsp --captioner NAME --judge NAME`: real checkpoints on sentences about the real world.
`python launch.py eval vbench --out FOLDER`: VBench, where it has an environment of its own.
`python launch.py eval compare A B`: is one of two results better, case by case.

What each figure means stands in training/evaluate/measure.py. With --json the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

from nsp_core.errors import CheckpointMismatch, ModelUnavailable, UserError
from nsp_core.types import Frames
from training.evaluate.bounds import RoundTrip
from training.evaluate.intervals import estimate
from training.evaluate.measure import Measure, Plan
from training.evaluate.report import Gallery

Cases = dict[str, dict[str, list[float]]]  # figure -> story -> values
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
    one.add_argument(
        "--loops", type=int, help="stories of eight own scenes, the longest part (default: a quarter of n)"
    )
    one.add_argument("--quick", action="store_true", help=f"a look: {QUICK['n']} stories, closed loops of 4 scenes")
    one.add_argument("--no-cut", action="store_true", help="leave out the mode cut")
    one.add_argument("--words", action="store_true", help="only whether the words can happen; nothing is drawn")
    one.add_argument("--device", default="cpu")
    one.add_argument("--report", type=Path, help="write every clip beside its rendering into one HTML file")
    one.add_argument("--out", type=Path, help="write the result with its single cases, for `eval compare`")
    one.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    few = suites.add_parser("told", help="told what comes, does it draw it? Few questions, many cases")
    few.add_argument("--checkpoint", type=Path, default=STARTER, help="a model folder or a run of the recipe")
    few.add_argument("--n", type=int, default=64, help="held-out stories (default: 64)")
    few.add_argument("--seed", type=int, default=0)
    few.add_argument("--mode", choices=("continue", "cut"), default="continue")
    few.add_argument("--device", default="cpu")
    few.add_argument("--out", type=Path, help="write the result with its single cases, for `eval compare`")
    few.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parts = suites.add_parser("composition", help="is what a sentence names in the picture: objects, colours, places?")
    parts.add_argument("--n", type=int, default=64, help="described scenes (default: 64)")
    parts.add_argument("--anywhere", action="store_true", help="of any things, as no story would put them together")
    long = suites.add_parser("memory", help="does a fact of the first scene decide the eighth and the twelfth?")
    long.add_argument("--n", type=int, default=64, help="stories of each length (default: 64)")
    each = suites.add_parser("wishes", help="is what is wished for told, what is seldom possible as readily as rain?")
    each.add_argument("--n", type=int, default=4, help="occasions of each rule (default: 4)")
    for some in (parts, long, each):
        some.add_argument("--checkpoint", type=Path, default=STARTER, help="a model folder or a run of the recipe")
        some.add_argument("--seed", type=int, default=0)
        some.add_argument("--device", default="cpu")
        some.add_argument("--out", type=Path, help="write the result with its single cases, for `eval compare`")
        some.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    real = suites.add_parser("nsp", help="told a scene, does it draw what could come? The paper's test, for big models")
    real.add_argument("--checkpoint", type=Path, required=True, help="a model folder, a bank.json or a run")
    real.add_argument("--captioner", required=True, metavar="NAME", help="claude, server, own, or another model")
    real.add_argument("--judge", required=True, metavar="NAME", help="claude, server, local, or one that is installed")
    real.add_argument("--n", type=int, help="sentences, from all categories in turn (default: all)")
    real.add_argument("--seed", type=int, default=0, help="of the noise; the sentences are always the same")
    way = real.add_mutually_exclusive_group()
    way.add_argument("--think", action="store_true", help="the reader writes what comes first (the paper's does not)")
    way.add_argument("--text", action="store_true", help="the drawer alone: the sentence itself is what to draw")
    real.add_argument("--floors", action="store_true", help="ask the judge about repetitions and other stories, too")
    real.add_argument("--clips", type=Path, help="folder of clips and verdicts (default: in ~/.cache/whatnext/eval)")
    bench = suites.add_parser("vbench", help="VBench's prompts drawn, and scored by VBench in its own environment")
    bench.add_argument("--checkpoint", type=Path, required=True, help="a model folder, a bank.json or a run")
    bench.add_argument("--out", type=Path, required=True, help="folder of the videos and scores")
    bench.add_argument("--prompts", type=Path, help="VBench_full_info.json (default: the installed one)")
    bench.add_argument("--dimension", action="append", default=[], help="only this one; may be given again")
    bench.add_argument("--n", type=int, help="only so many prompts: a look, no figure to compare")
    bench.add_argument("--samples", type=int, default=5, help="videos of a prompt (default: 5, as VBench wants)")
    bench.add_argument("--seed", type=int, default=0)
    bench.add_argument("--python", type=Path, help="of VBench's environment (default: WHATNEXT_VBENCH_PYTHON)")
    for some in (real, bench):
        some.add_argument("--steps", type=int, help="of drawing (default: what the model recommends)")
        some.add_argument("--device", help="where the model computes, as in cuda (default: where it was loaded)")
        some.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    real.add_argument("--out", type=Path, help="write the result with its single cases, for `eval compare`")
    two = suites.add_parser("compare", help="is result B better than result A, case by case?")
    two.add_argument("a", type=Path)
    two.add_argument("b", type=Path)
    two.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    many = suites.add_parser("pool", help="results of one model with unlike seeds as one")
    many.add_argument("files", type=Path, nargs="+")
    many.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    args = parser.parse_args(argv)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        return SUITES[args.suite](args)
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
    keep(args, result, report.cases_of())
    text = table(result, report.seconds)
    print(text)
    if args.report:
        gallery.write(args.report.expanduser(), f"Picture book: {args.checkpoint.resolve().name}", text)
    if args.json:
        print(json.dumps(result, allow_nan=False))
    return 0


def keep(args: argparse.Namespace, result: dict[str, Any], cases: Cases) -> None:
    """Write the result and its single cases where --out says, with what they were made by."""
    if args.out is None:
        return
    from training.run import commit

    about = {"checkpoint": str(args.checkpoint), "command": sys.argv, "commit": commit()}
    args.out.write_text(json.dumps({"result": result, "cases": cases, **about}, allow_nan=False))


def told(args: argparse.Namespace) -> int:
    from training.evaluate import told
    from training.grpo.asks import AskConfig

    pipeline = opened(args)
    started = time.monotonic()
    cases = told.measure({"model": pipeline}, AskConfig(mode=args.mode, seed=args.seed), args.n)["model"]
    return tell(args, f"told, mode {args.mode}", {"mode": args.mode}, cases, time.monotonic() - started)


def composition(args: argparse.Namespace) -> int:
    from training.evaluate import composition
    from training.grpo.asks import AskConfig

    pipeline = opened(args)
    started = time.monotonic()
    cases = composition.measure(pipeline, AskConfig(seed=args.seed), args.n, anywhere=args.anywhere)
    return tell(
        args, "composition", {"worlds": "any" if args.anywhere else "of stories"}, cases, time.monotonic() - started
    )


def memory(args: argparse.Namespace) -> int:
    from training.evaluate import long_memory

    pipeline = opened(args)
    started = time.monotonic()
    return tell(args, "memory", {}, long_memory.measure(pipeline, args.n, args.seed), time.monotonic() - started)


def wishes(args: argparse.Namespace) -> int:
    from training.evaluate import every_wish

    pipeline = opened(args)
    started = time.monotonic()
    return tell(args, "wishes", {}, every_wish.measure(pipeline, args.n, args.seed), time.monotonic() - started)


def nsp(args: argparse.Namespace) -> int:
    from nsp_core.judges import judge_names
    from nsp_core.language import Language
    from training.calibrate.asking import judge_of
    from training.evaluate import nsp, sentences
    from training.evaluate.captioner import captioner_called
    from training.judges import declared_judges

    everything = sentences.read_sentences()
    some = sentences.first(len(everything) if args.n is None else args.n, everything)
    nsp.check_language(args.checkpoint, Language.load(args.checkpoint), some)  # before anything takes long
    known = [name for name in judge_names(declared_judges()) if not name.startswith("picturebook")]
    if args.judge not in known:  # those of the picture book, and the measured model itself, are none here
        raise UserError(f"There is no judge '{args.judge}' of scenes of the real world; known are {', '.join(known)}.")
    if args.floors:
        nsp.others_of(some[: nsp.FLOORS])
    judge = nsp.of_words(judge_of(args.judge, args.checkpoint))
    pipeline = opened_whole(args)
    nsp.check_language(args.checkpoint, pipeline.language, some)
    captioner = captioner_called(args.captioner, args.judge, pipeline)
    way: nsp.Way = "own" if args.think else "text" if args.text else "off"
    asked = nsp.Asked(pipeline.fingerprint, way, args.seed, args.steps, sentences.fingerprint(everything))
    clips = nsp.Clips((args.clips or nsp.default_folder(asked)).expanduser(), asked)
    outcome = nsp.run(pipeline, clips, some, captioner, judge)
    result, cases = nsp.result_of(outcome, asked, captioner, judge)
    result["floors"] = nsp.floors(judge, some[: nsp.FLOORS]) if args.floors else None
    print(nsp.table(result))
    print(f"clips, captions and verdicts: {clips.folder} (`judge label` and `judge agree` take this folder)")
    keep(args, result, cases)
    if args.json:
        print(json.dumps(result, allow_nan=False))
    return 0


def vbench(args: argparse.Namespace) -> int:
    from nsp_core.types import SamplingOptions
    from training.evaluate import vbench

    python = vbench.python_of(args.python)
    if args.prompts is None and python is None:
        raise UserError(vbench.HOW)
    path = args.prompts.expanduser() if args.prompts else vbench.installed_prompts(python)
    every = vbench.read_prompts(path)
    prompts = vbench.chosen(every, args.dimension, args.n)
    pipeline = opened_whole(args)
    if pipeline.language is not None:
        raise UserError(
            f"{args.checkpoint} speaks the language of the picture-book world only, in which VBench has no prompts: "
            "measure it with `eval composition`."
        )
    options = SamplingOptions(args.steps, seed=args.seed)
    videos = vbench.write_videos(pipeline, prompts, args.out.expanduser(), args.samples, options)
    dimensions = args.dimension or sorted({name for one in prompts for name in one.dimensions})
    device = args.device or str(pipeline.device)
    scores = vbench.evaluate(python, prompts, videos, dimensions, device) if python else None
    print(f"{len(prompts)} of {len(every)} prompts, {args.samples} videos each: {videos}")
    for name in dimensions:
        print(f"  {name:24} " + ("not scored" if scores is None else f"{scores[name]:.4f}"))
    if scores is None:
        print(vbench.HOW)
    result = {"checkpoint": pipeline.fingerprint, "seed": args.seed, "steps": args.steps, "prompts": len(prompts)}
    result |= {"of": len(every), "samples": args.samples, "videos": str(videos), "dimensions": scores}
    if args.json:
        print(json.dumps(result, allow_nan=False))
    return 0


def opened_whole(args: argparse.Namespace) -> Any:
    """A model whose videos can be kept under its fingerprint, where --device says."""
    from training.models import open_to_measure

    pipeline: Any = open_to_measure(args.checkpoint, args.device)
    if pipeline.fingerprint == "unsaved":
        raise UserError(f"{args.checkpoint} is no whole model yet: make a folder of it with training.export first.")
    return pipeline


def opened(args: argparse.Namespace) -> Any:
    from training.models import open_model

    if args.n < 1:
        raise UserError(f"--n must be 1 or more, got {args.n}.")
    pipeline: Any = open_model(args.checkpoint)
    pipeline.to(args.device)
    return pipeline


def tell(args: argparse.Namespace, name: str, about: dict[str, str], cases: Cases, seconds: float) -> int:
    figures = {name: estimate([v for vs in by.values() for v in vs]).plain() for name, by in cases.items()}
    result = {"split": "held_out", "n": args.n, "seed": args.seed, **about, **figures}
    print(f"{name}, held-out stories: {args.n}, seed {args.seed}, {seconds:.0f} s")
    for name, f in figures.items():
        print(f"  {name:14} {f['mean']:7.3f}  [{f['low']:.3f}, {f['high']:.3f}]  n={f['n']}")
    keep(args, result, cases)
    if args.json:
        print(json.dumps(result, allow_nan=False))
    return 0


def pool_some(args: argparse.Namespace) -> int:
    from training.evaluate import pool

    figures = pool.pool(args.files)
    print(pool.table(figures))
    if args.json:
        print(json.dumps({name: figure.plain() for name, figure in figures.items()}, allow_nan=False))
    return 0


def compare_two(args: argparse.Namespace) -> int:
    from training.evaluate import compare

    found = compare.compare(args.a, args.b)
    print(compare.table(found))
    if args.json:
        print(json.dumps(found, allow_nan=False))
    return 0


def plan_of(args: argparse.Namespace) -> Plan:
    if args.n < 1:
        raise UserError(f"--n must be 1 or more, got {args.n}.")
    if args.quick:
        return Plan(seed=args.seed, minutes=args.minutes, cut=not args.no_cut, **QUICK)
    return Plan(
        args.n,
        args.seed,
        closed_loops=max(1, args.n // 4) if args.loops is None else args.loops,
        what_ifs=max(1, args.n // 2),
        cut=not args.no_cut,
        words_only=args.words,
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


SUITES = {
    "picturebook": picturebook,
    "told": told,
    "composition": composition,
    "memory": memory,
    "wishes": wishes,
    "compare": compare_two,
    "pool": pool_some,
}
SUITES |= {"nsp": nsp, "vbench": vbench}


if __name__ == "__main__":
    sys.exit(main())
