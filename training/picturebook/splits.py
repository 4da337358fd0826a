"""Which compositions are held out from training, and pairs of worlds that differ in one fact.

A composition is (kind, colour, place, rule). About one in seven is held out, by a stable hash; every rule, colour and
place stays in training in other compositions. Knows nothing of pictures or words.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b
from itertools import product
from random import Random
from typing import Literal

from training.picturebook.rules import AMBIENT, KIND_OF, MEMORY, RULES, enabled, is_coloured, is_enabled, step
from training.picturebook.scenes import Story, begin, choose, story
from training.picturebook.world import COLOUR_HIDDEN, COLOURED, COLOURS, LIGHTS, PLACES, STATES, Event, Thing, World

SPLITS_VERSION = 1

Split = Literal["train", "held_out"]
Composition = tuple[str | None, str | None, str, str]

HELD_OUT_SHARE = 0.15


# --- compositions ----------------------------------------------------------------------------------------------------
def composition(world: World, event: Event) -> Composition:
    return (event.kind, event.colour, world.place, event.rule)


def split_of(world: World, event: Event) -> Split:
    return "held_out" if composition(world, event) in held_out() else "train"


def is_train(world: World, event: Event) -> bool:
    return split_of(world, event) == "train"


def split_of_story(one: Story) -> Split:
    """Held out as soon as one of its events is."""
    pairs = zip(one.worlds, one.events, strict=False)
    return "train" if all(is_train(world, event) for world, event in pairs) else "held_out"


def train_story(rng: Random, scenes: int = 8, rules: Collection[str] | None = None) -> Story:
    """A story in which nothing happens that is held out."""
    return story(rng, scenes, rules, allowed=is_train)


def held_out_story(rng: Random, scenes: int = 2, rules: Collection[str] | None = None) -> Story:
    """A story of `scenes` scenes or fewer whose last event, and only that, is held out."""
    for _ in range(2000):
        worlds = [begin(rng, rules)]
        events: list[Event] = []
        while True:
            unseen = [e for e in enabled(worlds[-1]) if not is_train(worlds[-1], e) and (not rules or e.rule in rules)]
            last = len(worlds) >= scenes - 1
            event = rng.choice(unseen) if unseen and (last or rng.random() < 0.3) else None
            if event is not None:
                return Story((*worlds, step(worlds[-1], event)), (*events, event))
            event = None if last else choose(worlds[-1], rng, rules, past=events, allowed=is_train)
            if event is None:
                break
            events.append(event)
            worlds.append(step(worlds[-1], event))
    raise ValueError(f"a held-out story was asked for, but {len(rules or ())} rules have none: allow more rules")


@cache
def held_out() -> frozenset[Composition]:
    """The held-out compositions: of each rule those that hash lowest, never all of them; nothing of the sky's."""
    chosen: set[Composition] = set()
    for rule in RULES:
        if rule in AMBIENT:
            continue
        every = _compositions(rule)
        # a rule of 3 compositions gives none or one of them: its own hash decides, so that the share is right overall
        count = int(HELD_OUT_SHARE * len(every) + _unit((rule,)))
        chosen.update(sorted(every, key=_unit)[: min(count, len(every) - 1)])
    return frozenset(chosen)


def _compositions(rule: str) -> list[Composition]:
    places = places_of(rule)
    colours: tuple[str | None, ...] = COLOURS if is_coloured(rule) else (None,)
    return [(KIND_OF[rule], colour, place, rule) for colour, place in product(colours, places)]


def places_of(rule: str) -> tuple[str, ...]:
    """Where a rule can act at all: rain never falls on the mountain, snow only there."""
    if rule in _IN_RAIN:
        return tuple(place for place in PLACES if place != "mountain")
    return ("mountain",) if rule in _IN_SNOW else PLACES


_RAINY = """
    seed_sprouts bee_leaves_rain puddle_draws_frog rain_makes_puddle cat_shelters bear_shelters cat_comes_out
    bear_comes_out rain_douses_candle frog_hops_off
"""
_SNOWY = "flower_wilts snow_buries_seed seed_reappears puddle_freezes snowman_built tree_bares"
_IN_RAIN = frozenset(_RAINY.split())
_IN_SNOW = frozenset(_SNOWY.split())


def _unit(key: tuple[str | None, ...]) -> float:
    """A stable number in [0, 1)."""
    text = "|".join("-" if part is None else part for part in (f"splits {SPLITS_VERSION}", *key))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") / 2**64


