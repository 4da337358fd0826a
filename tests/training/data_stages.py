"""Stages that misbehave inside a worker. They import little, because every new worker imports it again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from training.data.rows import Outcome, Row


def number_rows(count: int) -> list[Row]:
    return [Row(f"{n:04d}", "source", "", {"n": n}) for n in range(count)]


def misbehave(rows):
    """Row 2 is a segfault, 7 raises, 9 takes all memory, 11 answers for too few."""
    found = []
    for row in rows:
        n = row.values["n"]
        if n == 2:
            os.kill(os.getpid(), signal.SIGSEGV)
        if n == 7:
            raise ValueError("seven")
        if n == 9:
            bytearray(1 << 36)
        found.append(Outcome(values={"twice": 2 * n}))
    return found if all(row.values["n"] != 11 for row in rows) else found[1:]


def die_once(rows, folder: Path):
    """The worker dies at the first row that it sees, once for the whole folder."""
    mark = folder / "died"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return [Outcome(values={"twice": 2 * row.values["n"]}) for row in rows]


def hang(rows):
    """Row 1 is a loop without end."""
    while any(row.values["n"] == 1 for row in rows):
        pass
    return [Outcome(values={"n": row.values["n"]}) for row in rows]


def take_time(rows):
    time.sleep(0.05 * len(rows))
    return [Outcome(values={"n": row.values["n"]}) for row in rows]
