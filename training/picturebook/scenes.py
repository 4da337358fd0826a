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

AMBIENT_CHANCE = 0.02  # that the sky acts although something else could
STALE_CHANCE = 0.4  # the same when all that could happen has just happened
WILD_CHANCE = 0.12  # that a beginning is put together from anything
DRAFTS = 5  # a story is the best of so many
SKY_COST = 3.0
SIMPLE_CHANCE = 0.08  # that only one thing of a combination is there

# Rules to begin training with; each set can tell stories of its own.
_FIRST_12 = """
    rain_starts rain_stops sunset sunrise seed_sprouts sprout_flowers flower_draws_bee bee_leaves_rain
    lamp_lights lamp_goes_out snowman_melts puddle_draws_duck
"""
_NEXT_12 = """
    wind_rises wind_drops flower_closes flower_opens duck_leaves egg_cracks chick_hatches balloon_pops
    cat_startles balloon_floats_off ball_topples_blocks bear_builds
"""
CURRICULA: dict[int, frozenset[str]] = {
    12: frozenset(_FIRST_12.split()),
    24: frozenset((_FIRST_12 + _NEXT_12).split()),
    len(RULES): frozenset(RULES),
}

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
    "snowman_built": 1.1, "snowman_melts": 1.9, "puddle_draws_duck": 0.03, "puddle_draws_frog": 0.03,
    "frog_hops_off": 0.043, "duck_leaves": 0.63, "puddle_freezes": 21.0, "ice_thaws": 24.0,
    "rain_makes_puddle": 0.03, "lamp_lights": 7.2, "lamp_goes_out": 0.48, "seed_sprouts": 8.7,
    "sprout_flowers": 2.3, "flower_draws_bee": 0.78, "bee_leaves_rain": 6.3, "flower_closes": 3.1,
    "flower_opens": 3.5, "flower_wilts": 10.0, "wilted_drops_seed": 24.0, "snow_buries_seed": 4.9,
    "seed_reappears": 23.0, "tree_blossoms": 0.67, "tree_bears": 18.0, "apple_falls": 21.0, "tree_bares": 7.1,
    "egg_cracks": 8.1, "chick_hatches": 0.3, "chick_eats_seed": 13.0, "bird_flies_off": 1.9, "bird_returns": 3.1,
    "bird_sleeps": 1.7, "bird_wakes": 5.3, "cat_startles": 21.0, "cat_returns": 22.0, "cat_sleeps": 0.32,
    "cat_wakes": 0.82, "cat_chases_bird": 6.3, "cat_shelters": 6.6, "cat_comes_out": 26.0, "bear_sleeps": 0.03,
    "bear_wakes": 0.11, "bear_shelters": 2.5, "bear_comes_out": 27.0, "bear_arrives": 0.03, "bear_eats_apple": 24.0,
    "ball_topples_blocks": 28.0, "cat_topples_blocks": 15.0, "ball_rolls": 3.7, "bear_builds": 0.65,
    "ball_into_box": 2.1, "ball_from_box": 21.0, "box_opens_empty": 1.7, "box_slams": 2.3, "balloon_pops": 1.3,
    "balloon_floats_off": 1.3, "balloon_returns": 18.0, "rain_douses_candle": 23.0, "wind_douses_candle": 16.0,
    "bear_lights_candle": 1.4, "bear_blows_out": 8.7,
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
    if rules is not None:
        return _begin_for(rng, rules)
    worlds = [_draw(rng), _draw(rng)]
    while len(worlds) < 40 and not any(_acting_rules(world, None) for world in worlds):
        worlds.append(_draw(rng))
    return max(worlds, key=lambda world: len(_acting_rules(world, None)))


def choose(
    world: World,
    rng: Random,
    rules: Collection[str] | None = None,
    *,
    past: Sequence[Event] = (),
    allowed: Allowed | None = None,
) -> Event | None:
    """What happens next; None when nothing can. `past` (the story so far) makes it shun repetition."""
    acting, sky = _sorted(possible(world, rules, allowed))
    sky_chance = _sky_chance(acting, sky, past)
    if sky and (not acting or rng.random() < sky_chance):
        weights = _sky_weights(world, sky, rules, past)
        return rng.choices(sky, weights)[0] if weights else None
    if not acting:
        return None
    picks = [rng.choice(group) for group in acting.values()]
    return rng.choices(picks, [_eagerness(world, event, rules, past) for event in picks])[0]


