"""Wishes drawn rule by rule: each rule as often as the others, true in its world, refused for no wording's sake."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from nsp_core import prompts
from training import remembering
from training.picturebook.parse import parse
from training.picturebook.rules import RULES, enabled
from training.picturebook.splits import is_train, train_story
from training.reader_data import Moment, possible, shortly
from training.wishing import beginning, by_rule, wish_by_rule


@pytest.fixture(scope="module")
def stories():
    return [train_story(Random(f"wishing {n}")) for n in range(700)]


@pytest.fixture(scope="module")
def moments(stories):
    return by_rule(stories, 8)


def test_the_moments_of_a_rule_are_those_at_which_it_can_happen(moments):
    assert len(moments) > 0.9 * len(RULES)
    assert max(map(len, moments.values())) == 8
    for rule, some in moments.items():
        assert all(any(event.rule == rule for event in possible(moment)) for moment in some)


def test_rare_rules_are_wished_for_as_often_as_the_sky(stories, moments, monkeypatch):
    monkeypatch.setattr(remembering, "dressed", lambda wish, _: wish)
    granted: Counter[str] = Counter()
    declined = alone = told = 0
    for number in range(3000):
        rng, elsewhere = Random(number), Moment(stories[number % len(stories)], 0)
        one = wish_by_rule(moments, elsewhere, 3, rng, frames=False)
        wish = one.prompt.text.rsplit(prompts.STARTER.steer.split("{words}")[0], 1)[1]
        if one.answer == prompts.UNKNOWN:
            declined += 1
            assert all(wish not in shortly(event) for event in enabled(one.now)), f"{wish} could come true"
            if (denied := parse(wish)) is not None:
                told += 1
                assert is_train(one.now, denied), f"'{wish}' is held out: not to be denied"
            continue
        event = parse(one.answer)
        assert event in enabled(one.now) and is_train(one.now, event)
        granted[event.rule] += 1
        alone += "\n2. " not in one.prompt.text
    assert 0.1 < declined / 3000 < 0.3 and told > 20
    assert alone > 0.4 * granted.total(), "half of them stand at the beginning of a story"
    assert max(granted.values()) < 8 * min(granted[rule] for rule in moments), granted


def test_a_beginning_is_the_same_world_without_a_past(moments):
    for rule, some in moments.items():
        event = next(one for one in possible(some[0]) if one.rule == rule)
        begun = beginning(some[0], event)
        if begun.story is not some[0].story:
            assert begun.at == 0 and not begun.world.facts and begun.world.things == some[0].world.things
            assert begun.event == event and event in enabled(begun.world)
