"""The queue in a person's hands: seen, moved, paused, taken out. Knows nothing of Gradio."""

from __future__ import annotations

from typing import Any

from app.pages.engine_view import because
from app.pages.place import Place
from app.pages.queue_view import queue_view
from app.pages.wishes.person import Message, Person, Question, Wish, number_of, text_of
from app.store.queue import Queue


class Queueing:
    def __init__(self, person: Person) -> None:
        self.person = person
        self.questions: dict[str, Question] = {"queue": self._show}
        self.wishes: dict[str, Wish] = {
            "queue_move": self._move,
            "queue_pause": self._pause,
            "queue_resume": self._resume,
            "queue_remove": self._remove,
        }

    @property
    def queue(self) -> Queue:
        return Queue(self.person.store.database, self.person.owner_id)

    def _show(self, _message: Message, _place: Place) -> dict[str, Any]:
        held_up = because(self.person.director)
        return queue_view(self.queue.in_order(), self.person.stories, self.person.store.jobs.typical_seconds, held_up)

    def _move(self, message: Message, place: Place) -> Place:
        before = text_of(message, "before") or None
        by = number_of(message, "by", 0, least=-1000, most=1000)
        self.queue.move(text_of(message, "unit"), by, before=before)
        return place

    def _pause(self, message: Message, place: Place) -> Place:
        """One unit, or all of them when none is named."""
        unit = text_of(message, "unit")
        self.queue.pause([unit] if unit else None)
        return place

    def _resume(self, message: Message, place: Place) -> Place:
        unit = text_of(message, "unit")
        self.queue.pause([unit] if unit else None, False)
        self.person.director.expect()
        return place

    def _remove(self, message: Message, place: Place) -> Place:
        for job_id in self.queue.jobs_of(text_of(message, "unit")):
            job = self.person.director.status(job_id, self.person.owner_id)
            self.person.director.cancel(job_id, self.person.owner_id, keep_finished=job.kind == "think")
        return place
