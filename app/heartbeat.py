"""The worker's pulse: a thread that writes signs of life and hears what the program wants, whatever the model does.

Knows nothing of models or jobs but the id of the one that runs.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time

from sqlalchemy.exc import OperationalError

from app.store import Store

log = logging.getLogger(__name__)


class Heartbeat(threading.Thread):
    """`stop_asked` once the page wants this worker gone; `page_seen` is when a page was last known to live."""

    def __init__(self, store: Store, process_id: str) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.store = store
        self.process_id = process_id
        self.stop_asked = threading.Event()
        self.page_seen = time.monotonic()
        self.page_active = time.monotonic()
        self._state = ("idle", "")
        self._fingerprint = ""
        self._job: str | None = None
        self._over = threading.Event()
        self._wake = threading.Event()

    def tell(self, state: str, message: str = "", *, fingerprint: str | None = None) -> None:
        """What the next beat says; it comes at once."""
        self._state = (state, message)
        if fingerprint is not None:
            self._fingerprint = fingerprint
        self._wake.set()

    def working_on(self, job_id: str | None) -> None:
        self._job = job_id

    def run(self) -> None:
        while not self._over.is_set():
            self._wake.wait(self.store.settings.heartbeat_every)
            self._wake.clear()
            if not self._over.is_set():
                with contextlib.suppress(OperationalError):  # a writer that is slower than our patience: the next beat
                    self.beat()

    def beat(self) -> None:
        state, message = self._state
        row = self.store.processes.beat(
            self.process_id, state=state, message=message, fingerprint=self._fingerprint, memory_bytes=_memory()
        )
        if row is None or row.stop:
            self.stop_asked.set()
        if self._job is not None:
            self.store.jobs.beat(self._job, self.process_id)
        pages = self.store.processes.living("page", within=self.store.settings.worker_exit_after)
        if pages:
            stamp = time.monotonic()
            self.page_seen = stamp - min(page.silent_for() for page in pages)
            quiet = min((page.heartbeat_at - page.active_at).total_seconds() for page in pages)
            self.page_active = stamp - max(0.0, quiet)

    def finish(self, message: str) -> None:
        self._over.set()
        self._wake.set()
        self.join(timeout=5)
        self.store.processes.goodbye(self.process_id, message)


def _memory() -> int | None:
    import psutil

    return int(psutil.Process().memory_info().rss)
