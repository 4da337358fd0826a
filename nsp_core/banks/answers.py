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
    body = _STRING.match(text)
    return _read(body.group()) if body else ""


def closed(text: str) -> bool:
    """Whether the string has ended: what comes after it is of no use."""
    body = _STRING.match(text)
    return body is not None and text[body.end() :].startswith('"')


def finished(text: str) -> str | None:
    """The scene of an answer that ended, or None for one that is not valid. One that was cut is taken up to its last
    whole sentence."""
    body = _STRING.match(text)
    if body is None:
        return None
    rest = text[body.end() :]
    words = _read(body.group())
    if not rest:  # cut by the limit of tokens, or the reader closed its turn instead of the string
        whole = _SENTENCE.match(words)
        words = whole.group() if whole else words
    elif not rest.startswith('"'):
        return None  # an escape that JSON does not have
    return words or None


def _read(body: str) -> str:
    try:
        said = str(json.loads(f'"{body}"', strict=False))
    except ValueError:
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in said).split())
