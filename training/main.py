"""`python launch.py train STAGE --config FILE [key=value ...]`: one command for every stage.

Stages: vae, reader, generator made the starter; grpo reinforces a model that is there. A stage's config says where it
reads and writes; checkpoints and data live outside the checkout. Exit code 0: done; 75: the piece ended (minutes=,
SIGTERM), run the same command again to go on.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from nsp_core.errors import UserError, WhatNextError

CONFIGS = Path(__file__).parent / "configs"
STAGES = ("vae", "reader", "generator", "grpo")
HOME = {"grpo": "lab"}  # where a stage's own config lies when it is not the starter's


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="launch.py train", description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--config", type=Path, help="a YAML file (default: configs/starter/STAGE.yaml)")
    parser.add_argument("--resume", choices=("latest", "never"), default="latest")
    parser.add_argument("--dry-run", action="store_true", help="print the resolved config and stop")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    args = parser.parse_intermixed_args(argv)  # overrides may stand behind options
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # two torch processes on few cores stall each other otherwise
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        return run(
            args.stage,
            args.config or CONFIGS / HOME.get(args.stage, "starter") / f"{args.stage}.yaml",
            args.overrides,
            args,
        )
    except UserError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    except WhatNextError as error:  # saved; the same command goes on when what is wrong is mended
        print(error, file=sys.stderr)  # noqa: T201
        return 1


def run(stage: str, path: Path, overrides: list[str], args: argparse.Namespace) -> int:
    import torch

    from training import config, table

    cls, start = table.STAGES[stage]
    resolved: Any = config.load(cls, path, overrides)
    if args.dry_run:
        print(json.dumps(config.to_dict(resolved), indent=2))  # noqa: T201
        return 0
    torch.set_num_threads(resolved.threads)
    out: Path = resolved.out
    out.mkdir(parents=True, exist_ok=True)
    (out / "run.json").write_text(json.dumps(provenance(resolved), indent=2))
    return start(resolved, args.resume == "latest")


def provenance(resolved: Any) -> dict[str, Any]:
    """The resolved config, the exact command and the commit, kept beside every result."""
    from training import config

    return {"config": config.to_dict(resolved), "command": sys.argv, "commit": commit()}


def commit() -> str | None:
    try:
        said = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:  # a bare machine without git
        return None
    return said.stdout.strip() or None


if __name__ == "__main__":
    sys.exit(main())
