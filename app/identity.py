"""Ids and times. Ids are UUIDs of version 7 as text: they sort by the moment they were made."""

from __future__ import annotations

import os
import threading
import time
import uuid
from datetime import UTC, datetime

_lock = threading.Lock()
_last = 0


def new_id() -> str:
    """A UUIDv7. Ids of one process rise strictly, also within one millisecond (its 12 extra bits count up)."""
    global _last
    with _lock:
        stamp = max((time.time_ns() // 1_000_000) << 12, _last + 1)
        _last = stamp
    value = (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64
    value |= 0b10 << 62 | int.from_bytes(os.urandom(8)) >> 2
    return str(uuid.UUID(int=value))


def now() -> datetime:
    """This moment, aware, UTC: the only kind of time that is stored."""
    return datetime.now(UTC)
