"""The library: search, pages of the shelf, duplicates, what the disk holds, clearing, backups and the way back.

Knows nothing of Gradio.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from app.archivist import Archivist
from app.catalogue import say
from app.pages.place import Place
from app.pages.stories import FIRST_PAGE, hit_view, shelf_view
from app.pages.wishes.person import Message, Person, Question, Told, Wish, number_of, text_of
from app.store.backup import list_backups
from app.store.disk import Clearing, idle_takes, trash_takes_in, trashed_takes, usage
from app.store.errors import NotFound
from app.store.owners import shelf_order, sort_shelf
from app.store.search import search
from nsp_core.errors import UserError

MANY = 240  # stories a question may ask for
SIZES = 100  # stories whose size is listed


class Library:
    def __init__(self, person: Person) -> None:
        self.person = person
        self.archivist = Archivist(person.director, person.owner_id)
        self.wishes: dict[str, Wish] = {
            "duplicate": self._duplicate,
            "sort_shelf": self._sort,
            "clear_takes": self._clear,
            "erase_cleared": self._erase_cleared,
            "make_backup": self._make_backup,
            "stop_backup": self._stop_backup,
            "restore_backup": self._restore_backup,
            "erase_backup": self._erase_backup,
            "open_folder": self._open_folder,
        }
        self.questions: dict[str, Question] = {
            "search": self._search,
            "shelf": self._shelf,
            "files": self._files,
            "clearing": self._clearing,
            "backups": self._backups,
        }

    # finding ----------------------------------------------------------------------------------------------------

    def _search(self, message: Message, _place: Place) -> dict[str, Any]:
        query = message.get("query")
        query = query if isinstance(query, str) else ""
        trashed = message.get("trashed") is True
        found = search(self.person.store.database, self.person.owner_id, query, limit=40, trashed=trashed)
        return {"query": query, "trashed": trashed, "hits": [hit_view(hit) for hit in found.hits], "more": found.more}

    def _shelf(self, message: Message, _place: Place) -> dict[str, Any]:
        """More of the shelf than the page's view holds."""
        offset = number_of(message, "offset", 0, least=0, most=10**7)
        limit = number_of(message, "limit", FIRST_PAGE, least=1, most=MANY)
        order = shelf_order(self.person.store.database, self.person.owner_id)
        stories = self.person.stories.list_stories(begun=True, order=order, limit=limit, offset=offset)
        return {"stories": shelf_view(stories), "offset": offset}

    def _sort(self, message: Message, _place: Place) -> Place:
        sort_shelf(self.person.store.database, self.person.owner_id, text_of(message, "order", limit=20))
        return Place()

    def _duplicate(self, _message: Message, place: Place) -> Told:
        story = self.person.stories.story(place.story or "")
        title = say("library.copy_of", title=story.title or say("view.untitled"))[:120]
        self.person.may_begin()
        copy = self.person.stories.duplicate_story(story.id, title)
        opens = {"label": say("library.open_it"), "do": "open", "with": {"story": copy.id, "scene": None}}
        return Told(Place(), say("library.duplicated", title=title), opens)

    # the disk ---------------------------------------------------------------------------------------------------

    def _files(self, _message: Message, _place: Place) -> dict[str, Any]:
        settings, owner = self.person.settings, self.person.owner_id
        with self.person.store.database.reading() as session:
            used = usage(session, owner, settings.database, settings.backups_dir)
            idle, trashed = idle_takes(session, owner), trashed_takes(session, owner)
        own = self._is_own()
        return {
            "folder": str(settings.data_dir) if own else None,
            "can_open": own and self.person.at_home,
            "media": used.media,
            "files": used.files,
            "database": used.database if own else 0,
            "backups": used.backups if own else 0,
            "total": used.total if own else used.media,
            "stories": [
                {
                    "id": one.story_id,
                    "title": one.title or say("view.untitled"),
                    "bytes": one.bytes,
                    "gone": one.trashed,
                }
                for one in used.stories[:SIZES]
            ],
            "more": max(0, len(used.stories) - SIZES),
            "idle": _clearing_view(idle),
            "trashed": _clearing_view(trashed),
            "own": own,
        }

    def _clearing(self, _message: Message, place: Place) -> dict[str, Any]:
        """What clearing would do, for the story of the place or for all."""
        with self.person.store.database.reading() as session:
            if place.story is not None:
                self.person.stories.story(place.story)  # refuses somebody else's
            return _clearing_view(idle_takes(session, self.person.owner_id, place.story))

    def _clear(self, message: Message, place: Place) -> Told:
        """To the trash first: that is safe, takes no time and can be undone. Nothing is freed yet, and that is said."""
        story = text_of(message, "which", limit=64) or None
        with self.person.store.database.transaction() as session:
            found = idle_takes(session, self.person.owner_id, story)
            trash_takes_in(session, found.takes)
        if not found.takes:
            return Told(place, say("library.nothing_to_clear"))
        return Told(place, say("library.cleared", n=len(found.takes), size=size_text(found.bytes)))

    def _erase_cleared(self, _message: Message, place: Place) -> Told:
        """All takes in the trash, for good."""
        with self.person.store.database.reading() as session:
            found = trashed_takes(session, self.person.owner_id)
        what, freed = self.person.stories.erase_takes(found.takes)
        for job_id in what.jobs:
            for path in self.person.settings.previews_dir.glob(f"{job_id}-*"):
                path.unlink(missing_ok=True)
        return Told(place, say("library.erased_takes", n=len(found.takes), size=size_text(freed)))

    def _open_folder(self, _message: Message, place: Place) -> Place:
        """In the file manager of this machine: only for somebody who sits in front of it."""
        folder = self.person.settings.data_dir
        if not (self.person.at_home and self._is_own()):
            raise UserError(say("library.not_here"))
        if not open_in_file_manager(folder):
            raise UserError(say("library.no_file_manager", folder=folder))
        return place

    # backups ----------------------------------------------------------------------------------------------------

    def _backups(self, _message: Message, _place: Place) -> dict[str, Any]:
        self._allowed()
        work = self.archivist.work
        return {
            "folder": str(self.person.settings.backups_dir),
            "backups": [
                {
                    "name": one.path.name,
                    "bytes": one.bytes,
                    "made": one.made_at.isoformat(),
                    "stories": one.stories,
                    "scenes": one.scenes,
                    "missing": one.missing,
                    "aside": "-before-restore-" in one.path.name,
                }
                for one in list_backups(self.person.settings.backups_dir)
            ],
            "work": None
            if work is None
            else {
                "kind": work.kind,
                "phase": say(f"library.phase_{work.phase}"),
                "share": work.done / work.total if work.total else None,
                "over": work.over,
                "text": work.text,
                "failed": work.failed,
                "number": work.number,
            },
        }

    def _make_backup(self, _message: Message, place: Place) -> Place:
        self._allowed()
        self.archivist.backup()
        return place

    def _stop_backup(self, _message: Message, place: Place) -> Place:
        self.archivist.stop()
        return place

    def _restore_backup(self, message: Message, _place: Place) -> Place:
        """From the backups folder (`name`), or from a file that was brought (`path`)."""
        self._allowed()
        given = message.get("path")
        if not isinstance(given, str):
            self.archivist.restore(self.backup_path(text_of(message, "name", limit=200)))
            return Place()
        path = Path(given).resolve()
        if not path.is_relative_to(self.person.uploads) or not path.is_file():
            raise UserError(say("begin.not_arrived"))
        self.archivist.restore(path, remove=True)
        return Place()

    def _erase_backup(self, message: Message, place: Place) -> Told:
        self._allowed()
        path = self.backup_path(text_of(message, "name", limit=200))
        freed = path.stat().st_size
        path.unlink()
        return Told(place, say("library.backup_erased", size=size_text(freed)))

    def backup_path(self, name: str) -> Path:
        """A file in the backups folder that is listed there. Raises NotFound."""
        self._allowed()
        for one in list_backups(self.person.settings.backups_dir):
            if one.path.name == name:
                return one.path
        raise NotFound(say("library.no_backup"))

    def _is_own(self) -> bool:
        """Whether all that is kept here is this person's: not where others come, too."""
        return not self.person.settings.public and self.person.owner_id == self.person.store.local_owner()

    def _allowed(self) -> None:
        if not self._is_own():
            raise UserError(say("library.not_own"))


def open_in_file_manager(folder: Path) -> bool:
    """False when this machine has no file manager that can be called."""
    try:
        if sys.platform == "win32":
            os.startfile(folder)  # type: ignore[attr-defined]
            return True
        if sys.platform != "darwin" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            return False
        command = ["open" if sys.platform == "darwin" else "xdg-open", str(folder)]
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        return False
    return True


def size_text(size: int) -> str:
    """12 KB, 3.4 MB, 1.2 GB: thousands, as file managers count."""
    if size < 1_000_000:
        return f"{round(size / 1000)} KB"
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"


def _clearing_view(found: Clearing) -> dict[str, Any]:
    return {"takes": len(found.takes), "bytes": found.bytes, "size": size_text(found.bytes)}
