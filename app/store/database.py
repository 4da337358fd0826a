"""The SQLite file: connections, transactions, migrations. Knows nothing of what the tables mean.

Writes are short and take the write lock at their start (BEGIN IMMEDIATE), so that two writers wait for each other
instead of failing halfway. Readers never wait.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlmodel import Session

from app.identity import now
from app.killpoints import reached
from app.locks import FileLock
from app.store.errors import SchemaError

log = logging.getLogger(__name__)

HEAD = "0003"  # the newest migration; a test keeps it true, so that an up-to-date start need not import alembic
MIGRATIONS = Path(__file__).with_name("migrations")
_WRITE = "whatnext_write"


def make_engine(path: Path) -> Engine:
    """An engine whose every connection is in WAL mode, checks foreign keys and waits for other writers. What goes wrong
    is logged without the values: no log holds words of a story."""
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, connect_args={"timeout": 15.0}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say so, not where the driver guesses
        for pragma in (
            "busy_timeout = 15000",
            "journal_mode = WAL",
            "synchronous = NORMAL",
            "foreign_keys = ON",
            "secure_delete = ON",  # erased words are overwritten, not left in free pages
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        write = connection.get_execution_options().get(_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


class Database:
    """One SQLite file as this process sees it. Survives a fork: the child opens connections of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pid = 0
        self._engine: Engine | None = None
        self._writing = threading.local()

    @property
    def engine(self) -> Engine:
        if self._engine is None or self._pid != os.getpid():
            if self._engine is not None:
                self._engine.dispose(close=False)  # the parent still uses them
            self._engine, self._pid = make_engine(self.path), os.getpid()
        return self._engine

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Session]:
        """A write: all of it or nothing. Keep it short; other writers wait."""
        if getattr(self._writing, "now", False):
            raise RuntimeError("Transactions do not nest: the inner one would wait for the outer one for ever.")
        with (
            self.engine.connect().execution_options(**{_WRITE: True}) as connection,
            connection.begin(),
            Session(connection, expire_on_commit=False) as session,
        ):
            self._writing.now = True
            try:
                yield session
                session.flush()
                reached("rows.written")
            finally:
                self._writing.now = False
        reached("rows.committed")

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session]:
        """A consistent view. Nothing that is changed in it is kept."""
        with self.engine.connect() as connection, Session(connection, expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
        self._engine = None

    def revision(self) -> str | None:
        """The migration that the file is at; None for a new file."""
        if not self.path.exists():
            return None
        with contextlib.closing(sqlite3.connect(f"file:{self.path.as_posix()}?mode=ro", uri=True)) as connection:
            try:
                row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            except sqlite3.OperationalError:
                return None
        return row[0] if row else None

    def prepare(self, *, backups: Path) -> None:
        """Bring the file to this program's tables: make it, upgrade it after a backup, or refuse one that is newer."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if self.revision() == HEAD:
                return
            with FileLock(self.path.with_suffix(".migrate.lock"), timeout=60):
                at = self.revision()
                if at == HEAD:
                    return
                if at not in (None, *known_revisions()):
                    raise SchemaError(
                        f"The stories in {self.path} were written by a newer version of this program (tables {at}, "
                        f"this version knows up to {HEAD}): please update the program, nothing has been changed."
                    )
                if at is not None:
                    log.info("Tables %s -> %s, backup at %s", at, HEAD, self.backup(backups, at))
                    reached("migrate.backed_up")
                self._upgrade()
        except sqlite3.DatabaseError as error:
            raise SchemaError(
                f"{self.path} is not a readable database ({error}): move it away or restore a file from {backups}."
            ) from error

    def backup(self, folder: Path, label: str) -> Path:
        """A consistent copy, also while others write (SQLite's own backup; copying a file with a WAL is not safe)."""
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{self.path.stem}-{label}-{now():%Y%m%d-%H%M%S-%f}.db"
        partial = target.with_suffix(".partial")
        with (
            contextlib.closing(sqlite3.connect(self.path)) as source,
            contextlib.closing(sqlite3.connect(partial)) as to,
        ):
            source.backup(to)
        reached("migrate.backing_up")
        os.replace(partial, target)
        return target

    def _upgrade(self) -> None:
        """All migrations in one transaction: a kill in the middle leaves the tables as they were."""
        from alembic import command

        with self.engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            raw.execute("PRAGMA foreign_keys = OFF")  # rebuilding a table must not cascade
            raw.set_trace_callback(_upgrading)
            try:
                with connection.execution_options(**{_WRITE: True}).begin():
                    command.upgrade(alembic_config(connection), "head")
                    broken = raw.execute("PRAGMA foreign_key_check").fetchall()
                    if broken:
                        raise SchemaError(
                            f"The upgrade of {self.path} would break references in {broken[0][0]}; undone."
                        )
                    reached("migrate.upgraded")
            finally:
                raw.set_trace_callback(None)
                raw.execute("PRAGMA foreign_keys = ON")


def _upgrading(statement: str) -> None:
    """Called before every statement of an upgrade."""
    stamp = statement.startswith(("INSERT", "UPDATE")) and "alembic_version" in statement
    reached("migrate.stamp" if stamp else "migrate.statement")


def alembic_config(connection: Connection | None = None) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def known_revisions() -> tuple[str, ...]:
    """Newest first."""
    from alembic.script import ScriptDirectory

    return tuple(script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions())


def write_migration(revision: str, title: str) -> Path:
    """For developers: what must change in the tables to be as models.py says, as a new file to read and to tidy."""
    import tempfile

    from alembic import command

    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "scratch.db")
        database._upgrade()
        with database.engine.connect() as connection, connection.begin():
            script = command.revision(alembic_config(connection), title, autogenerate=True, rev_id=revision)
        database.close()
    return Path(script.path)  # type: ignore[union-attr]
