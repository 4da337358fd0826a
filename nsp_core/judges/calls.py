"""Answers by one call each: kept ones first, then money, a place in the queue, the call, and again while it pays.

Every way that a call can go wrong ends in one of three: it is tried again, it becomes an answer that is missing, or it
was never sent. None becomes a verdict. Knows nothing of what is asked or of any service's protocol.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from nsp_core.judges.asking import Answer, Ask, Busy, GiveUp, Reply, Tally, Unclear, read_fields
from nsp_core.judges.config import JudgeConfig
from nsp_core.judges.ledger import BudgetSpent, Ledger
from nsp_core.judges.limiter import Limiter
from nsp_core.judges.prices import Price, likely_input, most_input

log = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds between tries, doubled each time, with jitter
ILL_FORMED_TRIES = 2  # answers that are paid for and are no answer; after so many it is missing
UNCLEAR_TRIES = 4  # calls that may have to be paid and brought nothing; each counts as the worst case
OUTPUT_TOKENS = 200  # of an answer, about


class Service(Protocol):
    """What answers one question by one call."""

    price: Price
    signature: Mapping[str, Any]  # what an answer depends on beside the question

    def send(self, ask: Ask, timeout: float, limiter: Limiter) -> Reply:
        """One call, never repeated inside. Raises Busy, Unclear or GiveUp."""
        ...


@dataclass
class Live:
    """Calls at once, as many as the limiter lets through; `ask_all` comes back when each is answered or missing."""

    service: Service
    ledger: Ledger
    config: JudgeConfig
    limiter: Limiter = field(init=False)
    tally: Tally = field(default_factory=Tally)
    _room: threading.Condition = field(default_factory=threading.Condition)
    _stop: threading.Event = field(default_factory=threading.Event)
    _open: int = 0  # reservations of ours that are not settled yet

    def __post_init__(self) -> None:
        c = self.config
        minute = (c.requests_per_minute, c.input_tokens_per_minute, c.output_tokens_per_minute)
        self.limiter = Limiter(c.concurrency, *minute)

    def ask_all(self, asks: Sequence[Ask]) -> list[Answer]:
        keys = [ask.key(self.service.signature) for ask in asks]
        answers: dict[str, Answer] = {}
        todo: dict[str, Ask] = {}
        for key, ask in zip(keys, asks, strict=True):
            if key in answers or key in todo:
                continue
            kept = kept_answer(self.ledger, key, ask)
            if kept is None:
                todo[key] = ask
            else:
                answers[key] = kept
                self.tally.count(kept, kept=True)
        if todo:
            for key, answer in zip(todo, self._ask(todo), strict=True):
                answers[key] = answer
                self.tally.count(answer)
        return [answers[key] for key in keys]

    def _ask(self, todo: Mapping[str, Ask]) -> list[Answer]:
        """Ctrl-C stops what has not been sent yet: nothing more is spent."""
        self._stop.clear()
        pool = ThreadPoolExecutor(min(len(todo), self.config.concurrency), "judge")
        try:
            return list(pool.map(self._one, todo, todo.values()))
        except BaseException:
            self._stop.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _one(self, key: str, ask: Ask) -> Answer:
        try:
            return self._insist(key, ask)
        except Exception as error:  # whatever it is, it is no verdict
            log.exception("a judge's call failed")
            return Answer(None, f"the judge could not be asked ({type(error).__name__})")

    def _insist(self, key: str, ask: Ask) -> Answer:
        deadline = time.monotonic() + self.config.patience
        wait, paid, ill_formed, unclear = FIRST_WAIT, 0, 0, 0
        why = "the limits of the service let nothing through"
        while not self._stop.is_set():
            if not self.limiter.enter(likely_input(ask), OUTPUT_TOKENS, deadline):
                return Answer(None, f"no answer within {self.config.patience:g} s: {why}", paid)
            try:
                outcome = self._try(key, ask, deadline)
            finally:
                self.limiter.leave()
            if isinstance(outcome, Answer):
                return Answer(outcome.fields, outcome.reason, paid + outcome.cost_nano)
            if isinstance(outcome, Reply):  # answered, but not in the form that was asked for
                paid += outcome.cost_nano
                ill_formed += 1
                if ill_formed >= ILL_FORMED_TRIES:
                    return Answer(None, outcome.reason, paid)
                continue
            why = str(outcome)
            unclear += isinstance(outcome, Unclear)
            if unclear >= UNCLEAR_TRIES:
                return Answer(None, f"no answer in {unclear} calls: {why}", paid)
            told = outcome.wait if isinstance(outcome, Busy) else None
            rest = told if told is not None else wait * random.uniform(0.5, 1.0)
            wait = min(wait * 2, LONGEST_WAIT)
            if isinstance(outcome, Busy) and outcome.everybody:
                self.limiter.pause(rest)
            elif time.monotonic() + rest >= deadline:
                return Answer(None, f"no answer within {self.config.patience:g} s: {why}", paid)
            else:
                self._stop.wait(rest)
        return Answer(None, "stopped before it was asked", paid)

    def _try(self, key: str, ask: Ask, deadline: float) -> Answer | Reply | Busy | Unclear:
        most = self.service.price.nano(most_input(ask), self.config.max_tokens)
        try:
            reservation = self._reserve(most, deadline)
        except BudgetSpent as error:
            return Answer(None, str(error))
        try:
            return self._call(key, ask, deadline, reservation, most)
        finally:
            with self._room:
                self._open -= 1
                self._room.notify_all()

    def _reserve(self, most: int, deadline: float) -> int:
        """Most calls cost far less than they could, so one that does not fit waits for those under way to be settled.
        Raises BudgetSpent when that does not help."""
        with self._room:
            while True:
                try:
                    number = self.ledger.reserve(most)
                    self._open += 1
                    return number
                except BudgetSpent:
                    if not self._open or not self._room.wait(deadline - time.monotonic()):
                        raise

    def _call(
        self, key: str, ask: Ask, deadline: float, reservation: int, most: int
    ) -> Answer | Reply | Busy | Unclear:
        self.tally.tries += 1
        try:
            timeout = max(0.01, min(self.config.timeout, deadline - time.monotonic()))
            reply = self.service.send(ask, timeout, self.limiter)
        except Busy as error:
            self.ledger.release(reservation)
            return error
        except GiveUp as error:
            self.ledger.release(reservation)
            return Answer(None, str(error))
        except Unclear as error:
            self.ledger.settle(reservation, most)  # whether it is billed is not known: counted as the worst case
            return error
        fields = None if reply.text is None else read_fields(reply.text, ask.schema)
        if reply.text is None:
            self.ledger.settle(reservation, reply.cost_nano)
            return Answer(None, reply.reason, reply.cost_nano)
        if fields is None:
            self.ledger.settle(reservation, reply.cost_nano)
            return Reply(None, reply.cost_nano, "the answer did not have the form that was asked for")
        self.ledger.settle(reservation, reply.cost_nano, key, reply.text)
        return Answer(fields, cost_nano=reply.cost_nano)


def kept_answer(ledger: Ledger, key: str, ask: Ask) -> Answer | None:
    """From the file, if it is there and fits the question's form."""
    text = ledger.answer(key)
    fields = None if text is None else read_fields(text, ask.schema)
    return None if fields is None else Answer(fields)
