"""Each rule is wished for equally often, where it can happen and where it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nsp_core.errors import OutsideLanguage
from nsp_core.types import StoryContext, Thought
from tests.training.test_evaluate import Perfect
from training.evaluate import every_wish
from training.evaluate.every_wish import measure, occasions
from training.picturebook.rules import RULES, enabled
from training.picturebook.words import VARIANTS, instructions, tell


class Granting(Perfect):
    """Grants what can happen, but of one rule what is wished for shortly."""

    def __init__(self, refused: str = "") -> None:
        super().__init__()
        self.refused = refused

    def think(self, context: StoryContext, *, steer: str | None = None, **_: Any) -> Iterator[Thought]:
        world = self.judge.replay(context)
        assert world is not None
        for event in enabled(world):
            long = [tell(event, world, variant) for variant in range(VARIANTS)]
            if steer in (long if event.rule == self.refused else [*long, *instructions(event)]):
                yield Thought(0, tell(event), True, 0.0)
                return
        raise OutsideLanguage(f"I don't know that yet: {steer}")


@pytest.fixture(scope="module", autouse=True)
def few_stories() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(every_wish, "STORIES", 150)
        yield


def test_rules_have_their_occasions() -> None:
    found = occasions(2)
    assert found == occasions(2) != occasions(2, seed=1)
    assert found.keys() == RULES.keys()
    twice = [some for some in found.values() if len(some) == 2]
    assert len(twice) > 0.7 * len(RULES) and all(one.story is not other.story for one, other in twice)
    for rule, some in found.items():
        assert all(one.event.rule == rule and one.event in enabled(one.story.worlds[one.at]) for one in some)


def test_who_does_what_can_happen_is_right_and_who_refuses_a_rule_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    some = {rule: each for rule, each in occasions(1).items() if rule.startswith("bear_") and each}
    monkeypatch.setattr(every_wish, "occasions", lambda *_: some)
    found = measure(Granting(), 1)
    assert all(set(values) == {1.0} for by in found.values() for values in by.values())
    assert found["short"].keys() == found["sentence"].keys() == some.keys()
    assert len(found["vain"]) > 0.8 * len(some) and found["vain_sentence"].keys() == found["vain"].keys()
    found = measure(Granting(refused="bear_wakes"), 1)
    assert found["short"].pop("bear_wakes") == [0.0] and found["sentence"]["bear_wakes"] == [1.0]
    assert all(set(values) == {1.0} for by in found.values() for values in by.values())
