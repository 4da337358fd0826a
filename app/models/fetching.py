"""A download from outside: started, looked at and stopped by whichever page is open; a process of its own does it.

It lives as long as its lock is held, so that one that was killed is known to be dead, and says how far it is in a small
file. It ends with the page that started it; what came is kept, and the next start goes on there.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from app.background import Background, write
from app.settings import Settings
from nsp_core.errors import UserError

What = Literal["running", "done", "stopped", "failed"]
HOLDER = "fetching"


@dataclass(frozen=True)
class Report:
    """`names`: what was asked for. Sizes in bytes, `rate` a second, `left` in seconds; `why`: what went wrong."""

    names: tuple[str, ...]
    what: What = "running"
    done: int = 0
    total: int = 0
    rate: float | None = None
    left: float | None = None
    file: str = ""
    checking: bool = False
    why: str = ""


class Fetching(Background):
    def __init__(self, settings: Settings) -> None:
        super().__init__(
            "app.models.fetch_process", settings.locks_dir / "fetch.lock", settings.logs_dir / "fetch.log", HOLDER
        )
        self.path = settings.run_dir / "fetch.json"

    def report(self) -> Report | None:
        """How the last download is, or ended; None when there was none. One that died without a word has stopped."""
        running = self.running  # before its last words are read, so that they cannot be missed
        report = read(self.path)
        if report is not None and report.what == "running" and not running:
            return replace(report, what="stopped", rate=None, left=None)
        return report

    def fetch(self, names: Iterable[str]) -> None:
        """Returns at once. Raises UserError while another download goes on."""
        names = tuple(names)
        if self.running:
            raise UserError("Something is being downloaded already: wait for that, or stop it first.")
        write(self.path, asdict(Report(names)))
        self.start(str(self.path), str(self.lock), str(os.getpid()), *names)

    def stop(self, grace: float = 5.0) -> None:
        """End it, whoever started it; what came is kept. Returns when it is over."""
        super().stop(grace)
        report = self.report()
        if report is not None and report.what == "stopped":
            write(self.path, asdict(report))

    def close(self) -> None:
        """The page is being closed: a download that it started ends, too."""
        if self.mine:
            self.stop()


def read(path: Path) -> Report | None:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        given = json.loads(path.read_text(encoding="utf-8"))
        return Report(**{**given, "names": tuple(given["names"])})
    return None
