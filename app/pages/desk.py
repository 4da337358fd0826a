"""What a person asks for on the page: each wish becomes a change in the store or a job, then the page as it is now.

Knows nothing of Gradio. Whatever the browser sends is checked here, in the name of one person; mistakes come back as
one sentence on the page.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.director import Director
from app.pages.examples import Examples, example_file_name
from app.pages.view import Place, Views
from app.reel import ReelItem, export_reel
from app.store.errors import NotFound
from app.store.jobs import Job
from app.story import Scene
from nsp_core.errors import OutsideLanguage, UserError, WhatNextError

log = logging.getLogger(__name__)

ALTERNATIVES = 3
MAX_TEXT = 600
BROKEN = "Something went wrong inside the program; nothing was lost, and its log says what it was. Please try again."

Message = dict[str, Any]


class Desk:
    """One person's requests. `uploads` is the only folder that a brought file may lie in; `steps` overrides the drawing
    steps that the model recommends; `works_here`: what is asked for is done in this process, there is no worker."""

    def __init__(
        self,
        director: Director,
        owner_id: str,
        examples: Examples,
        *,
        uploads: Path,
        steps: int | None = None,
        works_here: bool = False,
    ) -> None:
        self.director = director
        self.store = director.store
        self.settings = director.settings
        self.owner_id = owner_id
        self.examples = examples
        self.uploads = uploads.resolve()
        self.steps = steps
        self.works_here = works_here
        self.views = Views(director, owner_id, examples)
        self.stories = self.store.stories(owner_id)
        self.wishes: dict[str, Callable[[Message, Place], Place]] = {
            "begin_upload": self._begin_upload,
            "begin_words": self._begin_words,
            "begin_example": self._begin_example,
            "retell": self._retell,
            "keep_still": self._keep_still,
            "open": self._open,
            "think": self._think,
            "draw": self._draw,
            "redraw": self._redraw,
            "cancel": self._cancel,
            "rename": self._rename,
            "trash": self._trash,
            "restore": self._restore,
            "trash_scene": self._trash_scene,
        }

    # asked by the page ------------------------------------------------------------------------------------------

    def look(self, message: Any) -> dict[str, Any]:
        """The page as it is now. The first look of a browser also wakes the model."""
        place = Place.of(message)
        try:
            if isinstance(message, dict) and message.get("hello"):
                self._wake()
                self._work_here()
            place, notice = self._settle(place)
            view = self.views.at(place)
            return {**view, "notice": notice or view["notice"]}
        except Exception:
            log.exception("the page could not be shown")
            return self.views.home({"kind": "error", "text": BROKEN})

    def act(self, message: Any) -> dict[str, Any]:
        """Do what is asked, then show where that leads. A mistake changes nothing and says so."""
        place = Place.of(message)
        try:
            wish = self.wishes.get(_text(message, "do")) if isinstance(message, dict) else None
            if wish is None:
                raise UserError("This page asks for something that the program does not know: please reload the page.")
            self.director.heartbeat()
            notice = None
            place = wish(message, place)
            self._work_here()
            if message["do"] == "trash":
                undo = {"label": "Bring it back", "do": "restore", "with": {"story": message.get("story")}}
                notice = {"kind": "info", "text": "The story was thrown away.", "action": undo}
        except WhatNextError as error:
            notice = {"kind": "error", "text": str(error), "known": list(getattr(error, "known", ()))}
            if isinstance(error, OutsideLanguage):
                notice["kind"] = "unknown"
        except Exception:
            log.exception("a wish failed: %r", message.get("do") if isinstance(message, dict) else message)
            notice = {"kind": "error", "text": BROKEN}
        view = self.look(place.json())
        return {**view, "notice": notice or view["notice"]}

    # beginning --------------------------------------------------------------------------------------------------

    def _begin_upload(self, message: Message, _place: Place) -> Place:
        given = message.get("path")
        path = Path(given).resolve() if isinstance(given, str) and given else None
        if path is None or not path.is_relative_to(self.uploads) or not path.is_file():
            raise UserError("The file did not arrive: please choose it again.")
        name = Path(_text(message, "name", limit=120) or path.name).name
        try:
            job = self.director.submit_describe(self.owner_id, path, name=name)
        finally:
            path.unlink(missing_ok=True)  # a copy is kept with the media; what people bring lies in no temporary folder
        return Place(reading=job)

    def _begin_words(self, message: Message, _place: Place) -> Place:
        words = _text(message, "words")
        if not words:
            raise UserError("There are no words yet: say in one or two sentences what can be seen.")
        return self._drawn_beginning(words, None, "")

    def _begin_example(self, message: Message, _place: Place) -> Place:
        try:
            example = self.examples[_text(message, "name")]
        except KeyError:
            raise UserError("This example is no longer here: please reload the page.") from None
        if example.image is None:
            return self._drawn_beginning(example.words, None, example.title)
        name = example_file_name(example)
        return Place(
            reading=self.director.submit_describe(self.owner_id, self.examples.folder / example.image, name=name)
        )

    def _drawn_beginning(self, words: str, describe_job: str | None, title: str) -> Place:
        story = self.stories.create_story(title)
        scene = self.stories.begin_scene(
            story.id, words, words_source="user", describe_job_id=describe_job, keep_pictures=False
        )
        self._submit_draw(scene)
        return Place(story.id, scene.id)

    def _retell(self, message: Message, place: Place) -> Place:
        job = self._read_job(place)
        words = _text(message, "words")
        if not words:
            raise UserError("There are no words yet: tell in one or two sentences what should be drawn instead.")
        return self._drawn_beginning(words, job.id, "")

    def _keep_still(self, message: Message, place: Place) -> Place:
        job = self._read_job(place)
        words = _text(message, "words")
        return self._kept_beginning(job, words or str(job.result.get("words", "")), "user" if words else "model", "")

    def _kept_beginning(self, job: Job, words: str, source: Any, title: str) -> Place:
        story = self.stories.create_story(title)
        scene = self.stories.begin_scene(story.id, words, words_source=source, describe_job_id=job.id)
        return Place(story.id, scene.id)

    def _read_job(self, place: Place) -> Job:
        job = self.director.status(place.reading or "", self.owner_id)
        if job.kind != "describe" or job.status != "done" or job.story_id is not None:
            raise NotFound("That picture is no longer waiting: begin anew, or open its story.")
        return job

    def _settle(self, place: Place) -> tuple[Place, dict[str, Any] | None]:
        """A picture that has been read and belongs to the model's world becomes a story by itself; one that could not
        be read says so and leaves nothing behind."""
        if place.reading is None:
            return place, None
        try:
            job = self.director.status(place.reading, self.owner_id)
        except NotFound:
            return place, None
        if job.kind != "describe":
            return Place(), None
        if job.story_id is not None:
            return Place(job.story_id, job.scene_id), None
        if job.status == "done":
            example = self.examples.titled(str(job.payload.get("name", "")))
            if example is not None:
                return self._kept_beginning(job, example.words, "user", example.title), None
            if job.result.get("in_world"):
                note = str(job.result.get("note", ""))
                return self._kept_beginning(job, str(job.result.get("words", "")), "model", ""), (
                    {"kind": "info", "text": note} if note else None
                )
        if job.status == "failed":
            return Place(), {"kind": "error", "text": job.error or "This file could not be read."}
        if job.status == "cancelled":
            return Place(), {"kind": "info", "text": "Stopped. Nothing was kept of that picture."}
        return place, None

    # going on ---------------------------------------------------------------------------------------------------

    def _open(self, _message: Message, place: Place) -> Place:
        if place.reading is not None:
            return Place(reading=place.reading)
        story = self.stories.open_story(place.story or "")
        if place.scene is not None:
            self.stories.set_head(story.id, place.scene)
        return Place(story.id, place.scene)

    def _think(self, message: Message, place: Place) -> Place:
        scene = self._scene(place)
        self.director.submit_think(
            self.owner_id, scene.id, steer=_text(message, "steer", limit=200), alternatives=ALTERNATIVES
        )
        return place

    def _draw(self, message: Message, place: Place) -> Place:
        """The words that were chosen become the next scene, which is drawn."""
        parent = self._scene(place)
        words = _text(message, "words")
        if not words:
            raise UserError("There are no words to draw: choose a way to go on, or write what happens.")
        thought = self.director.status(_text(message, "job"), self.owner_id)
        told = [one.text for one in thought.words]
        chosen = message.get("alternative")
        first = told[chosen] if isinstance(chosen, int) and 0 <= chosen < len(told) else ""
        scene = self.stories.add_scene(
            parent.id,
            words,
            words_source="model" if words == first else "edited" if first else "user",
            mode="cut" if message.get("mode") == "cut" else "continue",
            steer=str(thought.payload.get("steer", "")),
            think_job_id=thought.id,
        )
        self._submit_draw(scene)
        return Place(scene.story_id, scene.id)

    def _redraw(self, message: Message, place: Place) -> Place:
        """A scene that has words but no pictures yet, perhaps with other words."""
        scene = self._scene(place)
        words = _text(message, "words") or scene.words
        if words != scene.words:
            scene = self.stories.edit_words(scene.id, words)
        self._submit_draw(scene)
        return place

    def _submit_draw(self, scene: Scene) -> None:
        self.director.submit_draw(self.owner_id, scene.id, steps=self.steps)

    def _cancel(self, message: Message, place: Place) -> Place:
        job = self.director.status(_text(message, "job"), self.owner_id)
        self.director.cancel(job.id, self.owner_id, keep_finished=job.kind == "think")
        return place

    def _trash_scene(self, _message: Message, place: Place) -> Place:
        scene = self._scene(place)
        if scene.parent_id is None:
            self.stories.trash_story(scene.story_id)
            return Place()
        for job in self.director.active(self.owner_id, scene.story_id):
            if job.scene_id == scene.id:
                self.director.cancel(job.id, self.owner_id)
        self.stories.trash_scene(scene.id)
        return Place(scene.story_id, scene.parent_id)

    # the shelf --------------------------------------------------------------------------------------------------

    def _rename(self, message: Message, place: Place) -> Place:
        title = _text(message, "title", limit=120)
        if not title:
            raise UserError("A story needs a title: give it a word or two.")
        self.stories.rename(place.story or "", title)
        return self._stay(message, place)

    def _trash(self, _message: Message, place: Place) -> Place:
        self.stories.trash_story(place.story or "")
        for job in self.director.active(self.owner_id, place.story):
            self.director.cancel(job.id, self.owner_id)
        return Place()

    def _restore(self, _message: Message, place: Place) -> Place:
        self.stories.restore_story(place.story or "")
        return Place()

    @staticmethod
    def _stay(message: Message, place: Place) -> Place:
        return place if message.get("from") == "room" else Place()

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
        path = self.director.preview_path(self.director.status(job_id, self.owner_id))
        if path is None:
            raise NotFound("There is no preview of that.")
        return path

    def write_reel(self, scene_id: str, target: Path) -> str:
        """The path to the scene as one film in `target`; returns the story's title."""
        path = self.stories.path_to(scene_id)
        title = self.stories.story(path[0].story_id).title
        items = [
            ReelItem(self.store.media.path(take.media["clip"]), scene.words, take.seconds)
            for scene in path
            if (take := scene.chosen) is not None and "clip" in take.media
        ]
        export_reel(items, target, title=title)
        return title

    # inside -----------------------------------------------------------------------------------------------------

    def _scene(self, place: Place) -> Scene:
        return self.stories.scene(place.scene or "")

    def _wake(self) -> None:
        if not self.settings.in_process and self.director.worker_state() is None:
            self.director.submit_load(self.owner_id)

    def _work_here(self) -> None:
        """Without a worker, whoever asks also sees to it that what waits is done; what an earlier page left, too."""
        if self.works_here:
            waiting = [job.id for job in reversed(self.director.active(self.owner_id)) if job.status != "running"]
            if waiting:
                self.director.run_soon(waiting)


def _text(message: Message, name: str, *, limit: int = MAX_TEXT) -> str:
    value = message.get(name)
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if len(text) > limit:
        raise UserError(f"This text has {len(text)} characters, at most {limit} can be read: please shorten it.")
    return text
