"""Wandering about in a story: its map, undo and redo, telling the rest again, the things thrown away, erasing for good.

Knows nothing of Gradio.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session

from app.catalogue import say
from app.pages.map_view import map_view
from app.pages.place import Place
from app.pages.wander_view import step_text, thrown_away_view
from app.pages.wishes.person import Message, Person, Question, Told, Wish, seen_of, text_of, unchanged
from app.store.erasing import Erased
from app.store.models import SceneRow
from app.store.outline import outline, takes_thrown_away
from nsp_core.errors import UserError

MOST_TRASH = 60


class Wandering:
    def __init__(self, person: Person) -> None:
        self.person = person
        self.wishes: dict[str, Wish] = {
            "undo": self._undo,
            "redo": self._redo,
            "retell_rest": self._retell_rest,
            "draw_rest": self._draw_rest,
            "stop_chain": self._stop_chain,
            "restore_scene": self._restore_scene,
            "erase_story": self._erase_story,
            "erase_scene": self._erase_scene,
            "erase_take": self._erase_take,
        }
        self.questions: dict[str, Question] = {
            "map": self._map,
            "thrown_away": self._thrown_away,
            "what_goes": self._what_goes,
        }

    # undo -------------------------------------------------------------------------------------------------------

    def _undo(self, message: Message, place: Place) -> Told:
        step, _ = self.person.stories.steps(place.story or "")
        if step is None:
            raise UserError(say("undo.nothing"))
        self.person.stories.undo(place.story or "", expected=seen_of(message, "step"))
        again = {"label": say("undo.again"), "do": "redo", "with": {"step": step.op}}
        return Told(self._after(place, step.scene_id), say("undo.undone", what=step_text(step)), again)

    def _redo(self, message: Message, place: Place) -> Told:
        _, step = self.person.stories.steps(place.story or "")
        if step is None:
            raise UserError(say("undo.nothing_again"))
        self.person.stories.redo(place.story or "", expected=seen_of(message, "step"))
        return Told(self._after(place, step.scene_id), say("undo.redone", what=step_text(step)))

    def _after(self, place: Place, changed: str | None) -> Place:
        """Where the change was; for what is about the whole story, where one is."""
        self.person.stop_lost(place.story or "")
        head = self.person.stories.story(place.story or "").head_scene_id
        return Place(place.story, place.scene if changed is None else head)

    # telling again ----------------------------------------------------------------------------------------------

    def _retell_rest(self, message: Message, place: Place) -> Place:
        """This scene with other words, and the scenes after it as far as `last`, on a new branch, drawn in turn."""
        scene = self.person.scene(place)
        words = text_of(message, "words")
        if not words:
            raise UserError(say("wander.no_words"))
        last = text_of(message, "last", limit=64) or scene.id

        def tell(session: Session) -> Sequence[SceneRow]:
            return self.person.stories.retell_in(session, scene.id, words, last)

        made = self.person.director.submit_chain(self.person.owner_id, tell, steps=self.person.steps)
        return Place(scene.story_id, made[0])

    def _draw_rest(self, message: Message, place: Place) -> Place:
        """The scenes from here to `last` without pictures, in turn; this one with new words when some are given."""
        scene = self.person.scene(place)
        words = text_of(message, "words") or scene.words
        if words != scene.words:
            unchanged(message, scene.words)
            self.person.stories.edit_words(scene.id, words, expected_version=seen_of(message))
        path = self.person.stories.path_to(text_of(message, "last", limit=64) or scene.id)
        if scene.id not in [one.id for one in path]:
            raise UserError(say("wander.not_after"))
        busy = {job.scene_id for job in self.person.director.active(self.person.owner_id, scene.story_id)}
        bare = [one.id for one in path if one.depth >= scene.depth and one.chosen is None and one.id not in busy]
        if not bare:
            raise UserError(say("wander.all_drawn"))

        def find(session: Session) -> Sequence[SceneRow]:
            return [session.get_one(SceneRow, one) for one in bare]

        self.person.director.submit_chain(self.person.owner_id, find, steps=self.person.steps)
        return place

    def _stop_chain(self, message: Message, place: Place) -> Told:
        self.person.director.cancel_group(text_of(message, "group", limit=64), self.person.owner_id)
        return Told(place, say("wander.stopped"))

    # thrown away ------------------------------------------------------------------------------------------------

    def _restore_scene(self, message: Message, _place: Place) -> Place:
        scene = self.person.stories.restore_scene(text_of(message, "which", limit=64))
        return Place(scene.story_id, scene.id)

    def _erase_story(self, message: Message, place: Place) -> Told:
        what = self.person.stories.what_goes(story_id=place.story or "")
        self._stop(what)
        self._forget(self.person.stories.erase_story(what.story_id, expected_version=seen_of(message)))
        return Told(Place(), say("wander.erased_story"))

    def _erase_scene(self, message: Message, place: Place) -> Told:
        which = text_of(message, "which", limit=64)
        what = self.person.stories.what_goes(scene_id=which)
        self._stop(what)
        self._forget(self.person.stories.erase_scene(which, expected_version=seen_of(message)))
        if what.whole:
            return Told(Place(), say("wander.erased_story"))
        scene = None if place.scene in what.scenes else place.scene
        return Told(Place(what.story_id, scene), say("wander.erased_scenes", n=len(what.scenes)))

    def _erase_take(self, message: Message, place: Place) -> Told:
        which = text_of(message, "which", limit=64)
        what = self.person.stories.what_goes(take_id=which)
        self._forget(self.person.stories.erase_take(which, expected_version=seen_of(message)))
        return Told(Place(what.story_id, place.scene), say("wander.erased_take"))

    def _stop(self, what: Erased) -> None:
        going = {job.id for job in self.person.director.active(self.person.owner_id, what.story_id)}
        for job_id in going & set(what.jobs):
            self.person.director.cancel(job_id, self.person.owner_id)

    def _forget(self, what: Erased) -> None:
        for job_id in what.jobs:
            for path in self.person.settings.previews_dir.glob(f"{job_id}-*"):
                path.unlink(missing_ok=True)

    # questions --------------------------------------------------------------------------------------------------

    def _map(self, _message: Message, place: Place) -> dict[str, Any]:
        nodes = outline(self.person.stories, place.story or "")
        active = self.person.director.active(self.person.owner_id, place.story)
        return map_view(nodes, {job.scene_id for job in active if job.kind == "draw" and job.scene_id})

    def _thrown_away(self, _message: Message, place: Place) -> dict[str, Any]:
        stories = self.person.stories
        trashed = stories.trashed_scenes(place.story or "")
        moments = {scene.id: scene.deleted_at for scene in trashed}
        # what went in the same moment as the scene before it is not a thing of its own
        tops = [one for one in trashed if moments.get(one.parent_id or "") != one.deleted_at][:MOST_TRASH]
        counted = []
        for scene in tops:
            what = stories.what_goes(scene_id=scene.id)
            counted.append((scene, len(what.scenes), len(what.takes)))
        lone = takes_thrown_away(stories, place.story or "", limit=MOST_TRASH)
        takes = [(take, stories.scene(take.scene_id)) for take in lone]
        return thrown_away_view(counted, takes)

    def _what_goes(self, message: Message, place: Place) -> dict[str, Any]:
        """Before something is erased for good: what it is called and how much goes with it."""
        stories = self.person.stories
        kind, which = text_of(message, "kind"), text_of(message, "which", limit=64)
        if kind == "scene":
            what = stories.what_goes(scene_id=which)
        elif kind == "take":
            what = stories.what_goes(take_id=which)
        else:
            what = stories.what_goes(story_id=place.story or "")
        title = stories.story(what.story_id).title or say("view.untitled")
        if kind == "take":
            text = say("wander.goes_take", title=title)
        elif what.whole:
            text = say("wander.goes_story", title=title, n=len(what.scenes), takes=len(what.takes))
        else:
            text = say("wander.goes_scenes", title=title, n=len(what.scenes), takes=len(what.takes))
        return {"text": text}
