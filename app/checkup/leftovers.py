"""What killed programs leave beside the stories: half-written files, previews of ended jobs, films that nobody fetched.

Only names that this program gives, only when they are old. Knows nothing of what is in them.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

from app.checkup.finding import Findings, fine, in_bytes, mended, note
from app.settings import Settings
from app.store import Store
from app.store.jobs import OPEN

_RUN_FILE = re.compile(r"worker-(\d+)\.json")


def look_at_leftovers(store: Store, *, fix: bool, older_than: float) -> Findings:
    limit = time.time() - older_than
    old = [(path, size) for path, (size, stamp) in leftovers(store) if stamp < limit]
    names = tuple(path.relative_to(store.settings.data_dir).as_posix() for path, _ in old[:20])
    size = in_bytes(sum(size for _, size in old))
    if not old:
        yield fine("leftovers_none")
    elif not fix:
        yield note("leftovers_found", n=len(old), size=size, details=names)
    else:
        for path, _ in old:
            path.unlink(missing_ok=True)
        yield mended("leftovers_swept", n=len(old), size=size, details=names)


def leftovers(store: Store) -> Iterator[tuple[Path, tuple[int, float]]]:
    """Each with its size and its age."""
    settings = store.settings
    for path in (*half_written(settings), *_previews(store), *_of_dead_pages(settings), *_of_gone_stories(store)):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                yield path, (path.stat().st_size, path.stat().st_mtime)


def half_written(settings: Settings) -> Iterator[Path]:
    yield from (settings.media_dir / "tmp").glob("*")
    yield from settings.backups_dir.glob("*.partial*")
    yield from settings.data_dir.glob("token.*.partial")
    yield from settings.run_dir.glob("*.partial")
    yield from settings.run_dir.glob("reel-*.mp4")
    yield from (settings.data_dir / "films").glob("*/*.partial")


def _previews(store: Store) -> Iterator[Path]:
    """Those of jobs that have ended; a job's previews begin with its id."""
    with store.database.reading() as session:
        marks = ", ".join(f"'{status}'" for status in OPEN)
        rows = session.connection().exec_driver_sql(f"SELECT id FROM job WHERE status IN ({marks})")
        going = {row[0] for row in rows}
    for path in store.settings.previews_dir.glob("*"):
        if path.name[:36] not in going:
            yield path


def _of_gone_stories(store: Store) -> Iterator[Path]:
    """Encoded pieces of films whose story is not there any more."""
    with store.database.reading() as session:
        stories = {row[0] for row in session.connection().exec_driver_sql("SELECT id FROM story")}
    for path in (store.settings.data_dir / "films").glob("*/*"):
        if path.parent.name not in stories:
            yield path


def _of_dead_pages(settings: Settings) -> Iterator[Path]:
    import psutil

    for path in settings.run_dir.glob("worker-*.json"):
        found = _RUN_FILE.fullmatch(path.name)
        if found is not None and not psutil.pid_exists(int(found[1])):
            yield path
