"""What the reader says of a scene: three chances become one verdict, and what cannot be read is missing."""

from __future__ import annotations

import math
from typing import Any

import pytest

from nsp_core import NextScenePipeline, opinion
from nsp_core.language import Language
from nsp_core.model.vision_language import Prompt
from nsp_core.types import Scene, StoryContext
from tests.core import golden

STORY = StoryContext((Scene("The sun shines.", golden.last_clip()),))
RAIN = Scene("It rains.", golden.last_clip())


@pytest.fixture(scope="module")
def pipeline() -> NextScenePipeline:
    return golden.fixed_pipeline()


def saying(monkeypatch: pytest.MonkeyPatch, *chances: float) -> list[Prompt]:
    asked: list[Prompt] = []

    def answer(_pipeline: Any, prompt: Prompt) -> list[float]:
        asked.append(prompt)
        return list(chances)

    monkeypatch.setattr(opinion, "verdict_chances", answer)
    return asked


@pytest.mark.parametrize(
    ("chances", "outcome", "detail", "score"),
    [
        ((0.8, 0.1, 0.1), "pass", "follows", 0.8),
        ((0.2, 0.5, 0.1), "fail", "repeats", 0.25),
        ((0.1, 0.2, 0.6), "fail", "does not follow", 0.1111),
        ((0.1, 0.1, 0.1), "missing", "", None),
        ((math.nan, 0.5, 0.5), "missing", "", None),
    ],
)
def test_the_likeliest_of_three_answers(
    pipeline: NextScenePipeline,
    monkeypatch: pytest.MonkeyPatch,
    chances: tuple[float, ...],
    outcome: str,
    detail: str,
    score: float | None,
) -> None:
    saying(monkeypatch, *chances)
    verdict = pipeline.judge(STORY, RAIN)
    assert (verdict.outcome, verdict.detail, verdict.score) == (outcome, detail, score)
    assert verdict.judge == f"own:{pipeline.fingerprint}" and verdict.reason


def test_it_is_asked_as_it_was_taught(pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = saying(monkeypatch, 1.0, 0.0, 0.0)
    pipeline.judge(STORY, RAIN)
    assert asked[0].text == "1. The sun shines.\nDoes it follow? It rains."
    assert [len(clip) for clip in asked[0].clips] == [2, 2], "the ends of the last clip, then of the scene's"


@pytest.mark.parametrize("scene", [Scene("", RAIN.frames), Scene("It rains."), Scene("A dragon lands.", RAIN.frames)])
def test_what_cannot_be_asked_is_missing(
    pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch, scene: Scene
) -> None:
    asked = saying(monkeypatch, 1.0, 0.0, 0.0)
    monkeypatch.setattr(pipeline, "language", Language(frozenset(["it", "rains"]), ("It rains.",)))
    assert pipeline.judge(STORY, scene).outcome == "missing" and not asked


def test_the_real_reader_gives_chances(pipeline: NextScenePipeline) -> None:
    chances = opinion.verdict_chances(pipeline, pipeline.prompt(STORY, "Does it follow? It rains."))
    assert len(chances) == 3 and all(0 <= chance <= 1 for chance in chances) and sum(chances) <= 1.0001
