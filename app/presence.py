"""Which windows of the page are open: each holds a connection for as long as it is there.

A window of its own ends the program when it is closed. The browser's process alone cannot tell: on macOS it outlives
its windows, and a second start hands its window over to the first and ends at once. What a page says as it goes is not
always heard, and a window that crashes says nothing; a connection ends in every case. Knows nothing of browsers.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator

GRACE = 4.0  # seconds; a page that is loaded anew goes and comes back
_PULSE = 1.0


class Presence:
    def __init__(self) -> None:
        self.seen = False  # whether a page was ever open
        self._open = 0
        self._last_gone = 0.0
        self._closing = False
        self._guard = threading.Lock()

    async def stay(self) -> AsyncIterator[bytes]:
        """What an open page is sent, all the time."""
        self._count(1)
        try:
            while not self._closing:
                yield b"."
                await asyncio.sleep(_PULSE)
        finally:
            self._count(-1)

    def close(self) -> None:
        """The program ends: no connection keeps the server waiting."""
        self._closing = True

    @property
    def any_open(self) -> bool:
        return self._open > 0

    @property
    def over(self) -> bool:
        """Whether there was a page and the last one has gone for good."""
        with self._guard:
            return self.seen and not self._open and time.monotonic() - self._last_gone >= GRACE

    def _count(self, by: int) -> None:
        with self._guard:
            self._open += by
            self.seen = True
            self._last_gone = time.monotonic()
