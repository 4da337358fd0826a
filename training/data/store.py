"""What is known of every row after every stage, in one SQLite file: a run that was stopped goes on where it was.

A result is found again by (stage, row) and counts only while its key is the same: the key tells what the row was when
the stage saw it and which version and settings the stage had. Committed a batch at a time; nothing is ever half there.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.data.rows import Kind, Outcome, Row

_TABLES = """
CREATE TABLE IF NOT EXISTS result (
  stage TEXT NOT NULL, row TEXT NOT NULL, key TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL,
  "values" TEXT NOT NULL, children TEXT NOT NULL, digest TEXT NOT NULL, seconds REAL NOT NULL,
  PRIMARY KEY (stage, row)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS file (path TEXT PRIMARY KEY, size INTEGER, changed INTEGER, hash TEXT) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Result:
    row: str
    key: str
    outcome: Outcome
    digest: str  # of everything the row is after this stage
    seconds: float


class Store:
    """One process writes. `path` None: in memory."""

    def __init__(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(":memory:" if path is None else path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")  # a power cut may cost the last batches, which are made again
        self._db.executescript(_TABLES)

    def close(self) -> None:
        self._db.close()

    def results(self, stage: str) -> dict[str, Result]:
        found = self._db.execute(
            'SELECT row, key, status, reason, "values", children, digest, seconds FROM result WHERE stage = ?', (stage,)
        ).fetchall()
        # one text for all rows: to read ten thousand small ones takes several times as long
        values = json.loads(f"[{','.join(line[4] for line in found)}]")
        children = json.loads(f"[{','.join(line[5] for line in found)}]")
        return {
            row: Result(row, key, Outcome(status, reason, known, _born(some) if some else ()), mark, seconds)
            for (row, key, status, reason, _, _, mark, seconds), known, some in zip(
                found, values, children, strict=True
            )
        }

    def put(self, stage: str, results: Iterable[Result]) -> None:
        lines = [
            (stage, r.row, r.key, r.outcome.status, r.outcome.reason, json.dumps(dict(r.outcome.values)))
            + (json.dumps([[c.id, c.kind, dict(c.values)] for c in r.outcome.children]), r.digest, r.seconds)
            for r in results
        ]
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT OR REPLACE INTO result VALUES (?,?,?,?,?,?,?,?,?)", lines)
        self._db.execute("COMMIT")

    def hashes(self) -> dict[str, tuple[int, int, str]]:
        """Path -> size, time of change in nanoseconds, hash."""
        return {path: (size, changed, mark) for path, size, changed, mark in self._db.execute("SELECT * FROM file")}

    def put_hashes(self, lines: Iterable[tuple[str, int, int, str]]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("INSERT OR REPLACE INTO file VALUES (?,?,?,?)", lines)
        self._db.execute("COMMIT")


def _born(some: list[tuple[str, Kind, dict[str, Any]]]) -> tuple[Row, ...]:
    return tuple([Row(i, kind, "", more) for i, kind, more in some])
