"""Which windows of the page are open, as far as they say so themselves: each page says when it comes and when it goes.

A window of its own ends the program when it is closed. The browser's process alone cannot tell: on macOS it outlives
its windows, and a second start hands its window over to the first and ends at once. Knows nothing of browsers.
"""

from __future__ import annotations

import re
import threading
import time

STATES = ("here", "gone")
GRACE = 4.0  # seconds; a page that is loaded anew goes and comes back
_NAME = re.compile(r"[\w-]{1,40}")
_MOST = 200  # pages; more than anybody opens


class Presence:
    def __init__(self) -> None:
        self._open: set[str] = set()
        self._ever = False
        self._last_gone = 0.0
        self._guard = threading.Lock()

    def tell(self, page: str, state: str) -> bool:
        """What a page says of itself; False for what makes no sense."""
        if state not in STATES or not _NAME.fullmatch(page):
            return False
        with self._guard:
            if state == "here" and len(self._open) < _MOST:
                self._open.add(page)
                self._ever = True
            elif page in self._open:
                self._open.discard(page)
                self._last_gone = time.monotonic()
        return True

    @property
    def seen(self) -> bool:
        """Whether a page was ever open."""
        return self._ever

    @property
    def over(self) -> bool:
        """Whether there was a page and the last one has gone for good."""
        with self._guard:
            return self._ever and not self._open and time.monotonic() - self._last_gone >= GRACE

    @property
    def any_open(self) -> bool:
        with self._guard:
            return bool(self._open)
