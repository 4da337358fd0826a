"""What a big reader is asked to write, and its answer held to the form: JSON with one text, or nothing.

The answer is begun for the reader (`{"scene": "`) and ends where that text does, so that it can neither chat nor
wander: what comes is one JSON string, and one that is not valid JSON is no answer (line breaks and tabs, which models
forget to write as escapes, are let through). Knows nothing of models.
"""

from __future__ import annotations

import json
import re

BEGUN = '{"scene": "'
_STRING = re.compile(r'(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*')
_SENTENCE = re.compile(r".*[.!?。！？]", re.DOTALL)  # noqa: RUF001


def so_far(text: str) -> str:
    """The words in an answer that is still being written after BEGUN."""
    return _read(_body(text))


def closed(text: str) -> bool:
    """Whether the string has ended: what comes after it is of no use."""
    return text[len(_body(text)) :].startswith('"')


def finished(text: str, *, cut: bool = False) -> str | None:
    """The scene of an answer that ended, or None for one that is not valid. What the reader left unsaid is left out:
    of an answer whose string never ended its whole sentences are taken. Without a single one it is none when it was
    `cut` by the limit of tokens, and whole when the reader closed its turn instead of the string."""
    body = _body(text)
    rest, words = text[len(body) :], _read(body)
    if not rest:
        whole = _SENTENCE.match(words)
        words = whole.group() if whole else "" if cut else words
    elif not rest.startswith('"'):
        return None  # an escape that JSON does not have
    return words or None


def _body(text: str) -> str:
    """What of `text` is the inside of a JSON string."""
    found = _STRING.match(text)
    assert found is not None  # an empty string is one, too
    return found.group()


def _read(body: str) -> str:
    try:
        said = str(json.loads(f'"{body}"', strict=False))
    except ValueError:
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in said).split())
