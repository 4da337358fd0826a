"""Which tier is to run: the one that a person chose, or the largest that fits this machine and whose weights are here.

A choice on the page is kept in one small file; --tier and WHATNEXT_TIER come before it, a named model folder before
all. Loads no model and asks no network.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from app.catalogue import say
from app.models.shelf import Shelf
from app.settings import BOTH_NAMED, CARD, DEFAULT_PREDICTOR, PROCESSOR, STARTER, TIER_PREDICTOR, Settings
from nsp_core import hardware
from nsp_core.banks import file
from nsp_core.errors import ConfigError, ModelUnavailable, WhatNextError
from nsp_core.fit import check_fit, fitting
from nsp_core.hardware import Hardware
from nsp_core.tiers import TIERS, Tier, tier_called

log = logging.getLogger(__name__)

AUTO, NAMED = "auto", "named"

Look = Callable[[], Hardware]


def chosen(settings: Settings, *, look: Look | None = None, shelf: Shelf | None = None) -> Settings:
    """The settings with the model of the tier that is to run.

    Raises ConfigError for a name that there is not, ModelUnavailable for a tier that was asked for by flag or
    environment and cannot run here or has no weights here. One that was chosen on the page and cannot run any more is
    passed over as if nothing were chosen, because a page must open.
    """
    if not settings.is_starter:
        if settings.tier:
            raise ConfigError(BOTH_NAMED)
        if settings.predictor != DEFAULT_PREDICTOR or file.find(settings.model) is None:
            return settings
        card = (look or hardware.look)().best.kind == "cuda"  # nsp_core.banks.load draws on one where there is one
        return replace(settings, device=_card(settings) if card else PROCESSOR)
    shelf = shelf or Shelf.here()
    look = look or hardware.look
    if settings.tier:
        return with_tier(settings, settings.tier, look=look, shelf=shelf)
    try:
        return with_tier(settings, kept(settings), look=look, shelf=shelf)
    except WhatNextError as error:
        instead = with_tier(settings, AUTO, look=look, shelf=shelf)
        log.warning("%s It was chosen on the page; %s runs instead.", error, instead.model)
        return instead


def with_tier(settings: Settings, name: str, *, look: Look | None = None, shelf: Shelf | None = None) -> Settings:
    """As `chosen`, for that tier; "auto" lets the machine decide."""
    shelf = shelf or Shelf.here()
    look = look or hardware.look
    if name == AUTO:
        tier = best(look, shelf, tiers(settings))
    else:
        tier = next((one for one in tiers(settings) if one.name == name), None) or tier_called(name)
        if tier.models:
            check_fit(tier, look())
            if not shelf.has(tier):
                raise ModelUnavailable(f"The weights of {name} are not here: python launch.py models get {name}.")
    return of_tier(settings, tier)


def of_tier(settings: Settings, tier: Tier) -> Settings:
    """The settings with that tier's model, and with the device that it draws on."""
    if tier.spec is None:
        return replace(settings, predictor=DEFAULT_PREDICTOR, model=str(STARTER), device=PROCESSOR)
    return replace(settings, predictor=TIER_PREDICTOR, model=tier.model, device=_card(settings))


def _card(settings: Settings) -> str:
    return settings.device if settings.device.startswith(CARD) else CARD


def tiers(settings: Settings) -> tuple[Tier, ...]:
    """All there are, in unified mode when a connector was given. Raises ConfigError for a folder that holds none."""
    if not settings.connector:
        return TIERS
    folder = Path(settings.connector)
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise ConfigError(f"{folder} is no connector: it needs config.json and its safetensors.")
    return tuple(tier.in_mode("unified", folder) if tier.models else tier for tier in TIERS)


def best(look: Look, shelf: Shelf, among: Sequence[Tier]) -> Tier:
    """The largest that fits and is here. The machine is only looked at when there is a choice."""
    here = [tier for tier in among if tier.models and shelf.has(tier)]
    if not here:
        return TIERS[0]
    enough = fitting(look(), among)
    return next((tier for tier in reversed(here) if tier in enough), TIERS[0])


def tier_of(settings: Settings) -> Tier | None:
    """The tier that these settings run; None for a model that somebody named otherwise."""
    if settings.is_tier:
        return tier_called(settings.model)
    return TIERS[0] if settings.is_starter else None


def choice(asked_for: Settings) -> str:
    """Who chose what is asked for: "auto" (the program), "named" (whoever started it), or the tier that was chosen on
    the page."""
    if tier_of(asked_for) is None:
        return NAMED
    if asked_for.tier:
        return AUTO if asked_for.tier == AUTO else NAMED
    return kept(asked_for)


def tier_title(name: str) -> str:
    """What the page calls a tier."""
    return say("machine.tier_" + name.replace("-", "_"))


def lower(settings: Settings, shelf: Shelf | None = None) -> Settings | None:
    """One tier lower, among those whose weights are here; None when there is none. The starter is not among them: it
    knows another world, and would not go on with this story."""
    tier = tier_of(settings)
    if tier is None or not tier.models:
        return None
    shelf = shelf or Shelf.here()
    among = tiers(settings)
    at = [one.name for one in among].index(tier.name)
    smaller = [one for one in among[:at] if one.models and shelf.has(one)]
    return of_tier(settings, smaller[-1]) if smaller else None


def kept(settings: Settings) -> str:
    """What was chosen on the page; "auto" when nothing was."""
    try:
        return settings.tier_file.read_text(encoding="utf-8").strip() or AUTO
    except OSError:
        return AUTO


def keep(settings: Settings, name: str) -> None:
    """Raises ConfigError for a name that there is not."""
    if name != AUTO and name not in {tier.name for tier in TIERS}:
        raise ConfigError(f"There is no tier {name!r}; there are {AUTO}, {', '.join(tier.name for tier in TIERS)}.")
    partial = settings.tier_file.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(name + "\n", encoding="utf-8")
    os.replace(partial, settings.tier_file)
