"""Wishes about adapters: which one the model draws with, how strongly, and erasing one. Knows nothing of Gradio.

Everybody sees which one is chosen; only whoever sits at this machine may choose.
"""

from __future__ import annotations

from typing import Any

from app.catalogue import say
from app.pages.place import Place
from app.pages.teach_view import adapters_view
from app.pages.wishes.person import Message, Person, Question, Told, Wish, text_of
from app.teaching.adapters import (
    MOST,
    Offer,
    base_of,
    keep,
    kept,
    now_chosen,
    offer_called,
    offers,
    remove,
    with_adapter,
)
from app.teaching.teaching import Teaching
from nsp_core.errors import UserError


class Adapters:
    def __init__(self, person: Person, teaching: Teaching) -> None:
        self.person = person
        self.teaching = teaching
        self.questions: dict[str, Question] = {"adapters": self._adapters}
        self.wishes: dict[str, Wish] = {"adapter_use": self._use, "adapter_remove": self._remove}

    def _adapters(self, _message: Message, _place: Place) -> dict[str, Any]:
        engine = self.person.director.engine
        asked_for = engine.asked_for
        return {
            "adapters": adapters_view(
                offers(asked_for.data_dir),
                now_chosen(asked_for) or kept(asked_for),
                base_of(asked_for),
                left_out=engine.left_out(),
            ),
            "named": asked_for.adapter if asked_for.adapter and now_chosen(asked_for) is None else "",
            "most": MOST,
            "may": self.person.at_home,
        }

    def _use(self, message: Message, place: Place) -> Told:
        """`adapter`: its key; `strength`: 0 (off) to 1.5. Kept for the next start, too."""
        self._only_here()
        director = self.person.director
        offer = self._offer(message)
        given = message.get("strength")
        if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= MOST:
            raise UserError(say("teach.strength", most=MOST))
        strength = round(float(given), 2)
        if offer.why and strength:
            raise UserError(offer.why)
        base = base_of(director.engine.asked_for)
        if strength and base and offer.base and offer.base != base:
            raise UserError(say("teach.other_base", name=offer.name))
        keep(self.person.settings, offer.path.resolve(), strength)
        director.change_model(with_adapter(director.engine.asked_for, offer.path, strength), self.person.owner_id)
        if not strength:
            return Told(place, say("teach.without", name=offer.name))
        return Told(place, say("teach.uses", name=offer.name, strength=f"{strength:g}"))

    def _remove(self, message: Message, place: Place) -> Told:
        """Erase it; the lesson that made it keeps its clips."""
        self._only_here()
        offer = self._offer(message)
        report = self.teaching.report()
        if report is not None and report.what == "running" and report.lesson == offer.lesson:
            raise UserError(say("teach.at_work"))
        director = self.person.director
        chosen = now_chosen(director.engine.asked_for)
        if chosen is not None and chosen[0] == offer.path.resolve():
            keep(self.person.settings, chosen[0], 0.0)
            director.change_model(with_adapter(director.engine.asked_for, chosen[0], 0.0), self.person.owner_id)
        remove(offer)
        return Told(place, say("teach.adapter_gone", name=offer.name))

    def _offer(self, message: Message) -> Offer:
        return offer_called(self.person.settings.data_dir, text_of(message, "adapter"))

    def _only_here(self) -> None:
        if not self.person.at_home:
            raise UserError(say("teach.not_here"))
