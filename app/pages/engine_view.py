"""What the page says of the model's process, when that is worth a word. Knows nothing of Gradio."""

from __future__ import annotations

from typing import Any

from app.catalogue import say
from app.director import Director
from app.pages.progress import waking_text
from app.tier_choice import tier_title


def engine_view(director: Director) -> dict[str, Any]:
    """For the head of the page: a few words that stay the same while nothing changes. `note`: what has to be said
    plainly, with the way back in `again`."""
    engine = director.engine
    if broken := director.trouble or engine.broken():
        return _state("failed", say("view.cannot_start"), broken, note=broken, again=say("engine.again"))
    why = engine.stand_in()
    note = {"note": say("engine.stands_in", why=why), "again": say("engine.other_again")} if why else {}
    if not why and (down := engine.stepped_down()):
        asked, now = map(tier_title, down)
        note = {"note": say("engine.stepped_down", asked=asked, now=now), "again": say("engine.other_again")}
    if not note and (refused := engine.left_out()):
        note = {"note": say("engine.left_out", why=refused), "again": say("engine.adapter_again")}
    if held_up := engine.held_up():
        briefly = say("engine.lesson_briefly") if engine.makes_way() else say("engine.lent_briefly")
        return _state("lent", briefly, held_up, waking=True, **note)
    if engine.waking() is not None:
        return _state("loading", say("view.waking"), say("progress.waking"), waking=True, **note)
    if why:
        return _state("safe", say("engine.stands_in_briefly"), why, **note)
    return _state("ready", "", "", **note)


def because(director: Director) -> str:
    """Why what waits has to wait, as it is this second; "" when only its turn has to come."""
    if held_up := director.engine.held_up():
        return held_up
    waking = director.engine.waking()
    return "" if waking is None else waking_text(*waking)


def _state(state: str, text: str, title: str, **more: Any) -> dict[str, Any]:
    return {"state": state, "text": text, "title": title, "note": "", "again": "", "waking": False, **more}
