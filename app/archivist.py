"""Backups and restoring in the background: one at a time, seen by every tab, and gone with the program (a backup that
was not finished leaves nothing). Knows nothing of pages; what is done is in app.store.backup and app.store.restore.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from app.catalogue import say
from app.director import Director
from app.store.backup import clear_partial, make_backup
from app.store.restore import restore_backup
from nsp_core.errors import Cancelled, UserError, WhatNextError

log = logging.getLogger(__name__)

QUIET_WITHIN = 30.0  # seconds in which what is being drawn must have ended


@dataclass(frozen=True)
class Work:
    """What is being done, or was done last. `done` of `total` are bytes."""

    kind: Literal["backup", "restore"]
    phase: str = "copying"
    done: int = 0
    total: int = 0
    over: bool = False
    text: str = ""  # how it ended
    failed: bool = False
    number: int = 0  # rises with each


class Archivist:
    def __init__(self, director: Director, owner_id: str) -> None:
        self.director = director
        self.owner_id = owner_id
        self.work: Work | None = None
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def backup(self) -> None:
        """Raises UserError while something else is under way."""
        self._begin("backup", self._backup)

    def restore(self, path: Path, *, remove: bool = False) -> None:
        """`remove`: the file was brought for this only."""

        def work() -> str:
            try:
                return self._restore(path)
            finally:
                if remove:
                    path.unlink(missing_ok=True)

        self._begin("restore", work)

    def stop(self) -> None:
        self._stop.set()

    def wait(self, timeout: float = 60.0) -> Work | None:
        if self._thread is not None:
            self._thread.join(timeout)
        return self.work

    # inside -----------------------------------------------------------------------------------------------------

    def _begin(self, kind: Literal["backup", "restore"], does: Callable[[], str]) -> None:
        with self._guard:
            if self.work is not None and not self.work.over:
                raise UserError(say("library.busy"))
            clear_partial(self.director.settings.backups_dir)
            self._stop.clear()
            self.work = Work(kind, number=0 if self.work is None else self.work.number + 1)
            self._thread = threading.Thread(target=self._run, args=(does,), name=kind, daemon=True)
            self._thread.start()

    def _run(self, does: Callable[[], str]) -> None:
        try:
            self._end(does())
        except (Cancelled, WhatNextError) as error:
            self._end(str(error), failed=True)
        except OSError as error:
            log.exception("a backup or restore failed")
            self._end(say("library.disk_trouble", error=error.strerror or str(error)), failed=True)
        except Exception:
            log.exception("a backup or restore failed")
            self._end(say("desk.broken"), failed=True)

    def _end(self, text: str, *, failed: bool = False) -> None:
        assert self.work is not None
        self.work = replace(self.work, over=True, text=text, failed=failed)

    def _told(self, phase: str, done: int, total: int) -> None:
        assert self.work is not None
        self.work = replace(self.work, phase=phase, done=done, total=total)

    def _backup(self) -> str:
        made = make_backup(self.director.store, told=self._told, should_stop=self._stop.is_set)
        text = say("library.backed_up", file=made.path.name)
        return f"{text} {say('library.backed_up_missing', n=made.missing)}" if made.missing else text

    def _restore(self, path: Path) -> str:
        self._quiet()
        done = restore_backup(self.director.store, path, told=self._told, should_stop=self._stop.is_set)
        text = say("library.restored", n=done.stories, file=done.aside.path.name)
        return f"{text} {say('library.restored_missing', n=done.missing)}" if done.missing else text

    def _quiet(self) -> None:
        """What waits or runs would speak of stories that are no longer there: it is stopped first. (The worker may
        stay: the rows are exchanged in one transaction, and a job whose row is gone ends by itself.)"""
        self._told("stopping", 0, 0)
        until = time.monotonic() + QUIET_WITHIN
        while active := self.director.active(self.owner_id):
            for job in active:
                if not job.cancel:
                    self.director.cancel(job.id, self.owner_id)
            if time.monotonic() > until:
                raise UserError(say("library.not_quiet"))
            time.sleep(0.1)
