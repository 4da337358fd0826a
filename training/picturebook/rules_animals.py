"""The cat and the bear: sleeping, fleeing, sheltering, coming back, eating.

Knows nothing of other rules, pictures or words.
"""

from __future__ import annotations

from dataclasses import replace

from training.picturebook.rule import (
    CLEAR_DAY,
    DAY,
    NIGHT,
    Rule,
    adjacent,
    appears,
    changes,
    comes_out,
    remember,
    returns,
    shelters,
    slot_of,
    standing,
)
from training.picturebook.world import Event, World


def _bang_just_heard(world: World) -> bool:
    return any(f.name == "bang" and f.scene == world.scene for f in world.facts)


def _startled(world: World) -> list[Event]:
    if not world.facts or not _bang_just_heard(world):
        return []
    return [Event("cat_startles", t.slot, None, "cat") for t in world.find("cat")]


def _startle(world: World, event: Event) -> World:
    world = replace(world, facts=tuple(f for f in world.facts if f.name != "bang"))
    return remember(world.without(slot_of(event.slot)), "away", "cat", None)


def _hunts(world: World) -> list[Event]:
    if world.light != "day":
        return []
    return [
        Event("cat_chases_bird", cat.slot, bird.slot, "bird", bird.colour)
        for cat in world.find("cat", "awake")
        for bird in world.find("bird", "grown")
        if adjacent(cat.slot, bird.slot)
    ]


def _hunt(world: World, event: Event) -> World:
    bird = standing(world, event.other)
    return remember(world.without(bird.slot), "away", "bird", bird.colour)


def _dry_day(world: World) -> bool:
    return world.light == "day" and world.weather != "rain"


def _no_bear_about(world: World) -> bool:
    return CLEAR_DAY(world) and not world.find("bear") and not world.facts_of("inside", "bear")


def _bites(world: World) -> list[Event]:
    if world.light != "day":
        return []
    return [
        Event("bear_eats_apple", bear.slot, apple.slot, "apple")
        for bear in world.find("bear", "awake")
        for apple in world.find("apple")
    ]


def _bite(world: World, event: Event) -> World:
    return world.without(slot_of(event.other))


RULES: tuple[Rule, ...] = (
    Rule("cat_startles", _startled, _startle),
    returns("cat_returns", "away", "cat", "awake", _dry_day),
    changes("cat_sleeps", "cat", ("awake",), "asleep", NIGHT),
    changes("cat_wakes", "cat", ("asleep",), "awake", DAY),
    Rule("cat_chases_bird", _hunts, _hunt),
    shelters("cat_shelters", "cat"),
    comes_out("cat_comes_out", "cat"),
    changes("bear_sleeps", "bear", ("awake",), "asleep", NIGHT),
    changes("bear_wakes", "bear", ("asleep",), "awake", DAY),
    shelters("bear_shelters", "bear"),
    comes_out("bear_comes_out", "bear"),
    appears("bear_arrives", "bear", "awake", _no_bear_about),
    Rule("bear_eats_apple", _bites, _bite),
)
