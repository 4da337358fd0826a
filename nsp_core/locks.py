"""Locks between processes: one file, held by the operating system, so that a killed holder never leaves it locked.

A device has one, which predicting and teaching share: `app` and `training` both take it from here. The only file that
touches fcntl or msvcrt. The lock file stays; only the lock on it comes and goes.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
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

    def __init__(self, path: Path, *, timeout: float = 0.0, holder: str = "") -> None:
        """`holder`: what it is held for, one word that others may read ("predicting", "teaching")."""
        self.path = path
        self.timeout = timeout
        self.holder = holder
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
        if self.holder:
            os.ftruncate(fd, 0)
            os.write(fd, json.dumps({"who": self.holder, "pid": os.getpid()}).encode())
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


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: what for, and in which process."""

    who: str
    pid: int


def holder_of(path: Path) -> Holder | None:
    """Who holds the lock right now; None when nobody does, or whoever does has not said."""
    try:
        given = json.loads(path.read_text(encoding="utf-8") or "{}")
        holder = Holder(str(given["who"]), int(given["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return holder if is_held(path) else None


def wanted_lock(device: Path) -> Path:
    """Held by who waits for the device: the worker then ends after its job, and no other one is started."""
    return device.with_name(f"{device.stem}.wanted.lock")


@contextlib.contextmanager
def borrow_device(folder: Path, device: str, who: str, *, patience: float = 600.0) -> Iterator[None]:
    """Have the device to oneself, for "teaching" say: what is being drawn is finished first, what waits goes on
    afterwards. Raises TimeoutError when the device is not free within `patience` seconds.

    Two files: `device-cpu.wanted.lock`, then `device-cpu.lock`, each with {"who": "teaching", "pid": 123} in it.
    """
    lock = device_lock(folder, device)
    with FileLock(wanted_lock(lock), timeout=patience, holder=who), FileLock(lock, timeout=patience, holder=who):
        yield


def device_lock(folder: Path, device: str) -> Path:
    """One lock a device, shared by predicting and teaching."""
    return folder / f"device-{device.replace(':', '-').replace('/', '-')}.lock"
