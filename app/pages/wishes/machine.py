"""The machine panel: what computes here, which model is loaded, what a bigger one would need and how far it has come.

Changes nothing; see wishes/models.py for what does.
"""

from __future__ import annotations

import contextlib
import functools
import time
from pathlib import Path
from typing import Any

from app.catalogue import say
from app.models.fetching import Fetching
from app.models.shelf import Shelf, free_beside
from app.pages.models_view import fetch_view, mode_words, tiers_view, weights_view
from app.pages.place import Place
from app.pages.wishes.person import Message, Person, Question
from app.settings import Settings
from app.tier_choice import AUTO, choice, tier_of, tier_title, tiers
from nsp_core import hardware
from nsp_core.banks import file
from nsp_core.errors import WhatNextError
from nsp_core.fit import fitting
from nsp_core.model.spec import BankSpec
from nsp_core.tiers import GB

_LOOK_EVERY = 10  # seconds: asking a graphics card takes a moment


class Machine:
    def __init__(self, person: Person, fetching: Fetching) -> None:
        self.person = person
        self.fetching = fetching
        self.wishes: dict[str, Any] = {}
        self.questions: dict[str, Question] = {"machine": self._machine}

    def _spec(self, settings: Settings) -> BankSpec | None:
        """Of a tier or a bank file; None for the starter, and for what cannot be read just now."""
        with contextlib.suppress(WhatNextError):
            if tier := tier_of(settings):
                return tier.spec
            if bank := file.find(settings.model):
                return file.read(bank)
        return None

    def _machine(self, _message: Message, _place: Place) -> dict[str, Any]:
        asked_for, settings = self.person.director.engine.asked_for, self.person.director.engine.settings
        shelf, may = Shelf.here(), self.person.at_home
        tier = tier_of(settings)
        there = tiers(asked_for)
        here = _look(int(time.monotonic() // _LOOK_EVERY))
        worker = self.person.director.worker_state()
        model = Path(settings.model)
        folder = (model.parent if file.find(model) else model).name
        name = tier_title(tier.name) if tier and tier.models else folder
        return {
            "system": here.system,
            "cores": here.cores,
            "devices": [
                {"kind": one.kind, "name": one.name, "memory": _gb(one.memory), "free": _gb(one.free)}
                for one in here.devices
            ],
            "disk_free": _gb(free_beside(shelf.cache.root)),
            "model": {
                "name": say("machine.starter") if tier and not tier.models else name,
                "folder": str(shelf.cache.root) if tier and tier.models else settings.model,
                "mode": mode_words(self._spec(settings)),
                "loaded": bool(worker and worker.fingerprint),
                "fingerprint": worker.fingerprint if worker else "",
                "state": worker.state if worker else "",
                "memory": _gb(worker.memory_bytes) if worker and worker.memory_bytes else None,
                "device": settings.device,
                "threads": settings.threads or None,
            },
            "tiers": tiers_view(shelf, there, fitting(here, there), tier, may=may),
            "honest": say("machine.bridged" if asked_for.connector else "machine.honest"),
            "weights": weights_view(shelf, may=may),
            "fetch": fetch_view(self.fetching.report(), may=may),
            "choice": choice(asked_for),
            "may_auto": may and choice(asked_for) != AUTO and tier_of(asked_for) is not None,
            "may": may,
        }


@functools.lru_cache(maxsize=1)
def _look(_moment: int) -> hardware.Hardware:
    return hardware.look()


def _gb(size: int) -> float:
    return round(size / GB, 1 if size >= GB else 2)
