"""Wishes about lessons: bring clips, correct what is said of them, learn, pause, stop, forget. Knows nothing of Gradio.

Only whoever sits at this machine may: it costs hours of its processor, and a folder may be named that lies on it.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.catalogue import say
from app.pages.place import Place
from app.pages.teach_view import lesson_view, lessons_view
from app.pages.wishes.person import Message, Person, Question, Told, Wish, number_of, text_of, uploaded
from app.teaching.adapters import keep, now_chosen, with_adapter
from app.teaching.lesson import MOST_NAMES, Lesson, Lessons
from app.teaching.teaching import Doing, Teaching
from nsp_core.banks import file
from nsp_core.errors import UserError

SHOWN = (".mp4", ".jpg", ".jpeg", ".png", ".webp", ".html")
LONGEST = 7 * 24 * 60  # minutes


class Teach:
    def __init__(self, person: Person, teaching: Teaching) -> None:
        self.person = person
        self.teaching = teaching
        self.lessons = Lessons(person.settings.data_dir)
        self.guard = threading.Lock()  # what a person corrects comes in quickly, and is read and written whole
        self.questions: dict[str, Question] = {
            "teach": self._teach,
            "teach_bring": self._bring,
            "teach_leave": self._leave,
            "teach_clip": self._clip,
            "teach_names": self._names,
        }
        self.wishes: dict[str, Wish] = {
            "teach_folder": self._folder,
            "teach_look": self._look,
            "teach_plan": self._plan,
            "teach_learn": self._learn,
            "teach_pause": self._pause,
            "teach_stop": self._stop,
            "teach_forget": self._forget,
        }

    def file(self, key: str, name: str) -> Path:
        """A file that the page shows of a lesson. Raises UserError."""
        self._only_here()
        path = self.lessons.called(key).inside(name)
        if path is None or path.suffix not in SHOWN:
            raise UserError(say("teach.no_file"))
        return path

    # asked ------------------------------------------------------------------------------------------------------

    def _teach(self, message: Message, _place: Place) -> dict[str, Any]:
        """All lessons, and one of them with everything in it when it is named."""
        self._only_here()
        report = self.teaching.report()
        key = text_of(message, "lesson")
        known = self.lessons.all()
        lesson = next((one for one in known if one.key == key), None)
        return {
            "lessons": lessons_view(known, report),
            "lesson": lesson_view(lesson, report, now_chosen(self.person.director.engine.asked_for))
            if lesson
            else None,
            "busy": report is not None and report.what == "running",
        }

    def _bring(self, message: Message, _place: Place) -> dict[str, Any]:
        """A file that was uploaded goes into a lesson; without `lesson` into a new one called `title`.

        This and what follows are questions, though they change the lesson: many come quickly one after the other, and
        the page behind stays as it is.
        """
        self._only_here()
        path, name = uploaded(message, self.person.uploads)
        key = text_of(message, "lesson")
        with self.guard:
            lesson = self.lessons.called(key) if key else self._new(message)
            self._at_rest(lesson)
            lesson.bring(path, name)
        return {"lesson": lesson.key}

    def _leave(self, message: Message, place: Place) -> dict[str, Any]:
        """A file that was brought is not wanted after all."""
        lesson = self._changeable(message)
        name = Path(text_of(message, "name", limit=255)).name
        if name and (path := lesson.inside(f"source/{name}")) is not None:
            path.unlink(missing_ok=True)
        return self._teach(message, place)

    def _clip(self, message: Message, place: Place) -> dict[str, Any]:
        """`caption` and `keep` of the clip `id`, one or both."""
        said: dict[str, Any] = {}
        if "caption" in message:
            said["caption"] = text_of(message, "caption")
        if isinstance(message.get("keep"), bool):
            said["keep"] = message["keep"]
        with self.guard:
            self._changeable(message).correct(text_of(message, "id"), **said)
        return self._teach(message, place)

    def _names(self, message: Message, place: Place) -> dict[str, Any]:
        """`names`: [{"who", "is"}], all of them."""
        given = message.get("names")
        rows = [row for row in given if isinstance(row, dict)] if isinstance(given, list) else []
        pairs = [{"who": text_of(row, "who", limit=60), "is": text_of(row, "is", limit=120)} for row in rows]
        with self.guard:
            self._changeable(message).name_them([pair for pair in pairs if pair["who"]][:MOST_NAMES])
        return self._teach(message, place)

    # wished -----------------------------------------------------------------------------------------------------

    def _folder(self, message: Message, place: Place) -> Place:
        """`folder` of this machine is what a new lesson is about; it is read, never changed."""
        self._only_here()
        given = text_of(message, "folder", limit=2000)
        folder = Path(given).expanduser() if given and "\0" not in given else None
        if folder is None or not folder.is_dir():
            raise UserError(say("teach.no_folder", folder=given))
        self._free()
        lesson = self._new(message, folder.name)
        lesson.ask(folder=str(folder.resolve()))
        try:
            self._begin(lesson, "prepare")
        except UserError:
            self.lessons.forget(lesson)
            raise
        return place

    def _look(self, message: Message, place: Place) -> Place:
        lesson = self._lesson(message)
        if not lesson.files() and lesson.source == lesson.folder / "source":
            raise UserError(say("teach.nothing_brought"))
        self._begin(lesson, "prepare")
        return place

    def _plan(self, message: Message, place: Place) -> Place:
        self._begin(self._lesson(message), "plan")
        return place

    def _learn(self, message: Message, place: Place) -> Place:
        """`minutes`: how long at most; 0 or none: as long as the plan says."""
        lesson = self._lesson(message)
        if "minutes" in message:
            lesson.ask(minutes=number_of(message, "minutes", 0, least=0, most=LONGEST))
        self._begin(lesson, "learn")
        return place

    def _pause(self, _message: Message, place: Place) -> Place:
        self._only_here()
        self.teaching.pause()
        return place

    def _stop(self, message: Message, place: Place) -> Place:
        """What was learnt is thrown away; the clips stay."""
        lesson = self._lesson(message)
        self._end(lesson)
        self._begin(lesson, "stop")
        return place

    def _forget(self, message: Message, place: Place) -> Told:
        """The lesson and all that is in it, its adapter, too."""
        lesson = self._lesson(message)
        self._end(lesson)
        self._not_in_use(lesson)
        name = lesson.name
        self.lessons.forget(lesson)
        return Told(place, say("teach.forgotten", name=name))

    # inside -----------------------------------------------------------------------------------------------------

    def _new(self, message: Message, otherwise: str = "") -> Lesson:
        return self.lessons.begin(text_of(message, "title", limit=60) or otherwise[:60] or say("teach.untitled"))

    def _lesson(self, message: Message) -> Lesson:
        self._only_here()
        return self.lessons.called(text_of(message, "lesson"))

    def _changeable(self, message: Message) -> Lesson:
        lesson = self._lesson(message)
        self._at_rest(lesson)
        return lesson

    def _begin(self, lesson: Lesson, doing: Doing) -> None:
        """With the model that runs, without any adapter: what is learnt goes on top of that model."""
        self._free()
        settings = replace(self.person.director.engine.settings, adapter="")
        if doing == "prepare" and (settings.is_tier or file.find(settings.model) is not None):
            raise UserError(say("teach.only_starter"))  # `teach` refuses these; here is said where to choose another
        self.teaching.begin(lesson, doing, settings)

    def _free(self) -> None:
        if not self.teaching.free:
            raise UserError(say("teach.busy"))

    def _at_rest(self, lesson: Lesson) -> None:
        """Raises UserError while the command reads what would be changed."""
        report = self.teaching.of(lesson)
        if report is not None and report.what == "running":
            raise UserError(say("teach.at_work"))

    def _end(self, lesson: Lesson) -> None:
        report = self.teaching.of(lesson)
        if report is not None and report.what == "running":
            self.teaching.stop()

    def _not_in_use(self, lesson: Lesson) -> None:
        """An adapter that is erased is not drawn with any more."""
        director = self.person.director
        chosen = now_chosen(director.engine.asked_for)
        if chosen is not None and lesson.adapter is not None and chosen[0] == lesson.adapter.resolve():
            keep(self.person.settings, chosen[0], 0.0)
            director.change_model(with_adapter(director.engine.asked_for, chosen[0], 0.0), self.person.owner_id)

    def _only_here(self) -> None:
        if not self.person.at_home:
            raise UserError(say("teach.not_here"))
