"""`python launch.py data run|demo|captions|plan|weights`: raw films become pairs of a scene and what comes next.

run CONFIG|FOLDER --out DIR goes through every stage and leaves DIR/pack, DIR/report.html and a sheet for people
(DIR/captions.csv and .html); the same command goes on where it was stopped. demo FOLDER is the same with what is here
without a network. captions DIR FILE takes a filled-in sheet back. plan says what millions of clips would cost.
weights gets TransNetV2's, once, for split.detector=transnet.
Overrides are key=value, as in `train`.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nsp_core.errors import ModelUnavailable, UserError, WhatNextError
from training.config import apply_override, build, load
from training.data.config import DataConfig
from training.data.pack import pack
from training.data.report import dollars, write_report
from training.data.run import Curated, curate, outcome_counts
from training.data.sheet import keep_words, read_words, write_sheets
from training.data.shots import get_weights
from training.data.starter import OUTSIDE

HONEST = """\
Of {n} clips the starter could not say what they show. It knows one drawn world and no real footage; what it would have
said is kept as a guess and used for nothing. Write what is there into {sheet} (or open captions.html beside it), then
    python launch.py data captions {out} {sheet}
and run the same again; or set words.captioner to claude, server or a big model's folder (training/README.md)."""


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_intermixed_args(argv)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        return TASKS[args.task](args)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except (WhatNextError, ModelUnavailable) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. The same command goes on where it was.", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="launch.py data", description=__doc__.splitlines()[0])
    whole.add_argument("task", choices=sorted(TASKS))
    whole.add_argument("what", nargs="*", metavar="CONFIG|FOLDER [key=value ...]")
    whole.add_argument("--out", type=Path, help="run, demo: the run's folder (demo: FOLDER-pairs beside it)")
    whole.add_argument("--retry", action="store_true", help="run, demo: try again what failed, too")
    whole.add_argument("--clips", type=float, default=13e6, metavar="N", help="plan: how many (default: 13 million)")
    whole.add_argument("--rates", type=Path, metavar="DIR", help="plan: a run's folder whose rates are taken")
    whole.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return whole


def run(args: argparse.Namespace) -> int:
    what, overrides = asked(args)
    if args.out is None:
        raise UserError("Say with --out DIR where the run is to be kept; the same folder goes on with it.")
    return go(args, config_of(what, overrides), args.out)


def demo(args: argparse.Namespace) -> int:
    """A run that asks nobody outside, whatever a config or the environment says."""
    what, overrides = asked(args)
    offline = [f"words.{who}=starter" for who in ("captioner", "writer", "judge")]
    out = args.out or what.resolve().with_name(f"{what.resolve().name}-pairs")
    return go(args, config_of(what, [*offline, *overrides]), out)


def go(args: argparse.Namespace, config: DataConfig, out: Path) -> int:
    found = curate(config, out, bars(), args.retry)
    clips, pairs = found.captioned(), [e.row for e in found.pairs if e.status == "ok"]
    if config.pack.uncaptioned:
        clips = [e.row for e in found.clips if e.row.values.get("file")]
    manifest = pack(clips, pairs, config, out)
    report = write_report(found, manifest, out)
    sheet, _ = write_sheets([e.row for e in found.clips if e.row.values.get("file")], out)
    print("\n".join(said(found, manifest)))
    outside = sum(e.reason == OUTSIDE for e in found.clips)
    if outside:
        print(HONEST.format(n=outside, sheet=sheet, out=out))
    print(f"{report} tells it all; {out / 'pack'} is what training reads (pack:{out / 'pack'}).")
    if args.json:
        print(json.dumps(answer(found, manifest, out)))
    return 0


def said(found: Curated, manifest: dict[str, Any]) -> list[str]:
    lines = []
    for what, some in (("films and pictures", found.sources), ("clips", found.clips), ("pairs", found.pairs)):
        ok = sum(e.status == "ok" for e in some)
        lines.append(f"{len(some)} {what}, {ok} came through")
        counts = [(k, n) for k, n in outcome_counts(some).items() if k[1] != "ok"]
        for (stage, status, reason), count in sorted(counts, key=lambda item: -item[1]):
            lines.append(f"  {count:6d} {status} in {stage}: {reason}")
    for split, s in manifest["splits"].items():
        lines.append(f"packed, {split}: {s['clips']} clips of {s['films']} films, pairs {s['pairs'] or 'none'}")
    return lines


def answer(found: Curated, manifest: dict[str, Any], out: Path) -> dict[str, Any]:
    def counted(some: Any) -> list[dict[str, Any]]:
        return [
            {"stage": stage, "status": status, "reason": reason, "n": count}
            for (stage, status, reason), count in outcome_counts(some).items()
        ]

    every = [e.row for e in (*found.clips, *found.pairs)]
    return {
        **{name: counted(getattr(found, name)) for name in ("sources", "clips", "pairs")},
        "left_out": [{"name": name, "reason": reason} for name, reason in found.left_out],
        "splits": manifest["splits"],
        "licences": manifest["licences"],
        "made_now": found.done_now,
        "cost_usd": round(dollars(every), 6),
        "pack": str(out / "pack"),
    }


def captions(args: argparse.Namespace) -> int:
    if len(args.what) != 2:
        raise UserError("Give the run's folder and the filled-in table: data captions DIR captions.csv.")
    folder, table = map(Path, args.what)
    try:
        with (folder / "captions.csv").open(encoding="utf-8") as stream:
            known = {line.split(",", 1)[0] for line in stream}
    except OSError:
        raise UserError(f"{folder} is no folder of a run: `data run` makes one, with a captions.csv in it.") from None
    said_now = read_words(table, known)
    kept = keep_words(folder, said_now)
    print(f"{len(said_now)} captions taken, {kept} kept in {folder}. Run the same again: it goes on with them.")
    if args.json:
        print(json.dumps({"captions": len(said_now), "kept": kept}))
    return 0


def plan(args: argparse.Namespace) -> int:
    from training.data.plan import print_plan

    return print_plan(args.clips, args.rates, args.json)


def weights(args: argparse.Namespace) -> int:  # noqa: ARG001
    path, fresh = get_weights()
    print(
        f"The weights of TransNetV2 are {'now' if fresh else 'already'} in {path}: split.detector=transnet uses them."
    )
    return 0


def asked(args: argparse.Namespace) -> tuple[Path, list[str]]:
    if not args.what:
        raise UserError("Say what to read: a config (YAML), a folder, a .tar, a .csv, .jsonl or .parquet.")
    return Path(args.what[0]), list(args.what[1:])


def config_of(what: Path, overrides: list[str]) -> DataConfig:
    """A YAML file, or everything as it stands in training/data/config.py for a folder."""
    if what.suffix.lower() in (".yaml", ".yml"):
        return load(DataConfig, what, overrides)
    values: dict[str, Any] = {"sources": [{"path": str(what)}]}
    for override in overrides:
        apply_override(values, override)
    return build(DataConfig, values)


def bars() -> Callable[[str, int, int], None]:
    """A bar a stage, on stderr; none where nothing is to be done."""
    shown: dict[str, Any] = {}

    def watch(stage: str, done: int, of: int) -> None:
        if stage not in shown:
            shown[stage] = tqdm(total=of, desc=f"{stage:<10}", file=sys.stderr, leave=True, mininterval=0.5)
        shown[stage].update(done - shown[stage].n)
        if done == of:
            shown.pop(stage).close()

    return watch


TASKS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": run,
    "demo": demo,
    "captions": captions,
    "plan": plan,
    "weights": weights,
}

if __name__ == "__main__":
    sys.exit(main())
