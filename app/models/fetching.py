"""A download from outside: started, looked at and stopped by whichever page is open; a process of its own does it.

It lives as long as its lock is held, so that one that was killed is known to be dead, and says how far it is in a small
file. It ends with the page that started it; what came is kept, and the next start goes on there.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from app.locks import FileLock, holder_of, is_held
from app.settings import ROOT, Settings
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


class Fetching:
    def __init__(self, settings: Settings) -> None:
        self.path = settings.run_dir / "fetch.json"
        self.lock = settings.locks_dir / "fetch.lock"
        self.log = settings.logs_dir / "fetch.log"
        self.child: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        if self.child is not None and self.child.poll() is None:
            return True
        return self.lock.exists() and is_held(self.lock)

    def report(self) -> Report | None:
        """How the last download is, or ended; None when there was none. One that died without a word has stopped."""
        running = self.running  # before its last words are read, so that they cannot be missed
        report = read(self.path)
        if report is not None and report.what == "running" and not running:
            return replace(report, what="stopped", rate=None, left=None)
        return report

    def start(self, names: Iterable[str]) -> None:
        """Returns at once. Raises UserError while another download goes on."""
        names = tuple(names)
        if self.running:
            raise UserError("Something is being downloaded already: wait for that, or stop it first.")
        write(self.path, Report(names))
        command = [sys.executable, "-m", "app.models.fetch_process", str(self.path), str(self.lock), str(os.getpid())]
        group: dict[str, Any] = {"start_new_session": True}  # Ctrl-C in the terminal is for the page
        if sys.platform == "win32":
            group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        with self.log.open("wb") as output:
            self.child = subprocess.Popen(
                [*command, *names], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **group
            )

    def stop(self, grace: float = 5.0) -> None:
        """End it, whoever started it; what came is kept. Returns when it is over."""
        holder = holder_of(self.lock) if self.lock.exists() else None
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(timeout=grace)
            if self.child.poll() is None:
                self.child.kill()
                self.child.wait()
        elif holder is not None and holder.who == HOLDER:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(holder.pid, signal.SIGTERM)
            deadline = time.monotonic() + grace
            while is_held(self.lock) and time.monotonic() < deadline:
                time.sleep(0.05)
        report = read(self.path)
        if report is not None and report.what == "running" and not self.running:
            write(self.path, replace(report, what="stopped", rate=None, left=None))

    def close(self) -> None:
        """The page is being closed: a download that it started ends, too."""
        if self.child is not None and self.child.poll() is None:
            self.stop()


def held(lock: Path) -> FileLock:
    return FileLock(lock, timeout=2.0, holder=HOLDER)


def read(path: Path) -> Report | None:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        given = json.loads(path.read_text(encoding="utf-8"))
        return Report(**{**given, "names": tuple(given["names"])})
    return None


def write(path: Path, report: Report) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(asdict(report)), encoding="utf-8")
    os.replace(partial, path)
