"""What was noted of a person's choices: listed, counted, erased.

A note stands as long as what it says is still so: a star that was taken away, a scene that came back from the trash, a
change that was undone are no choices any more, without anybody having to tidy up. A story in the trash says nothing.
Knows nothing of pages, and nothing of what is learnt from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast, get_args

from sqlalchemy import text

from app.store.choosing import Kind
from app.store.database import Database
from app.store.erasing import empty_log

KINDS: tuple[Kind, ...] = get_args(Kind)

_STANDING = """
    FROM preference
    JOIN story ON story.id = preference.story_id AND story.deleted_at IS NULL
    JOIN scene ON scene.id = preference.scene_id
    LEFT JOIN take ON take.id = preference.take_id
    LEFT JOIN take AS other ON other.id = preference.other_take_id
    WHERE (:owner IS NULL OR preference.owner_id = :owner) AND (:story IS NULL OR preference.story_id = :story)
        AND CASE preference.kind
            WHEN 'kept' THEN scene.deleted_at IS NULL AND scene.words = preference.words_after
            WHEN 'rewrote' THEN scene.deleted_at IS NULL AND scene.words_source <> 'model'
                AND scene.words <> preference.words_before
            WHEN 'chose' THEN take.chosen AND take.deleted_at IS NULL
            WHEN 'starred' THEN take.starred AND take.deleted_at IS NULL
            WHEN 'threw_away' THEN
                CASE WHEN preference.take_id IS NULL THEN scene.deleted_at ELSE take.deleted_at END IS NOT NULL
            ELSE 0 END
"""
_LISTED = text(
    f"""
    SELECT preference.id, preference.kind, story.id, story.title, scene.id, scene.depth + 1, take.id, take.number,
        other.id, other.number,
        CASE WHEN preference.kind = 'threw_away' AND take.id IS NULL THEN scene.words ELSE preference.words_before END,
        CASE preference.kind WHEN 'threw_away' THEN '' ELSE scene.words END, preference.at
    {_STANDING}
    ORDER BY preference.at DESC, preference.id DESC LIMIT :limit OFFSET :offset
    """
)
_COUNTED = text(f"SELECT preference.kind, COUNT(*) {_STANDING} GROUP BY preference.kind")
_BY_STORY = text(
    f"SELECT story.id, story.title, COUNT(*) {_STANDING} GROUP BY story.id ORDER BY MAX(preference.at) DESC"
)


@dataclass(frozen=True)
class Choice:
    """One note. `scene` is its number, counted from the beginning; `take` and `other`, the one it was preferred to, are
    takes' numbers. `before`: words that were replaced or thrown away; `after`: those that stand."""

    id: str
    kind: Kind
    story_id: str
    story: str
    scene_id: str
    scene: int
    take_id: str | None
    take: int | None
    other_take_id: str | None
    other: int | None
    before: str
    after: str
    at: datetime


def choices(
    database: Database, owner_id: str | None, *, story_id: str | None = None, limit: int = -1, offset: int = 0
) -> tuple[Choice, ...]:
    """Newest first. `owner_id` None is the program itself, which sees everybody's."""
    values = {"owner": owner_id, "story": story_id, "limit": limit, "offset": offset}
    with database.reading() as session:
        rows = session.connection().execute(_LISTED, values).all()
    return tuple(Choice(*row[:-1], datetime.fromisoformat(row[-1]).replace(tzinfo=UTC)) for row in rows)


def counts(database: Database, owner_id: str | None) -> dict[Kind, int]:
    """How many there are of each kind."""
    with database.reading() as session:
        rows = session.connection().execute(_COUNTED, {"owner": owner_id, "story": None}).all()
    found = {row[0]: int(row[1]) for row in rows}
    return {kind: found.get(kind, 0) for kind in KINDS}


def by_story(database: Database, owner_id: str) -> tuple[tuple[str, str, int], ...]:
    """(id, title, how many) of each story that something was noted in, the latest first."""
    with database.reading() as session:
        rows = session.connection().execute(_BY_STORY, {"owner": owner_id, "story": None}).all()
    return tuple(cast("tuple[str, str, int]", tuple(row)) for row in rows)


def erase(database: Database, owner_id: str, *, story_id: str | None = None) -> int:
    """All notes of a person, or those of one story, for good: deleted cells are overwritten (PRAGMA secure_delete) and
    the write-ahead log is emptied. Returns how many rows went, those that no longer stood among them. Backups keep what
    they hold."""
    where = "owner_id = :owner" + ("" if story_id is None else " AND story_id = :story")
    values = {"owner": owner_id} | ({} if story_id is None else {"story": story_id})
    with database.transaction() as session:
        gone = session.connection().execute(text(f"DELETE FROM preference WHERE {where}"), values).rowcount
    empty_log(database)
    return int(gone)
