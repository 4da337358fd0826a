"""Answers by Claude's Message Batches: half the price, up to a day of waiting; for evaluation and curation.

Whoever is killed and started again with the same questions goes on where it was: a batch is written down before it is
sent (its questions, its money, and which batches were there already), named when the service has named it, and
collected in one transaction. One that was sent and never named is looked for among the batches that were not there
before, and is known by its questions. Knows nothing of what is asked.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

from nsp_core.errors import ConfigError
from nsp_core.judges.asking import Answer, Ask, Tally, read_fields
from nsp_core.judges.calls import kept_answer
from nsp_core.judges.claude import Claude
from nsp_core.judges.ledger import BudgetSpent, Ledger, Submission
from nsp_core.judges.prices import most_input

log = logging.getLogger(__name__)

MOST_REQUESTS, MOST_BYTES = 10_000, 200_000_000  # of one batch; the service takes 100,000 and 256 MB
TIMES = 3  # that a question is sent which expired, or failed inside the service
FRUITLESS = 8  # attempts in which no batch could be sent or read, with a rest between them
UNREAD = 40  # looks at one batch that failed, after which it is left for the next start
LISTED = 1000  # of the service's batches that are looked through for a lost one
_REST = 30.0


@dataclass
class Batched:
    """`ask_all` comes back when every batch has ended. `poll` is the time between looks, in seconds."""

    service: Claude
    ledger: Ledger
    poll: float = 30.0
    tally: Tally = field(default_factory=Tally)
    _reasons: dict[str, str] = field(default_factory=dict)
    _paid: dict[str, int] = field(default_factory=dict)
    _unanswered: Counter[str] = field(default_factory=Counter)  # batches that ended without answering a question
    _unread: Counter[str] = field(default_factory=Counter)  # failed looks at a batch

    def __post_init__(self) -> None:
        if not self.ledger.keep_answers:
            raise ConfigError("Batches need a file that keeps answers: set WHATNEXT_JUDGE_KEEP_ANSWERS=1.")
        self._client = self.service.client.with_options(max_retries=4, timeout=max(60.0, self.service.config.timeout))

    def ask_all(self, asks: Sequence[Ask]) -> list[Answer]:
        by_key = {ask.key(self.service.signature): ask for ask in asks}
        already = {key for key, ask in by_key.items() if kept_answer(self.ledger, key, ask) is not None}
        self._reasons, self._paid, self._unanswered, self._unread = {}, {}, Counter(), Counter()
        for _ in range(FRUITLESS):
            while self._round(by_key):
                pass
            if not self._left(by_key):
                break
            time.sleep(min(self.poll, _REST))
        for key in self._left(by_key):
            self._reasons[key] = "the service took no batch, or gave no results: start again later, nothing is lost"
        answers = {}
        for key, ask in by_key.items():
            kept = kept_answer(self.ledger, key, ask)
            fields, reason = (None, self._reasons[key]) if kept is None else (kept.fields, "")
            answers[key] = Answer(fields, reason, self._paid.get(key, 0))
            self.tally.count(answers[key], kept=key in already)
        return [answers[ask.key(self.service.signature)] for ask in asks]

    def _left(self, asks: Mapping[str, Ask]) -> dict[str, Ask]:
        """What has neither an answer nor a reason to have none."""
        return {
            key: ask
            for key, ask in asks.items()
            if key not in self._reasons and kept_answer(self.ledger, key, ask) is None
        }

    def _round(self, asks: Mapping[str, Ask]) -> bool:
        """Sends what is not under way, waits for what is; whether that brought anything, with something left to do."""
        before = self._left(asks)
        if not before:
            return False
        self._recover()
        under_way = {key for one in self.ledger.submissions() for key in one.keys}
        self._send({key: ask for key, ask in before.items() if key not in under_way})
        collected = self._wait(asks)
        return collected and bool(self._left(asks))

    # -- out ----------------------------------------------------------------------------------------------------------
    def _send(self, todo: dict[str, Ask]) -> None:
        chunk: dict[str, Ask] = {}
        size = 0
        for key, ask in todo.items():
            bytes_of = len(ask.text) * 2 + sum(len(one.jpeg) * 4 // 3 for one in ask.pictures) + 2000
            if chunk and (len(chunk) >= MOST_REQUESTS or size + bytes_of > MOST_BYTES):
                self._submit(chunk)
                chunk, size = {}, 0
            chunk[key] = ask
            size += bytes_of
        if chunk:
            self._submit(chunk)

    def _submit(self, chunk: dict[str, Ask]) -> None:
        """One batch of all that the budget covers at the very most, in order."""
        try:
            known = self.ledger.batch_names() | {batch.id for batch in self._listed()}
        except _errors() as error:
            log.warning("the service cannot be reached (%s)", type(error).__name__)
            return
        planned = self._plan(chunk, known)
        if planned is None:
            return
        number, keys = planned
        requests = [{"custom_id": key, "params": self.service.params(chunk[key])} for key in keys]
        self.tally.tries += len(keys)
        try:
            # never repeated inside: a batch that was taken and whose answer was lost would be paid twice
            name = str(self._client.with_options(max_retries=0).messages.batches.create(requests=requests).id)
        except _errors() as error:
            status = getattr(error, "status_code", 0)
            if status in (429, 529):  # nothing was taken
                self.ledger.drop(number)
            elif 400 <= status < 500 and status not in (408, 409):
                self.ledger.drop(number)
                self._missing(keys, f"the service refuses the batch (error {status})")
            else:
                log.warning("a batch was sent and nothing came back (%s): it is looked for", type(error).__name__)
                self.ledger.unname(number, known)  # nobody's: the next round looks for it
            return
        self.ledger.name(number, name)
        log.info("batch %s: %d questions", name, len(keys))

    def _plan(self, chunk: dict[str, Ask], known: set[str]) -> tuple[int, list[str]] | None:
        """The number and the questions of a batch whose money is reserved. What does not fit waits for the money that
        batches under way will give back; when there are none it is missing."""
        most = {key: self._most(ask) for key, ask in chunk.items()}
        keys = list(chunk)
        while keys:
            try:
                number = self.ledger.plan(keys, sum(most[key] for key in keys), _owner(), known)
            except BudgetSpent as error:
                balance = self.ledger.balance()
                left, fitting = balance.most - balance.spent - balance.reserved, 0
                for key in keys[:-1]:
                    left -= most[key]
                    fitting += left >= 0
                if not fitting and not self.ledger.submissions():
                    self._missing(list(chunk), str(error))
                keys = keys[:fitting]
            else:
                if len(keys) < len(chunk):
                    log.warning(
                        "the budget covers %d of %d questions at once: the others follow in batches of their own, or "
                        "raise WHATNEXT_JUDGE_MAX_USD",
                        len(keys),
                        len(chunk),
                    )
                return number, keys
        return None

    def _most(self, ask: Ask) -> int:
        return self.service.price.nano(most_input(ask), self.service.config.max_tokens, batch=True)

    def _missing(self, keys: Sequence[str], reason: str) -> None:
        self._reasons.update(dict.fromkeys(keys, reason))

    # -- back ---------------------------------------------------------------------------------------------------------
    def _recover(self) -> None:
        """Finds the names of batches whose sender died, or heard nothing, between sending and writing the name."""
        for lost in self.ledger.submissions():
            if lost.batch is not None or _lives(lost.owner):
                continue
            try:
                taken = lost.known | self.ledger.batch_names()
                candidates = [b for b in self._listed() if b.id not in taken and _size(b) == len(lost.keys)]
            except _errors() as error:
                log.warning("the service cannot be asked for a lost batch (%s)", type(error).__name__)
                continue
            if candidates:
                log.info("a lost batch may be %s", candidates[-1].id)
                self.ledger.name(lost.id, candidates[-1].id)
            else:
                self.ledger.drop(lost.id)

    def _listed(self) -> list[Any]:
        found = []
        for batch in self._client.messages.batches.list(limit=100):
            found.append(batch)
            if len(found) >= LISTED:
                break
        return found

    def _wait(self, asks: Mapping[str, Ask]) -> bool:
        """Until every batch with one of these questions has ended and is collected; whether one was."""
        collected = False
        while True:
            mine = [one for one in self.ledger.submissions() if one.keys & asks.keys()]
            readable = [one for one in mine if one.batch is not None and self._unread[one.batch] < UNREAD]
            if not readable and not any(one.batch is None and _lives(one.owner) for one in mine):
                return collected
            ended = [one for one in readable if self._look(one, asks)]
            collected = collected or bool(ended)
            if len(ended) < len(mine):
                time.sleep(self.poll)

    def _look(self, one: Submission, asks: Mapping[str, Ask]) -> bool:
        """Whether a batch has ended and is collected now."""
        import anthropic

        assert one.batch is not None
        try:
            if self._client.messages.batches.retrieve(one.batch).processing_status != "ended":
                return False
            return self._collect(one, asks)
        except anthropic.NotFoundError:
            log.warning("the service does not know the batch %s any more", one.batch)
            self.ledger.give_up(one.id)
        except _errors() as error:
            log.warning("the batch %s cannot be read now (%s)", one.batch, type(error).__name__)
            self._unread[one.batch] += 1
        return False

    def _collect(self, one: Submission, asks: Mapping[str, Ask]) -> bool:
        """Everything or nothing: what is cut off while it is read raises, and is read again. False when it was another
        program's batch."""
        answers: dict[str, str] = {}
        reasons: dict[str, str] = {}
        paid: dict[str, int] = {}
        seen: set[str] = set()
        unanswered: list[str] = []
        for line in self._client.messages.batches.results(one.batch):
            key, result = line.custom_id, line.result
            seen.add(key)
            if key not in one.keys:
                break
            if result.type == "succeeded":
                reply = self.service.read(result.message, batch=True)
                paid[key] = reply.cost_nano
                if reply.text is None:
                    reasons[key] = reply.reason
                elif key in asks and read_fields(reply.text, asks[key].schema) is None:
                    reasons[key] = "the answer did not have the form that was asked for"
                else:
                    answers[key] = reply.text
            elif result.type == "errored" and result.error.error.type == "invalid_request_error":
                reasons[key] = f"the service refuses the question ({result.error.error.message})"
            else:
                unanswered.append(key)
        if not seen <= one.keys:  # another program's, of as many questions
            self.ledger.unname(one.id, one.known | {str(one.batch)})
            self._recover()
            return False
        if len(seen) < len(one.keys):
            raise ValueError(f"{len(seen)} of {len(one.keys)} results came")
        self.ledger.collect(one.id, sum(paid.values()), answers)
        self._reasons.update(reasons)
        for key, cost in paid.items():
            self._paid[key] = self._paid.get(key, 0) + cost
        self._unanswered.update(unanswered)
        lasting = [key for key in unanswered if self._unanswered[key] >= TIMES]
        self._missing(lasting, f"{TIMES} batches ended without an answer")
        return True


def _errors() -> tuple[type[Exception], ...]:
    """What reading from a service can raise; the last three when what came is no batch, or no results."""
    import anthropic
    import httpx2

    return (anthropic.AnthropicError, httpx2.HTTPError, OSError, ValueError, TypeError, AttributeError)


def _size(batch: Any) -> int:
    counts = batch.request_counts
    return int(counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired)


def _owner() -> str:
    return json.dumps([os.getpid(), psutil.Process().create_time()])


def _lives(owner: str) -> bool:
    """Whether the process that wrote this is still there (another one may have its number by now)."""
    if not owner:
        return False
    number, since = json.loads(owner)
    try:
        return bool(psutil.Process(number).create_time() == since)
    except psutil.Error:
        return False
