"""Beginnings and stories: worlds that can chain, and the choice of what happens next.

The sky's own events are always possible and say little, so they are chosen seldom: when nothing else can happen, and
then the one that lets most happen. Knows nothing of pictures or words.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from random import Random

from training.picturebook.rules import AMBIENT, RULES, step
from training.picturebook.world import COLOUR_HIDDEN, COLOURED, COLOURS, LIGHTS, PLACES, STATES, Event, Thing, World

SCENES_VERSION = 1

Allowed = Callable[[World, Event], bool]

AMBIENT_CHANCE = 0.03  # that the sky acts although something else could
WILD_CHANCE = 0.12  # that a beginning is put together from anything
DRAFTS = 5  # a story is the best of so many
SKY_COST = 2.0
SIMPLE_CHANCE = 0.08  # that only one thing of a combination is there

# Combinations that have a future together: kind:state|state ...
COMBINATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("meadow shore", ("plant:seed", "bird:egg|cracked")),
    ("meadow shore", ("plant:seed|flower", "tree:bare|blossom", "bear:awake")),
    ("meadow shore", ("plant:seed|flower", "tree:bare|blossom")),
    ("meadow shore", ("plant:seed|flower|closed", "puddle:water|frog")),
    ("meadow shore", ("plant:seed", "plant:seed|flower")),
    ("meadow shore mountain", ("plant:seed", "bird:cracked|egg")),
    ("meadow shore mountain", ("bird:grown|cracked", "cat:awake|asleep")),
    ("meadow shore mountain", ("bird:grown|asleep", "cat:awake|asleep", "puddle:water|duck")),
    ("meadow shore mountain", ("bird:grown|egg", "balloon:floating")),
    ("mountain", ("bear:awake|asleep", "candle:lit|out")),
    ("mountain", ("bear:awake", "puddle:water|ice")),
    ("mountain", ("snowman:standing", "bear:awake|asleep")),
    ("mountain", ("plant:seed|flower|wilted",)),
    ("mountain", ("plant:seed|flower|wilted", "tree:blossom|apples")),
    ("mountain", ("plant:seed|closed", "bird:grown|cracked")),
    ("meadow shore mountain", ("ball:resting", "blocks:tower", "bear:awake|asleep")),
    ("meadow shore mountain", ("cat:awake|asleep", "blocks:tower|fallen", "bear:awake|asleep")),
    ("meadow shore mountain", ("ball:resting", "box:open|closed", "bear:awake|asleep")),
    ("meadow shore mountain", ("ball:resting", "box:open", "bear:awake")),
    ("meadow shore mountain", ("ball:resting", "blocks:tower")),
    ("meadow shore mountain", ("ball:resting", "blocks:tower|fallen", "cat:awake")),
    ("meadow shore mountain", ("ball:resting", "balloon:floating")),
    ("meadow shore mountain", ("tree:apples", "bear:awake|asleep")),
    ("meadow shore", ("tree:blossom|apples", "bee:flying")),
    ("meadow shore mountain", ("balloon:floating", "candle:lit", "cat:awake|asleep")),
    ("meadow shore mountain", ("balloon:floating", "candle:out|lit", "bear:awake")),
    ("meadow shore mountain", ("balloon:floating", "candle:lit|out")),
    ("meadow shore", ("cat:awake", "house:dark|lit")),
    ("meadow shore", ("cat:awake", "house:dark|lit", "ball:resting")),
    ("meadow shore", ("bear:awake", "house:dark|lit")),
    ("meadow shore", ("bear:awake", "house:dark|lit", "plant:seed|flower")),
    ("meadow shore", ("cat:awake", "bear:awake", "house:dark|lit")),
    ("meadow shore mountain", ("house:dark|lit", "snowman:standing")),
    ("meadow shore mountain", ("tree:apples|blossom", "bear:awake|asleep")),
    ("meadow shore mountain", ("tree:apples", "bear:awake", "ball:resting")),
    ("meadow shore", ("tree:blossom", "bee:flying", "bear:awake")),
    ("meadow shore", ("bee:flying", "plant:flower|closed")),
    ("meadow shore", ("puddle:water|duck|frog", "candle:lit|out", "bear:awake")),
    ("meadow shore", ("puddle:water|duck|frog", "snowman:standing")),
)

# How eagerly a rule is taken when it can be: measured so that no rule is common and none is missing.
EAGERNESS: dict[str, float] = {
    "snowman_built": 0.98, "snowman_melts": 1.9, "puddle_draws_duck": 0.04, "puddle_draws_frog": 0.04,
    "frog_hops_off": 0.059, "duck_leaves": 0.67, "puddle_freezes": 16.0, "ice_thaws": 16.0,
    "rain_makes_puddle": 0.04, "lamp_lights": 7.0, "lamp_goes_out": 0.58, "seed_sprouts": 7.9,
    "sprout_flowers": 2.4, "flower_draws_bee": 0.84, "bee_leaves_rain": 6.0, "flower_closes": 2.6,
    "flower_opens": 3.1, "flower_wilts": 8.4, "wilted_drops_seed": 16.0, "snow_buries_seed": 4.0,
    "seed_reappears": 16.0, "tree_blossoms": 0.75, "tree_bears": 16.0, "apple_falls": 16.0, "tree_bares": 6.1,
    "egg_cracks": 7.5, "chick_hatches": 0.37, "chick_eats_seed": 12.0, "bird_flies_off": 1.7, "bird_returns": 3.3,
    "bird_sleeps": 1.4, "bird_wakes": 4.2, "cat_startles": 16.0, "cat_returns": 16.0, "cat_sleeps": 0.32,
    "cat_wakes": 0.83, "cat_chases_bird": 6.1, "cat_shelters": 5.6, "cat_comes_out": 16.0, "bear_sleeps": 0.04,
    "bear_wakes": 0.13, "bear_shelters": 2.3, "bear_comes_out": 16.0, "bear_arrives": 0.04, "bear_eats_apple": 16.0,
    "ball_topples_blocks": 16.0, "cat_topples_blocks": 11.0, "ball_rolls": 4.2, "bear_builds": 0.63,
    "ball_into_box": 1.9, "ball_from_box": 16.0, "box_opens_empty": 1.5, "box_slams": 2.0, "balloon_pops": 1.3,
    "balloon_floats_off": 1.4, "balloon_returns": 16.0, "rain_douses_candle": 16.0, "wind_douses_candle": 12.0,
    "bear_lights_candle": 1.2, "bear_blows_out": 6.4,
}  # fmt: skip


@dataclass(frozen=True)
class Story:
    """`events[i]` leads from `worlds[i]` to `worlds[i + 1]`: one world more than events."""

    worlds: tuple[World, ...]
    events: tuple[Event, ...]

    def __post_init__(self) -> None:
        if len(self.worlds) != len(self.events) + 1:
            raise ValueError(
                f"a story of {len(self.worlds)} worlds and {len(self.events)} events was asked for, "
                "but it has one world more than events"
            )


def possible(world: World, rules: Collection[str] | None = None, allowed: Allowed | None = None) -> list[Event]:
    """The enabled events among `rules` that `allowed` lets through, in a fixed order."""
    names = RULES if rules is None else [name for name in RULES if name in rules]
    events = [event for name in names for event in RULES[name].candidates(world)]
    return events if allowed is None else [event for event in events if allowed(world, event)]


def begin(rng: Random, rules: Collection[str] | None = None) -> World:
    """A first scene of one to three things; no sprout and no chick, whose colour nobody could know."""
    best, best_score = _draw(rng), -1.0
    for attempt in range(40):
        world = best if attempt == 0 else _draw(rng)
        score = _promise(world, rules)
        if score > best_score:
            best, best_score = world, score
        if best_score >= 1.0 and attempt >= 1:
            break
    return best


def choose(
    world: World,
    rng: Random,
    rules: Collection[str] | None = None,
    *,
    past: Sequence[Event] = (),
    allowed: Allowed | None = None,
) -> Event | None:
    """What happens next; None when nothing can. `past` (the story so far) makes it shun repetition."""
    events = possible(world, rules, allowed)
    acting: dict[str, list[Event]] = {}
    sky: list[Event] = []
    for event in events:
        if event.rule in AMBIENT:
            sky.append(event)
        else:
            acting.setdefault(event.rule, []).append(event)
    if sky and (not acting or rng.random() < AMBIENT_CHANCE):
        return _choose_sky(world, sky, rng, rules, past)
    if not acting:
        return None
    recent = [event.rule for event in past]
    picks = [rng.choice(group) for group in acting.values()]
    weights = []
    for event in picks:
        weight = EAGERNESS.get(event.rule, 1.0) * 0.3 ** recent.count(event.rule)
        onward = _acting_rules(step(world, event), rules)
        weights.append(weight * (0.1 + _worth(onward - {event.rule}, recent)))
    return rng.choices(picks, weights)[0]


def story(
    rng: Random,
    scenes: int = 8,
    rules: Collection[str] | None = None,
    *,
    start: World | None = None,
    allowed: Allowed | None = None,
) -> Story:
    """A beginning and up to `scenes - 1` events; shorter only when `rules` or `allowed` leave nothing."""
    if scenes < 1:
        raise ValueError(f"a story of {scenes} scenes was asked for, but it has at least 1: ask for more")
    drafts = [_draft(rng, scenes, rules, start, allowed) for _ in range(DRAFTS)]
    return max(drafts, key=_interest)  # the first of equals


def _draft(
    rng: Random, scenes: int, rules: Collection[str] | None, start: World | None, allowed: Allowed | None
) -> Story:
    worlds = [begin(rng, rules) if start is None else start]
    events: list[Event] = []
    while len(worlds) < scenes:
        event = choose(worlds[-1], rng, rules, past=events, allowed=allowed)
        if event is None:
            break
        events.append(event)
        worlds.append(step(worlds[-1], event))
    return Story(tuple(worlds), tuple(events))


def _interest(one: Story) -> float:
    """Different happenings count, rare ones more; the sky and repetition cost."""
    rules = [event.rule for event in one.events]
    worth = sum(EAGERNESS.get(rule, 1.0) ** 0.5 for rule in sorted(set(rules)) if rule not in AMBIENT)
    return worth - SKY_COST * sum(rule in AMBIENT for rule in rules)


def chain_length(one: Story) -> int:
    """The longest run of scenes in which the sky never acts twice in a row: how long a story hangs together."""
    best = run = 1
    for earlier, event in zip((None, *one.events), one.events, strict=False):
        both = earlier is not None and earlier.rule in AMBIENT and event.rule in AMBIENT
        run = 1 if both else run + 1
        best = max(best, run)
    return best


def _acting_rules(world: World, rules: Collection[str] | None) -> set[str]:
    return {event.rule for event in possible(world, rules) if event.rule not in AMBIENT}


def _choose_sky(
    world: World, sky: list[Event], rng: Random, rules: Collection[str] | None, past: Sequence[Event]
) -> Event:
    """The sky's event that lets most happen, now or one more turn of the sky later."""
    recent = [event.rule for event in past]
    weights = []
    for event in sky:
        after = step(world, event)
        value = _worth(_acting_rules(after, rules), recent)
        later = [step(after, more) for more in possible(after, rules) if more.rule in AMBIENT]
        value += 0.2 * max((_worth(_acting_rules(w, rules), recent) for w in later), default=0.0)
        weights.append((0.02 + value) ** 2 * 0.5 ** recent.count(event.rule))
    return rng.choices(sky, weights)[0]


