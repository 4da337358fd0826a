"""Wishes drawn rule by rule: what is seldom possible is wished for as often as the rain.

In random stories a bear stands beside an apple in one moment of a thousand, and a reader that is asked only there
declines "let the bear eat the apple" (DECISIONS.md). Half of these moments are beginnings, as a person describes one
who has something in mind; wishes in vain are asked elsewhere, mostly later or earlier in the same story. Knows nothing
of networks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from random import Random

from training.picturebook.rules import enabled, is_enabled, step
from training.picturebook.scenes import Story
from training.picturebook.splits import is_train
from training.picturebook.words import colourless
from training.picturebook.world import Event
from training.reader_data import IMPOSSIBLE_SHARE, Moment, Sample, possible, shortly, worded
from training.remembering import asked

AS_BEGINNING, COLOURLESS, SAME_STORY = 0.5, 0.4, 0.7  # shares


def by_rule(stories: Iterable[Story], most: int = 300) -> dict[str, list[Moment]]:
    """Rule -> at most `most` moments at which an event of it can happen that is not held out."""
    found: dict[str, list[Moment]] = {}
    for story in stories:
        for at in range(len(story.events)):
            moment = Moment(story, at)
            for rule in {event.rule for event in possible(moment)}:
                if len(some := found.setdefault(rule, [])) < most:
                    some.append(moment)
    return found


def wish_by_rule(
    moments: dict[str, list[Moment]], elsewhere: Moment, depth: int, rng: Random, *, frames: bool
) -> Sample:
    """A wish at one of `moments` less than `depth` scenes after its beginning, or, in vain, `elsewhere`."""
    rule = rng.choice(sorted(moments))
    near = [one for one in moments[rule] if one.at < depth]
    moment = rng.choice(near or moments[rule])
    event = rng.choice([one for one in possible(moment) if one.rule == rule])
    if rng.random() < IMPOSSIBLE_SHARE:
        if rng.random() < SAME_STORY:
            elsewhere = Moment(moment.story, rng.randrange(min(depth, len(moment.story.events))))
        wish = worded(event, moment.world, rng)
        wish = colourless(wish, event) if rng.random() < COLOURLESS else wish
        taught = is_train(elsewhere.world, event)  # what is held out is neither shown nor denied
        if taught and all(rule != one.rule and wish not in shortly(one) for one in enabled(elsewhere.world)):
            return asked(elsewhere, wish, None, rng, frames=frames)
    if not near or rng.random() < AS_BEGINNING:
        moment = beginning(moment, event)
    options = possible(moment)
    wish = worded(event, moment.world, rng)
    if rng.random() < COLOURLESS and len({one.colour for one in options if one.rule == rule}) == 1:
        wish = colourless(wish, event)
    matching = [one for one in options if wish in shortly(one)]
    event = rng.choice(matching) if matching and event not in matching else event
    return asked(moment, wish, event, rng, frames=frames)


def beginning(moment: Moment, event: Event) -> Moment:
    """The same world with no story before it, where `event` can happen without one."""
    world = replace(moment.world, facts=())
    if not is_enabled(world, event):
        return moment
    return Moment(Story((world, step(world, event)), (event,)), 0)
