"""`python launch.py train STAGE --config FILE [key=value ...]`: one command for every stage.

Stages: vae, reader, generator made the starter. The paper's recipe: drawer (what is there before), pt1, pt2, pt3, sft,
grpo. `train all --config DIR` runs the stages of a folder one after the other; there `STAGE.key=value` is for one of
them, and --out DIR puts everything below one folder. `train tiny` is the whole recipe in minutes, `train table` the
paper's ablation in kind, in hours. `train plan --config FILE_OR_DIR` says what a config will cost (tokens, FLOP,
memory, hours) and runs nothing. A stage's config says where it reads and writes; checkpoints and data live outside the
checkout. Exit code 0: done; 75: the piece ended (minutes=, SIGTERM), run the same command again to go on.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from nsp_core.errors import UserError, WhatNextError
from training.run import CONFIGS, RECIPE, STAGES, How, run, run_all


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="launch.py train", description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=(*STAGES, "all", "tiny", "table", "plan"))
    parser.add_argument("--config", type=Path, help="a YAML file, or with `all` a folder of STAGE.yaml files")
    parser.add_argument("--resume", default="latest", metavar="HOW", help="latest, never, or a checkpoint's folder")
    parser.add_argument("--dry-run", action="store_true", help="print the resolved config and stop")
    parser.add_argument(
        "--check", action="store_true", help="make some examples of the stage's cache again and compare"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="take N steps at most: shows that everything runs")
    parser.add_argument("--out", type=Path, help="with `all`, `tiny` and `table`: one folder for everything")
    parser.add_argument(
        "--cases",
        type=int,
        default=400,
        metavar="N",
        help="with `table`: held-out stories a row, twice as many for reinforcement",
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="with `table`: processes that share arms and rows"
    )
    parser.add_argument("--json", action="store_true", help="with `tiny`, `table`, `plan`: one JSON object at the end")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    args = parser.parse_intermixed_args(argv)  # overrides may stand behind options
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # two torch processes on few cores stall each other otherwise
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    how = How(tuple(args.overrides), args.resume, args.limit, args.dry_run, args.out)
    try:
        if args.check and args.stage in ("all", "tiny", "table", "plan"):
            raise UserError(f"--check is for one stage; '{args.stage}' is several or none: name a stage.")
        if args.stage == "tiny":
            from training import tiny

            return tiny.tiny(how, args.json)
        if args.stage == "table":
            from training import ablation

            if args.cases < 1:
                raise UserError(f"--cases must be 1 or more, got {args.cases}.")
            if args.workers < 1:
                raise UserError(f"--workers must be 1 or more, got {args.workers}.")
            return ablation.table(how, args.config, args.cases, args.json, args.workers)
        if args.stage == "plan":
            from training.plan.report import report

            return report(args.config or CONFIGS / "paper", args.overrides, args.json)
        if args.stage == "all":
            return run_all(args.config or CONFIGS / "lab", how)
        home = CONFIGS / ("lab" if args.stage in RECIPE else "starter")
        file = args.config or home / f"{args.stage}.yaml"
        if args.check:
            from training.cache_check import check

            return check(args.stage, file, args.overrides)
        return run(args.stage, file, args.overrides, how)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except WhatNextError as error:  # saved; the same command goes on when what is wrong is mended
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
