"""What of a story the model is shown: constant in size, whatever the length."""

from __future__ import annotations

import numpy as np

from nsp_core.memory import ends, last_seen, words_of
from nsp_core.prompts import DIALECTS, MAX_SCENES, PAPER, STARTER, story_text
from nsp_core.types import Frames, Scene, StoryContext


def frames(value: int, count: int = 17) -> Frames:
    made = np.full((count, 4, 4, 3), value, np.uint8)
    made[-1] += 1
    return made


def test_the_two_ends_of_a_clip_are_read() -> None:
    seen = ends(frames(7))
    assert seen.shape == (2, 4, 4, 3)
    assert (seen[0] == 7).all() and (seen[1] == 8).all()
    assert ends(frames(7, 1)).shape == (2, 4, 4, 3)


def test_the_last_scene_with_pictures_is_the_one_that_is_seen() -> None:
    first, second = Scene("a", frames(1)), Scene("b", frames(2))
    assert last_seen(StoryContext((first, second))) is second
    assert last_seen(StoryContext((first, second, Scene("c")))) is second
    assert last_seen(StoryContext((first, Scene("b", frames(2)[:0])))) is first
    assert last_seen(StoryContext((Scene("a"),))) is None
    assert last_seen(StoryContext()) is None


def test_pictures_too_long_ago_are_not_the_last_ones() -> None:
    told = tuple(Scene(str(i)) for i in range(MAX_SCENES))
    assert last_seen(StoryContext((Scene("a", frames(1)), *told))) is None
    assert last_seen(StoryContext((Scene("a", frames(1)), *told[1:]))) is not None


def test_twelve_scenes_are_told_with_their_place_in_the_story() -> None:
    scenes = tuple(Scene(f"scene {i + 1}") for i in range(20))
    text = story_text(STARTER, words_of(StoryContext(scenes)))
    lines = text.splitlines()
    assert MAX_SCENES == 12
    assert lines[0] == "9. scene 9" and lines[-1] == "20. scene 20" and len(lines) == 12
    assert text.endswith("\n")


def test_a_bible_comes_before_the_story() -> None:
    assert story_text(STARTER, ("it rains",), "A fox called Mo.") == "A fox called Mo.\n1. it rains\n"
    assert story_text(PAPER, ("it rains",)) == "Scene 1: it rains\n"
    assert story_text(STARTER, ()) == ""


def test_every_dialect_has_every_task() -> None:
    for dialect in DIALECTS.values():
        assert "{words}" in dialect.steer and "{words}" in dialect.judge and "{words}" in dialect.draw
        assert dialect.describe and dialect.next and dialect.before
