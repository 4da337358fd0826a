"""One SQLite file that keeps answers by their content, counts the dollars, and knows the batches that are under way.

The only database in nsp_core. What may be spent is reserved before a call, in one transaction with every other process
that has the same file open, and settled after it. A reservation that nobody settles (a killed process, an answer that
never came) stays counted, because the service may bill it: the budget is never exceeded, at the price of now and then
stopping early. Knows nothing of services, prices and templates.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nsp_core.errors import ConfigError, UserError

_VERSION = 1
_TABLES = """
CREATE TABLE answer (key TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE spending (id INTEGER PRIMARY KEY, reserved INTEGER NOT NULL, spent INTEGER);
CREATE TABLE submission (
    id INTEGER PRIMARY KEY, batch TEXT UNIQUE, owner TEXT NOT NULL, known TEXT NOT NULL, spending INTEGER NOT NULL,
    done INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE item (submission INTEGER NOT NULL, key TEXT NOT NULL, PRIMARY KEY (submission, key)) WITHOUT ROWID;
"""


class BudgetSpent(UserError):
    """What was asked for could cost more than is left."""


@dataclass(frozen=True)
class Balance:
    """In 1e-9 dollars. `reserved` is what calls under way, or never settled, may cost at most."""

    spent: int
    reserved: int
    most: int


@dataclass(frozen=True)
class Submission:
    """Questions that went, or were about to go, to the service as one batch. `batch` None: its name is not known."""

    id: int
    batch: str | None
    owner: str
    known: frozenset[str]  # batches that were there before this one was sent
    keys: frozenset[str]


class Ledger:
    """Safe for threads, and for processes that share the file. Raises ConfigError for a file that is something else."""

    def __init__(self, path: Path | str, most: int, *, keep_answers: bool = True) -> None:
        self.path, self.most, self.keep_answers = path, most, keep_answers
        if path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(str(path), timeout=60, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            with self._change():
                version = self._db.execute("PRAGMA user_version").fetchone()[0]
                if version == 0 and not self._rows("SELECT 1 FROM sqlite_master"):
                    for statement in _TABLES.split(";"):
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA user_version = {_VERSION}")
                elif version != _VERSION or not self._rows("SELECT 1 FROM sqlite_master WHERE name = 'spending'"):
                    raise ConfigError(f"{path} is no judge's file of this version: name another one.")
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise ConfigError(f"{path} cannot be used as a judge's file ({error}): name another one.") from error

    def close(self) -> None:
        self._db.close()

    # -- answers ------------------------------------------------------------------------------------------------------
    def answer(self, key: str) -> str | None:
        found = self._rows("SELECT text FROM answer WHERE key = ?", key)
        return str(found[0][0]) if found else None

    def answers(self) -> int:
        return int(self._rows("SELECT count(*) FROM answer")[0][0])

    def forget_answers(self) -> None:
        """Every kept answer goes; what was spent stays counted."""
        with self._change():
            self._db.execute("DELETE FROM answer")
        self._db.execute("VACUUM")

    # -- money --------------------------------------------------------------------------------------------------------
    def balance(self) -> Balance:
        row = self._rows("SELECT total(spent), total(CASE WHEN spent IS NULL THEN reserved END) FROM spending")[0]
        return Balance(int(row[0]), int(row[1]), self.most)

    def reserve(self, nano: int) -> int:
        """The reservation's number. Raises BudgetSpent when it does not fit any more."""
        with self._change():
            return self._reserve(nano)

    def settle(self, number: int, nano: int, key: str = "", text: str | None = None) -> None:
        """What it did cost; with the answer, if there is one to keep, in the same transaction."""
        with self._change():
            self._db.execute("UPDATE spending SET spent = ? WHERE id = ?", (nano, number))
            if text is not None and self.keep_answers:
                self._db.execute("INSERT OR REPLACE INTO answer VALUES (?, ?)", (key, text))

    def release(self, number: int) -> None:
        """Nothing is to be paid."""
        with self._change():
            self._db.execute("DELETE FROM spending WHERE id = ?", (number,))

    def _reserve(self, nano: int) -> int:
        now = self.balance()
        if now.spent + now.reserved + nano > self.most:
            raise BudgetSpent(
                f"the budget of ${self.most / 1e9:.2f} is used up (${now.spent / 1e9:.4f} spent, "
                f"${now.reserved / 1e9:.4f} reserved): raise WHATNEXT_JUDGE_MAX_USD"
            )
        return int(self._db.execute("INSERT INTO spending (reserved) VALUES (?)", (nano,)).lastrowid or 0)

    # -- batches ------------------------------------------------------------------------------------------------------
    def plan(self, keys: Sequence[str], nano: int, owner: str, known: Iterable[str]) -> int:
        """A batch is about to be sent: written down, and its money reserved, before anything is."""
        with self._change():
            spending = self._reserve(nano)
            made = self._db.execute(
                "INSERT INTO submission (owner, known, spending) VALUES (?, ?, ?)",
                (owner, json.dumps(sorted(known)), spending),
            ).lastrowid
            self._db.executemany("INSERT INTO item VALUES (?, ?)", [(made, key) for key in keys])
            return int(made or 0)

    def name(self, submission: int, batch: str) -> None:
        """The service calls it so."""
        with self._change():
            self._db.execute("UPDATE submission SET batch = ? WHERE id = ?", (batch, submission))

    def unname(self, submission: int, known: Iterable[str]) -> None:
        """It was somebody else's batch; its own name is to be looked for among those that are not `known`."""
        with self._change():
            self._db.execute(
                "UPDATE submission SET batch = NULL, owner = '', known = ? WHERE id = ?",
                (json.dumps(sorted(known)), submission),
            )

    def drop(self, submission: int) -> None:
        """It never reached the service."""
        with self._change():
            self._db.execute(
                "DELETE FROM spending WHERE id = (SELECT spending FROM submission WHERE id = ?)", (submission,)
            )
            self._db.execute("DELETE FROM item WHERE submission = ?", (submission,))
            self._db.execute("DELETE FROM submission WHERE id = ?", (submission,))

    def give_up(self, submission: int) -> None:
        """Its answers cannot be had any more. It may have to be paid, so its money stays reserved for good."""
        with self._change():
            self._db.execute("UPDATE submission SET done = 1 WHERE id = ?", (submission,))

    def collect(self, submission: int, nano: int, answers: Mapping[str, str]) -> None:
        """A batch has ended: its answers, its cost and its end in one transaction. A second time changes nothing."""
        with self._change():
            if self._rows("SELECT 1 FROM submission WHERE id = ? AND done = 0", submission):
                self._db.execute("UPDATE submission SET done = 1 WHERE id = ?", (submission,))
                self._db.execute(
                    "UPDATE spending SET spent = ? WHERE id = (SELECT spending FROM submission WHERE id = ?)",
                    (nano, submission),
                )
                self._db.executemany("INSERT OR REPLACE INTO answer VALUES (?, ?)", answers.items())

    def submissions(self) -> list[Submission]:
        """Those that are not done."""
        with self._lock:
            found = self._rows("SELECT id, batch, owner, known FROM submission WHERE done = 0 ORDER BY id")
            return [
                Submission(
                    number,
                    batch,
                    owner,
                    frozenset(json.loads(known)),
                    frozenset(row[0] for row in self._rows("SELECT key FROM item WHERE submission = ?", number)),
                )
                for number, batch, owner, known in found
            ]

    def batch_names(self) -> set[str]:
        return {str(row[0]) for row in self._rows("SELECT batch FROM submission WHERE batch IS NOT NULL")}

    # -- the connection -----------------------------------------------------------------------------------------------
    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()
