"""What a person asks for on the page: each wish becomes a change in the store or a job, then the page as it is now.

Knows nothing of Gradio. Whatever the browser sends is checked in app.pages.wishes, in the name of one person; mistakes
come back as one sentence on the page.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from app.catalogue import say
from app.director import Director
from app.models.fetching import Fetching
from app.pages.examples import Examples
from app.pages.place import Place
from app.pages.view import Views
from app.pages.wishes.adapters import Adapters
from app.pages.wishes.alone import Alone
from app.pages.wishes.begin import Beginning
from app.pages.wishes.bible import Bible
from app.pages.wishes.choices import Choosing
from app.pages.wishes.drift import Drifting
from app.pages.wishes.engine import EngineRoom
from app.pages.wishes.film import Film
from app.pages.wishes.library import Library
from app.pages.wishes.machine import Machine
from app.pages.wishes.models import Models
from app.pages.wishes.person import Message, Person, Question, Told, Wish, text_of
from app.pages.wishes.queue import Queueing
from app.pages.wishes.recipe import Recipes
from app.pages.wishes.share import Share
from app.pages.wishes.shelf import Shelf
from app.pages.wishes.takes import Takes
from app.pages.wishes.teach import Teach
from app.pages.wishes.telling import Telling
from app.pages.wishes.wander import Wandering
from app.provenance.account import provenance_of
from app.reel import ReelItem, export_reel
from app.reel.rendering import Rendering
from app.share.sending import Sending
from app.store.errors import NotFound, StaleStory
from app.teaching.teaching import Teaching
from nsp_core.errors import OutsideLanguage, UserError, WhatNextError

log = logging.getLogger(__name__)


class Desk:
    """One person's requests; see `Person` for the arguments."""

    def __init__(
        self,
        director: Director,
        owner_id: str,
        examples: Examples,
        *,
        uploads: Path,
        steps: int | None = None,
        works_here: bool = False,
        at_home: bool = False,
        most_stories: int | None = None,
        beside: Desk | None = None,
    ) -> None:
        """`beside`: another person's desk in the same house; what there is one of for everybody is shared with it."""
        self.person = Person(director, owner_id, examples, uploads.resolve(), steps, works_here, at_home, most_stories)
        self.director = director
        self.store = director.store
        self.owner_id = owner_id
        self.settings = director.settings
        self.examples = examples
        self.stories = self.person.stories
        self.views = Views(director, owner_id, examples, at_home=at_home)
        self.beginning = Beginning(self.person)
        self.library = Library(self.person)
        self.fetching = beside.fetching if beside else Fetching(self.settings)
        self.rendering = beside.rendering if beside else Rendering(self.settings)
        self.sending = beside.sending if beside else Sending(self.store)
        self.teaching = beside.teaching if beside else Teaching(self.settings)
        self.teach = Teach(self.person, self.teaching)
        self.wishes: dict[str, Wish] = {}
        self.questions: dict[str, Question] = {}
        for subject in (
            self.beginning,
            Telling(self.person),
            Wandering(self.person),
            Takes(self.person),
            Shelf(self.person),
            self.library,
            Bible(self.person),
            Machine(self.person, self.fetching),
            Models(self.person, self.fetching),
            Recipes(self.person),
            Drifting(self.person),
            Alone(self.person),
            Queueing(self.person),
            EngineRoom(self.person),
            Film(self.person, self.rendering),
            Share(self.person, self.sending),
            Choosing(self.person),
            self.teach,
            Adapters(self.person, self.teaching),
        ):
            self.wishes.update(subject.wishes)
            self.questions.update(getattr(subject, "questions", {}))

    # asked by the page ------------------------------------------------------------------------------------------

    def look(self, message: Any) -> dict[str, Any]:
        """The page as it is now. The first look of a browser also wakes the model."""
        place = Place.of(message)
        try:
            if isinstance(message, dict) and message.get("hello"):
                self._wake()
                self._work_here()
            place, notice = self.beginning.settle(place)
            view = self.views.at(place)
            return {**view, "notice": notice or view["notice"]}
        except Exception:
            log.exception("the page could not be shown")
            return self.views.home({"kind": "error", "text": say("desk.broken")})

    def act(self, message: Any) -> dict[str, Any]:
        """Do what is asked, then show where that leads. A mistake changes nothing and says so."""
        place = Place.of(message)
        notice: dict[str, Any] | None = None
        given: Message = dict(message) if isinstance(message, dict) else {}
        try:
            wish = self.wishes.get(text_of(given, "do"))
            if wish is None:
                raise UserError(say("desk.strange"))
            self.director.heartbeat()
            outcome = wish(given, place)
            self._work_here()
            if isinstance(outcome, Told):
                place, notice = outcome.place, outcome.notice
            else:
                place = outcome
        except WhatNextError as error:
            notice = {"kind": "error", "text": str(error), "known": list(getattr(error, "known", ()))}
            if isinstance(error, OutsideLanguage):
                notice["kind"] = "unknown"
            if isinstance(error, StaleStory):
                notice.update(kept(given))
        except Exception:
            log.exception("a wish failed: %r", given.get("do"))
            notice = {"kind": "error", "text": say("desk.broken")}
        view = self.look(place.json())
        return {**view, "notice": notice or view["notice"]}

    def ask(self, message: Any) -> dict[str, Any]:
        """A question that changes nothing and moves nowhere: what a panel shows. {"error": sentence} when it fails."""
        given: Message = dict(message) if isinstance(message, dict) else {}
        try:
            question = self.questions.get(text_of(given, "ask"))
            if question is None:
                raise UserError(say("desk.strange"))
            return question(given, Place.of(given))
        except WhatNextError as error:
            return {"error": str(error)}
        except Exception:
            log.exception("a question failed: %r", given.get("ask"))
            return {"error": say("desk.broken")}

    # files ------------------------------------------------------------------------------------------------------

    def media_path(self, name: str) -> Path:
        """A media file of this person's. Raises NotFound."""
        if not self.stories.may_read(name):
            raise NotFound("There is no such file among your stories.")
        path = self.store.media.path(name)
        if not path.is_file():
            raise NotFound("That file is gone from the media folder.")
        return path

    def preview_path(self, job_id: str) -> Path:
        path = self.director.preview_path(self.director.status(job_id, self.person.owner_id))
        if path is None:
            raise NotFound("There is no preview of that.")
        return path

    def film(self, name: str) -> tuple[Path, str]:
        """The film that was made last, and its story's title. Raises NotFound."""
        found = self.rendering.film(self.owner_id, name)
        if found is None:
            raise NotFound("That film is not here any more; make it again.")
        path, report = found
        return path, self.stories.story(report.story).title

    def write_reel(self, scene_id: str, target: Path) -> str:
        """The path to the scene as one film in `target`; returns the story's title."""
        path = self.stories.path_to(scene_id)
        title = self.stories.story(path[0].story_id).title
        items = [
            ReelItem(self.store.media.path(take.media["clip"]), scene.words, take.seconds)
            for scene in path
            if (take := scene.chosen) is not None and "clip" in take.media
        ]
        told = provenance_of(self.settings, self.stories, path[0].story_id, path)
        export_reel(items, target, title=title, provenance=told)
        return title

    # inside -----------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if not self.settings.in_process and not self.director.engine.broken() and self.director.worker_state() is None:
            self.director.submit_load(self.person.owner_id)

    def _work_here(self) -> None:
        """Without a worker, whoever asks also sees to it that what waits is done; what an earlier page left, too."""
        if self.person.works_here:
            active = self.director.active(self.person.owner_id)
            waiting = [job.id for job in reversed(active) if job.status != "running"]
            if waiting:
                self.director.run_soon(waiting)


def kept(given: Message) -> dict[str, Any]:
    """What a person had written when the story was found changed in another window: shown, and asked for once more."""
    written = [text_of(given, name, limit=2000) for name in ("words", "title", "premise", "cast", "look")]
    text = " · ".join(filter(None, written))
    if not text:
        return {}
    again = {name: value for name, value in given.items() if name not in ("do", "seen", "was")}
    return {"typed": text, "action": {"label": say("wander.anyway"), "do": text_of(given, "do"), "with": again}}
