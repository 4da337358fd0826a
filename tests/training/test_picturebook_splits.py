"""What is held out, and pairs of worlds that differ in one fact."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from training.picturebook.rules import AMBIENT, KIND_OF, RULES, is_coloured, is_enabled, step
from training.picturebook.scenes import story
from training.picturebook.splits import (
    WHAT_IFS,
    WhatIf,
    composition,
    held_out,
    held_out_story,
    is_train,
    places_of,
    split_of,
    split_of_story,
    train_story,
    what_if_pairs,
)
from training.picturebook.world import COLOURS, PLACES


def test_about_one_in_seven_happenings_is_held_out() -> None:
    seen, unseen = set(), set()
    for seed in range(1000, 1150):
        one = story(Random(seed), 8)
        for world, event in zip(one.worlds, one.events, strict=False):
            if event.rule not in AMBIENT:
                (seen if is_train(world, event) else unseen).add(composition(world, event))
    assert 0.10 <= len(unseen) / (len(seen) + len(unseen)) <= 0.20
    assert unseen <= held_out()


def test_every_rule_colour_and_place_stays_in_training() -> None:
    for rule in set(RULES) - AMBIENT:
        places = [place for place in PLACES if place in places_of(rule)]
        colours = COLOURS if is_coloured(rule) else (None,)
        kept = {(c, p) for c in colours for p in places if (KIND_OF[rule], c, p, rule) not in held_out()}
        assert kept, rule
        if is_coloured(rule) and len(places) > 1:
            assert {colour for colour, _ in kept} == set(colours), rule
            assert {place for _, place in kept} == set(places), rule
    assert not {rule for *_, rule in held_out()} & AMBIENT


def test_the_split_is_frozen() -> None:
    assert len(held_out()) == 77
    assert ("plant", "red", "meadow", "seed_sprouts") not in held_out()


def test_training_stories_hold_nothing_back_and_held_out_ones_end_in_something_new() -> None:
    for seed in range(20):
        assert split_of_story(train_story(Random(seed))) == "train"
        one = held_out_story(Random(seed), 4)
        assert 2 <= len(one.worlds) <= 4
        assert [split_of(w, e) for w, e in zip(one.worlds, one.events, strict=False)][-1] == "held_out"
        assert all(is_train(w, e) for w, e in list(zip(one.worlds, one.events, strict=False))[:-1])


@pytest.fixture(scope="module")
def pairs() -> list[WhatIf]:
    return what_if_pairs(Random(1), 60)


def test_what_ifs_have_futures_that_exclude_each_other(pairs: list[WhatIf]) -> None:
    assert {pair.changed for pair in pairs} == set(WHAT_IFS)
    for pair in pairs:
        (one, other), (event, future) = pair.worlds, pair.futures
        assert is_enabled(one, event) and not is_enabled(other, event)
        assert is_enabled(other, future) and not is_enabled(one, future)
        assert step(one, event) == pair.one.worlds[-1]
        assert step(other, future) == pair.other.worlds[-1]


def test_what_ifs_differ_in_one_fact(pairs: list[WhatIf]) -> None:
    for pair in pairs:
        one, other = pair.worlds
        if pair.changed == "memory":
            assert one.seen() == other.seen()
            assert one != other
            assert [e.rule for e in pair.one.events] == [e.rule for e in pair.other.events]
        elif pair.changed in ("light", "weather"):
            assert getattr(one, pair.changed) != getattr(other, pair.changed)
            assert replace(one, **{pair.changed: getattr(other, pair.changed)}) == other
        else:
            assert replace(one, things=()) == replace(other, things=())
            assert sum(one.at(slot) != other.at(slot) for slot in range(3)) == 1


def test_what_ifs_repeat_and_refuse(pairs: list[WhatIf]) -> None:
    assert what_if_pairs(Random(1), 6) == pairs[:6]
    with pytest.raises(ValueError, match="choose one of these"):
        what_if_pairs(Random(1), 1, "music")
