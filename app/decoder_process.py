"""What people bring is decoded by a process that may not take much: app.decoder, seen from outside.

One process a file, with limits of memory, processor time, wall clock and written bytes; whatever it does (a bomb, an
endless film, a decoder that hangs or crashes) costs one sentence. A fresh one waits ready, so that this costs little.
Believes nothing that it is told without looking.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from app.settings import ROOT
from nsp_core.errors import Cancelled, UnreadableMedia
from nsp_core.media.clip import Limits, MediaClip
from nsp_core.media.filmstrip import Filmstrip
from nsp_core.types import Frames

log = logging.getLogger(__name__)

UPLOADS = Limits(decode_seconds=60.0)
# of what the page itself has in its environment (keys among it), a decoder gets only what it cannot start without
PASSED_ON = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    *("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "SYSTEMROOT", "WINDIR", "USERPROFILE", "APPDATA", "LOCALAPPDATA"),
)
# one thread of algebra and two heaps: address space that nobody uses would count against the limit
FRUGAL = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
_LOOK = 0.1  # seconds between looks at one that works
_STALE = 3600.0


@dataclass(frozen=True)
class Allowance:
    """The most that one file may cost."""

    memory: int = 2 * 2**30  # bytes
    grace: float = 10.0  # seconds beyond `Limits.decode_seconds`, after which the process is ended from outside
    result: int = 600 * 2**20  # bytes of decoded frames


class Decoder:
    """`scratch`: a folder for results. `command`: what is run instead of app.decoder, for tests."""

    def __init__(
        self,
        scratch: Path,
        *,
        limits: Limits = UPLOADS,
        allowance: Allowance | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        self.scratch = scratch
        self.limits = limits
        self.allowance = allowance or Allowance()
        self._command = list(command or (sys.executable, "-m", "app.decoder"))
        self._guard = threading.Lock()
        self._few = threading.BoundedSemaphore(2)
        self._spare: subprocess.Popen[bytes] | None = None

    # asking -----------------------------------------------------------------------------------------------------

    def read(
        self,
        path: Path,
        *,
        name: str = "",
        start: float | None = None,
        seconds: float = 30.0,
        fps: float | None = 8.0,
        side: int = 640,
        should_stop: Callable[[], bool] | None = None,
    ) -> MediaClip:
        """`seconds` of the file from `start` (None: its end). Raises UnreadableMedia, about `name`, and Cancelled."""
        wanted = {"what": "clip", "max_seconds": seconds, "start": start, "fps": fps, "side": side}
        facts, frames = self._ask(path, name or path.name, wanted, should_stop)
        return MediaClip(frames=frames, **facts)

    def strip(self, path: Path, *, name: str = "", count: int = 12, side: int = 160) -> Filmstrip:
        """How long the file is, and `count` small pictures out of it."""
        facts, frames = self._ask(path, name or path.name, {"what": "strip", "count": count, "side": side}, None)
        return Filmstrip(str(facts["kind"]), float(facts["seconds"]), tuple(map(float, facts["times"])), frames)  # type: ignore[arg-type]

    def warm(self) -> None:
        """See that one waits ready. Returns at once."""
        with self._guard:
            if self._spare is None or self._spare.poll() is not None:
                self._spare = self._start()

    def close(self) -> None:
        with self._guard:
            if self._spare is not None:
                _end(self._spare)
                self._spare = None

    # inside -----------------------------------------------------------------------------------------------------

    def _ask(
        self, path: Path, name: str, wanted: dict[str, Any], should_stop: Callable[[], bool] | None
    ) -> tuple[dict[str, Any], Frames]:
        result = self._result_file()
        request = {
            **wanted,
            "path": str(path.resolve()),
            "result": str(result),
            "result_bytes": self.allowance.result,
            "memory": self.allowance.memory,
            "limits": asdict(self.limits),
        }
        try:
            with self._few:
                child = self._take()
                try:
                    answer = self._wait(child, request, name, should_stop or (lambda: False))
                finally:
                    _end(child)
            if "unreadable" in answer:
                if answer.get("cause"):
                    log.info("cannot read %s: %s", name, answer["cause"])
                raise UnreadableMedia(str(answer["unreadable"]).replace(path.name, name))
            if "facts" not in answer:
                raise _too_much_memory(name)
            return dict(answer["facts"]), self._frames_of(result, name)
        finally:
            result.unlink(missing_ok=True)

    def _wait(
        self, child: subprocess.Popen[bytes], request: dict[str, Any], name: str, should_stop: Callable[[], bool]
    ) -> dict[str, Any]:
        deadline = time.monotonic() + self.limits.decode_seconds + self.allowance.grace
        given: bytes | None = (json.dumps(request) + "\n").encode()
        while True:
            try:
                told, _ = child.communicate(given, timeout=_LOOK)
                break
            except subprocess.TimeoutExpired:
                given = None  # it has been handed over, and communicate goes on where it was
            if should_stop():
                raise Cancelled("Stopped.")
            if time.monotonic() > deadline:
                raise self._too_slow(name)
            if _memory_of(child) > self.allowance.memory + 256 * 2**20:  # where the system itself sets no limit
                raise _too_much_memory(name)
        try:
            answer = json.loads(told)
            if isinstance(answer, dict):
                return answer
        except ValueError:
            pass
        log.warning("the decoder ended with code %s while it read %s", child.returncode, name)
        if child.returncode == -24:  # SIGXCPU, which Windows does not have
            raise self._too_slow(name)
        raise UnreadableMedia(f"{name} makes its decoder fail; save it anew in another format and try again.")

    def _too_slow(self, name: str) -> UnreadableMedia:
        return UnreadableMedia(
            f"{name} takes longer than {self.limits.decode_seconds:g} s to decode; "
            "make it smaller or shorter and try again."
        )

    def _frames_of(self, result: Path, name: str) -> Frames:
        if result.stat().st_size <= self.allowance.result:
            with contextlib.suppress(ValueError, OSError, EOFError):
                frames = np.load(result, allow_pickle=False)
                if frames.dtype == np.uint8 and frames.ndim == 4 and frames.shape[3] == 3 and frames.size:
                    return frames
        raise UnreadableMedia(f"{name} could not be decoded; save it anew in another format and try again.")

    def _result_file(self) -> Path:
        self.scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in self.scratch.glob("decoded-*.npy"):  # left by a program that was killed
            with contextlib.suppress(OSError):
                if time.time() - old.stat().st_mtime > _STALE:
                    old.unlink()
        fd, path = tempfile.mkstemp(prefix="decoded-", suffix=".npy", dir=self.scratch)
        os.close(fd)
        return Path(path)

    def _take(self) -> subprocess.Popen[bytes]:
        with self._guard:
            spare, self._spare = self._spare, None
        return spare if spare is not None and spare.poll() is None else self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        apart: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.CREATE_NO_WINDOW}
        return subprocess.Popen(
            self._command,
            cwd=ROOT,
            env={**{key: os.environ[key] for key in PASSED_ON if key in os.environ}, **FRUGAL},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            **apart,
        )


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill what is left of it, and leave no pipe behind."""
    if child.poll() is None:
        child.kill()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError, ValueError):
                pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(timeout=5)


def _memory_of(child: subprocess.Popen[bytes]) -> int:
    try:
        return int(psutil.Process(child.pid).memory_info().rss)
    except psutil.Error:
        return 0


def _too_much_memory(name: str) -> UnreadableMedia:
    return UnreadableMedia(f"{name} needs more memory than one file may have; make it smaller and try again.")
