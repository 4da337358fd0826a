"""What a rule is, and the few shapes that most rules share (change, appear, leave, come back).

Knows nothing of any particular rule, of pictures or of words.

How an event names its parts: `slot` is the subject of the rule's name (the bear that builds, the tree whose apple
falls, the bird that comes back), `other` the second thing (the blocks, the house) or the slot that is filled.
`kind` and `colour` belong to what appears or changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from training.picturebook.world import Event, Fact, Thing, World

When = Callable[[World], bool]
Candidates = Callable[[World], list[Event]]
Apply = Callable[[World, Event], World]

MEMORY_AGE = 2  # a remembered fact comes back no earlier than this many scenes after it came to be


@dataclass(frozen=True)
class Rule:
    """`ambient`: sky only, nearly always possible. `memory`: its outcome depends on what only earlier scenes showed."""

    name: str
    candidates: Candidates
    apply: Apply
    ambient: bool = False
    memory: bool = False


# --- skies -----------------------------------------------------------------------------------------------------------
def sky(weather: str | tuple[str, ...] | None = None, light: str | None = None) -> When:
    weathers = (weather,) if isinstance(weather, str) else weather

    def holds(world: World) -> bool:
        return (weathers is None or world.weather in weathers) and (light is None or world.light == light)

    return holds


CLEAR = sky("clear")
CLEAR_DAY = sky("clear", "day")
RAIN = sky("rain")
SNOW = sky("snow")
WIND = sky("wind")
DAY = sky(light="day")
NIGHT = sky(light="night")


# --- questions and small changes -------------------------------------------------------------------------------------
def adjacent(one: int, other: int) -> bool:
    return abs(one - other) == 1


def awake_bear(world: World) -> Thing | None:
    return next(iter(world.find("bear", "awake")), None)


def standing(world: World, slot: int | None) -> Thing:
    thing = None if slot is None else world.at(slot)
    if thing is None:
        raise ValueError(f"nothing stands in slot {slot}")
    return thing


def slot_of(slot: int | None) -> int:
    if slot is None:
        raise ValueError("the event names no slot, but its rule needs one")
    return slot


def turn(world: World, slot: int | None, state: str) -> World:
    """The thing in `slot` in another state."""
    return world.put(replace(standing(world, slot), state=state))


def remember(world: World, name: str, kind: str, colour: str | None) -> World:
    """A new fact; it came to be in the scene that this change leads to."""
    fact = Fact(name, kind, colour, world.scene + 1)
    return replace(world, facts=(*world.facts, fact))


def forget(world: World, name: str, kind: str, colour: str | None) -> World:
    """Without the oldest such fact."""
    found = [f for f in world.facts if (f.name, f.kind, f.colour) == (name, kind, colour)]
    if not found:
        raise ValueError(f"no fact '{name} {kind}' in colour {colour} to drop")
    used = min(found, key=lambda f: f.scene)
    facts = list(world.facts)
    facts.remove(used)
    return replace(world, facts=tuple(facts))


# --- the shapes ------------------------------------------------------------------------------------------------------
def changes(name: str, kind: str, states: tuple[str, ...], into: str, when: When, memory: bool = False) -> Rule:
    """A thing in one of `states` turns `into` another."""

    def candidates(world: World) -> list[Event]:
        if not when(world):
            return []
        return [Event(name, t.slot, None, kind, t.colour) for t in world.find(kind, *states)]

    return Rule(name, candidates, lambda world, event: turn(world, event.slot, into), memory=memory)


def leaves(name: str, kind: str, states: tuple[str, ...], when: When, fact: str | None = None) -> Rule:
    """A thing goes out of sight; `fact` is what is remembered of it."""

    def candidates(world: World) -> list[Event]:
        if not when(world):
            return []
        return [Event(name, t.slot, None, kind, t.colour) for t in world.find(kind, *states)]

    def apply(world: World, event: Event) -> World:
        gone = standing(world, event.slot)
        world = world.without(gone.slot)
        return world if fact is None else remember(world, fact, kind, gone.colour)

    return Rule(name, candidates, apply)


def appears(name: str, kind: str, state: str, when: When) -> Rule:
    """A new thing without colour in a free slot."""

    def candidates(world: World) -> list[Event]:
        if not when(world):
            return []
        return [Event(name, slot, None, kind) for slot in world.free_slots()]

    def apply(world: World, event: Event) -> World:
        return world.put(Thing(slot_of(event.slot), kind, state))

    return Rule(name, candidates, apply)


def returns(name: str, fact: str, kind: str, state: str, when: When) -> Rule:
    """What has been out of sight for two scenes or more comes back into a free slot, in its own colour."""

    def candidates(world: World) -> list[Event]:
        if not world.facts or not when(world):
            return []
        colours = dict.fromkeys(f.colour for f in world.facts_of(fact, kind, MEMORY_AGE))
        return [Event(name, slot, None, kind, colour) for colour in colours for slot in world.free_slots()]

    def apply(world: World, event: Event) -> World:
        world = forget(world, fact, kind, event.colour)
        return world.put(Thing(slot_of(event.slot), kind, state, event.colour))

    return Rule(name, candidates, apply, memory=True)


def shelters(name: str, kind: str) -> Rule:
    """A wet animal goes into the house."""

    def candidates(world: World) -> list[Event]:
        if world.weather != "rain":
            return []
        houses = world.find("house")
        return [Event(name, t.slot, h.slot, kind) for t in world.find(kind, "awake") for h in houses]

    def apply(world: World, event: Event) -> World:
        return remember(world.without(slot_of(event.slot)), "inside", kind, None)

    return Rule(name, candidates, apply)


def comes_out(name: str, kind: str) -> Rule:
    """An animal comes out of the house after two scenes or more: slot the house, other where it goes."""

    def candidates(world: World) -> list[Event]:
        if not world.facts or not CLEAR_DAY(world) or not world.facts_of("inside", kind, MEMORY_AGE):
            return []
        return [Event(name, h.slot, slot, kind) for h in world.find("house") for slot in world.free_slots()]

    def apply(world: World, event: Event) -> World:
        return forget(world, "inside", kind, None).put(Thing(slot_of(event.other), kind, "awake"))

    return Rule(name, candidates, apply, memory=True)
