"""Several people in one store: what a guest began becomes an account's, and what a guest leaves behind goes.

Knows nothing of sessions and pages.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from sqlalchemy import text
from sqlmodel import col, select

from app.store import Store
from app.store.erasing import empty_log
from app.store.models import MediaLinkRow, OwnerRow, StoryRow, metadata
from app.store.reels import forget_pieces
from app.store.search import forget_erased
from app.store.unlinking import announce, unlink

log = logging.getLogger(__name__)

GUEST = "guest"


def take_over(store: Store, guest_id: str, account_id: str) -> None:
    """All that is one person's becomes another's: stories, jobs, files, in one transaction."""
    with store.database.transaction() as session:
        for name, table in metadata.tables.items():
            if "owner_id" in table.columns:
                session.connection().execute(
                    text(f"UPDATE {name} SET owner_id = :to WHERE owner_id = :of"), {"to": account_id, "of": guest_id}
                )


def forget_guests(store: Store, present: Collection[str] = ()) -> int:
    """Erase for good what belongs to guests who are not `present` (subjects). Returns how many went."""
    with store.database.reading() as session:
        query = select(OwnerRow.id, OwnerRow.subject).where(OwnerRow.kind == GUEST)
        gone = [owner for owner, subject in session.exec(query).all() if subject not in present]
    for owner in gone:
        forget(store, owner)
    return len(gone)


def forget(store: Store, owner_id: str) -> None:
    """A person with every row and every file that nobody else uses. Files are announced before the rows go, so that a
    kill in between leaves nothing (see app.store.unlinking)."""
    with store.database.transaction() as session:
        links = select(MediaLinkRow.media_sha256).where(MediaLinkRow.owner_id == owner_id).distinct()
        hashes = list(session.exec(links).all())
        for story in session.exec(select(StoryRow.id).where(col(StoryRow.owner_id) == owner_id)).all():
            forget_pieces(store.media.root.parent, story)
            # the deepest first: SQLite follows a cascade no deeper than 1,000
            session.connection().execute(text("UPDATE story SET head_scene_id = NULL WHERE id = :id"), {"id": story})
            scenes = text("SELECT id FROM scene WHERE story_id = :id ORDER BY depth DESC")
            for (scene,) in session.connection().execute(scenes, {"id": story}).all():
                session.connection().execute(text("DELETE FROM scene WHERE id = :id"), {"id": scene})
        session.connection().execute(text("DELETE FROM owner WHERE id = :id"), {"id": owner_id})
        session.expire_all()
        files = store.media.sweep(session, hashes)
        forget_erased(session)
        note = announce(store.media, files)
    unlink(files, note)
    empty_log(store.database)
