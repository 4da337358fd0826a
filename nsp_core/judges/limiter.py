"""How fast a service may be asked: calls at once, requests and tokens a minute. Knows nothing of what is asked.

A bucket for each limit that fills evenly over a minute, as the service's own do. What is not set is unknown until the
first answer's headers tell it (anthropic-ratelimit-*); after that every answer corrects the level downwards, so that
other programs with the same key are counted, too. Times are of a monotonic clock, in seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

KINDS = ("requests", "input-tokens", "output-tokens")
LONGEST_HOLD = 600.0  # a reset that lies further away is a broken clock


@dataclass
class _Bucket:
    limit: float = 0.0  # a minute; 0: not known
    level: float = 0.0
    at: float = 0.0
    closed_until: float = 0.0

    def fill(self, now: float) -> None:
        self.level = min(self.limit, self.level + (now - self.at) * self.limit / 60)
        self.at = now

    def wait_for(self, amount: float, now: float) -> float:
        if not self.limit:
            return 0.0
        self.fill(now)
        lacking = min(amount, self.limit) - self.level  # what is larger than a whole minute may go alone
        return max(self.closed_until - now, lacking * 60 / self.limit, 0.0)


class Limiter:
    def __init__(
        self, concurrency: int, requests: float = 0, input_tokens: float = 0, output_tokens: float = 0
    ) -> None:
        now = time.monotonic()
        given = zip(KINDS, (requests, input_tokens, output_tokens), strict=True)
        self._set = {kind for kind, limit in zip(KINDS, (requests, input_tokens, output_tokens), strict=True) if limit}
        self._buckets = {kind: _Bucket(limit, limit, now) for kind, limit in given}
        self._concurrency = concurrency
        self._running = 0
        self._paused_until = 0.0
        self._turn = threading.Condition()

    def enter(self, input_tokens: float, output_tokens: float, deadline: float) -> bool:
        """Waits until a call of about this size may be made; False when that is not before `deadline`."""
        amounts = (1.0, input_tokens, output_tokens)
        with self._turn:
            while True:
                now = time.monotonic()
                waits = [self._buckets[kind].wait_for(much, now) for kind, much in zip(KINDS, amounts, strict=True)]
                wait = max(self._paused_until - now, *waits)
                if wait <= 0 and self._running < self._concurrency:
                    for kind, much in zip(KINDS, amounts, strict=True):
                        self._buckets[kind].level -= much
                    self._running += 1
                    return True
                if now + max(wait, 0) >= deadline:
                    return False
                # a little more than needed: a wait that is rounded down would turn in circles
                self._turn.wait(min(wait + 0.002 if wait > 0 else deadline - now, deadline - now))

    def leave(self) -> None:
        with self._turn:
            self._running -= 1
            self._turn.notify_all()

    def pause(self, seconds: float) -> None:
        """Nobody asks for so long: the service said so."""
        with self._turn:
            self._paused_until = max(self._paused_until, time.monotonic() + min(seconds, LONGEST_HOLD))
            self._turn.notify_all()

    def observe(self, headers: Mapping[str, str]) -> None:
        """What the service says of its limits. Headers that are not there, or not understood, change nothing."""
        now = time.monotonic()
        with self._turn:
            for kind, bucket in self._buckets.items():
                limit = _number(headers.get(f"anthropic-ratelimit-{kind}-limit"))
                remaining = _number(headers.get(f"anthropic-ratelimit-{kind}-remaining"))
                if limit and (kind not in self._set or limit < bucket.limit):  # what a person set may be lower
                    if not bucket.limit:
                        bucket.level, bucket.at = limit, now
                    bucket.limit = limit
                if remaining is None or not bucket.limit:
                    continue
                bucket.fill(now)
                bucket.level = min(bucket.level, remaining)
                if remaining == 0:
                    left = _seconds_to(headers.get(f"anthropic-ratelimit-{kind}-reset"), headers.get("date"))
                    bucket.closed_until = max(bucket.closed_until, now + min(left, LONGEST_HOLD))
            self._turn.notify_all()


def seconds_of(retry_after: str | None) -> float | None:
    """Of a Retry-After header; None when it is not there or a date."""
    found = _number(retry_after)
    return None if found is None else min(found, LONGEST_HOLD)


def _number(text: str | None) -> float | None:
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if 0 <= found < float("inf") else None


def _seconds_to(reset: str | None, date: str | None) -> float:
    """By the service's own clock where it says its time."""
    try:
        until = datetime.fromisoformat(reset or "")
        now = parsedate_to_datetime(date) if date else datetime.now(UTC)
        return max((until - now).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return 0.0