def odds(
    world: World, rules: Collection[str] | None = None, *, past: Sequence[Event] = (), allowed: Allowed | None = None
) -> dict[Event, float]:
    """How probable `choose` makes each event; empty when nothing can happen. Of events of one rule the first gives the
    others' weight, where it would be drawn anew: a difference of a few thousandths."""
    acting, sky = _sorted(possible(world, rules, allowed))
    chance = _sky_chance(acting, sky, past)
    found: dict[Event, float] = {}
    if sky and chance > 0:
        weights = _sky_weights(world, sky, rules, past)
        found.update({event: chance * w / sum(weights) for event, w in zip(sky, weights, strict=False)})
    eager = {rule: _eagerness(world, group[0], rules, past) for rule, group in acting.items()}
    for rule, group in acting.items():
        found.update({event: (1 - chance) * eager[rule] / sum(eager.values()) / len(group) for event in group})
    return found


def _sorted(events: Sequence[Event]) -> tuple[dict[str, list[Event]], list[Event]]:
    """The events of things by rule, and the sky's."""
    acting: dict[str, list[Event]] = {}
    for event in events:
        if event.rule not in AMBIENT:
            acting.setdefault(event.rule, []).append(event)
    return acting, [event for event in events if event.rule in AMBIENT]


def _sky_chance(acting: Collection[str], sky: Sequence[Event], past: Sequence[Event]) -> float:
    """That the sky acts: it must where nothing else can, and does more often when all the rest has just happened."""
    if not sky or not acting:
        return 1.0 if sky else 0.0
    stale = set(acting) <= {event.rule for event in past[-2:]}  # the ball has rolled enough
    return STALE_CHANCE if stale else AMBIENT_CHANCE


def _eagerness(world: World, event: Event, rules: Collection[str] | None, past: Sequence[Event]) -> float:
    recent = [one.rule for one in past]
    onward = _acting_rules(step(world, event), rules)
    weight = EAGERNESS.get(event.rule, 1.0) * 0.3 ** recent.count(event.rule)
    return weight * (0.1 + _worth(onward - {event.rule}, recent))


def story(
    rng: Random,
    scenes: int = 8,
    rules: Collection[str] | None = None,
    *,
    start: World | None = None,
    allowed: Allowed | None = None,
) -> Story:
    """A beginning and up to `scenes - 1` events; shorter only when `rules` or `allowed` lead nowhere."""
    if scenes < 1:
        raise ValueError(f"a story of {scenes} scenes was asked for, but it has at least 1: ask for more")
    if rules is not None and set(RULES) <= set(rules):
        rules = None
    if start is None and rules is not None:
        start = begin(rng, rules)  # one for all drafts: else the few rules that chain best would crowd out the others
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


def _sky_weights(world: World, sky: list[Event], rules: Collection[str] | None, past: Sequence[Event]) -> list[float]:
    """Highest for the sky's event that lets most happen, now or one more turn of the sky later; none when that is
    nothing."""
    recent = [event.rule for event in past]
    values = []
    for event in sky:
        after = step(world, event)
        later = [step(after, more) for more in possible(after, rules) if more.rule in AMBIENT]
        value = _worth(_acting_rules(after, rules), recent)
        values.append(value + 0.2 * max((_worth(_acting_rules(w, rules), recent) for w in later), default=0.0))
    if not any(values) and rules is not None and not AMBIENT.issuperset(rules):
        return []  # a part of the rules can come to an end; all of them never do
    return [(0.02 + value) ** 2 * 0.5 ** recent.count(event.rule) for event, value in zip(sky, values, strict=True)]


def _worth(rules: set[str], recent: list[str]) -> float:
    return sum(EAGERNESS.get(rule, 1.0) * 0.25 ** recent.count(rule) for rule in sorted(rules))


def _begin_for(rng: Random, rules: Collection[str]) -> World:
    """A beginning in which one of `rules`, each in its turn, can act at once or after one turn of the sky."""
    acting = sorted(set(rules) - AMBIENT)
    for _ in range(4 if acting else 0):
        wanted = rng.choice(acting)
        for _ in range(40):
            world = _draw(rng)
            after = [step(world, event) for event in possible(world, rules) if event.rule in AMBIENT]
            if any(RULES[wanted].candidates(w) for w in (world, *after)):
                return world
    return _draw(rng)


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
