"""What the machine panel says of the big models: which tiers there are, whose weights are here, how a download goes.

Knows nothing of Gradio, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.catalogue import say
from app.checkup.finding import in_bytes
from app.models.fetching import Report
from app.models.four_bits import four_bit_error
from app.models.line import time_words
from app.models.shelf import Item, Shelf
from app.tier_choice import tier_title
from nsp_core.model.spec import BankSpec
from nsp_core.tiers import GB, TIERS, Figure, Tier


def tiers_view(
    shelf: Shelf, tiers: Iterable[Tier], enough: Iterable[Tier], current: Tier | None, *, may: bool
) -> list[dict[str, Any]]:
    """`enough`: those of `tiers` that fit; `current`: what is asked for now; `may`: whether whoever asks may change
    it."""
    enough = tuple(enough)
    return [_tier(one, shelf, fits=one in enough, current=one == current, may=may) for one in tiers]


def mode_words(spec: BankSpec | None) -> str:
    """How banks work together, and why so; "" for the starter, which has one way."""
    if spec is None:
        return ""
    why = "bridge" if spec.mode == "unified" else "asked" if spec.connector is not None else "no_bridge"
    return f"{say('machine.mode_' + spec.mode)} ({say('machine.why_' + why)})"


def _tier(tier: Tier, shelf: Shelf, *, fits: bool, current: bool, may: bool) -> dict[str, Any]:
    here = shelf.has(tier)
    states = [shelf.cache.state(model) for model in tier.models]
    lacking = 0
    if not here:  # what the hub said, or, before it was asked, what the tier is expected to be
        asked = all(state.size for state in states)
        have = sum(state.have for state in states)
        lacking = (sum(state.size for state in states) if asked else round(tier.disk.value * GB)) - have
    if current:
        verdict = say("machine.current")
    elif not fits:
        verdict = say("machine.too_small", memory=max(tier.card, tier.memory.value))
    else:
        verdict = say("machine.fits_here") if here else say("machine.fits")
    return {
        "name": tier.name,
        "title": _title(tier.name),
        "reader": tier.reader,
        "drawer": tier.drawer,
        "scene": tier.scene,
        "memory": figure(tier.memory),
        "disk": figure(tier.disk),
        "seconds": figure(tier.seconds) if tier.seconds else None,
        "mode": mode_words(tier.spec),
        "fits": fits,
        "current": current,
        "verdict": verdict,
        "get": say("models.get", size=in_bytes(lacking)) if lacking > 0 and may and fits else "",
        "use": bool(here and fits and not current and may),
    }


def figure(one: Figure) -> dict[str, Any]:
    how = say(f"machine.{one.obtained}_on", card=one.on) if one.on else say(f"machine.{one.obtained}")
    return {"value": one.value, "how": how}


def weights_view(shelf: Shelf, *, may: bool) -> list[dict[str, Any]]:
    """Of what is here at least in part."""
    return [_item(item, shelf, may=may) for item in shelf.items if item.status != "absent"]


def _item(item: Item, shelf: Shelf, *, may: bool) -> dict[str, Any]:
    state = item.state
    sizes = {"have": in_bytes(state.have), "size": in_bytes(state.size)}
    cost = four_bit_error(shelf.cache, item.model)
    return {
        "name": item.name,
        "text": say(f"models.{item.status}", **sizes),
        "tiers": ", ".join(_title(name) for name in item.tiers),
        "commit": state.record.commit[:12] if state.record else "",
        "four_bits": say("models.four_bits", queries=f"{cost.at_queries:.1%}", connector=f"{cost.at_connector:.1%}")
        if cost
        else "",
        "remove": in_bytes(state.have) if may else "",
    }


def fetch_view(report: Report | None, *, may: bool) -> dict[str, Any] | None:
    """The download that goes on, or the last one while it did not end well; None when there is nothing to say."""
    if report is None or report.what == "done":
        return None
    share = report.done / report.total if report.total else 0.0
    running = report.what == "running"
    return {
        "names": ", ".join(_title(name) for name in report.names),
        "wants": list(report.names),
        "running": running,
        "share": round(share, 4),
        "text": _progress(report) if running else say("models.stopped", done=in_bytes(report.done)),
        "why": report.why,
        "again": "" if running or not may else report.names[0],
        "may": may,
    }


def _title(name: str) -> str:
    """A tier's, or the name of a repository."""
    return tier_title(name) if any(tier.name == name for tier in TIERS) else name


def _progress(report: Report) -> str:
    if not report.total:
        return say("models.asking")
    parts = [say("models.progress", done=in_bytes(report.done), total=in_bytes(report.total))]
    if report.checking:
        parts.append(say("models.checking"))
    elif report.rate:
        parts.append(say("models.rate", rate=in_bytes(report.rate)))
        if report.left is not None:
            parts.append(say("models.left", time=time_words(report.left)))
    return " · ".join(parts)
