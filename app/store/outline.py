"""A whole story at a glance, in two questions whatever its size: what a map of it needs, and no more.

Knows nothing of pages.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session, col, select

from app.store.models import SceneRow, TakeRow
from app.store.reading import StoryReader
from app.store.rows import takes_from
from app.story import Take

_SCENES = text(
    """
    SELECT id, parent_id, words, seen, mode FROM scene
    WHERE story_id = :story AND deleted_at IS NULL ORDER BY depth, position, id
    """
)
_TAKES = text(
    """
    SELECT scene.id, COUNT(*), MAX(take.starred),
        (SELECT media.sha256 || '.' || media.ext FROM take AS chosen
            JOIN media_link ON media_link.take_id = chosen.id AND media_link.role = 'thumb'
            JOIN media ON media.sha256 = media_link.media_sha256
            WHERE chosen.scene_id = scene.id AND chosen.chosen = 1 AND chosen.deleted_at IS NULL LIMIT 1)
    FROM scene JOIN take ON take.scene_id = scene.id AND take.deleted_at IS NULL
    WHERE scene.story_id = :story AND scene.deleted_at IS NULL GROUP BY scene.id
    """
)


@dataclass(frozen=True)
class Node:
    id: str
    parent_id: str | None
    words: str
    mode: str
    takes: int = 0
    starred: bool = False  # one of its takes is
    thumb: str | None = None  # of the chosen take


def outline(stories: StoryReader, story_id: str) -> tuple[Node, ...]:
    """All scenes that can be reached, parents before children, siblings in their order."""
    stories.story(story_id)  # whose is it?
    with stories.database.reading() as session:
        connection = session.connection()
        takes = {row[0]: row[1:] for row in connection.execute(_TAKES, {"story": story_id})}
        rows = connection.execute(_SCENES, {"story": story_id}).all()
    reached: set[str | None] = {None}
    nodes = []
    for scene_id, parent_id, words, seen, mode in rows:
        if parent_id in reached:
            reached.add(scene_id)
            count, starred, thumb = takes.get(scene_id, (0, 0, None))
            nodes.append(Node(scene_id, parent_id, words or seen, mode, count, bool(starred), thumb))
    return tuple(nodes)


def takes_thrown_away(stories: StoryReader, story_id: str, *, limit: int = 100) -> tuple[Take, ...]:
    """Takes that were thrown away while their scene is still there, the latest first."""
    living = {node.id for node in outline(stories, story_id)}
    with stories.database.reading() as session:
        return tuple(take for take in _thrown_away(session, story_id, limit) if take.scene_id in living)


def _thrown_away(session: Session, story_id: str, limit: int) -> tuple[Take, ...]:
    query = (
        select(TakeRow)
        .join(SceneRow, col(SceneRow.id) == col(TakeRow.scene_id))
        .where(SceneRow.story_id == story_id, col(SceneRow.deleted_at).is_(None), col(TakeRow.deleted_at).is_not(None))
        .order_by(col(TakeRow.deleted_at).desc())
        .limit(limit)
    )
    return takes_from(session, session.exec(query).all())
