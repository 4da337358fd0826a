"""What the stories take up on the disk, and takes that can go. Knows nothing of pages.

Files are shared: a scene's first picture is the last one of the scene before, a duplicated story has no files of its
own. So a story's size is the sum over its distinct files, and what clearing frees is only what nobody else uses.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from app.identity import now
from app.store import oplog
from app.store.models import SceneRow, StoryRow, TakeRow

# which story a link belongs to; a file that was brought in and never became a story belongs to none
_LINKS = """
    SELECT COALESCE(taken.story_id, scene.story_id, job.story_id) AS story_id, link.media_sha256 AS sha256
    FROM media_link AS link
        LEFT JOIN take ON take.id = link.take_id LEFT JOIN scene AS taken ON taken.id = take.scene_id
        LEFT JOIN scene ON scene.id = link.scene_id
        LEFT JOIN job ON job.id = link.job_id
    WHERE (:owner IS NULL OR link.owner_id = :owner)
"""
_BY_STORY = text(
    f"""
    SELECT used.story_id, story.title, story.deleted_at IS NOT NULL, SUM(media.bytes), COUNT(*)
    FROM (SELECT DISTINCT story_id, sha256 FROM ({_LINKS})) AS used
        JOIN media ON media.sha256 = used.sha256 JOIN story ON story.id = used.story_id
    GROUP BY used.story_id ORDER BY SUM(media.bytes) DESC
    """
)
_ALL = text(f"SELECT COALESCE(SUM(bytes), 0), COUNT(*) FROM media WHERE sha256 IN (SELECT sha256 FROM ({_LINKS}))")
# a take may go unless it is chosen, starred, brought in, or another one goes on from it in a scene that is not trashed
_IDLE = text(
    """
    SELECT take.id FROM take
        JOIN scene ON scene.id = take.scene_id JOIN story ON story.id = scene.story_id
    WHERE (:owner IS NULL OR story.owner_id = :owner) AND (:story IS NULL OR story.id = :story)
        AND story.deleted_at IS NULL AND scene.deleted_at IS NULL AND take.deleted_at IS NULL
        AND NOT take.chosen AND NOT take.starred AND take.kind = 'drawn'
        AND EXISTS (SELECT 1 FROM take AS other
            WHERE other.scene_id = take.scene_id AND other.chosen AND other.deleted_at IS NULL)
        AND NOT EXISTS (SELECT 1 FROM take AS after JOIN scene AS its ON its.id = after.scene_id
            WHERE after.parent_take_id = take.id AND after.deleted_at IS NULL AND its.deleted_at IS NULL)
    """
)
_TRASHED = text(
    """
    SELECT take.id FROM take JOIN scene ON scene.id = take.scene_id JOIN story ON story.id = scene.story_id
    WHERE (:owner IS NULL OR story.owner_id = :owner) AND (:story IS NULL OR story.id = :story)
        AND take.deleted_at IS NOT NULL
    """
)
# what is freed with these takes: files that nothing but they use
_FREED = text(
    """
    SELECT COALESCE(SUM(bytes), 0) FROM media WHERE sha256 IN
        (SELECT media_sha256 FROM media_link WHERE take_id IN (SELECT value FROM json_each(:takes)))
    AND NOT EXISTS (SELECT 1 FROM media_link WHERE media_sha256 = media.sha256
        AND (take_id IS NULL OR take_id NOT IN (SELECT value FROM json_each(:takes))))
    """
)


@dataclass(frozen=True)
class StorySize:
    story_id: str
    title: str
    trashed: bool
    bytes: int
    files: int


@dataclass(frozen=True)
class Usage:
    """`media`: distinct files of this person; the rest is of the whole data folder."""

    media: int
    files: int
    database: int
    backups: int
    stories: tuple[StorySize, ...]

    @property
    def total(self) -> int:
        return self.media + self.database + self.backups


@dataclass(frozen=True)
class Clearing:
    """Takes that would go or have gone, and the bytes that this frees."""

    takes: tuple[str, ...]
    bytes: int


def usage(session: Session, owner_id: str | None, database: Path, backups: Path) -> Usage:
    run = session.connection().execute
    media, files = run(_ALL, {"owner": owner_id}).one()
    sizes = tuple(
        StorySize(story_id, title, bool(gone), size, count)
        for story_id, title, gone, size, count in run(_BY_STORY, {"owner": owner_id})
    )
    tables = sum(size_of(database.with_name(database.name + end)) for end in ("", "-wal", "-shm"))
    return Usage(media, files, tables, sum(map(size_of, backups.glob("*"))), sizes)


def idle_takes(session: Session, owner_id: str | None, story_id: str | None = None) -> Clearing:
    """Takes without a star that no story needs, of one story or of all that are not in the trash."""
    return _clearing(session, _IDLE, owner_id, story_id)


def trashed_takes(session: Session, owner_id: str | None, story_id: str | None = None) -> Clearing:
    """Takes in the trash, of one story or of all."""
    return _clearing(session, _TRASHED, owner_id, story_id)


def trash_takes_in(session: Session, takes: tuple[str, ...]) -> None:
    """To the trash: one change a story, which undo brings back."""
    by_story: dict[str, list[TakeRow]] = {}
    for row, story_id in _rows(session, takes):
        by_story.setdefault(story_id, []).append(row)
    for story_id, rows in by_story.items():
        stamp = now()
        changes: list[tuple[Any, dict[str, Any]]] = [(row, {"deleted_at": stamp}) for row in rows]
        oplog.change(session, session.get_one(StoryRow, story_id), "clear_takes", changes)


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


def _clearing(session: Session, query: Any, owner_id: str | None, story_id: str | None) -> Clearing:
    run = session.connection().execute
    takes = tuple(take for (take,) in run(query, {"owner": owner_id, "story": story_id}))
    freed = run(_FREED, {"takes": json.dumps(takes)}).scalar_one() if takes else 0
    return Clearing(takes, int(freed))


def _rows(session: Session, takes: tuple[str, ...]) -> list[tuple[TakeRow, str]]:
    found: list[tuple[TakeRow, str]] = []
    for at in range(0, len(takes), 500):
        query = (
            select(TakeRow, SceneRow.story_id)
            .join(SceneRow, col(SceneRow.id) == col(TakeRow.scene_id))
            .where(col(TakeRow.id).in_(takes[at : at + 500]))
        )
        found += [(row, story_id) for row, story_id in session.exec(query).all()]
    return found
