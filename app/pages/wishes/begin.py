"""How a story begins: with a picture, a part of a clip, words or an example. Knows nothing of Gradio."""

from __future__ import annotations

from typing import Any

from app.catalogue import say
from app.decoder_process import Decoder
from app.pages.examples import example_file_name
from app.pages.part_view import may_pick, part_view, strip_view
from app.pages.place import Place
from app.pages.wishes.person import Message, Person, Question, Wish, text_of, uploaded
from app.predictors import Canvas
from app.store.errors import NotFound
from app.store.jobs import Job
from nsp_core.errors import UnreadableMedia, UserError

END_SECONDS = 10.0  # of a film whose part nobody chose: more than any model reads of it


class Beginning:
    def __init__(self, person: Person) -> None:
        self.person = person
        self.decoder = Decoder(person.settings.run_dir)
        self.questions: dict[str, Question] = {
            "get_ready": self._get_ready,
            "brought": self._brought,
            "part": self._part,
            "leave_it": self._leave_it,
        }
        self.wishes: dict[str, Wish] = {
            "begin_upload": self._begin_upload,
            "begin_words": self._begin_words,
            "begin_example": self._begin_example,
            "retell": self._retell,
            "keep_still": self._keep_still,
        }

    def _get_ready(self, _message: Message, _place: Place) -> dict[str, Any]:
        """Somebody is about to bring a file."""
        self.decoder.warm()
        return {}

    def _brought(self, message: Message, _place: Place) -> dict[str, Any]:
        """What an upload is: {"part": None}, or all that is needed to pick the part that is read."""
        path, name = uploaded(message, self.person.uploads)
        try:
            strip = self.decoder.strip(path, name=name)
        except UnreadableMedia:
            path.unlink(missing_ok=True)
            raise
        finally:
            self.decoder.warm()
        part = self._part_seconds()
        return {"part": strip_view(strip, part) if may_pick(strip, part) else None}

    def _part(self, message: Message, _place: Place) -> dict[str, Any]:
        """The part from `start` on, moving, for browsers that cannot play the file themselves."""
        path, name = uploaded(message, self.person.uploads)
        start, seconds = _second(message, "start") or 0.0, self._part_seconds()
        try:
            return part_view(self.decoder.read(path, name=name, start=start, seconds=seconds, side=400))
        finally:
            self.decoder.warm()

    def _leave_it(self, message: Message, _place: Place) -> dict[str, Any]:
        """An upload that is not wanted after all does not stay here."""
        uploaded(message, self.person.uploads)[0].unlink(missing_ok=True)
        return {}

    def _begin_upload(self, message: Message, _place: Place) -> Place:
        path, name = uploaded(message, self.person.uploads)
        start = _second(message, "start")
        seconds = END_SECONDS if start is None else self._part_seconds()
        try:
            job = self.person.director.submit_describe(
                self.person.owner_id, path, name=name, start=start, seconds=seconds
            )
        finally:
            path.unlink(missing_ok=True)  # a copy is kept with the media; what people bring lies in no temporary folder
        return Place(reading=job)

    def _part_seconds(self) -> float:
        """How much of a film the model reads: what it said of itself when it was last loaded."""
        for job in self.person.store.jobs.recent(owner_id=self.person.owner_id, kinds=("load",), limit=5):
            frames, fps = job.result.get("frames"), job.result.get("fps")
            if isinstance(frames, int) and isinstance(fps, int) and frames > 0 and fps > 0:
                return frames / fps
        return Canvas().frames / Canvas().fps

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
        self.person.may_begin()
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
        self.person.may_begin()
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


def _second(message: Message, name: str) -> float | None:
    """A time in a film; None when none was given. Raises UserError."""
    value = message.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 86_400:
        raise UserError(say("begin.no_second"))
    return float(value)
