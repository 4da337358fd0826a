"""Going on by itself: what follows when one job of a chain ends. Knows nothing of pages or of the model.

A chain lives in the payloads of its jobs and nowhere else, {"alone": {"chain": id, "scene": 2, "of": 5, ...}}: the
transaction that ends a job of it also submits the next one. So a chain that goes on has exactly one open job, whoever
is killed and whenever; one that was stopped, failed or came to its end has none.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session, col, func, select

from app.identity import new_id, now
from app.killpoints import reached
from app.store.database import Database
from app.store.errors import NotFound
from app.store.jobs import OPEN, Job, Jobs
from app.store.models import JobRow, SceneRow, StoryRow
from app.store.stories import Stories

MOST = 20
ALTERNATIVES = 3
REMEMBERED = 12  # scenes back in which a sentence counts as a repetition
PRIORITY = 0  # what a person asks for meanwhile comes first, or takes turns


def first_payload(scenes: int, steer: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Of the think job that begins a chain. `options`: how its takes are drawn, but for their seeds."""
    alone = {"chain": new_id(), "scene": 1, "of": scenes, "options": dict(options)}
    return {"steer": steer, "alternatives": ALTERNATIVES, "seed": _seed(), "alone": alone}


def part_of(job: Job) -> dict[str, Any] | None:
    """Which chain a job belongs to, and how far that is; None for a job of its own."""
    alone = job.payload.get("alone")
    return alone if isinstance(alone, dict) else None


def after_thinking(session: Session, stories: Stories, job: Job, thoughts: Sequence[Mapping[str, Any]]) -> None:
    """Inside the transaction that ends a think job: the best of its words become the next scene, which is drawn."""
    alone = _going_on(session, stories, job)
    if alone is None or job.scene_id is None:
        return
    told = [scene.words for scene in stories.told_around(session, job.scene_id, REMEMBERED)]
    words = best_words(thoughts, told)
    steer = str(job.payload.get("steer", ""))
    scene = stories.add_scene_in(session, job.scene_id, words, steer=steer, think_job_id=job.id, look="if there")
    payload = {"words": words, "mode": scene.mode, "options": {**alone["options"], "seed": _seed()}, "alone": alone}
    _next(session, job, "draw", payload, scene.id)


def after_drawing(session: Session, stories: Stories, job: Job) -> None:
    """Inside the transaction that ends a draw job: the next words are thought of, unless that was the last scene."""
    alone = _going_on(session, stories, job)
    if alone is None or alone["scene"] >= alone["of"]:
        return
    following = {**alone, "scene": alone["scene"] + 1}
    payload = {"steer": "", "alternatives": ALTERNATIVES, "seed": _seed(), "alone": following}
    _next(session, job, "think", payload, job.scene_id)


def best_words(thoughts: Sequence[Mapping[str, Any]], told: Sequence[str]) -> str:
    """The words that the model finds likeliest among those that were not just told; when all were, the ones that were
    told longest ago. `told`: oldest first."""
    last = {_plain(words): at for at, words in enumerate(told, start=1)}

    def rank(thought: Mapping[str, Any]) -> tuple[int, float]:
        score = thought.get("score")
        return (-last.get(_plain(thought["text"]), 0), float("-inf") if score is None else float(score))

    return str(max(thoughts, key=rank)["text"]).strip()


def stop(database: Database, owner_id: str, chain: str) -> int:
    """End a chain: what runs stops within a step, what waits is gone, what is finished stays. Returns how many jobs."""
    with database.transaction() as session:
        rows = session.exec(_open_of_chain(owner_id, chain)).all()
        for row in rows:
            row.cancel = row.cancel or (2 if row.kind == "think" else 1)
            if row.status != "running":
                row.status, row.finished_at = "cancelled", now()
        return len(rows)


def goes_on_in(database: Database, owner_id: str, story_id: str) -> bool:
    with database.reading() as session:
        query = _open_of_chain(owner_id).where(JobRow.story_id == story_id)
        return session.exec(query.limit(1)).first() is not None


def _open_of_chain(owner_id: str, chain: str | None = None) -> Any:
    at = func.json_extract(col(JobRow.payload_json), "$.alone.chain")
    query = select(JobRow).where(JobRow.owner_id == owner_id, col(JobRow.status).in_(OPEN))
    return query.where(at.is_not(None) if chain is None else at == chain)


def _going_on(session: Session, stories: Stories, job: Job) -> dict[str, Any] | None:
    """The chain as it is now, None when it ends here: stopped meanwhile, or its scenes were thrown away."""
    row = session.get_one(JobRow, job.id)
    alone: dict[str, Any] | None = json.loads(row.payload_json).get("alone")
    if alone is None or row.cancel or job.scene_id is None or not _can_be_reached(session, stories, job.scene_id):
        return None
    return alone


def _can_be_reached(session: Session, stories: Stories, scene_id: str) -> bool:
    try:
        path: list[SceneRow] = stories.path_rows(session, scene_id)
    except NotFound:
        return False
    story = session.get_one(StoryRow, path[0].story_id)
    return story.deleted_at is None and all(scene.deleted_at is None for scene in path)


def _next(session: Session, job: Job, kind: Any, payload: dict[str, Any], scene_id: str | None) -> None:
    held = bool(payload["alone"].pop("held", False))
    new = Jobs.submit_in(
        session,
        job.owner_id,
        kind,
        payload,
        story_id=job.story_id,
        scene_id=scene_id,
        after_job_id=job.id,
        priority=PRIORITY,
    )
    if held:
        session.get_one(JobRow, new).status = "paused"
    session.flush()
    reached("alone.went_on")


def _plain(words: str) -> str:
    return " ".join(words.lower().split()).rstrip(".!? ")


def _seed() -> int:
    return random.SystemRandom().randrange(2**31)
