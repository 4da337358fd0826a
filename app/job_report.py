"""How far a job is, told to its row, and whether it is still wanted, heard from there; its previews on disk.

Knows nothing of what the job does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.killpoints import reached
from app.store import Store
from app.store.jobs import Job
from app.take_files import picture
from nsp_core.errors import Cancelled
from nsp_core.types import Frames


class GivenBack(Exception):
    """The program is being closed while the job runs: it waits for the next start."""


class JobReport:
    """`closing` says that the program ends. Writes raise app.store.jobs.Gone when another worker has the job."""

    def __init__(self, store: Store, worker_id: str, job: Job, closing: Callable[[], bool]) -> None:
        self.store = store
        self.settings = store.settings
        self.worker_id = worker_id
        self.job = job
        self.closing = closing
        self._looked = 0.0
        self._flag = 0
        self._wrote = 0.0
        self._preview: Path | None = None

    def due(self) -> bool:
        """Whether progress may be written again: at most five times a second."""
        return time.monotonic() - self._wrote >= self.settings.progress_every

    def write(self, *, force: bool = False, **columns: Any) -> None:
        """Progress into the row. What comes too soon after the last write is dropped, unless forced."""
        if force or self.due():
            self._wrote = time.monotonic()
            self._flag = self.store.jobs.update(self.job.id, self.worker_id, **columns)

    def flag(self) -> int:
        """The cancel flag, read at most every settings.cancel_every seconds."""
        if self._flag == 0 and time.monotonic() - self._looked >= self.settings.cancel_every:
            self._looked = time.monotonic()
            self._flag = self.store.jobs.cancel_flag(self.job.id, self.worker_id)
        return self._flag

    def should_stop(self) -> bool:
        return self.closing() or self.flag() != 0

    def check(self) -> None:
        """Raise when the work is no longer wanted."""
        if self.closing():
            raise GivenBack
        if self.flag():
            raise Cancelled("Stopped.")

    def finish(self, result: dict[str, Any]) -> None:
        self.store.jobs.finish(self.job.id, self.worker_id, "done", result=result)

    def show(self, preview: Frames, step: int) -> str:
        """Write a preview beside the last one, then forget the last one; returns its file name."""
        folder = self.settings.previews_dir
        name = f"{self.job.id}-{self.job.attempts}-{step:04d}.webp"
        partial = folder / f"{name}.partial"
        pictures = [picture(frame) for frame in preview]
        pictures[0].save(
            partial, "WEBP", save_all=True, append_images=pictures[1:], duration=125, loop=0, quality=70, method=0
        )
        reached("preview.written")
        partial.replace(folder / name)
        reached("preview.renamed")
        before, self._preview = self._preview, folder / name
        if before is not None and before != self._preview:
            before.unlink(missing_ok=True)
        return name

    def clear_previews(self) -> None:
        for path in self.settings.previews_dir.glob(f"{self.job.id}-*"):
            path.unlink(missing_ok=True)
