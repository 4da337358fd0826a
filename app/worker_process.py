"""The worker as a process: start it, see whether it lives, adopt one that is there, end it. Never imports the model.

A worker lives exactly as long as its device's lock is held: the system gives the lock back however it dies, and a pid
that was used again cannot be mistaken for it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from app.killpoints import reached
from app.loads import Loads
from app.locks import PREDICTING, FileLock, device_lock, holder_of, is_held
from app.settings import INLINE, ROOT
from app.store import Store
from app.store.processes import Process

log = logging.getLogger(__name__)

_LOG_BYTES = 2_000_000


class WorkerProcess:
    """The one worker of a device, ours or adopted."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.settings = store.settings
        self.child: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0

    @property
    def lock_path(self) -> Path:
        """Of the device that the model draws on; another model may draw on another one."""
        return device_lock(self.settings.locks_dir, self.settings.device)

    @property
    def log_path(self) -> Path:
        return self.settings.logs_dir / "worker.log"

    def start(self) -> None:
        """A fresh process in a group of its own: Ctrl-C in the terminal reaches the page, which ends the worker."""
        self._trim_log()
        settings_file = self.settings.run_dir / f"worker-{os.getpid()}.json"
        settings_file.write_text(self.settings.to_json(), encoding="utf-8")
        reached("worker.starting")
        command = [sys.executable, "-m", "app.worker", "--settings", str(settings_file)]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        group: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        with self.log_path.open("ab") as output:
            self.child = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                **group,
            )
        self.started_at = time.monotonic()
        reached("worker.started")
        log.info("worker started, pid %d", self.child.pid)

    def alive(self) -> bool:
        """Ours that still runs, or somebody else's that holds the device."""
        if self.child is not None and self.child.poll() is None:
            return True
        return is_held(self.lock_path)

    def row(self) -> Process | None:
        """What the living worker last said of itself; None while it has not spoken."""
        rows = self.store.processes.living("worker", within=3600)
        here = tuple(row for row in rows if row.device == self.settings.device)
        if self.child is not None and self.child.poll() is None:  # perhaps still with an earlier model, elsewhere
            here = tuple(row for row in rows if row.pid == self.child.pid) or here
        return here[0] if here else None

    def with_other_models(self) -> tuple[Process, ...]:
        """Living workers that would do our jobs with another model, on whatever device. (A dead one that never said
        goodbye is among them for an hour, and does no harm.)"""
        rows = self.store.processes.living("worker", within=3600)
        return tuple(row for row in rows if row.model_key != self.settings.model_key)

    def take_over(self) -> tuple[str, ...]:
        """Interrupt what dead workers were doing, also with an earlier model on another device. Holds each device's
        lock meanwhile, so that they surely are dead."""
        lost: list[str] = []
        for device in self.store.jobs.devices() - {INLINE}:  # what a page does itself is its own affair
            lock = FileLock(device_lock(self.settings.locks_dir, device))
            if not lock.acquire():
                continue
            try:
                lost += self.store.jobs.take_over((), max_attempts=self.settings.max_attempts, device=device)
            finally:
                lock.release()
        return tuple(lost)

    def kill(self) -> None:
        """At once, whatever it does; the memory of its device is free for certain."""
        row = self.row()
        if self.child is not None and self.child.poll() is None:
            self.child.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(timeout=5)
        elif row is not None and is_held(self.lock_path):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(row.pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    def kill_now(self) -> None:
        """As `kill`, without asking the database who it is or waiting for its end."""
        holder = holder_of(self.lock_path)
        if holder is not None and holder.who == PREDICTING:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(holder.pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    def stop(self, grace: float) -> None:
        """Ask it to end, wait, then insist."""
        row = self.row()
        if row is not None:
            self.store.processes.ask_to_stop(row.id)
        if self.child is not None and self.child.poll() is None and sys.platform != "win32":
            self.child.terminate()  # which it hears as the same wish, only sooner; on Windows it would be the end
        deadline = time.monotonic() + grace
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        if self.alive():
            log.warning("the worker did not end within %.0f s and is killed", grace)
            self.kill()
            if row is not None and row.state == "loading":
                Loads(self.settings).forgive()
        if self.child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(timeout=1)

    def _trim_log(self) -> None:
        with contextlib.suppress(OSError):
            if self.log_path.stat().st_size > _LOG_BYTES:
                self.log_path.replace(self.log_path.with_suffix(".old.log"))
