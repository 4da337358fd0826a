"""What the reader is asked of stories that only memory decides: every wish and verdict is true there."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from nsp_core import prompts
from training.picturebook.parse import parse
from training.picturebook.recall import coloured
from training.picturebook.rules import MEMORY, enabled, is_enabled
from training.picturebook.splits import is_train
from training.picturebook.world import COLOURS
from training.reader_data import Moment, Sample
from training.remembering import recalls, remembered


@pytest.fixture(scope="module")
def moments() -> list[Moment]:
    return recalls(60)


def asks(moments: list[Moment], task: str, depth: int = 11) -> list[tuple[Moment, Sample]]:
    found = []
    for number in range(4 * len(moments)):
        moment = moments[number % len(moments)]
        one = remembered([moment], task, depth, Random(number), frames=False)
        if one is not None:
            found.append((moment, one))
    return found


def test_the_stories_are_of_training_compositions_and_only_their_first_scene_knows_the_colour(moments):
    assert moments == recalls(60) and moments[:20] == recalls(20)
    depths = {moment.at for moment in moments}
    assert depths <= set(range(2, 11)) and len(depths) > 6
    for moment in moments:
        story = moment.story
        assert all(is_train(world, event) for world, event in zip(story.worlds, story.events, strict=False))
        assert moment.event.rule in MEMORY and is_enabled(moment.world, moment.event)
        assert {fact.colour for world in story.worlds for fact in coloured(world)} == {moment.event.colour}
        assert not any(event.colour == moment.event.colour and event.rule in MEMORY for event in moment.past)


def test_a_wish_is_fulfilled_in_the_colour_that_went_away_or_declined_for_a_reason(moments):
    kinds: Counter[str] = Counter()
    for moment, one in asks(moments, "steer"):
        story, wish = one.prompt.text.rsplit(prompts.STARTER.steer.format(words=""), 1)
        assert story.startswith("1. ") and f"{moment.at + 1}. " in story
        named = set(wish.lower().split()) & set(COLOURS)
        if one.answer == prompts.UNKNOWN:
            kinds["declined"] += 1
            kinds["declined named"] += bool(named)
            assert one.answers == ((prompts.UNKNOWN, 1.0),)
            assert moment.event.colour not in named
        else:
            kinds["named" if named else "loose"] += 1
            assert parse(one.answer) in enabled(moment.world)
            assert parse(one.answer).colour == moment.event.colour
            assert {parse(words) for words, _ in one.answers} == {moment.event}
    assert kinds["loose"] > 0 and kinds["declined"] > 0
    assert kinds["named"] > 2 * kinds["declined named"] > 0, "a colour alone is no reason to decline"


@pytest.mark.parametrize("task", ["steer", "judge"])
def test_what_is_held_out_is_not_denied(moments, task):
    asked = prompts.STARTER.steer if task == "steer" else prompts.STARTER.judge
    denied = 0
    for number in range(1500):
        one = remembered(moments, task, 11, Random(number), frames=False)
        event = parse(one.prompt.text.rsplit(asked.split("{words}")[0], 1)[1].removesuffix(asked.split("{words}")[1]))
        if event is not None and event not in enabled(one.now):
            denied += 1
            assert is_train(one.now, event)
    assert denied > 15


def test_what_never_went_away_is_declined(moments):
    declined = 0
    for number in range(400):
        one = remembered(moments, "steer", 11, Random(number), frames=False)
        assert one is not None
        wish = one.prompt.text.rsplit(prompts.STARTER.steer.format(words=""), 1)[1]
        declined += one.answer == prompts.UNKNOWN and not set(wish.lower().split()) & set(COLOURS)
    assert declined


def test_a_verdict_knows_the_colour_that_went_away(moments):
    said = Counter(one.answer for _, one in asks(moments, "judge"))
    assert set(said) <= {prompts.VERDICTS[0], prompts.VERDICTS[2]} and min(said.values()) > 0.3 * said.total()
    for moment, one in asks(moments, "judge"):
        event = parse(one.prompt.text.rsplit(prompts.STARTER.judge.format(words=""), 1)[1])
        assert (one.answer == prompts.VERDICTS[0]) == is_enabled(moment.world, event)
        assert replace(event, colour=moment.event.colour) == moment.event


def test_with_pictures_the_words_are_there_too(moments):
    for number in range(12):
        one = remembered(moments[:4], "steer", 11, Random(number), frames=True)
        assert one is not None and len(one.prompt.clips) == 1
        assert one.prompt.text.startswith("1. ")


def test_a_short_batch_has_no_such_story(moments):
    assert remembered(moments, "steer", 2, Random(0), frames=False) is None
    assert all(moment.at < 5 for moment, _ in asks(moments, "judge", depth=5))


def test_the_objective_asks_them_as_often_as_it_is_told(moments):
    from training.loop import LoopConfig
    from training.picturebook.scenes import story
    from training.reader import ReaderConfig, ReaderObjective

    stories = [story(Random(seed), 8) for seed in range(10)]
    shares = {}
    for share in (0.0, 0.5, 1.0):
        config = ReaderConfig(LoopConfig(1), stories="", out="", recall_share=share)  # type: ignore[arg-type]
        objective = ReaderObjective(config, None, None, stories, remembering=moments)  # type: ignore[arg-type]
        rng, pick = np.random.default_rng(0), Random(0)
        worlds = {moment.world for moment in moments}
        some = [objective.asked(rng, 11, "steer", pick, frames=False).now in worlds for _ in range(80)]
        shares[share] = sum(some) / len(some)
        assert objective.asked(rng, 1, "steer", pick, frames=False).now not in worlds  # none so early
    assert shares[0.0] == 0 and shares[1.0] == 1 and 0.3 < shares[0.5] < 0.7
