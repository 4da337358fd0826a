"""From rows to the domain's dataclasses, a handful of queries for any number of scenes. Writes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import text
from sqlmodel import Session, col, select

from app.store.models import MediaLinkRow, MediaRow, RecipeRow, SceneRow, StoryRow, TakeRow
from app.story import Scene, Story, Take

_MANY = 500  # SQLite's limit on variables is 32,766; small pieces keep the plans simple

_COUNT_AND_COVER = text(
    """
    SELECT story.id,
        (SELECT COUNT(*) FROM scene WHERE scene.story_id = story.id AND scene.deleted_at IS NULL),
        (SELECT media.sha256 || '.' || media.ext
            FROM scene JOIN take ON take.scene_id = scene.id JOIN media_link ON media_link.take_id = take.id
                JOIN media ON media.sha256 = media_link.media_sha256
            WHERE scene.story_id = story.id AND scene.deleted_at IS NULL AND take.deleted_at IS NULL
                AND media_link.role = 'thumb'
            ORDER BY scene.depth, scene.position, take.chosen DESC, take.number LIMIT 1)
    FROM story WHERE story.id IN (SELECT value FROM json_each(:ids))
    """
)


def stories_from(session: Session, rows: Sequence[StoryRow]) -> tuple[Story, ...]:
    found = session.connection().execute(_COUNT_AND_COVER, {"ids": json.dumps([row.id for row in rows])})
    facts = {story_id: (count, cover) for story_id, count, cover in found}
    return tuple(
        Story(
            id=row.id,
            owner_id=row.owner_id,
            title=row.title,
            premise=row.premise,
            cast=row.cast,
            look=row.look,
            version=row.version,
            head_scene_id=row.head_scene_id,
            created_at=row.created_at,
            updated_at=row.updated_at,
            opened_at=row.opened_at,
            deleted_at=row.deleted_at,
            scene_count=facts[row.id][0],
            cover=facts[row.id][1],
        )
        for row in rows
    )


def scenes_from(
    session: Session, rows: Sequence[SceneRow], *, trashed_takes: bool = False, bare: bool = False
) -> tuple[Scene, ...]:
    """With their takes and the names of their media; `bare`: without them."""
    takes: dict[str, list[Take]] = {}
    for piece in () if bare else _pieces([row.id for row in rows]):
        query = select(TakeRow).where(col(TakeRow.scene_id).in_(piece))
        if not trashed_takes:
            query = query.where(col(TakeRow.deleted_at).is_(None))
        for take in takes_from(session, session.exec(query.order_by(col(TakeRow.number))).all()):
            takes.setdefault(take.scene_id, []).append(take)
    return tuple(
        Scene(
            id=row.id,
            story_id=row.story_id,
            parent_id=row.parent_id,
            kind=row.kind,  # type: ignore[arg-type]
            mode=row.mode,  # type: ignore[arg-type]
            depth=row.depth,
            position=row.position,
            words=row.words,
            words_source=row.words_source,  # type: ignore[arg-type]
            steer=row.steer,
            seen=row.seen,
            in_world=row.in_world,
            confidence=row.confidence,
            created_at=row.created_at,
            takes=tuple(takes.get(row.id, ())),
            anchor_scene_id=row.anchor_scene_id,
            deleted_at=row.deleted_at,
        )
        for row in rows
    )


def takes_from(session: Session, rows: Sequence[TakeRow]) -> tuple[Take, ...]:
    media: dict[str, dict[str, str]] = {}
    seeds: dict[str, int] = {}
    for piece in _pieces([row.id for row in rows]):
        links = session.exec(
            select(MediaLinkRow.take_id, MediaLinkRow.role, MediaRow.sha256, MediaRow.ext)
            .join(MediaRow, col(MediaRow.sha256) == col(MediaLinkRow.media_sha256))
            .where(col(MediaLinkRow.take_id).in_(piece))
        )
        for take_id, role, sha256, ext in links:
            media.setdefault(take_id or "", {})[role] = f"{sha256}.{ext}"
        recipes = session.exec(select(RecipeRow.take_id, RecipeRow.seed).where(col(RecipeRow.take_id).in_(piece)))
        seeds.update(dict(recipes.all()))
    return tuple(
        Take(
            id=row.id,
            scene_id=row.scene_id,
            number=row.number,
            kind=row.kind,  # type: ignore[arg-type]
            chosen=row.chosen,
            starred=row.starred,
            rank=row.rank,
            width=row.width,
            height=row.height,
            frame_count=row.frame_count,
            fps=row.fps,
            seed=seeds.get(row.id),
            draw_seconds=row.draw_seconds,
            created_at=row.created_at,
            media=media.get(row.id, {}),
            parent_take_id=row.parent_take_id,
            job_id=row.job_id,
            drift=row.drift_json,
            deleted_at=row.deleted_at,
        )
        for row in rows
    )


def _pieces(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[i : i + _MANY] for i in range(0, len(ids), _MANY))


def within_reach(rows: Iterable[SceneRow]) -> list[SceneRow]:
    """Of scenes with parents before children those whose way to the beginning is whole."""
    reached: set[str | None] = {None}
    found = []
    for row in rows:
        if row.parent_id in reached:
            reached.add(row.id)
            found.append(row)
    return found
