"""The database: can it be read, is every reference kept, is it of this version; and jobs that nobody does any more.

Opens the file for reading only. Knows nothing of media files.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from app.checkup.finding import Finding, Findings, fine, in_bytes, mended, note, wrong
from app.locks import FileLock, device_lock
from app.mounts import INSIST, mount_of
from app.settings import Settings
from app.store import Store
from app.store.database import HEAD, Database, known_revisions

LEAST_DISK, LITTLE_DISK = 200_000_000, 2_000_000_000

# What no foreign key says: each query returns names of rows that are not as they should be.
_RULES = {
    "tables_strangers": """
        SELECT 'story ' || story.id FROM media_link
        JOIN take ON take.id = media_link.take_id JOIN scene ON scene.id = take.scene_id
        JOIN story ON story.id = scene.story_id WHERE media_link.owner_id <> story.owner_id
        UNION SELECT 'job ' || job.id FROM job JOIN story ON story.id = job.story_id
        WHERE job.owner_id <> story.owner_id
        UNION SELECT 'op ' || op.number FROM op JOIN story ON story.id = op.story_id
        WHERE op.owner_id <> story.owner_id
    """,
    "tables_mixed": """
        SELECT 'scene ' || scene.id FROM scene JOIN scene AS parent ON parent.id = scene.parent_id
        WHERE parent.story_id <> scene.story_id OR parent.depth + 1 <> scene.depth
        UNION SELECT 'story ' || story.id FROM story JOIN scene ON scene.id = story.head_scene_id
        WHERE scene.story_id <> story.id
    """,
    "tables_unfinished": """
        SELECT 'take ' || take.id FROM take WHERE NOT EXISTS
        (SELECT 1 FROM media_link WHERE media_link.take_id = take.id AND media_link.role = 'frames')
        UNION SELECT 'job ' || job.id FROM job
        WHERE job.status = 'done' AND job.kind = 'draw' AND job.result_json IS NULL
    """,
    "tables_unsearched": """
        SELECT id FROM (SELECT id FROM story UNION ALL SELECT id FROM scene) WHERE id NOT IN (SELECT id FROM fts_number)
    """,
}


def look_at_folder(settings: Settings) -> Findings:
    """Where the stories lie. Ends the examination of data when there is nothing yet."""
    folder = settings.data_dir
    mount = mount_of(folder)
    if mount is not None and mount.is_network:
        says = {"folder": str(folder), "kind": mount.kind, "point": mount.point}
        allowed = os.environ.get(INSIST) == "1"
        yield (note if allowed else wrong)("folder_allowed" if allowed else "folder_network", **says)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < LEAST_DISK:
        yield wrong("disk_full", free=in_bytes(free), folder=str(there))
    elif free < LITTLE_DISK:
        yield note("disk_little", free=in_bytes(free), folder=str(there))
    else:
        yield fine("disk_fine", free=in_bytes(free), folder=str(there))


def look_at_tables(path: Path, backups: Path) -> Iterator[Finding]:
    """Whether SQLite finds the file whole, and of which version it is."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA busy_timeout = 15000")
            told = [row[0] for row in connection.execute("PRAGMA integrity_check(20)")]
            if told != ["ok"]:
                yield wrong("tables_damaged", path=str(path), details=tuple(told), backups=newest(backups))
                return
            lost = connection.execute("PRAGMA foreign_key_check").fetchmany(20)
            if lost:
                details = tuple(f"{table} row {row}: its {parent} is gone" for table, row, parent, _ in lost)
                yield wrong("tables_lost", details=details, backups=newest(backups))
            at = Database(path).revision()
            if at == HEAD:
                yield from _rules(connection)
    except sqlite3.DatabaseError as error:
        yield wrong("tables_damaged", path=str(path), details=(str(error),), backups=newest(backups))
        return
    if at == HEAD:
        yield fine("tables_fine", version=HEAD, size=in_bytes(path.stat().st_size))
    elif at is not None and at in known_revisions():
        yield note("tables_older", version=at, head=HEAD)
    else:
        yield wrong("tables_newer", version=at or "none", head=HEAD)


def _rules(connection: sqlite3.Connection) -> Findings:
    for key, query in _RULES.items():
        found = [row[0] for row in connection.execute(query).fetchmany(20)]
        if found:
            yield wrong(key, n=len(found), details=tuple(found))


def newest(backups: Path) -> str:
    """The backup that one would go back to, or the folder where there would be one."""
    found = sorted(backups.glob("*.db"), key=lambda path: path.stat().st_mtime)
    return str(found[-1] if found else backups)


def look_at_jobs(store: Store, *, fix: bool) -> Findings:
    """A job that runs on a device that nobody holds is nobody's. The page interrupts it at its start, too."""
    settings = store.settings
    with store.database.reading() as session:
        found = session.connection().exec_driver_sql(
            "SELECT job.device, job.id, job.kind, process.role, process.pid FROM job"
            " LEFT JOIN process ON process.id = job.worker_id WHERE job.status = 'running'"
        )
        running = found.all()
    stuck = []
    for device in sorted({row[0] for row in running}):
        jobs = [row for row in running if row[0] == device]
        lock = FileLock(device_lock(settings.locks_dir, device))
        if any(role == "page" and _lives(pid) for *_, role, pid in jobs) or not lock.acquire():
            continue
        try:
            stuck += [f"{kind} {job_id}" for _, job_id, kind, _, _ in jobs]
            if fix:
                store.jobs.take_over((), max_attempts=settings.max_attempts, device=device)
        finally:
            lock.release()
    if stuck:
        yield (mended if fix else wrong)(
            "jobs_interrupted" if fix else "jobs_stuck", n=len(stuck), details=tuple(stuck)
        )
    else:
        yield fine("jobs_fine", n=len(running))


def _lives(pid: int | None) -> bool:
    import psutil

    return pid is not None and psutil.pid_exists(pid)
