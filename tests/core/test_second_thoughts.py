"""An idea that the reader itself does not believe is thought again; a wish is the person's to believe."""

from __future__ import annotations

from typing import Any

import pytest

from nsp_core import NextScenePipeline, opinion, prompts, telling
from nsp_core.model.writing import Manner, Written, shares
from nsp_core.types import Scene, StoryContext
from tests.core import golden
from training.models import ROOT

STARTER = ROOT / "assets" / "starter"
STORY = StoryContext((Scene("The sun shines.", golden.last_clip()),))


@pytest.fixture(scope="module")
def pipeline() -> NextScenePipeline:
    return golden.fixed_pipeline()


def told(
    pipeline: NextScenePipeline,
    monkeypatch: pytest.MonkeyPatch,
    sayings: dict[int | None, str],
    doubted: set[str],
    **how: Any,
) -> list[str]:
    """What `think` tells, where the reader writes `sayings` (None: the likeliest; else by the manner's seed)."""

    def write(*_: Any, **__: Any) -> Any:
        yield Written(sayings[None], True, -0.1)

    def several(_m: Any, _p: Any, _prompt: Any, manners: list[Manner], **_: Any) -> list[Written]:
        return [Written(sayings.get(one.seed, "It rains."), True, -one.seed - 1.0) for one in manners]

    monkeypatch.setattr(telling, "write", write)
    monkeypatch.setattr(telling, "write_several", several)
    monkeypatch.setattr(telling, "believed", lambda _p, _c, words: words not in doubted)
    monkeypatch.setattr(telling, "apart", lambda *_: 1.0)
    return [thought.text for thought in pipeline.think(STORY, **how) if thought.done]


SAYINGS: dict[int | None, str] = {None: "The bird wakes up.", 0: "The cat sleeps.", 1: "It snows.", 2: "The sun sets."}


def test_what_is_believed_is_told(pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(pipeline, monkeypatch, SAYINGS, set()) == ["The bird wakes up."]


@pytest.mark.parametrize("seed", [0, 40])
def test_a_second_thought_is_the_likeliest_that_is_believed_whatever_the_seed(
    pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    doubted = {"The bird wakes up.", "The cat sleeps."}
    assert told(pipeline, monkeypatch, SAYINGS, doubted, seed=seed) == ["It snows."]


def test_with_nothing_better_it_stays(pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = {*SAYINGS.values(), "It rains."}
    assert told(pipeline, monkeypatch, SAYINGS, everything, alternatives=3) == ["The bird wakes up."]


def test_other_ideas_are_told_only_if_they_are_believed(
    pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told(pipeline, monkeypatch, SAYINGS, {"It snows."}, alternatives=3) == [
        "The bird wakes up.",
        "The sun sets.",
        "It rains.",
    ]


def test_a_wish_is_not_doubted(pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(pipeline, monkeypatch, SAYINGS, {"The bird wakes up."}, steer="wake the bird") == ["The bird wakes up."]


# --- what is believed ------------------------------------------------------------------------------------------------
def test_it_is_asked_as_it_was_taught_with_words_alone(
    pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(opinion, "shares", lambda _m, _p, prompt, answers, _: asked.append((prompt, answers)) or [0.4])
    assert opinion.believed(pipeline, STORY, "It rains.") and not asked, "this reader was not taught to doubt"
    pipeline.register_to_config(doubt=0.5)
    try:
        assert not opinion.believed(pipeline, STORY, "It rains.")
        pipeline.register_to_config(doubt=0.3)
        assert opinion.believed(pipeline, STORY, "It rains.")
    finally:
        pipeline.register_to_config(doubt=0.0)
    prompt, answers = asked[0]
    assert prompt.text == "1. The sun shines.\nDoes it follow? It rains." and len(prompt.clips) == 1
    assert answers == prompts.VERDICTS


@pytest.mark.skipif(not STARTER.is_dir(), reason="no starter in this checkout")
def test_shares_are_those_of_the_whole_answers() -> None:
    """As `score` finds them, which reads each to its end, but in one reading."""
    pipeline = NextScenePipeline.from_pretrained(STARTER)
    asked = pipeline.prompt(STORY, "Does it follow? It rains.")
    reader = (pipeline.vision_language, pipeline.processor, asked, prompts.VERDICTS)
    found = shares(*reader, pipeline.beginnings.of)
    assert found == pytest.approx(shares(*reader), rel=1e-3) and sum(found) == pytest.approx(1)
    whole = opinion.verdict_chances(pipeline, asked)
    assert found == pytest.approx([chance / sum(whole) for chance in whole], abs=0.02)


def test_answers_that_do_not_part_at_one_token_are_refused(pipeline: NextScenePipeline) -> None:
    with pytest.raises(ValueError, match="part at one token"):
        shares(
            pipeline.vision_language, pipeline.processor, pipeline.prompt(STORY, "?"), ("It rains.", "It rains", "The")
        )
