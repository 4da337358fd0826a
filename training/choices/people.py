"""People who are made up, each with a hidden taste in what happens: who they are follows from a seed, and from nothing
that a model does.

A taste is a number for every event of the picture book: what kind of thing it is about, in which colour, whether the
sky acts, and a whim for every rule. People choose as the multinomial logit says, so they are not always of their own
opinion. What they cannot make out, or what cannot happen, they like least. Knows nothing of models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from training.picturebook.parse import parse
from training.picturebook.rules import AMBIENT, KIND_OF, RULES, enabled, is_enabled, step
from training.picturebook.words import TRAIN_VARIANTS, tell
from training.picturebook.world import COLOURS, Event, World

LIKED, DISLIKED = 3, 3  # kinds of things
KIND_SIZE, COLOUR_SIZE, SKY_SIZE, WHIM = 1.5, 1.0, 1.0, 0.4
NOISE = 0.35  # of a choice: the logit's scale
NONSENSE = -4.0
REWRITES = 0.25  # of the times at which the best of what is offered is far from the best that could be
FAR = 1.5


@dataclass(frozen=True)
class Person:
    number: int
    kinds: Mapping[str, float]
    colours: Mapping[str, float]
    sky: float
    whims: Mapping[str, float]

    def likes(self, event: Event) -> float:
        """How much the person would like this to happen."""
        value = self.whims[event.rule]
        if event.rule in AMBIENT:
            value += self.sky
        if event.kind is not None:
            value += self.kinds.get(event.kind, 0.0)
        return value + self.colours.get(event.colour or "", 0.0)

    def likes_words(self, words: str, before: World) -> float:
        event = told(words, before)
        return NONSENSE if event is None else self.likes(event)

    def best(self, before: World) -> list[Event]:
        """What the person would like most of all that can happen and would be seen, several where they are alike."""
        possible = [event for event in enabled(before) if step(before, event).seen() != before.seen()]
        possible = possible or list(enabled(before))
        most = max(self.likes(event) for event in possible)
        return [event for event in possible if self.likes(event) > most - 1e-9]

    def chooses(self, offered: Sequence[str], before: World, rng: Random) -> int:
        """Which of several words."""
        values = [self.likes_words(words, before) / NOISE for words in offered]
        top = max(values)
        return rng.choices(range(len(offered)), [math.exp(value - top) for value in values])[0]

    def rewrites(self, offered: Sequence[str], before: World, rng: Random) -> str | None:
        """Own words, when nothing that is offered comes near to what could happen."""
        best = self.best(before)[0]
        near = max(self.likes_words(words, before) for words in offered) > self.likes(best) - FAR
        if near or rng.random() >= REWRITES:
            return None
        return tell(rng.choice(self.best(before)), before, rng.choice(TRAIN_VARIANTS))

    def plain(self) -> dict[str, object]:
        kinds = {k: round(v, 2) for k, v in self.kinds.items()}
        return {"number": self.number, "kinds": kinds, "colours": dict(self.colours), "sky": round(self.sky, 2)}


def person(seed: int, number: int) -> Person:
    """The person of that number; another seed is another village."""
    rng = Random(f"person {seed}/{number}")
    every = sorted({kind for kind in KIND_OF.values() if kind is not None})
    some = rng.sample(every, LIKED + DISLIKED)
    kinds = {kind: (1 if at < LIKED else -1) * KIND_SIZE * rng.uniform(0.6, 1.4) for at, kind in enumerate(some)}
    liked, disliked = rng.sample(COLOURS, 2)
    colours = {liked: COLOUR_SIZE, disliked: -COLOUR_SIZE}
    whims = {rule: rng.gauss(0.0, WHIM) for rule in sorted(RULES)}
    return Person(number, kinds, colours, rng.choice((-1, 1)) * SKY_SIZE, whims)


def told(words: str, before: World) -> Event | None:
    """The event that the words tell in full, if it can happen."""
    event = parse(words)
    return event if event is not None and is_enabled(before, event) else None
