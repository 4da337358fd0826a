"""How much one visitor may ask of a page that others can reach. Nothing is counted for the person at this machine."""

from __future__ import annotations

import math
from collections.abc import Callable

from app.attempts import Allowance
from app.catalogue import say
from app.visitor import visitor
from nsp_core.errors import UserError

JOBS, JOBS_SECONDS = 60, 600.0
MOST_WAITING = 24  # jobs that are open at once, whoever asked for them
MOST_OWN = 8  # of these, by one person, where people are told apart


class JobBudget:
    """Asked before a job is written. `waiting` says how many are open, `own` how many of these are of whoever asks."""

    def __init__(
        self,
        waiting: Callable[[], int],
        allowance: Allowance | None = None,
        own: Callable[[], int] = lambda: 0,
    ) -> None:
        self._waiting = waiting
        self._own = own
        self._allowance = allowance or Allowance(JOBS, JOBS_SECONDS)

    def __call__(self) -> None:
        """Raises UserError, one sentence, when it is too much."""
        who = visitor.get()
        if not who:
            return
        if self._waiting() >= MOST_WAITING:
            raise UserError(say("safety.too_many_waiting", n=MOST_WAITING))
        if self._own() >= MOST_OWN:
            raise UserError(say("safety.too_many_own", n=MOST_OWN))
        if wait := self._allowance.take(who):
            raise UserError(say("safety.too_many_jobs", minutes=max(1, math.ceil(wait / 60))))
