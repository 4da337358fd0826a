"""Which tiers there are and which of them this machine has room for, which weights are here, and are they complete.

Looks at names and sizes only: `launch.py models verify` reads every byte. Asks no network and loads no model.
"""

from __future__ import annotations

from app.checkup.finding import Findings, fine, in_bytes, note, wrong
from app.models.four_bits import four_bit_error, four_bit_words
from app.models.shelf import Shelf
from app.settings import Settings
from app.tier_choice import chosen, tier_of, tiers
from nsp_core import hardware
from nsp_core.errors import WhatNextError
from nsp_core.fit import fitting, largest
from nsp_core.tiers import Figure, Tier


def look_at_tiers(settings: Settings) -> Findings:
    here, shelf = hardware.look(), Shelf.here()
    best = largest(here)
    table: tuple[str, ...] = ()
    try:
        there = tiers(settings)
        table = tuple(line_of(tier, fits=tier in fitting(here, there)) for tier in there)
        runs = tier_of(chosen(settings, look=lambda: here, shelf=shelf))
    except WhatNextError as error:
        yield wrong("tiers_refused", cause=str(error), details=table)
        return
    if runs is None:  # a folder, or what a test names: of the model itself something else is said
        yield note("tiers_other", best=best.name, details=table)
    elif runs.name == best.name:
        yield fine("tiers_best", name=runs.name, device=here.best.name, details=table)
    else:
        yield note("tiers_smaller", name=runs.name, best=best.name, device=here.best.name, details=table)
    for item in shelf.items:
        sizes = {"name": item.name, "have": in_bytes(item.state.have), "size": in_bytes(item.state.size)}
        if item.status == "here":
            cost = four_bit_error(shelf.cache, item.model)
            yield fine("weights_here", **sizes, details=(four_bit_words(cost),) if cost else ())
        elif item.status == "part":
            yield note("weights_part", **sizes)


def line_of(tier: Tier, *, fits: bool) -> str:
    """`fits    gpu-12: 8.0 GB (computed) of memory, 45.1 GB (computed) on the disk, a scene in 70 s (computed ...)`."""
    parts = [f"{figure(tier.memory, 'GB')} of memory", f"{figure(tier.disk, 'GB')} on the disk"]
    if tier.seconds is not None:
        parts.append(f"a scene in {figure(tier.seconds, 's')}")
    return f"{'fits   ' if fits else 'too big'} {tier.name}: {', '.join(parts)}"


def figure(one: Figure, unit: str) -> str:
    return f"{one.value} {unit} ({one.obtained}{f' for an {one.on}' if one.on else ''})"
