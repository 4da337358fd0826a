"""Noting what a person chose, kept, starred, rewrote or threw away, in the transaction that does it.

A note names scenes and takes and never holds a picture; its words are those that are gone otherwise. Off, nothing is
noted. Knows nothing of who reads the notes; see app.store.choices.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from sqlmodel import Session, select

from app.store.database import Database
from app.store.models import OwnerRow, PreferenceRow, StoryRow

Kind = Literal["kept", "rewrote", "chose", "starred", "threw_away"]
SETTING = "choices"  # of the owner's settings: False when nothing is to be noted


def note(
    session: Session,
    story: StoryRow,
    kind: Kind,
    *,
    scene_id: str,
    take_id: str | None = None,
    other_take_id: str | None = None,
    before: str = "",
    after: str = "",
) -> None:
    """Write one down, unless the person wants none. What is said a second time replaces the first."""
    owner = session.get(OwnerRow, story.owner_id)
    if owner is None or not _is_noting(owner):
        return
    about = {"kind": kind, "scene_id": scene_id, "take_id": take_id, "other_take_id": other_take_id}
    for old in session.exec(select(PreferenceRow).filter_by(story_id=story.id, **about)).all():
        session.delete(old)
    row = PreferenceRow(owner_id=story.owner_id, story_id=story.id, words_before=before, words_after=after, **about)
    session.add(row)


def is_noting(database: Database, owner_id: str) -> bool:
    """Whether this person's choices are noted."""
    with database.reading() as session:
        return _is_noting(session.get_one(OwnerRow, owner_id))


def set_noting(database: Database, owner_id: str, on: bool) -> None:
    """What was noted before stays until it is erased."""
    with database.transaction() as session:
        row = session.get_one(OwnerRow, owner_id)
        row.settings_json = json.dumps({**_settings(row), SETTING: on})
        session.add(row)


def _is_noting(owner: OwnerRow) -> bool:
    return _settings(owner).get(SETTING) is not False


def _settings(row: OwnerRow) -> Mapping[str, Any]:
    value = json.loads(row.settings_json or "{}")
    return value if isinstance(value, dict) else {}
