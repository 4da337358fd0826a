"""Stories and descriptions of any things at all: what a person may begin with, and no story would."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from training.evaluate import composition
from training.grpo.asks import AskConfig
from training.picturebook.parse import parse_world
from training.picturebook.rules import enabled
from training.picturebook.splits import is_train
from training.picturebook.world import COLOUR_HIDDEN, STATES, World
from training.stories import SHORT, any_world, make_pool, make_story, read_pool


def test_a_share_of_a_pool_begins_with_any_things(tmp_path):
    plain = [make_story(n, 5, 12, False) for n in range(60)]
    mixed = [make_story(n, 5, 12, False, 0.5) for n in range(60)]
    assert [make_story(n, 5, 12, False, 0.0) for n in range(60)] == plain
    short = [one for one in mixed if len(one.worlds) <= SHORT[1]]
    assert 15 < len(short) < 45
    for one in short:
        assert one.events and one.worlds[0].things
        assert all(is_train(world, event) for world, event in zip(one.worlds, one.events, strict=False))
    make_pool(tmp_path / "stories.jsonl", 60, 5, anywhere=0.5, workers=1)
    assert read_pool(tmp_path / "stories.jsonl") == mixed


def test_any_world_shows_every_thing_but_those_whose_colour_nobody_could_know():
    worlds = [any_world(Random(n)) for n in range(600)]
    shown = {(thing.kind, thing.state) for world in worlds for thing in world.things}
    assert shown == {(kind, state) for kind in STATES for state in STATES[kind]} - COLOUR_HIDDEN
    assert any(len({thing.kind for thing in world.things}) < len(world.things) for world in worlds)
    assert worlds == [any_world(Random(n)) for n in range(600)]


@pytest.mark.parametrize("anywhere", [False, True])
def test_a_painter_that_draws_what_it_is_told_is_right_of_any_world(monkeypatch, anywhere):
    from training.picturebook.draw import still

    asked: list[World] = []

    def clip(_pipeline, words, _seed, _options):
        world = parse_world(words)
        asked.append(world or asked[-1])  # what happens there is not drawn
        return np.repeat(still(asked[-1])[None], 17, 0)

    monkeypatch.setattr(composition, "clip", clip)
    found = composition.measure(None, AskConfig(seed=4), 6, anywhere=anywhere)
    assert all(values == [1.0] for values in found["scene"].values()) and len(found["scene"]) == 6
    assert all(values == [0.0] for values in found["event"].values())
    assert all(enabled(world) for world in asked)


def test_a_painter_of_something_else_is_wrong(monkeypatch):
    from training.picturebook.draw import still

    monkeypatch.setattr(composition, "clip", lambda *_: np.repeat(still(World("meadow", "day", "clear"))[None], 17, 0))
    found = composition.measure(None, AskConfig(seed=4), 4, anywhere=True)
    assert all(values == [0.0] for values in found["scene"].values())
