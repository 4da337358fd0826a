"""The sky's own rules, and what weather does to snow, water and the lamp in the house.

Knows nothing of other rules, pictures or words.
"""

from __future__ import annotations

from dataclasses import replace

from training.picturebook.rule import (
    CLEAR,
    CLEAR_DAY,
    DAY,
    NIGHT,
    RAIN,
    SNOW,
    Rule,
    When,
    appears,
    changes,
    sky,
    slot_of,
)
from training.picturebook.world import COLOURS, Event, Thing, World


def _on_mountain(world: World) -> bool:
    return world.place == "mountain"


def _weather(name: str, into: str, when: When) -> Rule:
    return Rule(
        name,
        lambda world: [Event(name)] if when(world) else [],
        lambda world, _event: replace(world, weather=into),
        ambient=True,
    )


def _light(name: str, into: str, when: When) -> Rule:
    return Rule(
        name,
        lambda world: [Event(name)] if when(world) else [],
        lambda world, _event: replace(world, light=into),
        ambient=True,
    )


def _snowmen(world: World) -> list[Event]:
    if world.weather != "snow" or world.find("snowman"):
        return []
    return [
        Event("snowman_built", bear.slot, slot, "snowman", colour)
        for bear in world.find("bear", "awake")
        for slot in world.free_slots()
        for colour in COLOURS
    ]


def _build_snowman(world: World, event: Event) -> World:
    return world.put(Thing(slot_of(event.other), "snowman", "standing", event.colour))


def _melting(world: World) -> list[Event]:
    if not CLEAR_DAY(world):
        return []
    return [Event("snowman_melts", t.slot, None, "snowman", t.colour) for t in world.find("snowman")]


def _melt(world: World, event: Event) -> World:
    return world.put(Thing(slot_of(event.slot), "puddle", "water"))


def _dry_ground_in_rain(world: World) -> bool:
    return RAIN(world) and not world.find("puddle")


RULES: tuple[Rule, ...] = (
    _weather("rain_starts", "rain", lambda world: CLEAR(world) and not _on_mountain(world)),
    _weather("rain_stops", "clear", RAIN),
    _weather("snow_starts", "snow", lambda world: CLEAR(world) and _on_mountain(world)),
    _weather("snow_stops", "clear", SNOW),
    _weather("wind_rises", "wind", CLEAR),
    _weather("wind_drops", "clear", sky("wind")),
    _light("sunset", "night", DAY),
    _light("sunrise", "day", NIGHT),
    Rule("snowman_built", _snowmen, _build_snowman),
    Rule("snowman_melts", _melting, _melt),
    changes("puddle_draws_duck", "puddle", ("water",), "duck", CLEAR_DAY),
    changes("puddle_draws_frog", "puddle", ("water",), "frog", RAIN),
    changes("frog_hops_off", "puddle", ("frog",), "water", CLEAR),
    changes("duck_leaves", "puddle", ("duck",), "water", NIGHT),
    changes("puddle_freezes", "puddle", ("water",), "ice", SNOW),
    changes("ice_thaws", "puddle", ("ice",), "water", CLEAR_DAY),
    appears("rain_makes_puddle", "puddle", "water", _dry_ground_in_rain),
    changes("lamp_lights", "house", ("dark",), "lit", NIGHT),
    changes("lamp_goes_out", "house", ("lit",), "dark", DAY),
)
