"""The machine panel: what computes here, which model is loaded, what a bigger one would need. Changes nothing."""

from __future__ import annotations

import functools
import shutil
import time
from pathlib import Path
from typing import Any

from app.catalogue import say
from app.pages.place import Place
from app.pages.wishes.person import Message, Person, Question
from app.settings import STARTER
from nsp_core import hardware
from nsp_core.fit import fitting
from nsp_core.tiers import TIERS, Figure, Tier

GB = 10**9
_LOOK_EVERY = 10  # seconds: asking a graphics card takes a moment


class Machine:
    def __init__(self, person: Person) -> None:
        self.person = person
        self.wishes: dict[str, Any] = {}
        self.questions: dict[str, Question] = {"machine": self._machine}

    def _machine(self, _message: Message, _place: Place) -> dict[str, Any]:
        settings = self.person.settings
        here = _look(int(time.monotonic() // _LOOK_EVERY))
        worker = self.person.director.worker_state()
        model = Path(settings.model)
        starter = model == STARTER
        enough = fitting(here)
        return {
            "system": here.system,
            "cores": here.cores,
            "devices": [
                {"kind": one.kind, "name": one.name, "memory": _gb(one.memory), "free": _gb(one.free)}
                for one in here.devices
            ],
            "disk_free": _gb(shutil.disk_usage(settings.data_dir).free),
            "model": {
                "name": say("machine.starter") if starter else model.name,
                "folder": str(model),
                "loaded": bool(worker and worker.fingerprint),
                "fingerprint": worker.fingerprint if worker else "",
                "state": worker.state if worker else "",
                "memory": _gb(worker.memory_bytes) if worker and worker.memory_bytes else None,
                "device": settings.device,
                "threads": settings.threads or None,
            },
            "tiers": [_tier(one, fits=one in enough, current=starter and one.name == "starter") for one in TIERS],
        }


def _tier(tier: Tier, *, fits: bool, current: bool) -> dict[str, Any]:
    if current:
        verdict = say("machine.current")
    elif not fits:
        verdict = say("machine.too_small", memory=tier.memory.value)
    else:
        verdict = say("machine.fits_later") if not tier.published else say("machine.fits")
    return {
        "name": tier.name,
        "title": say("machine.tier_" + tier.name.replace("-", "_")),
        "reader": tier.reader,
        "drawer": tier.drawer,
        "scene": tier.scene,
        "memory": _figure(tier.memory),
        "disk": _figure(tier.disk),
        "seconds": _figure(tier.seconds) if tier.seconds else None,
        "fits": fits,
        "current": current,
        "verdict": verdict,
    }


@functools.lru_cache(maxsize=1)
def _look(_moment: int) -> hardware.Hardware:
    return hardware.look()


def _figure(figure: Figure) -> dict[str, Any]:
    return {"value": figure.value, "how": say(f"machine.{figure.obtained}")}


def _gb(size: int) -> float:
    return round(size / GB, 1 if size >= GB else 2)
