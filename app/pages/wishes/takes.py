"""Several takes of one scene: draw more, stop, choose, star, rank, throw away, ask a judge. Knows nothing of Gradio."""

from __future__ import annotations

from typing import Any

from app import ranking
from app.asking import MAX_TAKES
from app.catalogue import say
from app.pages.place import Place
from app.pages.takes_view import own_reason, take_view
from app.pages.wishes.person import Message, Person, Question, Told, Wish, number_of, seen_of, text_of
from app.store.errors import NotFound
from app.story import Take
from nsp_core.errors import UserError

MAX_IDEAS = 30


def takes_asked(message: Message) -> int:
    """How many takes a message asks for: 1 when it does not say."""
    return number_of(message, "takes", 1, least=1, most=MAX_TAKES)


class Takes:
    def __init__(self, person: Person) -> None:
        self.person = person
        self.wishes: dict[str, Wish] = {
            "draw_more": self._draw_more,
            "stop_takes": self._stop,
            "choose_take": self._choose,
            "star_take": self._star,
            "rank_takes": self._rank,
            "trash_take": self._trash,
            "restore_take": self._restore,
            "judge_takes": self._judge,
        }
        self.questions: dict[str, Question] = {"takes_trash": self._in_trash, "ideas": self._ideas}

    # drawing ----------------------------------------------------------------------------------------------------

    def _draw_more(self, message: Message, place: Place) -> Place:
        """The same words once more; every earlier take stays."""
        scene = self.person.scene(place)
        self.person.director.submit_draw(
            self.person.owner_id, scene.id, takes=takes_asked(message), steps=self.person.steps
        )
        return place

    def _stop(self, _message: Message, place: Place) -> Told:
        """What is being drawn of this scene ends, what waits does not begin; finished takes stay."""
        scene = self.person.scene(place)
        jobs = self.person.store.jobs
        waiting = jobs.recent(owner_id=self.person.owner_id, scene_id=scene.id, kinds=("draw",), open_only=True)
        for job in waiting:  # what waits before what runs, so that nothing more begins
            self.person.director.cancel(job.id, self.person.owner_id)
        kept = len(scene.takes)
        return Told(place, say("takes.stopped", n=kept) if kept else say("takes.stopped_none"))

    # choosing ---------------------------------------------------------------------------------------------------

    def _choose(self, message: Message, place: Place) -> Place:
        self.person.stories.choose_take(self._take(message, place).id, expected_version=seen_of(message))
        return place

    def _star(self, message: Message, place: Place) -> Place:
        self.person.stories.star_take(self._take(message, place).id, message.get("starred") is not False)
        return place

    def _rank(self, message: Message, place: Place) -> Place:
        order = message.get("order")
        if not isinstance(order, list) or not all(isinstance(one, str) for one in order):
            raise UserError(say("takes.no_order"))
        scene = self.person.scene(place)
        if len(set(order)) != len(order) or set(order) != {take.id for take in scene.takes}:
            raise UserError(say("takes.order_changed"))
        self.person.stories.rank_takes(scene.id, order, expected_version=seen_of(message))
        return place

    def _trash(self, message: Message, place: Place) -> Told:
        take = self._take(message, place)
        self.person.stories.trash_take(take.id, expected_version=seen_of(message))
        undo = {"label": say("takes.bring_back"), "do": "restore_take", "with": {"take": take.id}}
        return Told(place, say("takes.thrown_away", number=take.number), undo)

    def _restore(self, message: Message, place: Place) -> Place:
        self.person.stories.restore_take(text_of(message, "take"))
        return place

    def _judge(self, _message: Message, place: Place) -> Place:
        if not self.person.settings.judge and not ranking.OWN_IS_SHOWN:
            raise UserError(own_reason())
        self.person.director.submit_rank(self.person.owner_id, self.person.scene(place).id)
        return place

    def _take(self, message: Message, place: Place) -> Take:
        """A take of the scene that is open; whoever means another one looks at an old page."""
        take = self.person.stories.take(text_of(message, "take"))
        if take.scene_id != place.scene:
            raise NotFound("There is no such take of this scene; it may be in the trash.")
        return take

    # looking back -----------------------------------------------------------------------------------------------

    def _in_trash(self, _message: Message, place: Place) -> dict[str, Any]:
        trashed = self.person.stories.trashed_takes(self.person.scene(place).id)
        return {"takes": [take_view(take, None) for take in trashed]}

    def _ideas(self, message: Message, place: Place) -> dict[str, Any]:
        """What was thought of after this scene before: every think job that found words, the latest first."""
        scene = self.person.scene(place)
        but = text_of(message, "but")  # the one that is on the page already
        found = self.person.store.jobs.recent(
            owner_id=self.person.owner_id, scene_id=scene.id, kinds=("think",), limit=MAX_IDEAS
        )
        ideas = []
        for job in found:
            texts = [one.text for one in job.words if one.text.strip()]
            if job.id != but and job.status == "done" and texts:
                ideas.append({"job": job.id, "alternatives": texts, "steer": str(job.payload.get("steer", ""))})
        return {"ideas": ideas}
