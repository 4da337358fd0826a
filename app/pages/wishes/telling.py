"""Going on with a story: think, choose the words, draw, stop. Knows nothing of Gradio."""

from __future__ import annotations

from app.catalogue import say
from app.drift import anchor_of
from app.pages.place import Place
from app.pages.wishes.person import Message, Person, Wish, seen_of, text_of, unchanged
from app.pages.wishes.takes import takes_asked
from app.story import Scene
from nsp_core.errors import UserError

ALTERNATIVES = 3


class Telling:
    def __init__(self, person: Person) -> None:
        self.person = person
        self.wishes: dict[str, Wish] = {
            "open": self._open,
            "think": self._think,
            "draw": self._draw,
            "redraw": self._redraw,
            "cancel": self._cancel,
            "trash_scene": self._trash_scene,
        }

    def _open(self, _message: Message, place: Place) -> Place:
        if place.reading is not None:
            return Place(reading=place.reading)
        story = self.person.stories.open_story(place.story or "")
        if place.scene is not None:
            self.person.stories.set_head(story.id, place.scene)
        return Place(story.id, place.scene)

    def _think(self, message: Message, place: Place) -> Place:
        scene = self.person.scene(place)
        self.person.director.submit_think(
            self.person.owner_id, scene.id, steer=text_of(message, "steer", limit=200), alternatives=ALTERNATIVES
        )
        return place

    def _draw(self, message: Message, place: Place) -> Place:
        """The words that were chosen become the next scene, which is drawn."""
        parent = self.person.scene(place)
        words = text_of(message, "words")
        if not words:
            raise UserError(say("words.none"))
        takes = takes_asked(message)
        thought = self.person.director.status(text_of(message, "job"), self.person.owner_id)
        told = [one.text for one in thought.words]
        chosen = message.get("alternative")
        first = told[chosen] if isinstance(chosen, int) and 0 <= chosen < len(told) else ""
        scene = self.person.stories.add_scene(
            parent.id,
            words,
            words_source="model" if words == first else "edited" if first else "user",
            mode="cut" if message.get("mode") == "cut" else "continue",
            steer=str(thought.payload.get("steer", "")),
            think_job_id=thought.id,
            instead_of=first,
        )
        if message.get("anchor") is True and (anchor := anchor_of(self.person.stories.path_to(scene.id))) is not None:
            scene = self.person.stories.set_anchor(scene.id, anchor.id)
        self._draw_soon(scene, takes)
        return Place(scene.story_id, scene.id)

    def _redraw(self, message: Message, place: Place) -> Place:
        """A scene that has words but no pictures yet, perhaps with other words."""
        scene = self.person.scene(place)
        words, takes = text_of(message, "words") or scene.words, takes_asked(message)
        if words != scene.words:
            unchanged(message, scene.words)
            scene = self.person.stories.edit_words(scene.id, words, expected_version=seen_of(message))
        self._draw_soon(scene, takes)
        return place

    def _draw_soon(self, scene: Scene, takes: int) -> None:
        self.person.director.submit_draw(self.person.owner_id, scene.id, takes=takes, steps=self.person.steps)

    def _cancel(self, message: Message, place: Place) -> Place:
        job = self.person.director.status(text_of(message, "job"), self.person.owner_id)
        self.person.director.cancel(job.id, self.person.owner_id, keep_finished=job.kind == "think")
        return place

    def _trash_scene(self, message: Message, place: Place) -> Place:
        scene = self.person.scene(place)
        if scene.parent_id is None:
            self.person.stories.trash_story(scene.story_id, expected_version=seen_of(message))
            return Place()
        self.person.stories.trash_scene(scene.id, expected_version=seen_of(message))
        self.person.stop_lost(scene.story_id)
        return Place(scene.story_id, scene.parent_id)
