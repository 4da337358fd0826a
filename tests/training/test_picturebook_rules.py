"""Every rule of the picture-book world: when it holds, what it does, and what is near and does not hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from training.picturebook.rules import (
    AMBIENT,
    KIND_OF,
    MEMORY,
    RULES,
    TWO_SLOTS,
    enabled,
    is_coloured,
    is_enabled,
    step,
)
from training.picturebook.world import COLOURED, COLOURS, LIGHTS, PLACES, STATES, WEATHERS, Event, Fact, Thing, World

# rule | place | things (- free) | out of sight (at scene 0; @1 is the scene just now) | skies in which it holds
#      | slot other colour | things after | out of sight after | near misses: things for which no sky is right
# "p" is plant; the world is at scene 1, so what went out of sight at scene 0 is two scenes old in the next scene.
TABLE = """
seed_sprouts       | meadow   | plant:seed:red - -              |                 | rain        | 0 - red    | plant:sprout:red - -                |                  | plant:sprout:red - - ; - bird:egg:red -
sprout_flowers     | shore    | - plant:sprout:blue -           |                 | clear+day   | 1 - blue   | - plant:flower:blue -               |                  | - plant:seed:blue - ; - plant:closed:blue -
flower_draws_bee   | meadow   | plant:flower:red ball:resting:red - |             | clear+day   | 0 2 -      | plant:flower:red ball:resting:red bee:flying |          | plant:flower:red bee:flying - ; plant:flower:red cat:awake cat:awake ; plant:closed:red - -
bee_leaves_rain    | meadow   | - - bee:flying                  |                 | rain        | 2 - -      | - - -                               |                  | - - cat:awake
flower_closes      | meadow   | plant:flower:red - -            |                 | night       | 0 - red    | plant:closed:red - -                |                  | plant:closed:red - -
flower_opens       | meadow   | plant:closed:red - -            |                 | day         | 0 - red    | plant:flower:red - -                |                  | plant:sprout:red - - ; plant:flower:red - -
flower_wilts       | mountain | plant:flower:red - -            |                 | snow        | 0 - red    | plant:wilted:red - -                |                  | plant:sprout:red - -
flower_wilts       | mountain | - plant:closed:green -          |                 | snow        | 1 - green  | - plant:wilted:green -              |                  | - plant:wilted:green -
wilted_drops_seed  | meadow   | plant:wilted:red - -            |                 | wind        | 0 - red    | plant:seed:red - -                  |                  | plant:flower:red - -
snow_buries_seed   | mountain | - plant:seed:red -              |                 | snow        | 1 - red    | - - -                               | buried:plant:red | - plant:sprout:red -
seed_reappears     | mountain | - - bear:awake                  | buried:plant:red | clear+day  | 1 - red    | - plant:sprout:red bear:awake       |                  | cat:awake cat:awake bear:awake
egg_cracks         | shore    | bird:egg:purple - -             |                 | clear+day   | 0 - purple | bird:cracked:purple - -             |                  | bird:cracked:purple - -
chick_hatches      | shore    | bird:cracked:purple - -         |                 | day         | 0 - purple | bird:chick:purple - -               |                  | bird:egg:purple - -
chick_eats_seed    | meadow   | bird:chick:red - plant:seed:blue |                | *           | 0 2 red    | bird:grown:red - -                  |                  | bird:grown:red - plant:seed:blue ; bird:chick:red - plant:sprout:blue
bird_flies_off     | meadow   | bird:grown:red - -              |                 | wind        | 0 - red    | - - -                               | away:bird:red    | bird:asleep:red - - ; bird:chick:red - -
bird_returns       | meadow   | cat:awake - bear:awake          | away:bird:red   | clear+day   | 1 - red    | cat:awake bird:grown:red bear:awake |                  | cat:awake ball:resting:red bear:awake
bird_sleeps        | meadow   | bird:grown:red - -              |                 | night       | 0 - red    | bird:asleep:red - -                 |                  | bird:chick:red - -
bird_wakes         | meadow   | bird:asleep:red - -             |                 | day         | 0 - red    | bird:grown:red - -                  |                  | bird:grown:red - -
snowman_built      | mountain | bear:awake - cat:awake          |                 | snow        | 0 1 yellow | bear:awake snowman:standing:yellow cat:awake |         | bear:asleep - cat:awake ; bear:awake snowman:standing:red - ; bear:awake cat:awake cat:awake
snowman_melts      | shore    | - snowman:standing:red -        |                 | clear+day   | 1 - red    | - puddle:water -                    |                  | - ball:resting:red -
puddle_draws_duck  | shore    | puddle:water - -                |                 | clear+day   | 0 - -      | puddle:duck - -                     |                  | puddle:ice - - ; puddle:frog - -
puddle_draws_frog  | shore    | puddle:water - -                |                 | rain        | 0 - -      | puddle:frog - -                     |                  | puddle:duck - -
frog_hops_off      | shore    | puddle:frog - -                 |                 | clear       | 0 - -      | puddle:water - -                    |                  | puddle:duck - -
duck_leaves        | shore    | puddle:duck - -                 |                 | night       | 0 - -      | puddle:water - -                    |                  | puddle:frog - -
puddle_freezes     | mountain | puddle:water - -                |                 | snow        | 0 - -      | puddle:ice - -                      |                  | puddle:duck - - ; puddle:ice - -
ice_thaws          | mountain | puddle:ice - -                  |                 | clear+day   | 0 - -      | puddle:water - -                    |                  | puddle:water - -
rain_makes_puddle  | meadow   | cat:awake - -                   |                 | rain        | 2 - -      | cat:awake - puddle:water            |                  | cat:awake puddle:frog - ; cat:awake cat:awake cat:awake
ball_topples_blocks | meadow  | ball:resting:red blocks:tower:blue - |            | wind        | 0 1 blue   | ball:resting:red blocks:fallen:blue - |                | ball:resting:red - blocks:tower:blue ; ball:resting:red blocks:fallen:blue -
ball_rolls         | meadow   | ball:resting:red - cat:awake    |                 | wind        | 0 1 red    | - ball:resting:red cat:awake        |                  | ball:resting:red cat:awake - ; balloon:floating:red - -
bear_builds        | meadow   | bear:awake - blocks:fallen:red  |                 | *           | 0 2 red    | bear:awake - blocks:tower:red       |                  | bear:asleep - blocks:fallen:red ; bear:awake - blocks:tower:red
cat_topples_blocks | meadow   | blocks:tower:red cat:awake -    |                 | day         | 1 0 red    | blocks:fallen:red cat:awake -       |                  | blocks:tower:red cat:asleep - ; blocks:tower:red - cat:awake
ball_into_box      | meadow   | ball:resting:red bear:awake box:open:blue |       | *           | 0 2 red    | - bear:awake box:closed:blue        | inside:ball:red  | ball:resting:red bear:asleep box:open:blue ; ball:resting:red bear:awake box:closed:blue
ball_from_box      | meadow   | bear:awake box:closed:blue -    | inside:ball:red | *           | 1 2 red    | bear:awake box:open:blue ball:resting:red |            | bear:asleep box:closed:blue - ; bear:awake box:closed:blue cat:awake ; bear:awake box:open:blue -
box_opens_empty    | meadow   | bear:awake box:closed:blue -    |                 | day         | 1 - blue   | bear:awake box:open:blue -          |                  | bear:asleep box:closed:blue - ; bear:awake box:open:blue -
box_slams          | meadow   | - box:open:blue -               |                 | wind        | 1 - blue   | - box:closed:blue -                 |                  | - box:closed:blue -
balloon_pops       | meadow   | candle:lit balloon:floating:red - |               | *           | 1 0 red    | candle:lit - -                      | bang:balloon:red | candle:out balloon:floating:red - ; candle:lit - balloon:floating:red
cat_startles       | meadow   | candle:lit - cat:asleep         | bang:balloon:red@1 | *        | 2 - -      | candle:lit - -                      | away:cat:-       | candle:lit - bear:awake
cat_returns        | mountain | - bear:awake box:open:red       | away:cat:-      | clear,snow,wind+day | 0 - - | cat:awake bear:awake box:open:red |                  | bear:awake bear:awake bear:awake
balloon_floats_off | meadow   | balloon:floating:red - -        |                 | wind        | 0 - red    | - - -                               | away:balloon:red | ball:resting:red - -
balloon_returns    | meadow   | - bear:awake cat:awake          | away:balloon:red | clear      | 0 - red    | balloon:floating:red bear:awake cat:awake |            | cat:awake bear:awake cat:awake
rain_douses_candle | meadow   | candle:lit - -                  |                 | rain        | 0 - -      | candle:out - -                      |                  | candle:out - -
wind_douses_candle | meadow   | candle:lit - -                  |                 | wind        | 0 - -      | candle:out - -                      |                  | candle:out - -
bear_lights_candle | mountain | bear:awake - candle:out         |                 | clear,snow+night | 0 2 - | bear:awake - candle:lit             |                  | bear:asleep - candle:out ; bear:awake - candle:lit
bear_blows_out     | mountain | bear:awake - candle:lit         |                 | clear+day   | 0 2 -      | bear:awake - candle:out             |                  | bear:asleep - candle:lit ; bear:awake - candle:out
cat_sleeps         | meadow   | cat:awake - -                   |                 | night       | 0 - -      | cat:asleep - -                      |                  | cat:asleep - -
cat_wakes          | meadow   | cat:asleep - -                  |                 | day         | 0 - -      | cat:awake - -                       |                  | cat:awake - -
cat_chases_bird    | meadow   | - cat:awake bird:grown:red      |                 | day         | 1 2 red    | - cat:awake -                       | away:bird:red    | cat:awake - bird:grown:red ; - cat:asleep bird:grown:red ; - cat:awake bird:chick:red
cat_shelters       | meadow   | cat:awake - house:lit:red       |                 | rain        | 0 2 -      | - - house:lit:red                   | inside:cat:-     | cat:asleep - house:lit:red ; cat:awake - box:open:red
cat_comes_out      | meadow   | ball:resting:red house:dark:red - | inside:cat:-  | clear+day   | 1 2 -      | ball:resting:red house:dark:red cat:awake |            | - - - ; ball:resting:red house:dark:red bear:awake
bear_sleeps        | meadow   | bear:awake - -                  |                 | night       | 0 - -      | bear:asleep - -                     |                  | bear:asleep - -
bear_wakes         | meadow   | bear:asleep - -                 |                 | day         | 0 - -      | bear:awake - -                      |                  | bear:awake - -
bear_shelters      | meadow   | bear:awake - house:lit:red      |                 | rain        | 0 2 -      | - - house:lit:red                   | inside:bear:-    | bear:asleep - house:lit:red ; bear:awake - -
bear_comes_out     | meadow   | ball:resting:red house:dark:red - | inside:bear:- | clear+day   | 1 2 -      | ball:resting:red house:dark:red bear:awake |           | - - - ; ball:resting:red house:dark:red cat:awake
bear_arrives       | meadow   | cat:awake - house:dark:red      |                 | clear+day   | 1 - -      | cat:awake bear:awake house:dark:red |                  | bear:asleep - - ; cat:awake cat:awake cat:awake
bear_eats_apple    | meadow   | bear:awake - apple:whole        |                 | day         | 0 2 -      | bear:awake - -                      |                  | bear:asleep - apple:whole ; bear:awake - tree:apples
lamp_lights        | meadow   | house:dark:red - -              |                 | night       | 0 - red    | house:lit:red - -                   |                  | house:lit:red - -
lamp_goes_out      | meadow   | house:lit:red - -               |                 | day         | 0 - red    | house:dark:red - -                  |                  | house:dark:red - -
tree_blossoms      | meadow   | - tree:bare -                   |                 | clear+day   | 1 - -      | - tree:blossom -                    |                  | - tree:apples - ; - tree:blossom -
tree_bears         | meadow   | bee:flying tree:blossom -       |                 | clear+day   | 1 - -      | bee:flying tree:apples -            |                  | - tree:blossom - ; bee:flying tree:bare -
apple_falls        | meadow   | - tree:apples cat:awake         |                 | wind        | 1 0 -      | apple:whole tree:bare cat:awake     |                  | - tree:blossom - ; cat:awake tree:apples cat:awake
tree_bares         | mountain | - tree:apples -                 |                 | snow        | 1 - -      | - tree:bare -                       |                  | - tree:bare -
tree_bares         | mountain | - tree:blossom -                |                 | snow        | 1 - -      | - tree:bare -                       |                  | - tree:bare -
"""  # noqa: E501
ROWS = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()]

SKY = {  # rule -> place, skies in which it holds, what the sky becomes
    "rain_starts": ("meadow", "clear", {"weather": "rain"}),
    "rain_stops": ("meadow", "rain", {"weather": "clear"}),
    "snow_starts": ("mountain", "clear", {"weather": "snow"}),
    "snow_stops": ("mountain", "snow", {"weather": "clear"}),
    "wind_rises": ("shore", "clear", {"weather": "wind"}),
    "wind_drops": ("shore", "wind", {"weather": "clear"}),
    "sunset": ("meadow", "day", {"light": "night"}),
    "sunrise": ("meadow", "night", {"light": "day"}),
}


def _things(text: str) -> tuple[Thing, ...]:
    made = []
    for slot, word in enumerate(text.split()):
        if word != "-":
            kind, state, *colour = word.split(":")
            made.append(Thing(slot, kind, state, colour[0] if colour else None))
    return tuple(made)


def _facts(text: str, scene: int) -> tuple[Fact, ...]:
    made = []
    for word in text.split():
        spec, _, at = word.partition("@")
        name, kind, colour = spec.split(":")
        made.append(Fact(name, kind, None if colour == "-" else colour, int(at or scene)))
    return tuple(made)


def _skies(place: str, text: str) -> set[tuple[str, str]]:
    weathers = {"clear", "wind", "snow" if place == "mountain" else "rain"}
    parts = [set(part.split(",")) for part in text.split("+")] if text != "*" else []
    asked = [part & weathers for part in parts if part <= set(WEATHERS)]
    lights = [part for part in parts if part <= set(LIGHTS)]
    return {(w, li) for w in (asked[0] if asked else weathers) for li in (lights[0] if lights else LIGHTS)}


def _every_sky(world: World) -> list[World]:
    return [replace(world, weather=weather, light=light) for weather, light in sorted(_skies(world.place, "*"))]


def _event(rule: str, text: str) -> Event:
    slot, other, colour = (None if part == "-" else part for part in text.split())
    return Event(
        rule, None if slot is None else int(slot), None if other is None else int(other), KIND_OF[rule], colour
    )


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]}-{number}" for number, row in enumerate(ROWS)])
def test_rule_holds_under_its_skies_only_and_does_what_it_says(row: list[str]) -> None:
    rule, place, things, facts, skies, event_text, after_things, after_facts, near = row
    world = World(place, "day", "clear", _things(things), _facts(facts, 0), scene=1)
    event = _event(rule, event_text)
    holding = {(w.weather, w.light) for w in _every_sky(world) if event in enabled(w)}
    assert holding == _skies(place, skies)
    for weather, light in sorted(holding):
        before = replace(world, weather=weather, light=light)
        after = step(before, event)
        assert after == World(place, light, weather, _things(after_things), _facts(after_facts, 2), scene=2)
    for miss in near.split(";"):
        other = replace(world, things=_things(miss))
        assert not any(RULES[rule].candidates(w) for w in _every_sky(other)), miss


@pytest.mark.parametrize("rule", SKY)
def test_sky_rules_change_the_sky_only(rule: str) -> None:
    place, skies, change = SKY[rule]
    world = World(place, "day", "clear", _things("cat:awake - plant:seed:red"), _facts("away:bird:red", 0), scene=1)
    holding = [w for w in _every_sky(world) if Event(rule) in enabled(w)]
    assert {(w.weather, w.light) for w in holding} == _skies(place, skies)
    for before in holding:
        assert step(before, Event(rule)) == replace(before, scene=2, **change)


def test_every_rule_has_a_row() -> None:
    assert {row[0] for row in ROWS} | set(SKY) == set(RULES)
    assert set(SKY) == AMBIENT
    assert len(RULES) >= 40


def test_rain_never_falls_on_the_mountain_and_snow_only_there() -> None:
    for place in PLACES:
        world = World(place, "day", "clear")
        assert is_enabled(world, Event("snow_starts")) == (place == "mountain")
        assert is_enabled(world, Event("rain_starts")) == (place != "mountain")


MEMORIES = {  # rule -> what is in sight, and what went out of sight
    row[0]: row for row in ROWS if row[0] in MEMORY and row[3]
}


@pytest.mark.parametrize("rule", MEMORIES)
def test_what_went_away_comes_back_only_after_two_scenes_and_only_if_it_went(rule: str) -> None:
    _, place, things, facts, _, event_text, *_ = MEMORIES[rule]
    world = World(place, "day", "clear", _things(things), _facts(facts, 0), scene=1)
    event = _event(rule, event_text)
    assert is_enabled(world, event)
    assert not is_enabled(replace(world, facts=()), event)
    too_young = replace(world, facts=tuple(replace(f, scene=1) for f in world.facts))
    assert not is_enabled(too_young, event)
    assert world.seen() == replace(world, facts=()).seen()  # nothing in the picture gives it away


def test_at_least_six_rules_depend_on_facts_two_scenes_old() -> None:
    assert len(MEMORIES) >= 6


@pytest.mark.parametrize(
    ("kind", "state", "rule"), [("plant", "sprout", "sprout_flowers"), ("bird", "chick", "chick_eats_seed")]
)
def test_a_hidden_colour_decides_what_comes_and_is_not_in_the_picture(kind: str, state: str, rule: str) -> None:
    worlds = [
        World("meadow", "day", "clear", (Thing(0, kind, state, colour), Thing(2, "plant", "seed", "red")), scene=3)
        for colour in COLOURS
    ]
    assert len({w.seen() for w in worlds}) == 1
    futures = {e.colour for w in worlds for e in enabled(w) if e.rule == rule}
    assert futures == set(COLOURS)


def test_a_returning_thing_has_its_own_colour_and_the_other_stays_remembered() -> None:
    facts = _facts("away:bird:red away:bird:blue", 0)
    world = World("meadow", "day", "clear", (), facts, scene=4)
    after = step(world, Event("bird_returns", 1, None, "bird", "blue"))
    assert after.things == (Thing(1, "bird", "grown", "blue"),)
    assert after.facts == _facts("away:bird:red", 0)
    assert not is_enabled(world, Event("bird_returns", 1, None, "bird", "green"))


def test_a_bang_is_heard_for_one_scene() -> None:
    world = World("meadow", "day", "clear", _things("candle:lit balloon:floating:red cat:asleep"))
    after = step(world, Event("balloon_pops", 1, 0, "balloon", "red"))
    assert is_enabled(after, Event("cat_startles", 2, None, "cat"))
    later = step(after, Event("wind_rises"))
    assert later.facts == ()
    assert not is_enabled(later, Event("cat_startles", 2, None, "cat"))


def test_no_second_bear_while_one_is_in_the_house() -> None:
    world = World("meadow", "day", "clear", _things("house:dark:red - -"), _facts("inside:bear:-", 0), scene=1)
    assert not RULES["bear_arrives"].candidates(world)


def test_a_box_with_a_ball_in_it_does_not_open_empty() -> None:
    world = World("meadow", "day", "clear", _things("bear:awake box:closed:red -"), _facts("inside:ball:red@1", 0), 1)
    assert not RULES["box_opens_empty"].candidates(world)


def test_a_snowman_may_have_any_colour() -> None:
    world = World("mountain", "day", "snow", _things("bear:awake - cat:awake"))
    assert {e.colour for e in RULES["snowman_built"].candidates(world)} == set(COLOURS)


@pytest.mark.parametrize("event", [Event("sunrise"), Event("seed_sprouts", 0, None, "plant", "red"), Event("flood")])
def test_what_cannot_happen_is_refused(event: Event) -> None:
    with pytest.raises(ValueError, match="cannot happen|was asked for"):
        step(World("meadow", "day", "rain", _things("plant:seed:blue - -")), event)


def test_events_carry_what_their_rule_promises() -> None:
    for row in ROWS:
        event = _event(row[0], row[5])
        assert (event.colour is not None) == is_coloured(event.rule)
        assert (event.other is not None) == (event.rule in TWO_SLOTS)
        assert (event.kind in COLOURED) == is_coloured(event.rule)
        assert event.kind in STATES
