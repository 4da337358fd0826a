"""Stories: the same seed tells the same one, they hang together, and every rule is reached."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from training.picturebook.rules import AMBIENT, RULES, is_enabled, step
from training.picturebook.scenes import CURRICULA, Story, begin, chain_length, choose, odds, possible, story
from training.picturebook.world import COLOUR_HIDDEN, COLOURED, STATES, World


@pytest.fixture(scope="module")
def stories() -> list[Story]:
    return [story(Random(seed), 8) for seed in range(180)]


def test_the_same_seed_tells_the_same_story() -> None:
    assert story(Random(3), 8) == story(Random(3), 8)
    assert story(Random(3), 8) != story(Random(4), 8)


def test_stories_follow_the_rules(stories: list[Story]) -> None:
    for one in stories:
        assert len(one.worlds) == 8
        for world, event, after in zip(one.worlds, one.events, one.worlds[1:], strict=False):
            assert is_enabled(world, event)
            assert step(world, event) == after


def test_beginnings_show_all_there_is_to_know() -> None:
    for seed in range(500):
        world = begin(Random(seed))
        assert 1 <= len(world.things) <= 3
        assert world.facts == () and world.scene == 0
        assert (world.weather == "rain") <= (world.place != "mountain")
        assert (world.weather == "snow") <= (world.place == "mountain")
        for thing in world.things:
            assert thing.state in STATES[thing.kind]
            assert (thing.kind, thing.state) not in COLOUR_HIDDEN
            assert (thing.colour is not None) == (thing.kind in COLOURED)


def test_the_sky_is_a_small_minority_and_stories_hang_together(stories: list[Story]) -> None:
    rules = Counter(event.rule for one in stories for event in one.events)
    assert sum(rules[rule] for rule in AMBIENT) / rules.total() <= 0.25
    assert max(rules.values()) / rules.total() <= 0.08
    lengths = [chain_length(one) for one in stories]
    assert sum(length >= 8 for length in lengths) / len(lengths) >= 0.85


def test_every_rule_is_reached_within_5000_stories() -> None:
    missing = set(RULES)
    for seed in range(5000):
        missing -= {event.rule for event in story(Random(seed), 8).events}
        if not missing:
            break
    assert not missing


@pytest.mark.parametrize("size", [12, 24])
def test_a_curriculum_keeps_to_its_rules_and_uses_them_all(size: int) -> None:
    rules = CURRICULA[size]
    assert len(rules) == size and rules <= set(RULES)
    told = Counter(event.rule for seed in range(150) for event in story(Random(seed), 8, rules).events)
    assert set(told) == rules
    assert sum(told[rule] for rule in AMBIENT) / told.total() <= 0.45


def test_nothing_happens_when_nothing_may() -> None:
    world = begin(Random(0))
    assert choose(world, Random(0), rules=set()) is None
    assert choose(world, Random(0), allowed=lambda _world, _event: False) is None
    assert story(Random(0), 8, rules=set()).events == ()


def test_the_sky_acts_when_nothing_else_can() -> None:
    world = World("meadow", "night", "rain")
    assert {e.rule for e in possible(world, AMBIENT)} == {"rain_stops", "sunrise"}
    assert choose(world, Random(0), AMBIENT) is not None


def test_a_story_needs_a_world_more_than_events() -> None:
    with pytest.raises(ValueError, match="one world more"):
        Story((), ())
    with pytest.raises(ValueError, match="at least 1"):
        story(Random(0), 0)


def test_odds_are_how_often_each_event_is_chosen(stories: list[Story]) -> None:
    for number in (0, 30, 90):
        one, rng = stories[number], Random(number)
        for at in (0, 4):
            told = odds(one.worlds[at], past=one.events[:at])
            drawn = Counter(choose(one.worlds[at], rng, past=one.events[:at]) for _ in range(600))
            assert sum(told.values()) == pytest.approx(1)
            assert set(drawn) <= set(told)
            assert sum(abs(drawn[event] / 600 - share) for event, share in told.items()) / 2 < 0.08


def test_odds_leave_out_what_is_not_allowed_and_are_none_where_nothing_can_happen() -> None:
    world = World("meadow", "day", "clear")
    assert odds(world, allowed=lambda _world, _event: False) == {}
    assert odds(world, rules=set()) == {}
