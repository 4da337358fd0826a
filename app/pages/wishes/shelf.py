"""The shelf of stories: rename, throw away, bring back. Knows nothing of Gradio."""

from __future__ import annotations

from app.catalogue import say
from app.pages.place import Place
from app.pages.wishes.person import Message, Person, Told, Wish, seen_of, text_of, unchanged
from nsp_core.errors import UserError


class Shelf:
    def __init__(self, person: Person) -> None:
        self.person = person
        self.wishes: dict[str, Wish] = {
            "rename": self._rename,
            "trash": self._trash,
            "restore": self._restore,
        }

    def _rename(self, message: Message, place: Place) -> Place:
        title = text_of(message, "title", limit=120)
        if not title:
            raise UserError(say("shelf.needs_title"))
        unchanged(message, self.person.stories.story(place.story or "").title)
        self.person.stories.rename(place.story or "", title, expected_version=seen_of(message))
        return self._stay(message, place)

    def _trash(self, _message: Message, place: Place) -> Told:
        self.person.stories.trash_story(place.story or "")
        for job in self.person.director.active(self.person.owner_id, place.story):
            self.person.director.cancel(job.id, self.person.owner_id)
        undo = {"label": say("shelf.bring_back"), "do": "restore", "with": {"story": place.story}}
        return Told(Place(), say("shelf.thrown_away"), undo)

    def _restore(self, _message: Message, place: Place) -> Place:
        self.person.stories.restore_story(place.story or "")
        return Place()

    @staticmethod
    def _stay(message: Message, place: Place) -> Place:
        return place if message.get("from") == "room" else Place()