# --- what if ---------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class WhatIf:
    """Two stories whose last event follows from worlds that differ in one fact, `changed`.

    Neither last event can happen in the other's world. `changed` is weather, light, colour, neighbour or state; with
    "memory" the worlds before the last event look the same, and only an earlier scene tells them apart.
    """

    changed: str
    one: Story
    other: Story

    @property
    def worlds(self) -> tuple[World, World]:
        return self.one.worlds[-2], self.other.worlds[-2]

    @property
    def futures(self) -> tuple[Event, Event]:
        return self.one.events[-1], self.other.events[-1]


WHAT_IFS = ("weather", "light", "colour", "neighbour", "state", "memory")


def what_if_pairs(rng: Random, n: int, changed: str | None = None) -> list[WhatIf]:
    """`n` pairs, the kinds of change in turn (or only `changed`)."""
    kinds = WHAT_IFS if changed is None else (changed,)
    pairs: list[WhatIf] = []
    while len(pairs) < n:
        kind = kinds[len(pairs) % len(kinds)]
        found = _memory_pair(rng) if kind == "memory" else _sight_pair(rng, kind)
        if found is not None:
            pairs.append(found)
    return pairs


def _sight_pair(rng: Random, kind: str) -> WhatIf | None:
    world = replace(begin(rng), facts=())
    event = choose(world, rng)
    others = _changed(world, kind, rng)
    rng.shuffle(others)
    if event is None or event.rule in AMBIENT:
        return None
    for other in others:
        if is_enabled(other, event):
            continue
        futures = [e for e in enabled(other) if e.rule not in AMBIENT and not is_enabled(world, e)]
        if futures:
            future = rng.choice(futures)
            return WhatIf(
                kind,
                Story((world, step(world, event)), (event,)),
                Story((other, step(other, future)), (future,)),
            )
    return None


def _changed(world: World, kind: str, rng: Random) -> list[World]:
    """All worlds that differ from `world` in one fact of this kind."""
    if kind == "light":
        return [replace(world, light=light) for light in LIGHTS if light != world.light]
    if kind == "weather":
        wet = "snow" if world.place == "mountain" else "rain"
        return [replace(world, weather=weather) for weather in ("clear", wet, "wind") if weather != world.weather]
    if kind == "colour":
        return [
            world.put(replace(t, colour=c)) for t in world.things if t.colour for c in COLOURS if c != t.visible_colour
        ]
    if kind == "state":
        return [world.put(replace(t, state=s)) for t in world.things for s in STATES[t.kind] if _can_change(t, s)]
    if kind == "neighbour":
        gone = [world.without(thing.slot) for thing in world.things]
        swapped = [
            world.put(Thing(thing.slot, kind_, STATES[kind_][0], rng.choice(COLOURS) if kind_ in COLOURED else None))
            for thing in world.things
            for kind_ in sorted(STATES)
            if kind_ != thing.kind
        ]
        return gone + swapped
    raise ValueError(f"a what-if of {kind!r} was asked for, but there are {', '.join(WHAT_IFS)}: choose one of these")


def _can_change(thing: Thing, state: str) -> bool:
    """Never into a state that hides a colour: nobody could know it."""
    return state != thing.state and (thing.kind, state) not in COLOUR_HIDDEN


def _memory_pair(rng: Random) -> WhatIf | None:
    """The same story twice with one colour changed at its beginning, up to where only memory can tell."""
    told = story(rng, 8)
    for number, event in enumerate(told.events):
        world = told.worlds[number]
        if event.rule not in MEMORY or event.colour is None:
            continue
        start = told.worlds[0]
        sources = [thing for thing in start.things if thing.colour == event.colour]
        if len(sources) != 1 or any(thing.colour == event.colour for thing in world.seen().things):
            continue
        colour = rng.choice([c for c in COLOURS if c not in {t.colour for w in told.worlds for t in w.things}] or [""])
        other = _retold(told, number, event.colour, colour) if colour else None
        if other is not None and other.worlds[-2].seen() == world.seen():
            return WhatIf("memory", Story(told.worlds[: number + 2], told.events[: number + 1]), other)
    return None


def _retold(told: Story, last: int, old: str, new: str) -> Story | None:
    start = told.worlds[0]
    things = tuple(replace(t, colour=new) if t.colour == old else t for t in start.things)
    worlds = [replace(start, things=things)]
    events: list[Event] = []
    for event in told.events[: last + 1]:
        event = replace(event, colour=new) if event.colour == old else event
        if not is_enabled(worlds[-1], event):
            return None
        events.append(event)
        worlds.append(step(worlds[-1], event))
    return Story(tuple(worlds), tuple(events))
