"""The sentences of `eval nsp`: enough, each another one, plain, mixed; and how they are read."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from nsp_core.errors import UserError
from training.evaluate import sentences

EVERY = sentences.read_sentences()


def test_there_are_enough_sentences_and_each_is_another() -> None:
    assert len(EVERY) >= 500 and len({one.id for one in EVERY}) == len(EVERY)
    close = [(a.text, b.text) for a, b in combinations(EVERY, 2) if sentences.likeness(a.text, b.text) > 0.5]
    assert not close
    assert sentences.likeness("A red ball rolls.", "a red ball ROLLS") == 1


def test_the_sentences_are_plain_and_of_every_kind() -> None:
    for one in EVERY:
        assert 7 <= len(one.text.split()) <= 32, one.text
        assert one.text[0].isupper() and one.text.endswith("."), one.text
        assert one.id.rsplit("-", 1)[0] == one.category.replace(" ", "-")
    sizes = Counter(one.category for one in EVERY).values()
    assert len(sizes) >= 20 and min(sizes) >= max(sizes) / 2
    assert len(EVERY) <= sentences.MOST  # no two seeds share noise


def test_none_is_an_example_of_the_paper() -> None:
    paper = (
        "A glass sitting near the edge of the table begins to wobble.",
        "A frozen river begins to crack as the temperature rises.",
        "Leaves are gently falling from the trees in autumn wind.",
        "Dark clouds begin to gather over the forest.",
    )
    assert max(sentences.likeness(one.text, other) for one in EVERY for other in paper) < 0.5


def test_a_part_is_as_mixed_as_the_whole() -> None:
    kinds = len({one.category for one in EVERY})
    assert len({one.category for one in sentences.first(kinds, EVERY)}) == kinds
    assert sentences.first(40, EVERY)[:30] == sentences.first(30, EVERY)
    assert sorted(one.number for one in sentences.first(len(EVERY), EVERY)) == list(range(len(EVERY)))
    for wrong in (0, len(EVERY) + 1):
        with pytest.raises(UserError, match="--n must be from 1 to"):
            sentences.first(wrong, EVERY)


def test_a_line_that_is_none_is_named(tmp_path: Path) -> None:
    row = '{"id": "a-01", "category": "a", "sentence": "One."}\n'
    (tmp_path / "some.jsonl").write_text(row + row)
    with pytest.raises(UserError, match="line 2: the id a-01"):
        sentences.read_sentences(tmp_path / "some.jsonl")
    (tmp_path / "some.jsonl").write_text(row + '{"id": "b"}\n')
    with pytest.raises(UserError, match="line 2"):
        sentences.read_sentences(tmp_path / "some.jsonl")