def _worth(rules: set[str], recent: list[str]) -> float:
    return sum(EAGERNESS.get(rule, 1.0) * 0.25 ** recent.count(rule) for rule in sorted(rules))


def _promise(world: World, rules: Collection[str] | None) -> float:
    """1 and more: something can happen at once; above 0: after one turn of the sky."""
    now = len(_acting_rules(world, rules))
    if now:
        return float(now)
    after = [step(world, event) for event in possible(world, rules) if event.rule in AMBIENT]
    soon = max((len(_acting_rules(w, rules)) for w in after), default=0)
    return 0.5 if soon else 0.0


def _draw(rng: Random) -> World:
    if rng.random() < WILD_CHANCE:
        places: Sequence[str] = PLACES
        things = [f"{kind}:{'|'.join(STATES[kind])}" for kind in rng.sample(sorted(STATES), rng.randint(1, 3))]
    else:
        names, combination = rng.choice(COMBINATIONS)
        places, things = names.split(), list(combination)
        if rng.random() < SIMPLE_CHANCE:
            things = [rng.choice(things)]
    place = rng.choice(places)
    light = rng.choices(LIGHTS, (3, 1))[0]
    wet = "snow" if place == "mountain" else "rain"
    world = World(place, light, rng.choices(("clear", wet, "wind"), (4, 2, 2))[0])
    for slot, thing in zip(rng.sample(range(3), len(things)), things, strict=True):
        kind, _, states = thing.partition(":")
        shown = [state for state in states.split("|") if (kind, state) not in COLOUR_HIDDEN]
        colour = rng.choice(COLOURS) if kind in COLOURED else None
        world = world.put(Thing(slot, kind, rng.choice(shown), colour))
    return world
