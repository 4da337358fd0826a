"""Teaching from outside: begun, looked at, paused and stopped by whichever page is open; a process of its own does it.

Like a download (app.models.fetching): it lives as long as its lock is held, so that one that was killed is known to be
dead, and it ends with the page that started it. How far the learning is stands in the lesson's own files, and what was
learnt so far in its checkpoint, so that it goes on from there.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from app.background import Background, write
from app.locks import holder_of, lesson_lock
from app.settings import Settings
from app.teaching.lesson import Lesson
from nsp_core.errors import UserError

What = Literal["running", "done", "stopped", "failed"]
Doing = Literal["prepare", "plan", "learn", "stop"]
HOLDER = "teaching"
_LAST_BREATH = 5.0  # seconds between a process' last report and its end
GRACE = 60.0  # seconds in which a lesson finishes its step and keeps what it has learnt


@dataclass(frozen=True)
class Report:
    """`lesson`: its key. `waits`: scenes are being drawn first. `stage`: what the command says of itself, with `done`
    of `total` where it counts; `ending`: it was told to end, and finishes its step; `why`: what went wrong."""

    lesson: str
    doing: Doing
    what: What = "running"
    waits: bool = False
    stage: str = ""
    done: int = 0
    total: int = 0
    ending: bool = False
    why: str = ""


class Teaching(Background):
    def __init__(self, settings: Settings) -> None:
        super().__init__(
            "app.teaching.teach_process", lesson_lock(settings.locks_dir), settings.logs_dir / "teach.log", HOLDER
        )
        self.settings = settings
        self.path = settings.run_dir / "teach.json"

    def report(self) -> Report | None:
        """How the last piece of work is, or ended; None when there was none. One that died silently has stopped."""
        running = self.running  # before its last words are read, so that they cannot be missed
        report = read(self.path)
        if report is not None and report.what == "running" and not running:
            return replace(report, what="stopped", waits=False)
        return report

    @property
    def free(self) -> bool:
        """Whether something can be begun. One that has told its end is on its way out, and is waited for."""
        deadline = time.monotonic() + _LAST_BREATH
        while self.running and time.monotonic() < deadline:
            report = read(self.path)
            if report is not None and report.what == "running":
                return False
            time.sleep(0.02)
        return not self.running

    def of(self, lesson: Lesson) -> Report | None:
        """The same when it was about this lesson."""
        report = self.report()
        return report if report is not None and report.lesson == lesson.key else None

    def begin(self, lesson: Lesson, doing: Doing, settings: Settings) -> None:
        """Returns at once. `settings`: with the model that is to learn. Raises UserError while another one goes on."""
        if not self.free:
            raise UserError("A lesson is being worked on already: wait for that, or pause it first.")
        given = self.settings.run_dir / "teach-settings.json"
        given.write_text(settings.to_json(), encoding="utf-8")
        write(self.path, asdict(Report(lesson.key, doing)))
        self.start(str(self.path), str(self.lock), str(os.getpid()), str(given), str(lesson.folder), doing)

    def pause(self) -> None:
        """Ask it to end after the step that it is in. Returns at once, whoever started it."""
        if self.child is not None and self.mine:
            self.child.terminate()
            return
        holder = holder_of(self.lock) if self.lock.exists() else None
        if holder is not None and holder.who == self.holder:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(holder.pid, signal.SIGTERM)

    def stop(self, grace: float = GRACE) -> None:
        """End it, whoever started it, and what it started; what was learnt is kept. Returns when it is over."""
        leader = self.child.pid if self.child is not None and self.mine else None
        self.pause()
        deadline = time.monotonic() + grace
        while self.running and time.monotonic() < deadline:
            time.sleep(0.05)
        super().stop(0.0)
        if leader is not None and hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(leader, signal.SIGKILL)  # its group: whoever does not hear would go on without a page

    def close(self) -> None:
        """The page is being closed: a lesson that it began pauses."""
        if self.mine:
            self.stop()


def read(path: Path) -> Report | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Report(**json.loads(path.read_text(encoding="utf-8")))
    return None
