"""A fact of the first scene and the last one that needs it, with a model that goes by the words it is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from nsp_core.types import StoryContext, Thought
from tests.training.test_evaluate import Perfect
from training.evaluate.long_memory import DEPTHS, LATELY, measure, recall
from training.picturebook.rules import MEMORY
from training.picturebook.words import tell
from training.picturebook.world import COLOURS


class Listening(Perfect):
    """Fulfils each wish in the colour that the words of its scenes tell; where none tells it, in another one."""

    def __init__(self, stories: int) -> None:
        super().__init__()
        self.cases = iter([recall(0, n, depth) for n in range(stories) for depth in DEPTHS for _ in range(2)])
        self.lengths: list[int] = []

    def think(self, context: StoryContext, *, steer: str | None = None, **_: Any) -> Iterator[Thought]:
        one = next(self.cases)
        assert steer is not None and not set(steer.split()) & set(COLOURS)
        self.lengths.append(len(context.scenes))
        colour = one.fact.colour
        if not any(colour in scene.words for scene in context.scenes):
            colour = next(other for other in COLOURS if other != colour)
        yield Thought(0, tell(replace(one.event, colour=colour)), True, 0.0)


@pytest.mark.parametrize("depth", DEPTHS)
def test_the_first_event_makes_the_fact_that_the_last_one_uses(depth: int) -> None:
    for number in range(6):
        one = recall(0, number, depth)
        assert len(one.story.worlds) == depth
        assert one.event.rule in MEMORY and one.event.colour == one.fact.colour
        assert all(one.fact in world.facts for world in one.story.worlds[1:-1])
        assert one.fact not in one.story.worlds[-1].facts
    assert recall(0, 3, depth) == recall(0, 3, depth) != recall(1, 3, depth)


def test_who_reads_the_whole_story_is_right_and_who_reads_its_end_is_not() -> None:
    model = Listening(2)
    found = measure(model, 2)
    assert set(model.lengths) == {LATELY, *(depth - 1 for depth in DEPTHS)}
    for depth in DEPTHS:
        assert found[f"right_scene_{depth}"] == {"0": [1.0], "1": [1.0]}
        assert found[f"forgetful_words_{depth}"] == {"0": [0.0], "1": [0.0]}
        assert found[f"gain_{depth}"] == {"0": [1.0], "1": [1.0]}
