"""Wishes about the big models: fetch one, stop that, remove one, choose which tier runs. Knows nothing of Gradio.

Only whoever sits in front of this machine may: it costs gigabytes of its disk and its line.
"""

from __future__ import annotations

from dataclasses import replace

from app.catalogue import say
from app.checkup.finding import in_bytes
from app.models.fetching import Fetching
from app.models.shelf import Shelf
from app.pages.place import Place
from app.pages.wishes.person import Message, Person, Told, Wish, text_of
from app.settings import DEFAULT_PREDICTOR, STARTER
from app.tier_choice import AUTO, keep, tier_of, tier_title, with_tier
from nsp_core.errors import UserError


class Models:
    def __init__(self, person: Person, fetching: Fetching) -> None:
        self.person = person
        self.fetching = fetching
        self.wishes: dict[str, Wish] = {
            "models_get": self._get,
            "models_stop": self._stop,
            "models_remove": self._remove,
            "tier_use": self._use,
        }

    @property
    def may(self) -> bool:
        return self.person.at_home

    def _get(self, message: Message, place: Place) -> Place:
        """`name`: a tier, or a repository of weights."""
        self._only_here()
        name = text_of(message, "name")
        Shelf.here().called([name])  # says at once when there is no such thing
        self.fetching.fetch([name])
        return place

    def _stop(self, _message: Message, place: Place) -> Place:
        self._only_here()
        self.fetching.stop()
        return place

    def _remove(self, message: Message, place: Place) -> Told:
        """`name`: as for `_get`."""
        self._only_here()
        shelf = Shelf.here()
        items = shelf.called([text_of(message, "name")])
        tier = tier_of(self.person.director.engine.settings)
        if tier is not None and any(item.model in tier.models for item in items):
            raise UserError(say("models.in_use"))
        report = self.fetching.report()
        if report is not None and report.what == "running" and set(items) & set(shelf.called(report.names)):
            raise UserError(say("models.coming"))
        freed = sum(shelf.cache.remove(item.model) for item in items)
        names = ", ".join(item.name for item in items)
        return Told(place, say("models.removed", name=names, size=in_bytes(freed)))

    def _use(self, message: Message, place: Place) -> Told:
        """`tier`: its name, or "auto". Kept for the next start, too."""
        self._only_here()
        name, director = text_of(message, "tier"), self.person.director
        settings = replace(self.person.settings, adapter=director.engine.asked_for.adapter)
        folder = not settings.is_starter and not settings.is_tier
        if not (folder and name == AUTO):  # a folder that was named at the start is what the program chooses
            plain = replace(settings, predictor=DEFAULT_PREDICTOR, model=str(STARTER), tier="")
            settings = with_tier(plain, name)
        keep(settings, name)
        director.change_model(settings, self.person.owner_id)
        tier = tier_of(settings)
        title = tier_title(tier.name) if tier else settings.model
        return Told(place, say("models.uses", title=title))

    def _only_here(self) -> None:
        if not self.may:
            raise UserError(say("models.not_here"))
