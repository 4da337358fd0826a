"""Locks between processes: one file, held by the operating system, so that a killed holder never leaves it locked.

The only file that touches fcntl or msvcrt. The lock file stays; only the lock on it comes and goes.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import TracebackType

if sys.platform == "win32":
    import msvcrt

    def _try(fd: int) -> bool:
        os.lseek(
            fd, 1 << 20, os.SEEK_SET
        )  # beyond the text: Windows locks are mandatory, and the text is read by others
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


class FileLock:
    """`with FileLock(path, timeout=5):` Raises TimeoutError when another process keeps it."""

    def __init__(self, path: Path, *, timeout: float = 0.0) -> None:
        self.path = path
        self.timeout = timeout
        self._fd: int | None = None

    def acquire(self) -> bool:
        """True when the lock is ours. Waits up to `timeout` seconds."""
        deadline = time.monotonic() + self.timeout
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        while not _try(fd):
            if time.monotonic() >= deadline:
                os.close(fd)
                return False
            time.sleep(0.02)
        self._fd = fd
        return True

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)  # closing gives the lock back
            self._fd = None

    def __enter__(self) -> FileLock:
        if not self.acquire():
            raise TimeoutError(f"{self.path.name} is held by another process.")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()


def is_held(path: Path) -> bool:
    """Whether some process holds the lock right now."""
    lock = FileLock(path)
    if lock.acquire():
        lock.release()
        return False
    return True


def device_lock(folder: Path, device: str) -> Path:
    """One lock a device, shared by predicting and teaching."""
    return folder / f"device-{device.replace(':', '-').replace('/', '-')}.lock"
