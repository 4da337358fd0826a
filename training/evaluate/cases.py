"""What the model is asked: stories in words and pictures up to a moment, and what may happen then.

Knows nothing of models. Everything follows from a seed: the same cases on every machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np

from nsp_core.types import Frames, Scene, StoryContext
from training.picturebook.draw import clip
from training.picturebook.reader import idle
from training.picturebook.rules import enabled, step
from training.picturebook.scenes import Story
from training.picturebook.splits import WhatIf, held_out_story, split_of, train_story, what_if_pairs
from training.picturebook.words import HELD_OUT_VARIANTS, describe, tell
from training.picturebook.world import Event, World


@dataclass(frozen=True)
class Case:
    """A story up to an event. `case`: a held-out one up to its last event, which is one future that was never trained
    on, not the only one."""

    number: int
    context: StoryContext
    before: World
    event: Event
    past: tuple[Event, ...] = ()

    @property
    def after(self) -> World:
        return step(self.before, self.event)


def context_of(worlds: Sequence[World], events: Sequence[Event], rng: Random) -> StoryContext:
    """The beginning described, then what happened, with the true pictures of every scene."""
    scenes = [Scene(describe(worlds[0], rng), np.array(idle(worlds[0].seen())))]
    for number, event in enumerate(events):
        scenes.append(Scene(tell(event, None, rng), clip(worlds[number], event, worlds[number + 1])))
    return StoryContext(tuple(scenes))


def case(seed: int, number: int) -> Case:
    rng = Random(f"case {seed}/{number}")
    told = held_out_story(rng, rng.randint(2, 5))
    past = told.events[:-1]
    return Case(number, context_of(told.worlds[:-1], past, rng), told.worlds[-2], told.events[-1], past)


def ordinary(seed: int, number: int) -> Case:
    """A moment of an unseen story that tells nothing held out."""
    rng = Random(f"ordinary {seed}/{number}")
    told = train_story(rng, rng.randint(2, 6))
    while not told.events:
        told = train_story(rng, rng.randint(2, 6))
    at = rng.randrange(len(told.events))
    past = told.events[:at]
    return Case(number, context_of(told.worlds[: at + 1], past, rng), told.worlds[at], told.events[at], past)


def what_ifs(seed: int, count: int) -> list[tuple[WhatIf, StoryContext, StoryContext]]:
    """Pairs of stories that differ in one fact, each as a context up to its last event."""
    pairs = enumerate(what_if_pairs(Random(f"what if {seed}"), count))
    return [(pair, _up_to_last(pair.one, f"{seed}/{i}"), _up_to_last(pair.other, f"{seed}/{i}")) for i, pair in pairs]


def _up_to_last(story: Story, key: str) -> StoryContext:
    # the same wording for both of a pair: only the fact differs
    return context_of(story.worlds[:-1], story.events[:-1], Random(f"what if words {key}"))


def steered(before: World, own: Event | None, rng: Random) -> tuple[Event, str] | None:
    """A possible event that the model did not choose and that looks different, in words it was never trained on."""
    unlike = None if own is None else step(before, own).seen()
    events = [e for e in enabled(before) if step(before, e).seen() not in (unlike, before.seen())]
    unseen = [e for e in events if split_of(before, e) == "held_out"]
    if not events:
        return None
    event = rng.choice(unseen or events)
    return event, tell(event, before, rng.choice(HELD_OUT_VARIANTS))


def futures(before: World, told: Event, limit: int = 24) -> list[Event]:
    """Possible events that look different from each other, `told` first; a fixed choice when there are many."""
    found = {step(before, told).seen(): told}
    rest = list(enabled(before))
    Random(f"futures {before}").shuffle(rest)
    for event in rest:
        found.setdefault(step(before, event).seen(), event)
    return list(found.values())[:limit]


def last_picture(context: StoryContext) -> Frames:
    frames = context.scenes[-1].frames
    assert frames is not None
    return frames[-1]


@cache
def most_frequent_rule(stories: int = 40) -> str:
    """What happens most often in training stories."""
    counts: Counter[str] = Counter()
    for number in range(stories):
        counts.update(e.rule for e in train_story(Random(f"frequent {number}"), 8).events)
    return counts.most_common(1)[0][0]
