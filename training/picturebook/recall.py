"""Stories in which a fact of the first scene decides a scene much later.

Something coloured goes out of sight in the first event (a bird flies off, a balloon drifts away, snow buries a seed, a
ball goes into a box), nothing else does until it is needed, and the last event brings it back: only the first scenes
know its colour. Knows nothing of words or networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from training.picturebook.rules import MEMORY, enabled, step
from training.picturebook.scenes import Allowed, Story, begin, choose
from training.picturebook.world import Event, Fact, World

TRIES = 4000


@dataclass(frozen=True)
class Recall:
    """`story`'s last event uses up a coloured `fact` that its first event made."""

    story: Story
    fact: Fact

    @property
    def event(self) -> Event:
        return self.story.events[-1]


def find_recall(rng: Random, depth: int, allowed: Allowed | None = None) -> Recall:
    """A story of `depth` scenes, the last of which brings back what went in the first; of events that are `allowed`.

    Raises ValueError when no such story turns up.
    """
    for _ in range(TRIES):
        found = _try(rng, depth, allowed)
        if found is not None:
            return found
    raise ValueError(f"a story of {depth} scenes about what went away was asked for, but none turned up: ask for fewer")


def _try(rng: Random, depth: int, allowed: Allowed | None) -> Recall | None:
    def may(world: World, event: Event) -> bool:
        return allowed is None or allowed(world, event)

    first = begin(rng)
    makers = [e for e in enabled(first) if e.colour and len(coloured(step(first, e))) == 1 and may(first, e)]
    if coloured(first) or not makers:
        return None
    events = [rng.choice(makers)]
    worlds = [first, step(first, events[0])]
    fact = coloured(worlds[1])[0]

    def keeps(world: World, event: Event) -> bool:
        return coloured(step(world, event)) == [fact] and may(world, event)

    while len(worlds) < depth - 1:
        event = choose(worlds[-1], rng, past=events, allowed=keeps)
        if event is None:
            return None
        events.append(event)
        worlds.append(step(worlds[-1], event))
    now = worlds[-1]
    uses = [e for e in enabled(now) if e.rule in MEMORY and e.colour == fact.colour and not coloured(step(now, e))]
    uses = [event for event in uses if may(now, event)]
    if not uses:
        return None
    event = rng.choice(uses)
    return Recall(Story((*worlds, step(now, event)), (*events, event)), fact)


def coloured(world: World) -> list[Fact]:
    """What is out of sight and has a colour."""
    return [fact for fact in world.facts if fact.colour]
