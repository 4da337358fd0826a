"""The one in whose name a wish is done, and what every wish may use. Knows nothing of any particular wish."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.catalogue import say
from app.director import Director
from app.pages.examples import Examples
from app.pages.place import Place
from app.settings import Settings
from app.store import Store
from app.store.errors import CHANGED, StaleStory
from app.store.outline import outline
from app.store.stories import Stories
from app.story import Scene
from nsp_core.errors import UserError

MAX_TEXT = 600

Message = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """Where a wish leads, and a word about it. `action`: a way back, {"label", "do", "with"}."""

    place: Place
    text: str
    action: dict[str, Any] | None = None

    @property
    def notice(self) -> dict[str, Any]:
        return {"kind": "info", "text": self.text, **({"action": self.action} if self.action else {})}


Wish = Callable[[Message, Place], "Place | Told"]  # does what is asked and says where that leads
Question = Callable[[Message, Place], dict[str, Any]]  # changes nothing; the answer is plain JSON


@dataclass(frozen=True)
class Person:
    """`uploads` is the only folder that a brought file may lie in; `steps` overrides the drawing steps that the model
    recommends; `works_here`: what is asked for is done in this process, there is no worker; `at_home`: only this very
    machine can talk to the page, so whoever does sits in front of it; `most_stories`: how many this person may keep."""

    director: Director
    owner_id: str
    examples: Examples
    uploads: Path
    steps: int | None = None
    works_here: bool = False
    at_home: bool = False
    most_stories: int | None = None

    @property
    def store(self) -> Store:
        return self.director.store

    @property
    def settings(self) -> Settings:
        return self.director.settings

    @property
    def stories(self) -> Stories:
        return self.store.stories(self.owner_id)

    def may_begin(self) -> None:
        """Before another story is made. Raises UserError; those in the trash count, for they are kept, too."""
        if self.most_stories is None:
            return
        if self.stories.count_stories() + self.stories.count_stories(trashed=True) >= self.most_stories:
            raise UserError(say("safety.too_many_stories", n=self.most_stories))

    def scene(self, place: Place) -> Scene:
        return self.stories.scene(place.scene or "")

    def stop_lost(self, story_id: str) -> None:
        """After scenes went to the trash: nobody draws for them any more."""
        living: set[str] | None = None
        while jobs := [job for job in self.director.active(self.owner_id, story_id) if job.scene_id and not job.cancel]:
            living = living or {node.id for node in outline(self.stories, story_id)}
            lost = [job for job in jobs if job.scene_id not in living]
            for job in lost:
                self.director.cancel(job.id, self.owner_id)
            if not lost:
                return


def text_of(message: Message, name: str, *, limit: int = MAX_TEXT) -> str:
    """The text of that name in one line, "" when there is none. Raises UserError when it is too long."""
    value = message.get(name)
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if len(text) > limit:
        raise UserError(say("asked.too_long", n=len(text), most=limit))
    return text


def seen_of(message: Message, name: str = "seen") -> int | None:
    """The version of the story that the page showed when this was asked; see app.store.errors.StaleStory."""
    value = message.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def unchanged(message: Message, now: str) -> None:
    """A text that is written over must be the one that the person saw (`was`) when they began to write."""
    was = message.get("was")
    if isinstance(was, str) and was != now:
        raise StaleStory(CHANGED)


def uploaded(message: Message, uploads: Path) -> tuple[Path, str]:
    """The file that was uploaded, and what the person calls it. Raises UserError when it did not arrive."""
    given = message.get("path")
    path = Path(given).resolve() if isinstance(given, str) and 0 < len(given) < 4096 and "\0" not in given else None
    if path is None or not path.is_relative_to(uploads) or not path.is_file():
        raise UserError(say("begin.not_arrived"))
    return path, Path(text_of(message, "name", limit=255) or path.name).name


def number_of(message: Message, name: str, otherwise: int, *, least: int, most: int) -> int:
    """The whole number of that name, or `otherwise`. Raises UserError outside `least` to `most`."""
    value = message.get(name, otherwise)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise UserError(say("asked.whole_number", name=name, least=least, most=most, value=repr(value)))
    return value
