"""Files that are to go: said on disk before their rows are gone, so that the next start ends what a kill interrupted.

Knows nothing of stories. The note lies among the scratch files; it holds names of files, which are hashes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from app.identity import new_id
from app.killpoints import reached
from app.store.database import Database
from app.store.media import Media
from app.store.models import MediaRow

_SUFFIX = ".unlinking"


def announce(media: Media, files: Sequence[Path]) -> Path:
    """To be called before the rows are committed as gone; returns the note."""
    folder = media.root / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / f"{new_id()}{_SUFFIX}"
    partial = note.with_suffix(".partial")
    partial.write_text(json.dumps([file.name for file in files]), encoding="utf-8")
    partial.replace(note)
    return note


def unlink(files: Iterable[Path], note: Path) -> None:
    """To be called after the commit."""
    for file in files:
        file.unlink(missing_ok=True)
        reached("erase.unlinking")
    note.unlink(missing_ok=True)


def finish_unlinking(media: Media, database: Database) -> int:
    """What earlier starts announced and did not come to: files that still have a row stay, for nothing was committed.
    Returns how many notes there were."""
    notes = sorted((media.root / "tmp").glob(f"*{_SUFFIX}"))
    for note in notes:
        named = [media.path(name) for name in json.loads(note.read_text(encoding="utf-8"))]
        with database.reading() as session:
            gone = [file for file in named if session.get(MediaRow, file.stem) is None]
        unlink(gone, note)
    return len(notes)
