"""How a story begins: with a picture, a clip, words or an example. Knows nothing of Gradio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.catalogue import say
from app.pages.examples import example_file_name
from app.pages.place import Place
from app.pages.wishes.person import Message, Person, Wish, text_of
from app.store.errors import NotFound
from app.store.jobs import Job
from nsp_core.errors import UserError


class Beginning:
    def __init__(self, person: Person) -> None:
        self.person = person
        self.wishes: dict[str, Wish] = {
            "begin_upload": self._begin_upload,
            "begin_words": self._begin_words,
            "begin_example": self._begin_example,
            "retell": self._retell,
            "keep_still": self._keep_still,
        }

    def _begin_upload(self, message: Message, _place: Place) -> Place:
        given = message.get("path")
        path = Path(given).resolve() if isinstance(given, str) and given else None
        if path is None or not path.is_relative_to(self.person.uploads) or not path.is_file():
            raise UserError(say("begin.not_arrived"))
        name = Path(text_of(message, "name", limit=120) or path.name).name
        try:
            job = self.person.director.submit_describe(self.person.owner_id, path, name=name)
        finally:
            path.unlink(missing_ok=True)  # a copy is kept with the media; what people bring lies in no temporary folder
        return Place(reading=job)

    def _begin_words(self, message: Message, _place: Place) -> Place:
        words = text_of(message, "words")
        if not words:
            raise UserError(say("begin.words_missing"))
        return self._drawn_beginning(words, None, "")

    def _begin_example(self, message: Message, _place: Place) -> Place:
        try:
            example = self.person.examples[text_of(message, "name")]
        except KeyError:
            raise UserError(say("begin.example_gone")) from None
        if example.image is None:
            return self._drawn_beginning(example.words, None, example.title)
        name = example_file_name(example)
        return Place(
            reading=self.person.director.submit_describe(
                self.person.owner_id, self.person.examples.folder / example.image, name=name
            )
        )

    def _drawn_beginning(self, words: str, describe_job: str | None, title: str) -> Place:
        story = self.person.stories.create_story(title)
        scene = self.person.stories.begin_scene(
            story.id, words, words_source="user", describe_job_id=describe_job, keep_pictures=False
        )
        self.person.director.submit_draw(self.person.owner_id, scene.id, steps=self.person.steps)
        return Place(story.id, scene.id)

    def _retell(self, message: Message, place: Place) -> Place:
        job = self._read_job(place)
        words = text_of(message, "words")
        if not words:
            raise UserError(say("begin.retell_missing"))
        return self._drawn_beginning(words, job.id, "")

    def _keep_still(self, message: Message, place: Place) -> Place:
        job = self._read_job(place)
        words = text_of(message, "words")
        return self._kept_beginning(job, words or str(job.result.get("words", "")), "user" if words else "model", "")

    def _kept_beginning(self, job: Job, words: str, source: Any, title: str) -> Place:
        story = self.person.stories.create_story(title)
        scene = self.person.stories.begin_scene(story.id, words, words_source=source, describe_job_id=job.id)
        return Place(story.id, scene.id)

    def _read_job(self, place: Place) -> Job:
        job = self.person.director.status(place.reading or "", self.person.owner_id)
        if job.kind != "describe" or job.status != "done" or job.story_id is not None:
            raise NotFound(say("begin.not_waiting"))
        return job

    def settle(self, place: Place) -> tuple[Place, dict[str, Any] | None]:
        """A picture that has been read and belongs to the model's world becomes a story by itself; one that could not
        be read says so and leaves nothing behind."""
        if place.reading is None:
            return place, None
        try:
            job = self.person.director.status(place.reading, self.person.owner_id)
        except NotFound:
            return place, None
        if job.kind != "describe":
            return Place(), None
        if job.story_id is not None:
            return Place(job.story_id, job.scene_id), None
        if job.status == "done":
            example = self.person.examples.titled(str(job.payload.get("name", "")))
            if example is not None:
                return self._kept_beginning(job, example.words, "user", example.title), None
            if job.result.get("in_world"):
                note = str(job.result.get("note", ""))
                return self._kept_beginning(job, str(job.result.get("words", "")), "model", ""), (
                    {"kind": "info", "text": note} if note else None
                )
        if job.status == "failed":
            return Place(), {"kind": "error", "text": job.error or say("begin.not_read")}
        if job.status == "cancelled":
            return Place(), {"kind": "info", "text": say("begin.stopped")}
        return place, None
