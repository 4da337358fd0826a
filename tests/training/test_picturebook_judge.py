"""The exact judge: by hand-made cases, and by the share of verdicts that are right on held-out clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nsp_core.judges import Verdict
from nsp_core.types import Scene, StoryContext
from training.evaluate.judge_check import (
    FALSE_PASS_BAR,
    MUSH_PASS_BAR,
    RIGHT_BAR,
    Check,
    autoencoder_codec,
    check,
)
from training.evaluate.trials import MUSH, READABLE, Codec, as_drawn, soft_and_grainy
from training.judges import judge_called
from training.picturebook.draw import clip
from training.picturebook.judge import ExactJudge
from training.picturebook.reader import idle
from training.picturebook.rules import step
from training.picturebook.words import describe, tell
from training.picturebook.world import Event, Thing, World

JUDGE = ExactJudge()
START = World("meadow", "day", "rain", (Thing(0, "plant", "seed", "red"), Thing(1, "ball", "resting", "blue")))
SPROUT = Event("seed_sprouts", 0, None, "plant", "red")
CLEARS = Event("rain_stops")
FLOWER = Event("sprout_flowers", 0, None, "plant", "red")


def told(*events: Event, frames: bool = False) -> tuple[StoryContext, World]:
    """A story from START, in words and, asked for, in pictures."""
    world, scenes = START, [Scene(describe(START), np.array(idle(START)) if frames else None)]
    for event in events:
        after = step(world, event)
        scenes.append(Scene(tell(event), clip(world, event, after) if frames else None))
        world = after
    return StoryContext(tuple(scenes)), world


def test_found_by_its_name() -> None:
    assert isinstance(judge_called("picturebook"), ExactJudge)


def test_right_clip_follows_and_says_why() -> None:
    verdict = JUDGE.judge_clip(START, SPROUT, clip(START, SPROUT, step(START, SPROUT)))
    assert verdict == Verdict("pass", "seed_sprouts", "picturebook", JUDGE.template, "follows", score=1.0, cost_usd=0.0)


def test_each_way_to_be_wrong_has_its_answer() -> None:
    after = step(START, SPROUT)
    right = clip(START, SPROUT, after)
    for frames, event, detail, reason in (
        (np.array(idle(START)), SPROUT, "repeats", "as it was"),
        (clip(START, CLEARS, step(START, CLEARS)), SPROUT, "does not follow", "weather clear, not rain"),
        (clip(START, None, after.put(Thing(1, "ball", "resting", "green"))), SPROUT, "does not follow", "green ball"),
        (clip(START, None, after.without(1)), SPROUT, "does not follow", "middle empty"),
        (np.repeat(right[-1:], 17, 0), SPROUT, "does not follow", "begins elsewhere"),
        (np.concatenate([right[:1], np.repeat(right[-1:], 16, 0)]), SPROUT, "does not follow", "jumps"),
        (right, FLOWER, "does not follow", "can't happen"),
        (right // 4 + 90, SPROUT, "unreadable", "beginning"),
    ):
        verdict = JUDGE.judge_clip(START, event, frames)
        assert (verdict.outcome, verdict.detail) == ("fail", detail), verdict
        assert reason in verdict.reason


def test_a_cut_may_begin_with_any_picture() -> None:
    frames = clip(START, SPROUT, step(START, SPROUT))
    frames[:8] = 0
    assert JUDGE.judge_clip(START, SPROUT, frames, "cut").outcome == "pass"
    assert JUDGE.judge_clip(START, SPROUT, frames).detail == "unreadable"


def test_any_possible_event_will_do_when_none_is_told() -> None:
    assert JUDGE.judge_clip(START, None, clip(START, CLEARS, step(START, CLEARS))).reason == "rain_stops"
    assert JUDGE.judge_clip(START, None, clip(START, None, START.without(0))).detail == "does not follow"


def test_hidden_colours_are_remembered_over_the_story() -> None:
    context, world = told(SPROUT, CLEARS, frames=True)
    red = clip(world, FLOWER, step(world, FLOWER))
    assert JUDGE.judge(context, Scene(tell(FLOWER), red)).detail == "follows"
    blue = clip(world, None, world.put(Thing(0, "plant", "flower", "blue")))
    assert JUDGE.judge(context, Scene(tell(FLOWER), blue)).detail == "does not follow"
    assert JUDGE.judge(context, Scene(tell(replace(FLOWER, colour="blue")), blue)).detail == "does not follow"


def test_words_alone_can_be_judged() -> None:
    context, _ = told(SPROUT, CLEARS)
    assert JUDGE.judge(context, Scene(tell(FLOWER))).outcome == "pass"
    assert JUDGE.judge(context, Scene("Let the sprout flower.")).outcome == "pass"
    assert JUDGE.judge(context, Scene(tell(SPROUT))).detail == "does not follow"
    assert JUDGE.judge(context, Scene("A dragon comes.")).detail == "unreadable"
    assert JUDGE.judge(context, Scene(describe(JUDGE.replay(context) or START))).detail == "repeats"


def test_a_picture_can_begin_a_story_without_known_words() -> None:
    context = StoryContext((Scene("My garden last year.", np.array(idle(START))),))
    assert JUDGE.judge(context, Scene(tell(SPROUT), clip(START, SPROUT, step(START, SPROUT)))).outcome == "pass"


def test_a_scene_is_not_blamed_for_the_one_before() -> None:
    """Told: the seed sprouts. Drawn: nothing. What follows is judged by what was drawn."""
    context, _ = told(SPROUT)
    context = StoryContext((*context.scenes[:-1], replace(context.scenes[-1], frames=np.array(idle(START)))))
    assert JUDGE.judge(context, Scene(tell(SPROUT), clip(START, SPROUT, step(START, SPROUT)))).outcome == "pass"


def test_what_cannot_be_judged_is_missing() -> None:
    unknown = StoryContext((Scene("Once upon a time."),))
    for context, scene in (
        (StoryContext(), Scene(tell(SPROUT))),
        (unknown, Scene(tell(SPROUT))),
        (told()[0], Scene("")),
        (told()[0], Scene(tell(SPROUT), np.zeros((17, 480, 640, 3), np.uint8))),
    ):
        verdict = JUDGE.judge(context, scene)
        assert verdict.outcome == "missing" and verdict.reason, verdict


# --- by the hundred --------------------------------------------------------------------------------------------------
def held(result: Check) -> None:
    summary = f"{result.plain()}\n" + "\n".join(result.mistakes)
    assert result.right.mean >= RIGHT_BAR, summary
    assert result.false_pass <= FALSE_PASS_BAR, summary
    assert result.mush_pass <= MUSH_PASS_BAR, summary


@pytest.mark.parametrize(("codec", "stories"), [(as_drawn, 10), (soft_and_grainy, 5)])
def test_verdicts_are_right(codec: Codec, stories: int) -> None:
    held(check(stories, codec))


@pytest.mark.full
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("codec", [as_drawn, soft_and_grainy])
def test_verdicts_are_right_on_a_thousand_held_out_pairs(codec: Codec) -> None:
    result = check(190, codec, seed=1)
    assert result.right.n >= 1000
    held(result)


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_verdicts_are_right_after_a_round_trip_through_the_autoencoder(root: Path) -> None:
    folder = root / "assets" / "starter" / "vae"
    if not folder.is_dir():
        pytest.skip("no starter weights in this checkout")
    codec = autoencoder_codec(folder)
    result = check(190, codec, seed=2, kinds=READABLE)
    assert result.right.n >= 1000
    if np.mean(result.psnrs) >= 27:
        held(result)
    else:  # a softer autoencoder than the bars were set for loses some skies: unreadable, but rarely wrong
        assert result.right.mean >= 0.95 and result.false_pass <= 2 * FALSE_PASS_BAR, result.plain()
    assert check(20, codec, seed=3, kinds=MUSH).mush_pass <= MUSH_PASS_BAR
