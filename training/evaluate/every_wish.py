"""`python launch.py eval wishes`: can everything be wished for, what is seldom possible as readily as the rain?

In random stories the sky offers half of what can be wished for, and a bear beside an apple stands in one moment of two
hundred: a mean over random wishes does not show that "let the bear eat the apple" is declined. Here each rule is asked
for equally often, in unseen stories of all compositions; only words are told, nothing is drawn.

short          the language's own short wishes: the share told as an event of that rule that can happen, in the colour
               that the wish names
sentence       the same for held-out sentences, whose things and places have to be right, too
vain           the short wish at another moment of the same story, at which nothing of that rule can happen: declined
vain_sentence  the sentence there

Knows nothing of the command line.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from random import Random

from nsp_core.types import Predictor
from training.evaluate.cases import context_of
from training.evaluate.measure import Measure, Plan
from training.picturebook.rules import RULES, enabled
from training.picturebook.scenes import Story, story
from training.picturebook.words import HELD_OUT_VARIANTS, instructions, tell
from training.picturebook.world import Event

log = logging.getLogger(__name__)

STORIES = 4000  # at most, until there is an occasion of each kind
Cases = dict[str, dict[str, list[float]]]  # figure -> rule -> values


@dataclass(frozen=True)
class Occasion:
    """`event` can happen after scene `at` of the story."""

    story: Story
    at: int
    event: Event


def occasions(count: int, seed: int = 0) -> dict[str, list[Occasion]]:
    """`count` of each rule, each from a story of its own; fewer where they do not turn up."""
    found: dict[str, list[Occasion]] = {rule: [] for rule in sorted(RULES)}
    for number in range(STORIES):
        rng = Random(f"wishes {seed}/{number}")
        one = story(rng, 5)
        here: dict[str, list[Occasion]] = {}
        for at, world in enumerate(one.worlds):
            for event in enabled(world):
                here.setdefault(event.rule, []).append(Occasion(one, at, event))
        for rule, some in here.items():
            if len(found[rule]) < count:
                found[rule].append(rng.choice(some))
        if all(len(some) == count for some in found.values()):
            break
    return found


def in_vain(one: Occasion, wish: str, rng: Random) -> int | None:
    """Another scene of the story after which nothing can happen that `wish` could mean."""
    places = [
        at
        for at, world in enumerate(one.story.worlds)
        if all(event.rule != one.event.rule and wish not in instructions(event) for event in enabled(world))
    ]
    return rng.choice(places) if places else None


def measure(predictor: Predictor, count: int, seed: int = 0) -> Cases:
    """`count` occasions of each rule."""
    asker = Measure(predictor, Plan(count, seed))
    found: Cases = {"short": {}, "sentence": {}, "vain": {}, "vain_sentence": {}}
    for rule, some in occasions(count, seed).items():
        for number, one in enumerate(some):
            rng = Random(f"wishes {seed}/{rule}/{number}")
            short = rng.choice(instructions(one.event))
            sentence = tell(one.event, one.story.worlds[one.at], rng.choice(HELD_OUT_VARIANTS))
            event = _told(asker, one.story, one.at, short, rng)
            right = event is not None and event.rule == rule
            right = right and (one.event.colour not in short.split() or event.colour == one.event.colour)
            found["short"].setdefault(rule, []).append(float(right))
            exact = _told(asker, one.story, one.at, sentence, rng) == one.event
            found["sentence"].setdefault(rule, []).append(float(exact))
            if (at := in_vain(one, short, rng)) is not None:
                for figure, wish in (("vain", short), ("vain_sentence", sentence)):
                    declined = not _said(asker, one.story, at, wish, rng)
                    found[figure].setdefault(rule, []).append(float(declined))
        log.info("%s: %s", rule, {figure: by.get(rule) for figure, by in found.items()})
    return found


def _said(asker: Measure, one: Story, at: int, wish: str, rng: Random) -> str:
    return asker.think(context_of(one.worlds[: at + 1], one.events[:at], rng), rng.randrange(2**31), wish)


def _told(asker: Measure, one: Story, at: int, wish: str, rng: Random) -> Event | None:
    return asker.told(one.worlds[at], _said(asker, one, at, wish, rng))
