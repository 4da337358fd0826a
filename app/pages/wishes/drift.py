"""Drift and its cures: a scene is drawn afresh as a cut, with or without the anchor's look. Knows nothing of Gradio."""

from __future__ import annotations

from typing import Any

from app.catalogue import say
from app.drift import anchor_of, drift_of_take, known_drift
from app.pages.drift_view import drift_view
from app.pages.place import Place
from app.pages.wishes.person import Message, Person, Question, Wish, seen_of, text_of
from nsp_core.errors import UserError


class Drifting:
    def __init__(self, person: Person) -> None:
        self.person = person
        self.wishes: dict[str, Wish] = {"reanchor": self._reanchor, "cut": self._cut}
        self.questions: dict[str, Question] = {"drift": self._drift}

    def _drift(self, message: Message, _place: Place) -> dict[str, Any]:
        """The card of one take. One that was not measured yet is measured now; that changes nothing of the story."""
        stories = self.person.stories
        take = stories.take(text_of(message, "take", limit=64))
        path = stories.path_to(take.scene_id)
        anchor = anchor_of(path)
        if anchor is not None and known_drift(anchor, take) is None:
            measured = drift_of_take(self.person.store.media, path, take)
            if measured is not None:
                stories.set_drift(take.id, measured)
                take = stories.take(take.id)
        return {"take": take.id, "drift": drift_view(path[-1], anchor, take)}

    def _reanchor(self, message: Message, place: Place) -> Place:
        """One more take of the scene: a cut for which the model sees the anchor's pictures."""
        path = self.person.stories.path_to(place.scene or "")
        anchor = anchor_of(path)
        if anchor is None:
            raise UserError(say("drift.no_anchor"))
        scene = self.person.stories.set_anchor(path[-1].id, anchor.id, expected_version=seen_of(message))
        self.person.director.submit_draw(self.person.owner_id, scene.id, steps=self.person.steps)
        return place

    def _cut(self, message: Message, place: Place) -> Place:
        """One more take of the scene: a cut, from the words and the scenes before."""
        scene = self.person.stories.set_anchor(self.person.scene(place).id, None, expected_version=seen_of(message))
        self.person.director.submit_draw(self.person.owner_id, scene.id, steps=self.person.steps)
        return place
