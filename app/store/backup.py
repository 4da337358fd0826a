"""A backup: one zip with a consistent copy of the database, every file that it speaks of, and their hashes.

    manifest.json        what it is, and the sha256 and size of everything else
    whatnext.db          as it was at one moment, also while others write
    media/ab/<sha256>.<ext>

Written to a `.partial` and renamed when it is whole. Knows nothing of pages; see app.store.restore for the way back.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from app.identity import now
from app.killpoints import reached
from app.store import Store
from app.store.database import HEAD
from nsp_core.errors import Cancelled, UserError

FORMAT = 1
KIND = "what-happens-next backup"
DATABASE = "whatnext.db"
MANIFEST = "manifest.json"
PREFIX = "what-happens-next"
PIECE = 1 << 20
SPARE = 100 << 20  # bytes that stay free on the disk

Told = Callable[[str, int, int], None]  # phase, done, total


@dataclass(frozen=True)
class Backup:
    """A file in the backups folder."""

    path: Path
    bytes: int
    made_at: datetime
    stories: int
    scenes: int
    files: int
    missing: int = 0  # files that were gone or damaged when it was made


def make_backup(
    store: Store,
    folder: Path | None = None,
    *,
    label: str = "",
    told: Told = lambda _phase, _done, _total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Backup:
    """Everything in one file. Raises UserError without room for it, Cancelled when `should_stop` says so."""
    folder = folder or store.settings.backups_dir
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    stamp = now()
    name = "-".join(part for part in (PREFIX, label, f"{stamp:%Y%m%d-%H%M%S}") if part)
    target = folder / f"{name}.zip"
    number = 1
    while target.exists():
        number += 1
        target = folder / f"{name}-{number}.zip"
    partial = target.with_suffix(".zip.partial")
    snapshot = target.with_suffix(".db.partial")
    try:
        told("copying", 0, 0)
        take_snapshot(store.database.path, snapshot)
        with contextlib.closing(sqlite3.connect(snapshot)) as connection:
            files = connection.execute("SELECT sha256, ext, bytes FROM media ORDER BY sha256").fetchall()
            stories = connection.execute("SELECT COUNT(*) FROM story WHERE deleted_at IS NULL").fetchone()[0]
            scenes = connection.execute("SELECT COUNT(*) FROM scene WHERE deleted_at IS NULL").fetchone()[0]
        total = snapshot.stat().st_size + sum(size for _, _, size in files)
        room_for(total, folder)
        manifest: dict[str, Any] = {
            "kind": KIND,
            "format": FORMAT,
            "tables": HEAD,
            "version": _version(),
            "made_at": stamp.isoformat(),
            "stories": stories,
            "scenes": scenes,
            "files": {},
            "missing": [],
        }
        with private(partial) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            done = 0
            for member, path, size, packed in _members(store, snapshot, files):
                if should_stop():
                    raise Cancelled("The backup was stopped; nothing was kept of it.")
                written = _write(archive, member, path, packed=packed)
                if written is None or (packed is False and written[0] != path.stem):
                    manifest["missing"].append(member)  # not there, or no longer what its name says
                else:
                    manifest["files"][member] = {"sha256": written[0], "bytes": written[1]}
                done += size
                told("packing", done, total)
            archive.writestr(zipfile.ZipInfo(MANIFEST, stamp.timetuple()[:6]), json.dumps(manifest, indent=1).encode())
        sync(partial)
        reached("backup.packed")
        os.replace(partial, target)
    finally:
        for path in (partial, snapshot):
            path.unlink(missing_ok=True)
    return Backup(target, target.stat().st_size, stamp, stories, scenes, len(files), len(manifest["missing"]))


def take_snapshot(source: Path, target: Path) -> None:
    """A consistent copy of a database that others are writing, in one file without a log beside it."""
    with (
        contextlib.closing(sqlite3.connect(f"file:{source.as_posix()}?mode=ro", uri=True)) as from_,
        contextlib.closing(sqlite3.connect(target)) as to,
    ):
        from_.backup(to)
        to.execute("PRAGMA journal_mode = DELETE")
    target.chmod(0o600)


def list_backups(folder: Path) -> tuple[Backup, ...]:
    """What lies in the folder and says that it is a backup, the newest first. Does not check the contents."""
    found = []
    for path in folder.glob("*.zip"):
        with contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile):
            found.append(read_manifest_of(path))
    return tuple(sorted(found, key=lambda backup: backup.made_at, reverse=True))


def read_manifest_of(path: Path) -> Backup:
    with zipfile.ZipFile(path) as archive:
        value = json.loads(archive.read(MANIFEST)) if archive.getinfo(MANIFEST).file_size < 64 << 20 else {}
    return Backup(
        path,
        path.stat().st_size,
        datetime.fromisoformat(value["made_at"]),
        int(value["stories"]),
        int(value["scenes"]),
        len(value["files"]) - 1,
        len(value.get("missing", ())),
    )


def clear_partial(folder: Path, *, older_than: float = 3600.0) -> None:
    """What a killed program left of a backup."""
    limit = now().timestamp() - older_than
    for path in folder.glob("*.partial*"):  # an unfinished database has files beside it
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < limit:
                path.unlink()


def _members(store: Store, snapshot: Path, files: list[Any]) -> Iterator[tuple[str, Path, int, bool]]:
    yield DATABASE, snapshot, snapshot.stat().st_size, True
    for sha256, ext, size in files:
        path = store.media.path(f"{sha256}.{ext}")
        yield f"media/{sha256[:2]}/{path.name}", path, size, False


def _write(archive: zipfile.ZipFile, member: str, path: Path, *, packed: bool) -> tuple[str, int] | None:
    """Into the archive; returns sha256 and size, None for a file that is not there. Pictures are packed already."""
    try:
        source: IO[bytes] = path.open("rb")
    except FileNotFoundError:
        return None
    info = zipfile.ZipInfo(member, now().timetuple()[:6])
    info.external_attr = 0o600 << 16
    info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    digest, size = hashlib.sha256(), 0
    with source, archive.open(info, "w", force_zip64=True) as to:
        while piece := source.read(PIECE):
            digest.update(piece)
            size += len(piece)
            to.write(piece)
    return digest.hexdigest(), size


def room_for(size: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + SPARE:
        raise UserError(
            f"The disk of {folder} has {free >> 20} MB free, this needs {(size + SPARE) >> 20} MB: "
            "make room, then try again."
        )


def private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600), "w+b")


def sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _version() -> str:
    try:
        return metadata.version("what-happens-next")
    except metadata.PackageNotFoundError:
        return ""
