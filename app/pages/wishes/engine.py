"""The way back from a model that stands in, or from one that could not be loaded. Knows nothing of Gradio."""

from __future__ import annotations

from app.pages.place import Place
from app.pages.wishes.person import Message, Person, Wish


class EngineRoom:
    def __init__(self, person: Person) -> None:
        self.person = person
        self.wishes: dict[str, Wish] = {"engine_again": self._again}

    def _again(self, _message: Message, place: Place) -> Place:
        self.person.director.try_again(self.person.owner_id)
        return place
