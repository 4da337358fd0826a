"""Short wishes: words that the reader may be taught, for every event, and never those that it is examined with."""

from __future__ import annotations

import re
from itertools import product
from random import Random

from nsp_core.language import Language
from training.evaluate.phrases import PHRASES
from training.export import starter_language
from training.picturebook.phrases import PARAPHRASES, SLOT_PHRASES
from training.picturebook.wishes import dressed, dresses, lines, wishes, words
from training.picturebook.world import COLOURS, Event


def bare(language: Language, text: str) -> str:
    return " ".join(re.findall(r"[a-z]+", language.plain(text).lower()))


def test_every_event_can_be_wished_for_in_many_words():
    assert set(lines()) == set(PARAPHRASES)
    for rule, some in lines().items():
        assert len(some) >= 7 and len(set(some)) == len(some), rule
        assert not set(some) & set(PARAPHRASES[rule].instruct), rule


def test_they_are_worded_in_the_language_without_what_is_left_out_of_a_wish():
    language = starter_language()
    assert not words() & language.fillers and words() <= language.words


def test_none_is_a_wish_of_the_evaluation_however_it_is_dressed():
    language = starter_language()
    held_out = {bare(language, one.text) for one in PHRASES}
    for rule, colour, slot in product(lines(), (*COLOURS, ""), SLOT_PHRASES):
        where = SLOT_PHRASES.index(slot)
        for wish in wishes(Event(rule, slot=where, other=where, colour=colour or None)):
            assert not {bare(language, one) for one in dresses(wish)} & held_out, wish


def test_a_short_wish_is_dressed_as_people_type_and_a_sentence_stays():
    made = {dressed("the frog leaves", Random(n)) for n in range(200)}
    assert {"the frog leaves", "now the frog leaves", "The frog leaves."} <= made
    assert all("frog leaves" in one.lower() for one in made)
    assert dressed("The frog leaves the puddle.", Random(0)) == "The frog leaves the puddle."
