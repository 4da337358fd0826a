"""The way back from a backup: first it is checked whole, then today's stories are put aside as a backup of their own,
then everything is exchanged in one transaction. Until that moment nothing living is touched.

A backup file may come from anywhere, so nothing of it is believed: names, sizes and hashes are checked before anything
is kept, and its database is only read, row by row, into tables made by our own migrations. Knows nothing of pages.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sqlite3
import stat
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.identity import new_id, now
from app.killpoints import reached
from app.store import Store
from app.store.backup import DATABASE, FORMAT, KIND, MANIFEST, PIECE, Backup, Told, make_backup, private, room_for, sync
from app.store.database import Database, alembic_config, known_revisions
from app.store.errors import NotFound
from app.store.jobs import OPEN
from app.store.media import Media, is_whole
from app.store.models import metadata
from nsp_core.errors import Cancelled, UserError

MAX_MANIFEST = 64 << 20
MAX_RATIO = 200  # a database shrinks ten times or so; what swells two hundred times was made to swell
_MEMBER = re.compile(r"media/([0-9a-f]{2})/(([0-9a-f]{64})\.[a-z0-9]{1,11})")
_HEX = re.compile(r"[0-9a-f]{64}")
_APART = ("process",)  # who lives now is not what was then


class NotABackup(UserError):
    """The file cannot be restored; the sentence says why."""


@dataclass(frozen=True)
class Manifest:
    tables: str
    files: dict[str, tuple[str, int]]  # member -> sha256, bytes
    missing: frozenset[str]


@dataclass(frozen=True)
class Restored:
    """`aside`: the backup that was made of what was there before."""

    aside: Backup
    stories: int
    missing: int


def restore_backup(
    store: Store,
    path: Path,
    *,
    told: Told = lambda _phase, _done, _total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Restored:
    """Today's stories become those of the backup. Raises NotABackup, or Cancelled while that is still possible."""
    scratch = store.settings.backups_dir / f"restore-{new_id()}.partial"
    scratch.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    given, clean = scratch.with_suffix(".given.partial"), scratch.with_suffix(".clean.partial")
    try:
        with _opened(path) as archive:
            manifest = _manifest(archive, path.name, path.stat().st_size)
            room_for(2 * sum(size for _, size in manifest.files.values()), scratch.parent)
            check_files(archive, manifest, keep=given, told=told, should_stop=should_stop)
            cleaned(given, clean, manifest, store.local_owner())
            for _ in range(3):
                state = _state(store.database.path)
                aside = make_backup(store, label="before-restore", told=told, should_stop=should_stop)
                reached("restore.aside")
                _bring_media(archive, manifest, store, told)
                reached("restore.media")
                before = exchange(store.database, clean, state, lambda: told("exchanging", 0, 0))
                if before is not None:
                    break
                aside.path.unlink()  # somebody wrote meanwhile: it does not hold the latest
            else:
                raise UserError(
                    "The stories are being changed while they should be exchanged: close the other windows, try again."
                )
        reached("restore.exchanged")
        _sweep(store, before)
        with contextlib.closing(sqlite3.connect(clean)) as connection:
            (stories,) = connection.execute("SELECT COUNT(*) FROM story WHERE deleted_at IS NULL").fetchone()
        return Restored(aside, stories, len(manifest.missing))
    finally:
        for one in scratch.parent.glob(f"{scratch.stem}*"):
            one.unlink(missing_ok=True)


# the file ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile):
        raise NotABackup(f"{path.name} is not a whole zip file: choose a file that “Make a backup” wrote.") from None
    with archive:
        try:
            yield archive
        except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
            raise NotABackup(f"{path.name} is damaged ({error}): nothing was changed, choose another backup.") from None


