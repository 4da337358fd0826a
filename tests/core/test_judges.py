"""Verdicts with three outcomes, and judges found by name."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import pytest

from nsp_core.errors import ConfigError, ModelUnavailable
from nsp_core.judges import CausalJudge, Verdict, get_judge, judge_names, majority
from nsp_core.types import Scene, StoryContext


class Lenient:
    name = "lenient"

    def judge(self, context: StoryContext, scene: Scene) -> Verdict:
        return Verdict("pass", f"{len(context.scenes)} scenes before: {scene.words}", self.name)


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    module = types.ModuleType("some_judges")
    module.Lenient = Lenient  # type: ignore[attr-defined]
    module.NoJudge = dict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "some_judges", module)
    return {"lenient": "some_judges:Lenient", "hollow": "some_judges:NoJudge", "lost": "some_judges:Gone"}


def test_missing_is_neither_pass_nor_fail() -> None:
    assert Verdict("pass", "", "x").passed is True
    assert Verdict("fail", "", "x").passed is False
    assert Verdict("missing", "no answer in 30 s", "x").passed is None
    with pytest.raises(TypeError, match="three outcomes"):
        bool(Verdict("fail", "it repeats", "x"))


def test_a_verdict_has_an_outcome_of_three_and_missing_has_a_reason() -> None:
    with pytest.raises(ValueError, match="pass, fail or missing"):
        Verdict("maybe", "", "x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pass, fail or missing"):
        Verdict("pass", "", "x", votes=("pass", "yes"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reason"):
        Verdict("missing", "", "x")


def test_votes_that_are_missing_do_not_count() -> None:
    assert majority(["pass", "missing", "missing"]) == "pass"
    assert majority(["fail", "fail", "pass"]) == "fail"
    assert majority(["fail", "pass"]) == "missing"
    assert majority(["missing"] * 3) == majority([]) == "missing"


def test_a_judge_is_found_by_name(declared: dict[str, str]) -> None:
    judge = get_judge("lenient", declared)
    assert isinstance(judge, CausalJudge)
    verdict = judge.judge(StoryContext((Scene("It rains."),)), Scene("It stops."))
    assert verdict == Verdict("pass", "1 scenes before: It stops.", "lenient")
    assert "lenient" in judge_names(declared)


def test_unknown_and_broken_judges_are_told_in_one_sentence(declared: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="no judge 'strict'; known judges: .*lenient"):
        get_judge("strict", declared)
    with pytest.raises(ModelUnavailable, match="'lost'"):
        get_judge("lost", declared)
    with pytest.raises(ConfigError, match="is no judge"):
        get_judge("hollow", declared)


def test_judges_load_without_torch(root: Path) -> None:
    program = "import sys, nsp_core.judges; print(sorted({'torch', 'transformers', 'diffusers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
