"""Words that the model has learnt, and one clear sentence about those that it has not."""

from __future__ import annotations

from pathlib import Path

import pytest

from nsp_core.errors import OutsideLanguage
from nsp_core.language import Language

WORDS = ("a", "red", "ball", "rolls", "to", "the", "middle", "don't", "é")
LANGUAGE = Language(frozenset(WORDS), ("A red ball rolls.", "The ball."))


@pytest.mark.parametrize("text", ["A red ball rolls.", "THE BALL!", "  the — ball… ", "don't", "É"])
def test_known_words_pass_whatever_their_dress(text: str) -> None:
    LANGUAGE.check(text)


def test_unknown_words_are_named_once_and_in_order() -> None:
    assert LANGUAGE.unknown("A purple DRAGON rolls to the dragon, purple.") == ("purple", "dragon")
    with pytest.raises(OutsideLanguage) as refused:
        LANGUAGE.check("A purple dragon.")
    said = str(refused.value)
    assert said.startswith("I don't know that yet: 'purple', 'dragon'.")
    assert "A red ball rolls." in said, "it must say what it knows instead"
    assert refused.value.known == LANGUAGE.examples


def test_many_unknown_words_stay_one_line() -> None:
    with pytest.raises(OutsideLanguage) as refused:
        LANGUAGE.check(" ".join(f"word{i}" for i in range(50)))
    assert "'word2' and others" in str(refused.value) and len(str(refused.value)) < 200


@pytest.mark.parametrize("text", ["", "  ", "?!", "..."])
def test_no_words_at_all_are_refused(text: str) -> None:
    with pytest.raises(OutsideLanguage, match="no words yet"):
        LANGUAGE.check(text)


POLITE = Language(frozenset(WORDS), LANGUAGE.examples, fillers=frozenset(["please", "i", "want", "now"]))


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("I want the red ball, please!", "the red ball!"),
        ("Please, the ball rolls. Now the red ball rolls.", "the ball rolls. the red ball rolls."),
        ("A red ball  rolls.", "A red ball  rolls."),
        ("I want a wanton ball.", "a wanton ball."),
    ],
)
def test_fillers_are_left_out_and_nothing_else(said: str, read: str) -> None:
    assert POLITE.plain(said) == read
    assert "want" not in POLITE.unknown(said)


def test_a_wish_of_fillers_alone_says_nothing() -> None:
    with pytest.raises(OutsideLanguage, match="no words yet"):
        POLITE.check("please, now")


def test_a_language_lies_beside_the_weights(tmp_path: Path) -> None:
    LANGUAGE.save(tmp_path)
    assert Language.load(tmp_path) == LANGUAGE
    POLITE.save(tmp_path)
    assert Language.load(tmp_path) == POLITE
    assert Language.load(tmp_path / "elsewhere") is None


def test_a_text_is_split_into_what_is_known_and_what_is_not() -> None:
    words = frozenset({"a", "red", "ball", "rolls", "it", "rains"})
    language = Language(words, ("It rains.",), fillers=frozenset({"please"}))
    bible = "Premise: A red ball rolls. Milo is shy!\nCast: 小猫咪喜欢球。\nLook: It rains, please. Please.\n\n..."
    known, other = language.split(bible)
    assert known == ("A red ball rolls.", "It rains, please.")
    assert other == ("Milo is shy!", "小猫咪喜欢球。", "Please.")
    assert language.split("") == ((), ())
