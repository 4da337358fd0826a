"""What grows: the plant from seed to seed, the tree and its apples, the bird from egg to flight.

A sprout and a chick keep the colour that nobody sees any more: what they become is remembered, not seen.
Knows nothing of other rules, pictures or words.
"""

from __future__ import annotations

from training.picturebook.rule import (
    CLEAR_DAY,
    DAY,
    NIGHT,
    RAIN,
    SNOW,
    WIND,
    Rule,
    changes,
    leaves,
    returns,
    slot_of,
    turn,
)
from training.picturebook.world import Event, Thing, World


def _flowers_without_bee(world: World) -> list[Event]:
    if not CLEAR_DAY(world) or world.find("bee"):
        return []
    return [
        Event("flower_draws_bee", flower.slot, slot, "bee")
        for flower in world.find("plant", "flower")
        for slot in world.free_slots()
    ]


def _bee_comes(world: World, event: Event) -> World:
    return world.put(Thing(slot_of(event.other), "bee", "flying"))


def _meals(world: World) -> list[Event]:
    return [
        Event("chick_eats_seed", chick.slot, seed.slot, "bird", chick.colour)
        for chick in world.find("bird", "chick")
        for seed in world.find("plant", "seed")
    ]


def _eat_seed(world: World, event: Event) -> World:
    return turn(world.without(slot_of(event.other)), event.slot, "grown")


def _in_bee_weather(world: World) -> bool:
    return CLEAR_DAY(world) and bool(world.find("bee"))


def _loose_apples(world: World) -> list[Event]:
    if not WIND(world):
        return []
    return [
        Event("apple_falls", tree.slot, slot, "apple")
        for tree in world.find("tree", "apples")
        for slot in world.free_slots()
    ]


def _apple_falls(world: World, event: Event) -> World:
    return turn(world, event.slot, "bare").put(Thing(slot_of(event.other), "apple", "whole"))


RULES: tuple[Rule, ...] = (
    changes("seed_sprouts", "plant", ("seed",), "sprout", RAIN),
    changes("sprout_flowers", "plant", ("sprout",), "flower", CLEAR_DAY, memory=True),
    Rule("flower_draws_bee", _flowers_without_bee, _bee_comes),
    leaves("bee_leaves_rain", "bee", (), RAIN),
    changes("flower_closes", "plant", ("flower",), "closed", NIGHT),
    changes("flower_opens", "plant", ("closed",), "flower", DAY),
    changes("flower_wilts", "plant", ("flower", "closed"), "wilted", SNOW),
    changes("wilted_drops_seed", "plant", ("wilted",), "seed", WIND),
    leaves("snow_buries_seed", "plant", ("seed",), SNOW, fact="buried"),
    returns("seed_reappears", "buried", "plant", "sprout", CLEAR_DAY),
    changes("tree_blossoms", "tree", ("bare",), "blossom", CLEAR_DAY),
    changes("tree_bears", "tree", ("blossom",), "apples", _in_bee_weather),
    Rule("apple_falls", _loose_apples, _apple_falls),
    changes("tree_bares", "tree", ("blossom", "apples"), "bare", SNOW),
    changes("egg_cracks", "bird", ("egg",), "cracked", CLEAR_DAY),
    changes("chick_hatches", "bird", ("cracked",), "chick", DAY),
    Rule("chick_eats_seed", _meals, _eat_seed, memory=True),
    leaves("bird_flies_off", "bird", ("grown",), WIND, fact="away"),
    returns("bird_returns", "away", "bird", "grown", CLEAR_DAY),
    changes("bird_sleeps", "bird", ("grown",), "asleep", NIGHT),
    changes("bird_wakes", "bird", ("asleep",), "grown", DAY),
)
