"""A progress bar for terminals, and a line now and then where nobody watches. Knows nothing of models or stories."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

_CELLS = 24
_EVERY = 10.0  # seconds between lines when the stream is no terminal


class ProgressBar:
    """`with ProgressBar(sys.stderr, "scene 1") as bar: bar.show(3, 16)`. Leaves the terminal's line empty behind it."""

    def __init__(self, stream: TextIO, label: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream = stream
        self.label = label
        self.clock = clock
        self.lively = stream.isatty()
        self.started = self.said = clock()
        self.width = 0

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over("")

    def show(self, done: int, total: int) -> None:
        """`done` of `total` steps are made; with none made yet nothing can be said about the time left."""
        now = self.clock()
        left = f", {self._left(done, total, now)} left" if 0 < done < total else ""
        if self.lively:
            full = _CELLS * done // max(total, 1)
            self._over(f"{self.label} [{'#' * full}{'.' * (_CELLS - full)}] {done}/{total}{left}")
        elif now - self.said >= _EVERY:
            self.said = now
            self.stream.write(f"{self.label}: {done} of {total} steps{left}\n")
            self.stream.flush()

    def _left(self, done: int, total: int, now: float) -> str:
        seconds = round((now - self.started) / done * (total - done))
        return f"{seconds} s" if seconds < 100 else f"{round(seconds / 60)} min"

    def _over(self, line: str) -> None:
        """Write over what was said last."""
        if not self.lively:
            return
        self.stream.write("\r" + line.ljust(self.width))
        if not line:
            self.stream.write("\r")
        self.stream.flush()
        self.width = len(line)
