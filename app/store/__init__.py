"""Everything that is kept: stories, media, jobs, signs of life. Torch-free; used by the page and by the worker.

store = open_store(settings)              # makes or upgrades the database
stories = store.stories(store.local_owner())
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import select

from app.mounts import refuse_network_mount
from app.settings import Settings
from app.store.database import Database
from app.store.jobs import Jobs
from app.store.media import Media
from app.store.models import OwnerRow
from app.store.processes import Processes
from app.store.stories import Stories

__all__ = ["Store", "open_store"]

LOCAL = "local"


@dataclass(frozen=True)
class Store:
    settings: Settings
    database: Database
    media: Media
    jobs: Jobs
    processes: Processes

    def stories(self, owner_id: str | None) -> Stories:
        """The stories of one person; None is the program itself and sees all."""
        return Stories(self.database, self.media, owner_id)

    def local_owner(self) -> str:
        """The id of the one person of a laptop."""
        return self.owner(LOCAL, LOCAL)

    def owner(self, kind: str, subject: str, name: str = "") -> str:
        """The id of a person, made at the first call. `subject` is the account's own id."""
        with self.database.reading() as session:
            found = session.exec(select(OwnerRow.id).where(OwnerRow.subject == subject)).first()
        if found is not None:
            return found
        with self.database.transaction() as session:
            row = session.exec(select(OwnerRow).where(OwnerRow.subject == subject)).first()
            if row is None:
                row = OwnerRow(kind=kind, subject=subject, name=name)
                session.add(row)
                session.flush()
            return row.id

    def close(self) -> None:
        self.database.close()


def open_store(settings: Settings, *, prepare: bool = True) -> Store:
    """The store in settings.data_dir. Only the page prepares the tables; a worker finds them as they are."""
    if prepare:
        refuse_network_mount(settings.data_dir)
    settings.make_folders()
    database = Database(settings.database)
    if prepare:
        database.prepare(backups=settings.backups_dir)
    media = Media(settings.media_dir)
    return Store(settings, database, media, Jobs(database), Processes(database))
