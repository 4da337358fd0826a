"""Whose desk a request is for: one for everybody, or each person's own where people have accounts.

Knows nothing of requests; who asks stands in app.visitor.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from app.pages.desk import Desk
from app.visitor import Account, account

MOST_KEPT = 200  # desks; one is made anew in a moment


class Desks:
    """`usual` is the desk of the person at this machine. `make` gives the desk of an owner and their account,
    `owner_of` the owner of whoever asks, by kind, subject and name."""

    def __init__(
        self,
        usual: Desk,
        make: Callable[[str, Account], Desk] | None = None,
        owner_of: Callable[[str, str, str], str] | None = None,
    ) -> None:
        self.usual = usual
        self._make = make
        self._owner_of = owner_of
        self._guard = threading.Lock()
        self._kept: OrderedDict[str, Desk] = OrderedDict()

    def __call__(self) -> Desk:
        """Asks the database: not for the loop that answers requests. Raises PermissionError where nobody is known who
        asks and people are kept apart."""
        if self._make is None or self._owner_of is None:
            return self.usual
        who = account.get()
        if who is None:
            raise PermissionError("A request without an account reached a desk.")
        owner = self._owner_of(who.kind, who.subject, who.name)
        with self._guard:
            desk = self._kept.get(owner) or self._make(owner, who)
            self._kept[owner] = desk
            self._kept.move_to_end(owner)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            return desk
