"""`python -m app.bring FILE`: a storypack becomes a story here; see app.pack.bringing for what is believed of it.

--json ends with {"story", "title", "scenes", "takes", "files", "known", "missing", "missing_models": [{"name",
"fingerprint", "takes"}], "seconds"}: "known" files were here already, "missing" ones were gone when it was packed. A
file that cannot be brought in is one sentence and exit code 2, and nothing has changed then.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.pack import bring_in
from app.progress_bar import ProgressBar
from app.settings import Settings
from app.store import open_store
from app.terminal import OneSentenceParser, plain, run, tell


def parser() -> argparse.ArgumentParser:
    made = OneSentenceParser(prog="launch.py import", description="Bring a storypack in as a story.")
    made.add_argument("file", type=Path, metavar="FILE", help="a file that `export --to pack` wrote")
    made.add_argument("--data-dir", type=Path, help="where stories and media are kept")
    made.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return made


def main(argv: list[str] | None = None) -> int:
    return run(parser(), argv, bring)


def bring(arguments: argparse.Namespace) -> dict[str, Any]:
    """What --json prints."""
    store = open_store(Settings.from_environment(data_dir=arguments.data_dir))
    try:
        with ProgressBar(sys.stderr, "Unpacking") as bar:
            made = bring_in(
                store,
                store.local_owner(),
                arguments.file,
                told=lambda _phase, done, total: bar.show(done, total),
            )
    finally:
        store.close()
    tell(f"“{plain(made.title)}” is here, with {made.scenes} scenes and {made.takes} takes.")
    if made.missing:
        tell(f"{made.missing} of its files were gone when it was packed.")
    for model in made.missing_models:
        tell(
            f"{model.takes} takes were drawn by the model {plain(model.name)} ({plain(model.fingerprint)}), which is "
            "not set up here: they can be seen, but not drawn again exactly."
        )
    answer = {**asdict(made), "seconds": round(made.seconds, 3)}
    return {"story": answer.pop("story_id"), **answer}


if __name__ == "__main__":
    sys.exit(main())
