"""All rules of the picture-book world: which events a state allows, and the state that each leads to.

Frozen: a change in any rule needs a new RULES_VERSION. Knows nothing of pictures or words.
"""

from __future__ import annotations

from dataclasses import replace

from training.picturebook import rules_animals, rules_growing, rules_toys, rules_weather
from training.picturebook.rule import Rule
from training.picturebook.world import COLOURED, Event, World

RULES_VERSION = 1

RULES: dict[str, Rule] = {
    rule.name: rule for group in (rules_weather, rules_growing, rules_animals, rules_toys) for rule in group.RULES
}
AMBIENT = frozenset(name for name, rule in RULES.items() if rule.ambient)
MEMORY = frozenset(name for name, rule in RULES.items() if rule.memory)

# what kind of thing each rule is about (Event.kind); the sky's rules have none
KIND_OF: dict[str, str | None] = {
    **dict.fromkeys(AMBIENT),
    **dict.fromkeys(("snowman_built", "snowman_melts"), "snowman"),
    **dict.fromkeys(
        ("puddle_draws_duck", "puddle_draws_frog", "frog_hops_off", "duck_leaves", "puddle_freezes", "ice_thaws"),
        "puddle",
    ),
    "rain_makes_puddle": "puddle",
    **dict.fromkeys(("lamp_lights", "lamp_goes_out"), "house"),
    **dict.fromkeys(("seed_sprouts", "sprout_flowers", "flower_closes", "flower_opens", "flower_wilts"), "plant"),
    **dict.fromkeys(("wilted_drops_seed", "snow_buries_seed", "seed_reappears"), "plant"),
    **dict.fromkeys(("flower_draws_bee", "bee_leaves_rain"), "bee"),
    **dict.fromkeys(("tree_blossoms", "tree_bears", "tree_bares"), "tree"),
    **dict.fromkeys(("apple_falls", "bear_eats_apple"), "apple"),
    **dict.fromkeys(("egg_cracks", "chick_hatches", "chick_eats_seed", "bird_flies_off", "bird_returns"), "bird"),
    **dict.fromkeys(("bird_sleeps", "bird_wakes", "cat_chases_bird"), "bird"),
    **dict.fromkeys(("cat_startles", "cat_returns", "cat_sleeps", "cat_wakes", "cat_shelters", "cat_comes_out"), "cat"),
    **dict.fromkeys(("bear_sleeps", "bear_wakes", "bear_shelters", "bear_comes_out", "bear_arrives"), "bear"),
    **dict.fromkeys(("ball_topples_blocks", "cat_topples_blocks", "bear_builds"), "blocks"),
    **dict.fromkeys(("ball_rolls", "ball_into_box", "ball_from_box"), "ball"),
    **dict.fromkeys(("box_opens_empty", "box_slams"), "box"),
    **dict.fromkeys(("balloon_pops", "balloon_floats_off", "balloon_returns"), "balloon"),
    **dict.fromkeys(("rain_douses_candle", "wind_douses_candle", "bear_lights_candle", "bear_blows_out"), "candle"),
}
# rules whose events have a second slot (Event.other)
TWO_SLOTS = frozenset(
    {
        "snowman_built", "flower_draws_bee", "apple_falls", "chick_eats_seed", "cat_chases_bird", "cat_shelters",
        "cat_comes_out", "bear_shelters", "bear_comes_out", "bear_eats_apple", "ball_topples_blocks",
        "cat_topples_blocks", "ball_rolls", "bear_builds", "ball_into_box", "ball_from_box", "balloon_pops",
        "bear_lights_candle", "bear_blows_out",
    }
)  # fmt: skip


def is_coloured(rule: str) -> bool:
    """Do events of this rule carry a colour?"""
    return KIND_OF[rule] in COLOURED


def enabled(world: World) -> tuple[Event, ...]:
    """Everything that can happen next, in a fixed order."""
    return tuple(event for rule in RULES.values() for event in rule.candidates(world))


def is_enabled(world: World, event: Event) -> bool:
    rule = RULES.get(event.rule)
    return rule is not None and event in rule.candidates(world)


def step(world: World, event: Event) -> World:
    """The next scene's state. Facts that were used are gone; a bang is heard for one scene only."""
    if event.rule not in RULES:
        raise ValueError(f"the rule {event.rule!r} was asked for, but the world has {len(RULES)} others: see RULES")
    if not is_enabled(world, event):
        raise ValueError(f"{event} cannot happen in this world: choose one of enabled(world)")
    after = RULES[event.rule].apply(world, event)
    facts = [f for f in after.facts if f.name != "bang" or f.scene > world.scene]
    facts.sort(key=lambda f: (f.scene, f.name, f.kind, f.colour or ""))
    return replace(after, facts=tuple(facts), scene=world.scene + 1)
