"""The log of changes: append only, walked backwards by undo and forwards by redo, also after a restart.

A change is a patch of columns: {"scene:<id>": {"words": "old"}} and the same with the new values. Making a scene is the
patch of its `deleted_at`: undoing it puts the scene in the trash, from where redo takes it back. Media, takes and jobs
are never undone. Only erasing for good changes what was written here; see `forget`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from app.identity import now
from app.killpoints import reached
from app.store.models import OpRow, Row, SceneRow, StoryRow, TakeRow

TABLES: dict[str, type[Row]] = {"story": StoryRow, "scene": SceneRow, "take": TakeRow}
_NAMES = {table: name for name, table in TABLES.items()}
_SCENES = ("head_scene_id", "anchor_scene_id", "parent_id")  # columns that name a scene
Patch = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Op:
    """One line of a story's history."""

    number: int
    kind: str
    actor: str
    before: Patch
    after: Patch
    undone: bool
    at: datetime


@dataclass(frozen=True)
class Step:
    """What undo or redo would do next. `number`: of the scene that it is about, counted from the beginning."""

    op: int  # its place in the history
    kind: str
    scene_id: str | None = None
    number: int | None = None


def change(
    session: Session,
    story: StoryRow,
    kind: str,
    changes: Iterable[tuple[Row, Mapping[str, Any]]] = (),
    *,
    actor: str = "user",
    made: Iterable[Row] = (),
    group_id: str | None = None,
    counts: bool = True,
) -> None:
    """Apply `changes` to rows, remember both sides, raise the story's version. `made` are new rows, already added.

    `counts=False`: the version stays, because a page that has not seen this cannot overwrite it.
    """
    before: Patch = {}
    after: Patch = {}
    stamp = now()
    for row in made:
        before[_key(row)] = {"deleted_at": stamp.isoformat()}
        after[_key(row)] = {"deleted_at": None}
    for row, values in changes:
        old = before.setdefault(_key(row), {})
        new = after.setdefault(_key(row), {})
        for name, value in values.items():
            old[name], new[name] = _plain(getattr(row, name)), _plain(value)
            setattr(row, name, value)
        session.add(row)
        session.flush()  # in the order given: one chosen take must go before the next one comes
    reached("story.changed")
    story.version += counts
    story.updated_at = stamp
    session.add(story)
    session.add(
        OpRow(
            story_id=story.id,
            owner_id=story.owner_id,
            group_id=group_id,
            kind=kind,
            actor=actor,
            before_json=json.dumps(before, ensure_ascii=False),
            after_json=json.dumps(after, ensure_ascii=False),
            at=stamp,
        )
    )
    session.flush()


def undo(session: Session, story: StoryRow) -> str | None:
    """Take back the person's latest change (with all of its group). Returns its kind; None: nothing to undo."""
    latest = next_undo(session, story)
    return None if latest is None else _walk(session, story, latest, undone=True)


def redo(session: Session, story: StoryRow) -> str | None:
    """Do again what was undone last, unless something new was done since."""
    following = next_redo(session, story)
    return None if following is None else _walk(session, story, following, undone=False)


def next_undo(session: Session, story: StoryRow) -> OpRow | None:
    query = _of_user(story).where(col(OpRow.undone).is_(False)).order_by(col(OpRow.number).desc()).limit(1)
    return session.exec(query).first()  # type: ignore[no-any-return]


def next_redo(session: Session, story: StoryRow) -> OpRow | None:
    latest = next_undo(session, story)
    done = 0 if latest is None else latest.number
    query = _of_user(story).where(col(OpRow.undone).is_(True), col(OpRow.number) > done)
    return session.exec(query.order_by(col(OpRow.number)).limit(1)).first()  # type: ignore[no-any-return]


def step_of(session: Session, op: OpRow | None) -> Step | None:
    if op is None:
        return None
    named = [key for key in json.loads(op.after_json) if not key.startswith("story:")]
    keys = sorted(named, key=lambda key: key.startswith("take:"))  # scenes first, the first of them first
    for key in keys:
        table, _, row_id = key.partition(":")
        row = session.get(TABLES[table], row_id)
        scene = session.get(SceneRow, row.scene_id) if isinstance(row, TakeRow) else row
        if isinstance(scene, SceneRow):
            return Step(op.number or 0, op.kind, scene.id, scene.depth + 1)
    return Step(op.number or 0, op.kind)


