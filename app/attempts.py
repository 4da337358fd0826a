"""How often somebody may try: growing waits after wrong passwords, and so many uploads and jobs in a while.

Pure but for a clock that is given. Knows nothing of pages, passwords or jobs.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]


@dataclass
class _Tries:
    failures: int = 0
    not_before: float = 0.0


class Attempts:
    """Wrong tries by address: `free` of them at once, then waits of 1, 2, 4 ... up to `longest` seconds. Many wrong
    ones from everywhere together slow everybody down a little."""

    REMEMBERED = 5000  # addresses

    def __init__(
        self, *, free: int = 3, longest: float = 900.0, crowd: int = 60, clock: Clock = time.monotonic
    ) -> None:
        self.free = free
        self.longest = longest
        self.crowd = crowd  # wrong ones in an hour
        self._clock = clock
        self._guard = threading.Lock()
        self._by_address: OrderedDict[str, _Tries] = OrderedDict()
        self._lately: deque[float] = deque(maxlen=4 * crowd)
        self._everybody = 0.0

    def wait(self, address: str) -> float:
        """Seconds until that address may try; 0 when now, and then the try counts as wrong until `succeeded`."""
        with self._guard:
            now = self._clock()
            key = network_of(address)
            tries = self._by_address.setdefault(key, _Tries())
            self._by_address.move_to_end(key)
            while len(self._by_address) > self.REMEMBERED:
                self._by_address.popitem(last=False)
            until = max(tries.not_before, self._everybody)
            if until > now:
                return until - now
            tries.failures += 1
            tries.not_before = now + self._pause(tries.failures)
            self._lately.append(now)
            if sum(at > now - 3600.0 for at in self._lately) > self.crowd:
                self._everybody = now + 2.0
            return 0.0

    def succeeded(self, address: str) -> None:
        with self._guard:
            self._by_address.pop(network_of(address), None)
            if self._lately:
                self._lately.pop()

    def _pause(self, failures: int) -> float:
        return 0.0 if failures < self.free else min(self.longest, 2.0 ** (failures - self.free))


class Allowance:
    """At most `most` things in `seconds`, for each key."""

    REMEMBERED = 1000  # keys

    def __init__(self, most: int, seconds: float, *, clock: Clock = time.monotonic) -> None:
        self.most = most
        self.seconds = seconds
        self._clock = clock
        self._guard = threading.Lock()
        self._taken: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, key: str) -> float:
        """0.0 when it may be, else the seconds until the next one may."""
        with self._guard:
            now = self._clock()
            taken = self._taken.setdefault(key, deque())
            self._taken.move_to_end(key)
            while len(self._taken) > self.REMEMBERED:
                self._taken.popitem(last=False)
            while taken and taken[0] <= now - self.seconds:
                taken.popleft()
            if len(taken) >= self.most:
                return taken[0] + self.seconds - now
            taken.append(now)
            return 0.0


def network_of(address: str) -> str:
    """One household has a whole /64 of IPv6 addresses."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
