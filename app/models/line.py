"""A download on a terminal: how much is here, how fast it comes, how long it takes; a line now and then elsewhere.

Knows nothing of networks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from app.checkup.finding import in_bytes
from nsp_core.weights.fetch import Progress

_EVERY_LIVELY, _EVERY = 0.2, 10.0  # seconds between two looks


class Line:
    """`with Line(sys.stderr) as line: fetch(..., tell=line.show)`. Leaves the terminal's line empty behind it."""

    def __init__(self, stream: TextIO, label: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self.stream = stream
        self.label = label
        self.clock = clock
        self.lively = stream.isatty()
        self.said = -_EVERY
        self.file = ""
        self.width = 0

    def __enter__(self) -> Line:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.lively:
            self._write("")

    def show(self, now: Progress) -> None:
        self._say(progress_words(now), fresh=now.file != self.file)
        self.file = now.file

    def looked(self, done: int, total: int) -> None:
        self._say(f"{self.label}: {in_bytes(done)} of {in_bytes(total)} looked at")

    def _say(self, text: str, *, fresh: bool = False) -> None:
        if self.clock() - self.said < (_EVERY_LIVELY if self.lively else _EVERY) and not (fresh and self.lively):
            return
        self.said = self.clock()
        self._write(text)

    def _write(self, text: str) -> None:
        self.stream.write("\r" + text.ljust(self.width) + ("" if text else "\r") if self.lively else text + "\n")
        self.stream.flush()
        self.width = len(text)


def progress_words(now: Progress) -> str:
    """One line: `1.2 GB of 16.6 GB (7%), 35.0 MB a second, 7 min left: model-00001-of-00005.safetensors`."""
    share = f" ({100 * now.done // now.total}%)" if now.total else ""
    parts = [f"{in_bytes(now.done)} of {in_bytes(now.total)}{share}"]
    if now.checking:
        parts.append("comparing hashes")
    elif now.rate:
        parts.append(f"{in_bytes(now.rate)} a second")
        if now.left is not None:
            parts.append(f"{time_words(now.left)} left")
    return f"{', '.join(parts)}: {now.file}"


def time_words(seconds: float) -> str:
    if seconds < 100:
        return f"{round(seconds)} s"
    return f"{round(seconds / 60)} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