def _manifest(archive: zipfile.ZipFile, name: str, size: int) -> Manifest:
    """Who the file says it is, and that it holds exactly what it says. Reads nothing but the manifest."""
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if info.filename in entries:
            raise NotABackup(f"{name} holds {info.filename!r} twice: it was not made by this program, nothing changed.")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.filename not in (MANIFEST, DATABASE) and not _MEMBER.fullmatch(info.filename):
            raise NotABackup(f"{name} holds {info.filename[:80]!r}, which no backup has: nothing was changed.")
        if kind not in (0, stat.S_IFREG) or info.is_dir() or info.flag_bits & 1:
            raise NotABackup(f"{name} holds a link or a locked file ({info.filename[:80]}): nothing was changed.")
        if info.file_size > MAX_RATIO * max(info.compress_size, 1 << 16):
            raise NotABackup(f"{info.filename} in {name} would swell to {info.file_size >> 20} MB: nothing changed.")
        entries[info.filename] = info
    if sum(info.compress_size for info in entries.values()) > size:
        raise NotABackup(f"The parts of {name} lie over each other: it was not made by this program, nothing changed.")
    if MANIFEST not in entries or entries[MANIFEST].file_size > MAX_MANIFEST:
        raise NotABackup(f"{name} has no list of what it holds: choose a file that “Make a backup” wrote.")
    try:
        value = json.loads(archive.read(MANIFEST))
        kind, version, tables = value["kind"], int(value["format"]), str(value["tables"])
        files = {str(member): (str(one["sha256"]), int(one["bytes"])) for member, one in value["files"].items()}
        missing = frozenset(map(str, value["missing"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise NotABackup(f"The list of what {name} holds cannot be read: choose another backup.") from None
    if kind != KIND:
        raise NotABackup(f"{name} is not a backup of this program: choose a file that “Make a backup” wrote.")
    if version > FORMAT or tables not in known_revisions():
        raise NotABackup(
            f"{name} was made by a newer version of this program (format {version}, tables {tables[:20]}): "
            "update the program, then restore it."
        )
    lacking = [member for member in files if member not in entries]
    if lacking or DATABASE not in files:
        raise NotABackup(f"{name} lacks {(lacking or [DATABASE])[0][:80]}: it is not whole, nothing was changed.")
    surplus = set(entries) - set(files) - missing - {MANIFEST}
    if surplus:
        raise NotABackup(f"{name} holds {min(surplus)[:80]}, of which its list does not know: nothing was changed.")
    for member, (sha256, size) in files.items():
        match = _MEMBER.fullmatch(member)
        if match is not None and (match[3] != sha256 or match[1] != sha256[:2]):
            raise NotABackup(f"{member} in {name} has another name than its content: nothing was changed.")
        if entries[member].file_size != size or not _HEX.fullmatch(sha256):
            raise NotABackup(f"{member} in {name} has another size than its list says: nothing was changed.")
    return Manifest(tables, files, missing)


def check_files(
    archive: zipfile.ZipFile, manifest: Manifest, *, keep: Path, told: Told, should_stop: Callable[[], bool]
) -> None:
    """Every hash. The database is written to `keep`, nothing else is."""
    total, done = sum(size for _, size in manifest.files.values()), 0
    for member, (sha256, size) in manifest.files.items():
        if should_stop():
            raise Cancelled("Stopped; nothing was changed.")
        _extract(archive, member, sha256, size, keep if member == DATABASE else None)
        done += size
        told("checking", done, total)


def _extract(archive: zipfile.ZipFile, member: str, sha256: str, size: int, target: Path | None) -> None:
    digest, read = hashlib.sha256(), 0
    with archive.open(member) as source, _sink(target) as write:
        while piece := source.read(PIECE):
            read += len(piece)
            if read > size:
                break
            digest.update(piece)
            write(piece)
    if read != size or digest.hexdigest() != sha256:
        raise NotABackup(f"{member} was altered since the backup was made: nothing was changed, choose another backup.")


@contextlib.contextmanager
def _sink(target: Path | None) -> Iterator[Callable[[bytes], Any]]:
    if target is None:
        yield len
        return
    with private(target) as to:
        yield to.write


def _bring_media(archive: zipfile.ZipFile, manifest: Manifest, store: Store, told: Told) -> None:
    """Beside the files that are there: names are hashes, so nothing is overwritten with something else."""
    total, done = sum(size for _, size in manifest.files.values()), 0
    for member, (sha256, size) in manifest.files.items():
        done += size
        match = _MEMBER.fullmatch(member)
        if match is None:
            continue
        target = store.media.path(match[2])
        if not is_whole(target, sha256):
            partial = store.media.root / "tmp" / f"{new_id()}.partial"
            partial.parent.mkdir(parents=True, exist_ok=True)
            try:
                _extract(archive, member, sha256, size, partial)
                sync(partial)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(partial, target)
            finally:
                partial.unlink(missing_ok=True)
        told("unpacking", done, total)


# the tables -------------------------------------------------------------------------------------------------------


def cleaned(given: Path, clean: Path, manifest: Manifest, local_owner: str) -> None:
    """The rows of a database that nobody vouches for, in tables that our own migrations made, brought up to date."""
    database = Database(clean)
    from alembic import command

    with database.engine.connect() as connection, connection.begin():
        command.upgrade(alembic_config(connection), manifest.tables)
    database.close()
    with (
        contextlib.closing(sqlite3.connect(f"file:{given.as_posix()}?mode=ro&immutable=1", uri=True)) as source,
        contextlib.closing(sqlite3.connect(clean, isolation_level=None)) as connection,
    ):
        source.execute("PRAGMA trusted_schema = OFF")
        try:
            _copy_rows(source, connection, manifest)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise NotABackup(f"The stories in this backup cannot be read ({error}): choose another one.") from None
        _settle(connection, local_owner)
        _check_media(connection, manifest)
    database.prepare(backups=clean.parent)  # to the newest tables
    database.close()


def _copy_rows(source: sqlite3.Connection, connection: sqlite3.Connection, manifest: Manifest) -> None:
    (state,) = source.execute("PRAGMA quick_check(1)").fetchone()
    at = source.execute("SELECT version_num FROM alembic_version").fetchone()
    if state != "ok" or at != (manifest.tables,):
        raise sqlite3.DatabaseError("it is damaged" if state != "ok" else "its tables are not what its list says")
    connection.execute("BEGIN")
    for table in _tables():
        kind = source.execute("SELECT type, sql FROM sqlite_master WHERE name = ? COLLATE NOCASE", (table,)).fetchall()
        if len(kind) != 1 or kind[0][0] != "table" or not re.match(r'CREATE TABLE "?\w+"? ?\(', kind[0][1]):
            raise sqlite3.DatabaseError(f"{table} is not a plain table")
        columns = _columns(connection, "main", table)
        if columns != _columns(source, "main", table):
            raise sqlite3.DatabaseError(f"{table} has other columns than ours")
        marks = ", ".join("?" * (columns.count(",") + 1))
        connection.executemany(
            f"INSERT INTO {table} ({columns}) VALUES ({marks})", source.execute(f"SELECT {columns} FROM {table}")
        )
    broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    if broken is not None:
        raise sqlite3.DatabaseError(f"{broken[0]} speaks of something that is not there")
    connection.execute("COMMIT")


def _settle(connection: sqlite3.Connection, local_owner: str) -> None:
    """Nobody works on these stories yet, and the person of this machine is the one of that machine."""
    marks = ", ".join("?" for _ in OPEN)
    connection.execute("BEGIN")
    connection.execute(
        f"UPDATE job SET status = 'cancelled', finished_at = ? WHERE status IN ({marks})",
        (now().replace(tzinfo=None).isoformat(" "), *OPEN),
    )
    connection.execute("UPDATE job SET worker_id = NULL, worker_pid = NULL, preview_path = NULL")
    found = connection.execute("SELECT id FROM owner WHERE subject = 'local'").fetchone()
    if found is not None and found[0] != local_owner:
        for table in _tables():
            if "owner_id" in metadata.tables[table].columns:
                connection.execute(f"UPDATE {table} SET owner_id = ? WHERE owner_id = ?", (local_owner, found[0]))
        connection.execute("UPDATE owner SET id = ? WHERE id = ?", (local_owner, found[0]))
    connection.execute("COMMIT")


def _check_media(connection: sqlite3.Connection, manifest: Manifest) -> None:
    names = Media(Path("media"))
    for sha256, ext in connection.execute("SELECT sha256, ext FROM media"):
        member = f"media/{str(sha256)[:2]}/{sha256}.{ext}"
        try:
            names.path(f"{sha256}.{ext}")
        except NotFound:
            raise NotABackup("This backup speaks of a file that no story can have: nothing was changed.") from None
        if member not in manifest.files and member not in manifest.missing:
            raise NotABackup(f"This backup lacks {member}, which its stories need: nothing was changed.")


def exchange(
    database: Database, clean: Path, state: tuple[Any, ...], committing: Callable[[], None] = lambda: None
) -> list[str] | None:
    """All rows of `clean` instead of all rows, in one transaction: everybody sees the old stories or the new ones.
    Returns the media names of before; None, with nothing changed, when the stories are no longer as `state` says.
    `committing` is called when all is written and nothing is committed."""
    with database.engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.execute("PRAGMA foreign_keys = OFF")  # all or nothing is put in place: nothing may cascade meanwhile
        raw.execute("ATTACH DATABASE ? AS clean", (str(clean),))
        try:
            raw.execute("BEGIN IMMEDIATE")
            if _fingerprint(raw) != state:
                raw.execute("ROLLBACK")
                return None
            before = [f"{sha256}.{ext}" for sha256, ext in raw.execute("SELECT sha256, ext FROM main.media")]
            for table in _tables():
                raw.execute(f"DELETE FROM main.{table}")
            for table in _tables():
                columns = _columns(raw, "main", table)
                raw.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM clean.{table}")
            raw.execute("INSERT INTO fts_text (fts_text) VALUES ('optimize')")
            if raw.execute("PRAGMA main.foreign_key_check").fetchone() is not None:
                raise RuntimeError("The exchange would break references; undone.")
            reached("restore.exchanging")
            committing()
            raw.execute("COMMIT")
            return before
        except BaseException:
            if raw.in_transaction:
                raw.execute("ROLLBACK")
            raise
        finally:
            raw.execute("DETACH DATABASE clean")
            raw.execute("PRAGMA foreign_keys = ON")


def _sweep(store: Store, before: list[str]) -> None:
    """Files that only the stories of before had are in the backup that was made of them."""
    with store.database.reading() as session:
        rows = session.connection().exec_driver_sql("SELECT sha256, ext FROM media")
        used = {f"{sha256}.{ext}" for sha256, ext in rows}
    for name in before:
        if name not in used:
            with contextlib.suppress(OSError):  # somebody looks at it: swept up another time
                store.media.path(name).unlink(missing_ok=True)


def _tables() -> tuple[str, ...]:
    return tuple(name for name in metadata.tables if name not in _APART)


def _columns(connection: sqlite3.Connection, schema: str, table: str) -> str:
    rows = connection.execute(f"PRAGMA {schema}.table_info({table})").fetchall()
    return ", ".join(f'"{row[1]}"' for row in rows)


def _state(path: Path) -> tuple[Any, ...]:
    with contextlib.closing(sqlite3.connect(f"file:{path.as_posix()}?mode=ro", uri=True)) as connection:
        return _fingerprint(connection)


def _fingerprint(connection: sqlite3.Connection) -> tuple[Any, ...]:
    """Differs when stories, takes or what was asked for changed in between; looking about does not count."""
    queries = (
        "SELECT COUNT(*), SUM(version), MAX(updated_at) FROM main.story",
        "SELECT COUNT(*), MAX(id), SUM(chosen), SUM(starred) FROM main.take",
        "SELECT COUNT(*), MAX(id), MAX(finished_at) FROM main.job",
        "SELECT MAX(number), SUM(undone) FROM main.op",
        "SELECT COUNT(*) FROM main.media",
    )
    return tuple(connection.execute(query).fetchone() for query in queries)
