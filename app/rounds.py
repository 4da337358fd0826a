"""What is done again and again where others come: guests who left are forgotten, and all stories are kept elsewhere.

A thread that looks every few minutes; nothing of it is there for the person at this machine. Knows nothing of pages.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from app.accounts import Accounts
from app.login import Locks
from app.store import Store
from app.store.people import forget_guests
from nsp_core.errors import WhatNextError

log = logging.getLogger(__name__)

EVERY = 300.0  # seconds

Task = Callable[[], object]


class Rounds:
    """`first` is done before anything else, `each` on every round, `last` when the program ends. What goes wrong is
    logged, and tried again on the next round."""

    def __init__(
        self,
        first: tuple[Task, ...] = (),
        each: tuple[Task, ...] = (),
        last: tuple[Task, ...] = (),
        every: float = EVERY,
    ) -> None:
        self.first, self.each, self.last, self.every = first, each, last, every
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        for task in self.first:
            _try(task)

    def start(self) -> None:
        if self.each:
            self._thread = threading.Thread(target=self._go, name="rounds", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Returns when the last things are done."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(timeout=60)
        for task in self.last:
            _try(task)

    def _go(self) -> None:
        while not self._over.wait(self.every):
            for task in self.each:
                _try(task)


def rounds_for(store: Store, lock: Locks | None) -> Rounds:
    """Those of this program; none where only one person is. Raises ConfigError for a place that cannot be kept in."""
    first: list[Task] = []
    each: list[Task] = []
    last: list[Task] = []
    if store.settings.keep:
        from app.space.snapshots import Snapshots

        snapshots = Snapshots(store)
        first.append(snapshots.bring)
        each.append(snapshots.keep)
        last.append(snapshots.keep)
    if isinstance(lock, Accounts):
        # after what was kept came back, for a guest of then is nobody now; before it is kept again
        first.append(lambda: forget_guests(store))
        each.insert(0, lambda: forget_guests(store, lock.guests()))
        last.insert(0, lambda: forget_guests(store))
    return Rounds(tuple(first), tuple(each), tuple(last))


def _try(task: Task) -> None:
    try:
        task()
    except WhatNextError as error:
        log.warning("%s", error)
    except Exception:
        log.exception("a round stumbled")
