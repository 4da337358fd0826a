"""Letting a story go on by itself, and stopping that. Knows nothing of Gradio."""

from __future__ import annotations

from app import alone
from app.catalogue import say
from app.pages.place import Place
from app.pages.wishes.person import Message, Person, Wish, number_of, text_of
from nsp_core.errors import UserError

USUAL = 3  # scenes


class Alone:
    def __init__(self, person: Person) -> None:
        self.person = person
        self.wishes: dict[str, Wish] = {"alone": self._begin, "alone_stop": self._stop}

    def _begin(self, message: Message, place: Place) -> Place:
        scene = self.person.scene(place)
        scenes = number_of(message, "scenes", USUAL, least=1, most=alone.MOST)
        steer = text_of(message, "steer", limit=200)
        if scene.chosen is None:
            raise UserError(say("alone.undrawn"))
        if alone.goes_on_in(self.person.store.database, self.person.owner_id, scene.story_id):
            raise UserError(say("alone.already"))
        options = {"steps": self.person.steps} if self.person.steps else {}
        self.person.director.submit_alone(self.person.owner_id, scene.id, scenes=scenes, steer=steer, options=options)
        return Place(scene.story_id, scene.id)

    def _stop(self, message: Message, place: Place) -> Place:
        alone.stop(self.person.store.database, self.person.owner_id, text_of(message, "chain"))
        self.person.director.heartbeat()  # the worker looks again at once
        return place
