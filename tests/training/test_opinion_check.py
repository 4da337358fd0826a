"""Agreement with the exact judge: kappa by hand, and scenes of which the exact judge says what they are."""

from __future__ import annotations

import pytest

from nsp_core.judges import Verdict
from nsp_core.types import Scene, StoryContext
from training.evaluate.agreement import kappa
from training.evaluate.opinion_check import KINDS, Agreement, check
from training.picturebook.judge import ExactJudge


def test_kappa_of_a_table_done_by_hand() -> None:
    pairs = [("pass", "pass")] * 20 + [("pass", "fail")] * 5 + [("fail", "pass")] * 10 + [("fail", "fail")] * 15
    assert kappa(pairs) == pytest.approx(0.4)  # agreed .7, by chance .5
    assert kappa([("pass", "pass"), ("fail", "fail")]) == 1
    assert kappa([("pass", "pass")] * 3) is None and kappa([]) is None


def test_missing_is_counted_apart() -> None:
    found = Agreement()
    for own in ("pass", "missing", "fail"):
        found.add("right", own, "pass", len(found.pairs))
    found.add("wrong", "fail", "missing", 99)
    assert found.missing == 2 and len(found.pairs) == 2


class Yes:
    name = "yes"

    def judge(self, context: StoryContext, scene: Scene) -> Verdict:  # noqa: ARG002
        return Verdict("pass", "always", self.name)


def test_the_scenes_are_what_they_are_called_and_a_yes_sayer_agrees_by_chance() -> None:
    found = check(Yes(), 2)
    assert set(found.said) == set(KINDS)
    assert set(found.exact["right"]) == {"pass"}
    assert all(set(found.exact[kind]) == {"fail"} for kind in KINDS[1:])
    assert found.kappa == 0


def test_the_exact_judge_agrees_with_itself() -> None:
    assert check(ExactJudge(), 1).kappa == 1


def test_what_is_asked_of_one_story_is_drawn_together() -> None:
    apart, together = Agreement(), Agreement()
    for number in range(40):
        own, exact = ("pass", "pass") if number % 2 else ("fail", "fail")
        own = "fail" if number < 8 else own  # all mistakes in few stories
        apart.add("right", own, exact, number)
        together.add("right", own, exact, number // 8)
    ends = [apart.interval(), together.interval()]
    width = [high - low for low, high in ends if low is not None and high is not None]
    assert apart.kappa == together.kappa and width[1] > width[0]
