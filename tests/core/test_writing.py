"""Several answers side by side: each is what it would be alone, and ends by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nsp_core.errors import Cancelled
from nsp_core.model.beginnings import Beginnings
from nsp_core.model.vision_language import Prompt
from nsp_core.model.writing import Manner, write, write_several
from nsp_core.pipeline import NextScenePipeline
from nsp_core.types import Scene, StoryContext
from training.models import ROOT
from training.picturebook.reader import idle
from training.picturebook.world import Thing, World

STARTER = ROOT / "assets" / "starter"
pytestmark = pytest.mark.skipif(not STARTER.is_dir(), reason="no starter in this checkout")
WARM = [Manner(seed, 1.3, 0.95) for seed in range(6)]


def story() -> StoryContext:
    world = World("meadow", "day", "clear", (Thing(0, "ball", "resting", "red"), Thing(2, "cat", "awake")))
    return StoryContext((Scene("A cat and a red ball are in the meadow.", np.array(idle(world))),))


@pytest.fixture(scope="module")
def reader() -> tuple[Any, Any, Prompt]:
    pipeline = NextScenePipeline.from_pretrained(STARTER)
    prompt = pipeline.prompt(story(), pipeline.dialect.next)
    return pipeline.vision_language, pipeline.processor, prompt


def alone(reader: tuple[Any, Any, Prompt], manner: Manner, **how: Any) -> Any:
    told = write(*reader, seed=manner.seed, temperature=manner.temperature, top_p=manner.top_p, **how)
    return [*told][-1]


def test_each_answer_is_what_it_is_alone(reader: Any) -> None:
    manners = [Manner(), *WARM]
    several = write_several(*reader, manners)
    one_by_one = [alone(reader, manner) for manner in manners]
    assert [one.text for one in several] == [one.text for one in one_by_one]
    assert [one.score for one in several] == pytest.approx([one.score for one in one_by_one], abs=1e-3)
    assert len({len(one.text.split()) for one in several}) > 1, "they end at different times"
    assert all(one.done and not one.cut for one in several)


def test_with_a_beginning_the_answers_are_the_same(reader: Any) -> None:
    begin = Beginnings().of
    plain = [one.text for one in write_several(*reader, WARM)]
    assert [one.text for one in write_several(*reader, WARM, begin=begin)] == plain
    assert [one.text for one in write_several(*reader, WARM, begin=begin)] == plain  # now it is kept


def test_what_ends_an_answer_is_said(reader: Any) -> None:
    short = write_several(*reader, WARM, max_tokens=2)
    assert all(one.cut for one in short)
    ended = write_several(*reader, WARM, enough=lambda text: len(text.split()) == 3)
    assert all(len(one.text.split()) == 3 and not one.cut for one in ended)


def test_it_stops_within_a_token(reader: Any) -> None:
    asked: list[bool] = []

    def should_stop() -> bool:
        asked.append(True)
        return len(asked) == 3

    tokens: list[int] = []
    hook = reader[0].register_forward_hook(lambda *_: tokens.append(1))
    with pytest.raises(Cancelled):
        write_several(*reader, WARM, should_stop=should_stop)
    hook.remove()
    assert len(tokens) == 3  # the prompt, and two tokens


@torch.no_grad()
def test_ideas_but_the_first_are_written_side_by_side() -> None:
    pipeline = NextScenePipeline.from_pretrained(STARTER)
    pipeline.register_to_config(doubt=None)  # for then its first idea is one of several
    rows: list[int] = []
    layer = pipeline.vision_language.model.language_model.layers[0]
    layer.register_forward_pre_hook(lambda _, given: rows.append(given[0].shape[0]))
    told = [one for one in pipeline.think(story(), alternatives=4, seed=1) if one.done]
    assert [one.alternative for one in told] == [0, 1, 2, 3] and len({one.text for one in told}) == 4
    alone = rows.index(4)
    assert alone > len(told[0].text.split()) and set(rows[:alone]) == {1}, "the first one streams by itself"
