"""An idea that the reader itself does not believe is thought again; a wish is the person's to believe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from nsp_core import NextScenePipeline, opinion, prompts, telling
from nsp_core.errors import OutsideLanguage
from nsp_core.model import following
from nsp_core.model.following import lean, shares
from nsp_core.model.writing import Manner, Written, score, write
from nsp_core.types import Scene, StoryContext
from tests.core import golden
from training.models import ROOT

STARTER = ROOT / "assets" / "starter"
STORY = StoryContext((Scene("The sun shines.", golden.last_clip()),))


@pytest.fixture(scope="module")
def pipeline() -> NextScenePipeline:
    return golden.fixed_pipeline()


@dataclass
class Believing:
    beliefs: dict[str, float]

    def of(self, words: Sequence[str]) -> list[float]:
        return [self.beliefs.get(one, 0.0) for one in words]


def told(
    pipeline: NextScenePipeline,
    monkeypatch: pytest.MonkeyPatch,
    sayings: dict[int | None, str],
    beliefs: dict[str, float],
    alike: Sequence[str] = (),
    **how: Any,
) -> list[str]:
    """What `think` tells, where the reader writes `sayings` (None: the likeliest; else by the manner's seed), and only
    those `alike` mean the same."""

    def write(*_: Any, **__: Any) -> Any:
        yield Written(sayings[None][:3], False, -0.1)
        yield Written(sayings[None], True, -0.1)

    def several(_m: Any, _p: Any, _prompt: Any, manners: list[Manner], **_: Any) -> list[Written]:
        return [Written(sayings.get(one.seed, "It rains."), True, -0.1 * one.seed - 0.2) for one in manners]

    monkeypatch.setattr(telling, "write", write)
    monkeypatch.setattr(telling, "write_several", several)
    monkeypatch.setattr(telling, "believer", lambda *_: Believing(beliefs))
    monkeypatch.setattr(telling, "meaning", lambda _p, _c, words: "same" if words in alike else words)
    monkeypatch.setattr(telling, "apart", lambda one, other: float(one != other))
    pipeline.register_to_config(doubt=3.0)
    try:
        thoughts = list(pipeline.think(STORY, **how))
    finally:
        pipeline.register_to_config(doubt=None)
    if how.get("steer") is None:
        assert all(thought.done for thought in thoughts), "nothing is shown that might be taken back"
    return [thought.text for thought in thoughts if thought.done]


SAYINGS: dict[int | None, str] = {None: "The bird wakes up.", 0: "The cat sleeps.", 1: "It snows.", 2: "The sun sets."}


def test_an_idea_that_it_does_not_doubt_is_told_though_another_is_surer(
    pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    beliefs = {"The bird wakes up.": 6.5, "It snows.": 30.0}  # its likelihood counts -3
    assert told(pipeline, monkeypatch, SAYINGS, beliefs) == ["The bird wakes up."]


@pytest.mark.parametrize("seed", [0, 40])
def test_else_it_is_the_best_of_several_whatever_the_seed(
    pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    beliefs = {"The bird wakes up.": 2.5, "The cat sleeps.": 5.5, "It snows.": 9.0, "The sun sets.": 9.5}
    # likelihoods count -3, -6, -9 and -12 beside them
    assert told(pipeline, monkeypatch, SAYINGS, beliefs, seed=seed) == ["It snows."]


def test_what_is_unlikely_is_thought_again_though_it_is_believed(
    pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    beliefs = {"The bird wakes up.": 3.5, "The cat sleeps.": 8.0}
    assert told(pipeline, monkeypatch, SAYINGS, beliefs) == ["The cat sleeps."]


def test_what_is_thought_of_often_counts_more_in_whatever_words(
    pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    beliefs = {"The bird wakes up.": 2.5, "The cat sleeps.": 5.5, "It snows.": 9.0}
    alike = {3: "The cat dozes.", 4: "The cat dreams.", 5: "Soon the cat sleeps."}
    asleep = ("The cat sleeps.", *alike.values())
    assert told(pipeline, monkeypatch, SAYINGS | alike, beliefs, asleep) == ["The cat sleeps."]


def test_with_nothing_better_it_stays(pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(pipeline, monkeypatch, SAYINGS, {}, alternatives=3) == ["The bird wakes up."]


def test_other_ideas_are_told_only_if_they_are_believed(
    pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    beliefs = {"The bird wakes up.": 9.0, "The sun sets.": 3.5, "It snows.": 2.5, "It rains.": 4.0}
    assert told(pipeline, monkeypatch, SAYINGS, beliefs, alternatives=3) == [
        "The bird wakes up.",
        "The sun sets.",
        "It rains.",
    ]


def test_a_wish_is_not_doubted_and_streams(pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(pipeline, monkeypatch, SAYINGS, {}, steer="wake the bird") == ["The bird wakes up."]


@pytest.mark.parametrize(("rather", "belief", "granted"), [(-3.0, 9.0, True), (-4.5, 9.0, False), (-1.0, -4.0, False)])
def test_a_wish_that_is_declined_by_a_hair_is_granted_if_what_it_would_tell_is_believed(
    pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch, rather: float, belief: float, granted: bool
) -> None:
    def write(*_: Any, unlike: str = "", **__: Any) -> Any:
        text = "The cat sleeps." if unlike == prompts.UNKNOWN else prompts.UNKNOWN
        for end in (1, 4, len(text)):
            yield Written(text[:end], end == len(text), -0.1)

    def several(_m: Any, _p: Any, _prompt: Any, manners: list[Manner], **_: Any) -> list[Written]:
        return [Written(prompts.UNKNOWN, True, -0.1)] * len(manners)

    monkeypatch.setattr(telling, "write", write)
    monkeypatch.setattr(telling, "write_several", several)
    monkeypatch.setattr(telling, "believer", lambda *_: Believing({"The cat sleeps.": belief}))
    monkeypatch.setattr(telling, "lean", lambda *_: [rather])
    pipeline.register_to_config(doubt=3.0)
    try:
        if granted:
            assert [(one.text, one.done) for one in pipeline.think(STORY, steer="to bed, cat")] == [
                ("The cat sleeps.", True)
            ]
        else:
            with pytest.raises(OutsideLanguage, match="can happen here: .to bed, cat."):
                list(pipeline.think(STORY, steer="to bed, cat"))
    finally:
        pipeline.register_to_config(doubt=None)


@pytest.mark.skipif(not STARTER.is_dir(), reason="no starter in this checkout")
def test_an_answer_can_be_kept_from_beginning_like_another() -> None:
    pipeline = NextScenePipeline.from_pretrained(STARTER)
    parts = (pipeline.vision_language, pipeline.processor, pipeline.prompt(STORY, "Next: the duck eats the moon"))
    *_, free = write(*parts)
    *_, other = write(*parts, unlike=prompts.UNKNOWN)
    assert free.text == prompts.UNKNOWN and not pipeline.language.unknown(other.text)
    assert other.text and other.text[0] != prompts.UNKNOWN[0] and other.score < free.score


# --- what is believed ------------------------------------------------------------------------------------------------
def test_two_witnesses_are_heard_once(pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def share(_m: Any, _p: Any, some: Any, answers: Any, _: Any) -> list[list[float]]:
        asked.extend((prompt.text, len(prompt.clips), answers) for prompt in some)
        return [[0.75, 0.05, 0.2]] * len(some)

    def leaning(_m: Any, _p: Any, some: Any, instead: str, _: Any) -> list[float]:
        asked.extend((prompt.text, words, instead) for prompt, words in some)
        return [float(number) for number in range(len(some))]

    monkeypatch.setattr(opinion, "shares", share)
    monkeypatch.setattr(opinion, "lean", leaning)
    assert opinion.believer(pipeline, STORY) is None, "this reader was not taught to doubt"
    pipeline.register_to_config(doubt=0.0)
    try:
        belief = opinion.believer(pipeline, STORY)
    finally:
        pipeline.register_to_config(doubt=None)
    assert belief is not None
    odds = math.log(3)
    assert belief.of(["It rains.", "It snows.", "It rains."]) == pytest.approx([odds, 1 + odds, odds])
    assert belief.of(["It snows."]) == pytest.approx([1 + odds])
    story = "1. The sun shines.\n"
    assert asked == [
        (story + "Does it follow? It rains.", 1, prompts.VERDICTS),
        (story + "Does it follow? It snows.", 1, prompts.VERDICTS),
        (story + "Next: It rains.", "It rains.", prompts.UNKNOWN),
        (story + "Next: It snows.", "It snows.", prompts.UNKNOWN),
    ]


def test_leaning_is_the_whole_answer_against_the_first_token_of_the_other(pipeline: NextScenePipeline) -> None:
    prompt = pipeline.prompt(STORY, "Next: It rains.")
    parts = (pipeline.vision_language, pipeline.processor)
    end = pipeline.processor.tokenizer
    tokens = len(end("It rains." + end.eos_token)["input_ids"])
    whole = tokens * score(*parts, prompt, ["It rains."])[0]
    (found,), (other,) = (
        lean(*parts, [(prompt, "It rains.")], instead, pipeline.beginnings.of) for instead in ("The", "A")
    )
    assert found < -whole and found != pytest.approx(other)
    assert found - lean(*parts, [(prompt, "It snows.")], "The")[0] == pytest.approx(
        whole - len(end("It snows." + end.eos_token)["input_ids"]) * score(*parts, prompt, ["It snows."])[0], abs=1e-3
    )


def test_prompts_side_by_side_are_read_as_each_alone(pipeline: NextScenePipeline) -> None:
    parts, begin = (pipeline.vision_language, pipeline.processor), pipeline.beginnings.of
    words = ["It rains.", "The cat in the middle falls asleep.", "It snows."]
    asked = [(pipeline.prompt(STORY, f"Next: {one}"), one) for one in words]
    elsewhere = StoryContext((Scene("It is night.", golden.last_clip()),))
    unlike = [*asked, (pipeline.prompt(elsewhere, "Next: It rains."), "It rains.")]
    assert following.begins_alike(pipeline.processor, asked[0][0], asked[1][0])
    assert not following.begins_alike(pipeline.processor, asked[0][0], unlike[-1][0])
    for some in (asked, unlike):
        alone = [lean(*parts, [one], "The")[0] for one in some]
        assert lean(*parts, some, "The", begin) == pytest.approx(alone, abs=1e-3)
        assert lean(*parts, some, "The") == pytest.approx(alone, abs=1e-3)
    assert lean(*parts, [], "The", begin) == []


@pytest.mark.skipif(not STARTER.is_dir(), reason="no starter in this checkout")
def test_shares_are_those_of_the_whole_answers() -> None:
    """As `score` finds them, which reads each to its end, but in one reading."""
    pipeline = NextScenePipeline.from_pretrained(STARTER)
    asked = pipeline.prompt(STORY, "Does it follow? It rains.")
    reader = (pipeline.vision_language, pipeline.processor, [asked], prompts.VERDICTS)
    (found,) = shares(*reader, pipeline.beginnings.of)
    assert found == pytest.approx(shares(*reader)[0], rel=1e-3) and sum(found) == pytest.approx(1)
    whole = opinion.verdict_chances(pipeline, asked)
    assert found == pytest.approx([chance / sum(whole) for chance in whole], abs=0.02)


def test_answers_that_do_not_part_at_one_token_are_refused(pipeline: NextScenePipeline) -> None:
    with pytest.raises(ValueError, match="part at one token"):
        shares(
            pipeline.vision_language,
            pipeline.processor,
            [pipeline.prompt(STORY, "?")],
            ("It rains.", "It rains", "The"),
        )
