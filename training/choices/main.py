"""`python launch.py teach --from-choices FILE --out DIR [--model M]`: teach the taste that a person's choices show.

FILE is what `launch.py export --choices FILE` wrote. What was learnt lies in DIR/adapter, for `--adapter` and for the
page. --json prints a JSON object a line: {"event": "progress", "step", "steps", "loss", "held_out", "seconds"} and at
last {"event": "done", "adapter", "why", "choices", "used", "left_out", ...}. A file that cannot be used is one sentence
and exit code 2; 75 means that the lesson in drawing was stopped, and that the same command goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from nsp_core.errors import UserError, WhatNextError
from nsp_core.locks import borrow_device
from nsp_core.places import locks_dir
from training.choices.reinforce import TakesConfig
from training.choices.stage import teach
from training.choices.words import WordsConfig

STARTER = Path("assets/starter")
PATIENCE = 900.0  # seconds until the device is free


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="launch.py teach --from-choices", description=__doc__.splitlines()[0])
    made.add_argument("file", type=Path, metavar="FILE", help="choices, as `launch.py export --choices` wrote them")
    made.add_argument("--out", type=Path, required=True, metavar="DIR", help="the adapter comes to DIR/adapter")
    made.add_argument("--model", type=Path, default=STARTER, help="a model folder (default: the starter)")
    made.add_argument("--name", default="my taste", help="what the adapter is called")
    made.add_argument("--steps", type=int, default=WordsConfig.steps)
    made.add_argument("--words-only", action="store_true", help="leave drawing as it is")
    made.add_argument("--draw-steps", type=int, default=30, help="of reinforcement, where takes show a taste")
    made.add_argument("--minutes", type=float, default=WordsConfig.minutes, help="each of the two stops after so many")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--device", help="cpu or cuda (default: what is here)")
    made.add_argument("--data-dir", type=Path, help="of the story page, whose drawing waits meanwhile")
    made.add_argument("--json", action="store_true", help="one JSON object a line")
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    logging.basicConfig(level=logging.ERROR if arguments.json else logging.INFO, format="%(message)s")

    def told(row: dict[str, Any]) -> None:
        if arguments.json:
            sys.stdout.write(json.dumps({"event": "progress", **row}) + "\n")
            sys.stdout.flush()

    try:
        import torch

        from training.models import open_model

        if min(arguments.steps, arguments.draw_steps) < 1:
            raise UserError("--steps and --draw-steps must be 1 or more.")
        config = replace(WordsConfig(), steps=arguments.steps, minutes=arguments.minutes, seed=arguments.seed)
        device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
        takes = None if arguments.words_only else drawing(arguments, device)
        asked: dict[str, Any] = {"name": arguments.name, "config": config, "takes": takes, "told": told}
        with to_oneself(locks_dir(arguments.data_dir), device):
            pipeline: Any = open_model(arguments.model)
            pipeline.to(device)
            made = teach(pipeline, arguments.file, arguments.out, **asked)
    except KeyboardInterrupt:
        return 130
    except WhatNextError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, UserError) else 1
    if arguments.json:
        sys.stdout.write(json.dumps({"event": "done", **made.plain()}) + "\n")
    else:
        sys.stdout.write((made.why or f"The taste is in {made.adapter}; give it with --adapter.") + "\n")
    return made.code


@contextlib.contextmanager
def to_oneself(locks: Path, device: str) -> Iterator[None]:
    """Drawing and teaching share a device: what the page draws is finished first, what waits goes on afterwards."""
    try:
        with borrow_device(locks, device, "teaching", patience=PATIENCE):
            yield
    except TimeoutError:
        raise UserError(
            f"The story page has been drawing for {PATIENCE / 60:.0f} minutes without an end, and both cannot have the "
            "device: stop it there, then teach again."
        ) from None


def drawing(arguments: argparse.Namespace, device: str) -> TakesConfig:
    made = TakesConfig(arguments.out / "drawing", device=device, minutes=arguments.minutes)
    return replace(made, loop=replace(made.loop, steps=arguments.draw_steps, seed=arguments.seed))


if __name__ == "__main__":
    sys.exit(main())
