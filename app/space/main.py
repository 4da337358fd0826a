"""`python -m app.space.main DIR`: writes the folder of a Hugging Face Space with the story room, ready to be pushed.

    python launch.py space room
    hf upload me/story-room room --repo-type space

--json ends with {"folder", "kind", "files", "bytes", "sdk_version", "python", "models"}. What cannot be used is one
sentence and exit code 2. Nothing is sent anywhere.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from app.checkup.finding import in_bytes
from app.space.folder import KINDS, NAME, PYTHON, Choice, models_of, pins, write_folder
from app.space.snapshots import check_name
from app.terminal import OneSentenceParser, run, tell
from nsp_core.errors import UserError


def parser() -> argparse.ArgumentParser:
    made = OneSentenceParser(prog="launch.py space", description="Write the folder of a Space with the story room.")
    made.add_argument("folder", nargs="?", type=Path, metavar="DIR", help="a new folder")
    made.add_argument("--kind", choices=KINDS, default="cpu", help="what it draws on: a processor, a card, ZeroGPU")
    made.add_argument("--title", default=NAME, help=f"what the Space is called (default: {NAME})")
    made.add_argument("--tier", default="", metavar="NAME", help="gpu: which weights it fetches (default: what fits)")
    made.add_argument("--keep", default="", metavar="PLACE", help="a mounted bucket's path, or OWNER/NAME of a dataset")
    made.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return made


def main(argv: list[str] | None = None) -> int:
    return run(parser(), argv, write)


def write(arguments: argparse.Namespace) -> dict[str, Any]:
    """What --json prints."""
    if arguments.folder is None:
        raise UserError("DIR is missing: name a new folder for the Space; see: python launch.py space --help.")
    choice = Choice(arguments.kind, arguments.title, arguments.tier, arguments.keep)
    models = models_of(choice)
    if choice.keep:
        check_name(choice.keep)
    made = write_folder(choice, arguments.folder)
    tell(f"{made.files} files, {in_bytes(made.bytes)}, lie in {made.folder}. To put them on the Hub:")
    tell(f"  hf upload OWNER/NAME {made.folder} --repo-type space --private")
    if not choice.keep:
        tell("Stories last as long as the Space runs: --keep, or the variable WHATNEXT_KEEP, lets them outlive that.")
    return {
        "folder": str(made.folder),
        "kind": choice.kind,
        "files": made.files,
        "bytes": made.bytes,
        "sdk_version": pins()["gradio"],
        "python": PYTHON,
        "models": list(models),
    }


if __name__ == "__main__":
    sys.exit(main())
