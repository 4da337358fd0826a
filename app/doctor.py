"""`python -m app.doctor`: is the program whole, are the stories whole, and what can safely be mended.

Without --fix nothing is changed. With it: old files that nobody uses go, jobs of dead workers wait again, what follows
from a take's lossless frames is made again, and damaged files are set aside in the folder `quarantine`, never removed.

--json ends with {"ok", "data", "findings": [{"subject", "level", "text", "details"}]}; a level is fine, note, mended or
wrong. Exit code 1 when anything is wrong. Loads no model and asks no network.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

from app.catalogue import say
from app.checkup.files import look_at_files
from app.checkup.finding import Finding, note, wrong
from app.checkup.leftovers import look_at_leftovers
from app.checkup.machine import look_at_machine
from app.checkup.tables import look_at_folder, look_at_jobs, look_at_tables
from app.checkup.tiers import look_at_tiers
from app.progress_bar import ProgressBar
from app.settings import STARTER, Settings
from app.store import open_store
from app.store.database import HEAD, Database
from nsp_core.errors import WhatNextError

EXIT_WRONG, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
OLD = 3600.0  # seconds: what is younger may belong to something that is going on
_MARKS = {"fine": "ok   ", "note": "note ", "mended": "mended", "wrong": "WRONG"}
_MOST_DETAILS = 7


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="launch.py doctor", description="Look for what is wrong with an installation.")
    made.add_argument("--fix", action="store_true", help="mend what can safely be mended")
    made.add_argument("--data-dir", type=Path, help="where stories and media are kept")
    made.add_argument("--starter", type=Path, help=f"folder of the model to look at (default: {STARTER})")
    made.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = Settings.from_environment(data_dir=arguments.data_dir, model=arguments.starter)
        findings = []
        for finding in examine(settings, fix=arguments.fix):
            findings.append(finding)
            print(line_of(finding), flush=True)
    except WhatNextError as error:
        print(str(error), file=sys.stderr, flush=True)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    bad = [finding for finding in findings if finding.level == "wrong"]
    print(summary(findings, fix=arguments.fix), flush=True)
    if arguments.json:
        answer = {"ok": not bad, "data": str(settings.data_dir), "findings": [found.json() for found in findings]}
        print(json.dumps(answer), flush=True)
    return EXIT_WRONG if bad else 0


def examine(settings: Settings, *, fix: bool = False, older_than: float = OLD) -> Iterator[Finding]:
    """Everything, in the order in which one thing needs another."""
    yield from look_at_machine(settings)
    yield from look_at_tiers(settings)
    yield from look_at_folder(settings)
    yield from look_at_data(settings, fix=fix, older_than=older_than)


def look_at_data(settings: Settings, *, fix: bool = False, older_than: float = OLD) -> Iterator[Finding]:
    if not settings.database.exists():
        yield note("tables_none", folder=str(settings.data_dir))
        return
    found = list(look_at_tables(settings.database, settings.backups_dir))
    yield from found
    if any(finding.level == "wrong" for finding in found) or Database(settings.database).revision() != HEAD:
        yield note("media_skipped")  # rows that cannot be trusted say nothing about files
        return
    store = open_store(settings, prepare=False)
    try:
        yield from look_at_jobs(store, fix=fix)
        with ProgressBar(sys.stderr, say("doctor.reading")) as bar:
            files = list(look_at_files(store, fix=fix, older_than=older_than, tell=bar.show))
        yield from files
        yield from look_at_leftovers(store, fix=fix, older_than=older_than)
    except OSError as error:
        yield wrong("media_unreadable", cause=f"{error.filename or settings.data_dir}: {error.strerror or error}")
    finally:
        store.close()


def line_of(finding: Finding) -> str:
    lines = [f"{_MARKS[finding.level]} {finding.text}"]
    lines += [f"        {detail}" for detail in finding.details[:_MOST_DETAILS]]
    if len(finding.details) > _MOST_DETAILS:
        lines.append("        " + say("doctor.more", n=len(finding.details) - _MOST_DETAILS))
    return "\n".join(lines)


def summary(findings: list[Finding], *, fix: bool) -> str:
    bad = sum(finding.level == "wrong" for finding in findings)
    if bad:
        return say("doctor.bad" if fix else "doctor.bad_fixable", n=bad)
    return say("doctor.good")


if __name__ == "__main__":
    sys.exit(main())
