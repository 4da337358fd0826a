"""What the shipped reader says by itself: kept with whether it may follow, and never of held-out compositions."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from nsp_core.errors import ConfigError
from nsp_core.pipeline import NextScenePipeline
from training.models import ROOT
from training.own_words import OwnWords, read, save, told
from training.picturebook.parse import parse
from training.picturebook.rules import is_enabled
from training.picturebook.splits import is_train, train_story

STARTER = ROOT / "assets" / "starter"
STORIES = [train_story(Random(f"own words {seed}"), 5) for seed in range(30)]


@pytest.mark.skipif(not STARTER.is_dir(), reason="no starter in this checkout")
def test_the_starter_tells_what_may_follow_and_sometimes_what_may_not() -> None:
    pipeline = NextScenePipeline.from_pretrained(STARTER)
    rows = list(told(pipeline, STORIES, 12))
    assert rows == list(told(pipeline, STORIES, 12))
    for row in rows:
        world, event = STORIES[row.story].worlds[row.at], parse(row.words)
        assert event is not None and row.right is is_enabled(world, event) and is_train(world, event)
    assert len(rows) >= 12 and sum(row.right for row in rows) > len(rows) / 2


def test_a_file_is_read_as_it_was_kept_and_only_with_its_stories(tmp_path: Path) -> None:
    rows = [OwnWords(0, 0, "It rains.", True), OwnWords(29, 0, "The sun rises.", False)]
    save(rows, tmp_path / "own.jsonl")
    assert read(tmp_path / "own.jsonl", STORIES) == rows
    with pytest.raises(ConfigError, match="made from other stories"):
        read(tmp_path / "own.jsonl", STORIES[:9])
    (tmp_path / "broken.jsonl").write_text('{"story": 1')
    with pytest.raises(ConfigError, match="own_words"):
        read(tmp_path / "broken.jsonl", STORIES)
