"""A story once more: every branch, take and choice under new ids, on the same files. Knows nothing of pages.

What was thrown away stays behind, and so do jobs, the history that undo walks along, and what was learnt about taste.
"""

from __future__ import annotations

import json
from typing import Any

from sqlmodel import Session, col, select

from app.identity import new_id, now
from app.store import oplog
from app.store.models import MediaLinkRow, RecipeRow, Row, SceneRow, StoryRow, TakeRow, VerdictRow
from app.store.reels import duplicate_plans
from app.store.rows import within_reach

_MANY = 500


def duplicate_in(session: Session, story: StoryRow, title: str) -> StoryRow:
    """A copy of `story` for the same person. Its scenes keep the times and places that they had."""
    scenes = living_scenes(session, story.id)
    scene_ids = {scene.id: new_id() for scene in scenes}
    takes = rows_of(session, TakeRow, "scene_id", list(scene_ids), living=True)
    take_ids = {take.id: new_id() for take in takes}

    copy = StoryRow(
        **story.model_dump(exclude={"id", "title", "version", "head_scene_id", "origin", "created_at", "updated_at"}),
    )
    copy.title, copy.origin, copy.deleted_at = title, "duplicate", None
    copy.opened_at = now()
    session.add(copy)
    session.flush()
    for scene in scenes:  # parents before children
        anchor = scene.anchor_scene_id
        _add(
            session,
            scene,
            id=scene_ids[scene.id],
            story_id=copy.id,
            parent_id=None if scene.parent_id is None else scene_ids[scene.parent_id],
            think_job_id=None,
            anchor_scene_id=None if anchor is None else scene_ids.get(anchor),
        )
    session.flush()
    for take in sorted(takes, key=lambda take: take.id):  # what a take was drawn after is older than it
        before = take.parent_take_id
        _add(
            session,
            take,
            id=take_ids[take.id],
            scene_id=scene_ids[take.scene_id],
            parent_take_id=None if before is None else take_ids.get(before),
            job_id=None,
        )
    session.flush()
    for recipe in rows_of(session, RecipeRow, "take_id", list(take_ids)):
        parents = _renamed(recipe.parents_json, {**scene_ids, **take_ids})
        _add(session, recipe, id=new_id(), take_id=take_ids[recipe.take_id], parents_json=parents)
    for verdict in rows_of(session, VerdictRow, "take_id", list(take_ids)):
        _add(session, verdict, id=new_id(), take_id=take_ids[verdict.take_id])
    for link in rows_of(session, MediaLinkRow, "take_id", list(take_ids)):
        _add(session, link, id=new_id(), take_id=take_ids[link.take_id or ""])
    for link in rows_of(session, MediaLinkRow, "scene_id", list(scene_ids)):
        _add(session, link, id=new_id(), scene_id=scene_ids[link.scene_id or ""])
    duplicate_plans(session, story.id, copy.id, scene_ids)
    copy.head_scene_id = scene_ids.get(story.head_scene_id or "")
    oplog.change(session, copy, "create_story", actor="model")  # nothing before it to go back to
    return copy


def living_scenes(session: Session, story_id: str) -> list[SceneRow]:
    """Scenes that can be reached, parents before children."""
    rows = session.exec(
        select(SceneRow)
        .where(SceneRow.story_id == story_id, col(SceneRow.deleted_at).is_(None))
        .order_by(col(SceneRow.depth), col(SceneRow.position))
    ).all()
    return within_reach(rows)


def rows_of(session: Session, table: Any, column: str, ids: list[str], *, living: bool = False) -> list[Any]:
    rows: list[Any] = []
    for at in range(0, len(ids), _MANY):
        query = select(table).where(col(getattr(table, column)).in_(ids[at : at + _MANY]))
        if living:
            query = query.where(col(table.deleted_at).is_(None))
        rows += session.exec(query).all()
    return rows


def _add(session: Session, row: Row, **other: Any) -> None:
    session.add(type(row)(**{**row.model_dump(), **other}))


def _renamed(parents: str, ids: dict[str, str]) -> str:
    """The scenes and takes that a recipe names are those of the copy, where the copy has them."""
    named = json.loads(parents)
    for one in named:
        for key in ("scene", "take"):
            one[key] = ids.get(one.get(key) or "", one.get(key))
    return json.dumps(named, ensure_ascii=False)