def forget(session: Session, story_id: str, scenes: Collection[str], takes: Collection[str]) -> None:
    """Erase what is written of these scenes and takes: old words must not outlive them. An op that then says nothing
    goes, too."""
    gone = {f"scene:{one}" for one in scenes} | {f"take:{one}" for one in takes}
    for op in session.exec(select(OpRow).where(OpRow.story_id == story_id)).all():
        before, after = json.loads(op.before_json), json.loads(op.after_json)
        if not after:
            continue
        left = [_without(patch, gone, scenes) for patch in (before, after)]
        if left == [before, after]:
            continue
        if any(set(values) - {"head_scene_id"} for values in left[1].values()):
            op.before_json, op.after_json = (json.dumps(patch, ensure_ascii=False) for patch in left)
            session.add(op)
        else:
            session.delete(op)
    session.flush()


def _without(patch: Patch, gone: Collection[str], scenes: Collection[str]) -> Patch:
    return {
        key: {name: None if name in _SCENES and value in scenes else value for name, value in values.items()}
        for key, values in patch.items()
        if key not in gone
    }


def history(session: Session, story_id: str, limit: int) -> tuple[Op, ...]:
    """Newest first."""
    rows = session.exec(
        select(OpRow).where(OpRow.story_id == story_id).order_by(col(OpRow.number).desc()).limit(limit)
    ).all()
    return tuple(
        Op(
            row.number or 0,
            row.kind,
            row.actor,
            json.loads(row.before_json),
            json.loads(row.after_json),
            row.undone,
            row.at,
        )
        for row in rows
    )


def _of_user(story: StoryRow) -> Any:
    return select(OpRow).where(OpRow.story_id == story.id, OpRow.actor == "user")


def _walk(session: Session, story: StoryRow, op: OpRow, *, undone: bool) -> str:
    group = [op]
    if op.group_id is not None:
        group = list(session.exec(_of_user(story).where(OpRow.group_id == op.group_id)).all())
    for each in sorted(group, key=lambda row: row.number or 0, reverse=undone):
        _apply(session, json.loads(each.before_json if undone else each.after_json))
        each.undone = undone
        session.add(each)
    reached("undo.walked")
    story.version += 1
    story.updated_at = now()
    session.flush()
    return op.kind


def _apply(session: Session, patch: Patch) -> None:
    """Columns that let go of something first: of two takes, the one that is no longer chosen. What was erased for good
    since, or was chosen by somebody else meanwhile, must not stand in the way."""
    entries = sorted(patch.items(), key=lambda entry: entry[1].get("chosen", False) is True)
    touched: set[str] = set()
    for key, values in entries:
        table, _, row_id = key.partition(":")
        row = session.get(TABLES[table], row_id)
        if row is None:
            continue
        new = {name: _value(session, name, value) for name, value in values.items()}
        if isinstance(row, TakeRow):
            touched.add(row.scene_id)
            if new.get("chosen", row.chosen) and new.get("deleted_at", row.deleted_at) is None:
                _choose_only(session, row)
        for name, value in new.items():
            setattr(row, name, value)
        session.add(row)
        session.flush()
    for scene_id in touched:
        choose_one(session, scene_id)


def _value(session: Session, name: str, value: Any) -> Any:
    if name.endswith("_at") and value:
        return datetime.fromisoformat(value)
    if name in _SCENES and value is not None and session.get(SceneRow, value) is None:
        return None
    return value


def _living(scene_id: str) -> Any:
    return select(TakeRow).where(TakeRow.scene_id == scene_id, col(TakeRow.deleted_at).is_(None))


def _choose_only(session: Session, take: TakeRow) -> None:
    for other in session.exec(_living(take.scene_id).where(col(TakeRow.chosen).is_(True), TakeRow.id != take.id)).all():
        other.chosen = False
        session.add(other)
    session.flush()


def choose_one(session: Session, scene_id: str) -> None:
    """A scene with takes goes on from one of them, whatever was undone."""
    takes = session.exec(_living(scene_id).order_by(col(TakeRow.number).desc())).all()
    if takes and not any(take.chosen for take in takes):
        takes[0].chosen = True
        session.add(takes[0])
        session.flush()


def _key(row: Row) -> str:
    return f"{_NAMES[type(row)]}:{row.id}"  # type: ignore[attr-defined]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
