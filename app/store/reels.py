"""The plans of films, one for each end of a path that somebody cut. Knows nothing of what a plan says, but that it has
shots, and that a shot names a scene: what is erased for good goes from the plans, too.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from app.identity import now
from app.store.errors import CHANGED, NotFound, StaleStory
from app.store.models import ReelRow, SceneRow
from app.store.reading import StoryReader


@dataclass(frozen=True)
class Kept:
    """`scene_id`: the end of the path that it was cut for. `version` rises with every change, from 1."""

    scene_id: str
    plan_json: str
    version: int


def kept_plan(stories: StoryReader, path: Sequence[str]) -> Kept | None:
    """The plan of the path, or of the longest beginning of it that has one; None when nobody cut anything yet."""
    with stories.database.reading() as session:
        rows: dict[str, ReelRow] = {}
        for at in range(0, len(path), 500):
            found = session.exec(select(ReelRow).where(col(ReelRow.scene_id).in_(path[at : at + 500]))).all()
            rows.update({row.scene_id: row for row in found})
        row = next((rows[scene_id] for scene_id in reversed(path) if scene_id in rows), None)
        return None if row is None else Kept(row.scene_id, row.plan_json, row.version)


def keep_plan(stories: StoryReader, scene_id: str, plan_json: str, *, expected_version: int | None = None) -> int:
    """Keep the plan for the path to this scene; returns its version. `expected_version`: what the person saw, 0 for a
    path that had no plan of its own. Raises StaleStory when another window has changed it since."""
    with stories.database.transaction() as session:
        scene = session.get(SceneRow, scene_id)
        if scene is None or scene.deleted_at is not None:
            raise NotFound("There is no such scene; it may be in the trash.")
        stories.story_row(session, scene.story_id)  # whose is it?
        row = session.exec(select(ReelRow).where(ReelRow.scene_id == scene_id)).first()
        if expected_version is not None and expected_version != (row.version if row else 0):
            raise StaleStory(CHANGED)
        if row is None:
            row = ReelRow(story_id=scene.story_id, scene_id=scene_id, plan_json=plan_json)
        else:
            row.plan_json, row.version, row.changed_at = plan_json, row.version + 1, now()
        session.add(row)
        session.flush()
        return row.version


def forget_plan(stories: StoryReader, scene_id: str) -> None:
    """Begin anew: the film of this path is again every scene as it is."""
    with stories.database.transaction() as session:
        row = session.exec(select(ReelRow).where(ReelRow.scene_id == scene_id)).first()
        if row is not None:
            stories.story_row(session, row.story_id)
            session.delete(row)


# inside a transaction of the store's ----------------------------------------------------------------------------------


def forget_scenes(session: Session, story_id: str, scenes: Collection[str]) -> None:
    """Scenes that are erased go from every plan, with the words that were written for them there."""
    for row in session.exec(select(ReelRow).where(ReelRow.story_id == story_id)).all():
        plan = json.loads(row.plan_json)
        left = [shot for shot in plan["shots"] if shot["scene"] not in scenes]
        if len(left) < len(plan["shots"]):
            row.plan_json, row.version = json.dumps({**plan, "shots": left}, ensure_ascii=False), row.version + 1
            session.add(row)
    session.flush()


def duplicate_plans(session: Session, story_id: str, copy_id: str, scenes: Mapping[str, str]) -> None:
    """`scenes`: ids of the story and what they are in its copy."""
    for row in session.exec(select(ReelRow).where(ReelRow.story_id == story_id)).all():
        if row.scene_id in scenes:
            plan = with_scenes(row.plan_json, scenes)
            session.add(ReelRow(story_id=copy_id, scene_id=scenes[row.scene_id], plan_json=plan))
    session.flush()


def with_scenes(plan_json: str, scenes: Mapping[str, str]) -> str:
    """The plan with other names for its scenes; shots of scenes that have none are left out."""
    plan: dict[str, Any] = json.loads(plan_json)
    plan["shots"] = [{**shot, "scene": scenes[shot["scene"]]} for shot in plan["shots"] if shot["scene"] in scenes]
    return json.dumps(plan, ensure_ascii=False)


def pieces_folder(data_dir: Path, story_id: str) -> Path:
    """Where encoded pieces of a story's films lie, and the films that nobody fetched yet."""
    return data_dir / "films" / story_id


def forget_pieces(data_dir: Path, story_id: str) -> None:
    """They show what is erased, and can be made again of what is left: gone before anything else is."""
    shutil.rmtree(pieces_folder(data_dir, story_id), ignore_errors=True)
