"""The log of changes: append only, walked backwards by undo and forwards by redo, also after a restart.

A change is a patch of columns: {"scene:<id>": {"words": "old"}} and the same with the new values. Making a scene is the
patch of its `deleted_at`: undoing it puts the scene in the trash, from where redo takes it back. Media, takes and jobs
are never undone. Knows nothing of what the columns mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, func, select

from app.identity import now
from app.killpoints import reached
from app.store.models import OpRow, Row, SceneRow, StoryRow, TakeRow

TABLES: dict[str, type[Row]] = {"story": StoryRow, "scene": SceneRow, "take": TakeRow}
_NAMES = {table: name for name, table in TABLES.items()}
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


def change(
    session: Session,
    story: StoryRow,
    kind: str,
    changes: Iterable[tuple[Row, Mapping[str, Any]]] = (),
    *,
    actor: str = "user",
    made: Iterable[Row] = (),
    group_id: str | None = None,
) -> None:
    """Apply `changes` to rows, remember both sides, raise the story's version. `made` are new rows, already added."""
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
    story.version += 1
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
    latest = session.exec(
        _of_user(story).where(col(OpRow.undone).is_(False)).order_by(col(OpRow.number).desc())
    ).first()
    return None if latest is None else _walk(session, story, latest, undone=True)


def redo(session: Session, story: StoryRow) -> str | None:
    """Do again what was undone last, unless something new was done since."""
    query = select(func.max(OpRow.number)).where(
        OpRow.story_id == story.id, OpRow.actor == "user", col(OpRow.undone).is_(False)
    )
    done = session.exec(query).first() or 0
    following = session.exec(
        _of_user(story).where(col(OpRow.undone).is_(True), col(OpRow.number) > done).order_by(col(OpRow.number))
    ).first()
    return None if following is None else _walk(session, story, following, undone=False)


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
    """Columns that let go of something first: of two takes, the one that is no longer chosen."""
    entries = sorted(patch.items(), key=lambda entry: entry[1].get("chosen", False) is True)
    for key, values in entries:
        table, _, row_id = key.partition(":")
        row = session.get(TABLES[table], row_id)
        if row is None:
            continue  # erased for good since
        for name, value in values.items():
            setattr(row, name, datetime.fromisoformat(value) if name.endswith("_at") and value else value)
        session.add(row)
        session.flush()


def _key(row: Row) -> str:
    return f"{_NAMES[type(row)]}:{row.id}"  # type: ignore[attr-defined]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
