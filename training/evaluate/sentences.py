"""The test set of `eval nsp`: sentences that each tell one scene, after which something else has to come.

`nsp_sentences.jsonl` holds one {"id", "category", "sentence"} a line. All of it was written for this project and has
its licence (Apache-2.0); none of it comes from a data set, from the paper's test set (which is not published) or from
its examples. Nothing here was ever trained on, and nothing may be. Knows nothing of models and judges.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nsp_core.errors import UserError

FILE = Path(__file__).with_name("nsp_sentences.jsonl")
VERSION = 1  # of the file; verdicts are comparable only within one
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True)
class Sentence:
    """`number` is the line in the file, from 0: with the seed it decides the noise that the scene is drawn from."""

    id: str
    category: str
    text: str
    number: int


def read_sentences(path: Path = FILE) -> list[Sentence]:
    """In the order of the file. Raises UserError, naming the line, for one that is not as it should be."""
    found: list[Sentence] = []
    known: set[str] = set()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        try:
            row = json.loads(line)
            one = Sentence(str(row["id"]), str(row["category"]), str(row["sentence"]), number)
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f'{path}, line {number + 1}: {error!r}; a line is {{"id", "category", "sentence"}}.'
            ) from None
        if one.id in known:
            raise UserError(f"{path}, line {number + 1}: the id {one.id} was there before; give each its own.")
        known.add(one.id)
        found.append(one)
    return found


def first(count: int, sentences: list[Sentence]) -> list[Sentence]:
    """So many of them, from all categories in turn, so that a part is as mixed as the whole. Raises UserError."""
    if not 1 <= count <= len(sentences):
        raise UserError(f"--n must be from 1 to {len(sentences)}, which is all sentences of the test set, got {count}.")
    by: dict[str, list[Sentence]] = {}
    for one in sentences:
        by.setdefault(one.category, []).append(one)
    mixed = [one for row in itertools.zip_longest(*by.values()) for one in row if one is not None]
    return mixed[:count]


def fingerprint(sentences: list[Sentence]) -> str:
    """16 hexadecimal digits of all ids and texts."""
    text = json.dumps([[one.id, one.text] for one in sentences], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def likeness(one: str, other: str) -> float:
    """Share of words that two sentences have in common (Jaccard), from 0 to 1."""
    a, b = words(one), words(other)
    return len(a & b) / len(a | b) if a | b else 1.0


@cache
def words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))
