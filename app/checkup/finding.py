"""What was found: one line for a person, with what it is about. Knows nothing of what is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from app.catalogue import say

Level = Literal["fine", "note", "mended", "wrong"]


@dataclass(frozen=True)
class Finding:
    """`note`: worth knowing, nothing is wrong. `mended`: it was wrong or in the way until now."""

    subject: str
    level: Level
    text: str
    details: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "details": list(self.details)}


Findings = Iterator[Finding]


def fine(key: str, /, *, details: tuple[str, ...] = (), **values: Any) -> Finding:
    return _finding("fine", key, details, values)


def note(key: str, /, *, details: tuple[str, ...] = (), **values: Any) -> Finding:
    return _finding("note", key, details, values)


def mended(key: str, /, *, details: tuple[str, ...] = (), **values: Any) -> Finding:
    return _finding("mended", key, details, values)


def wrong(key: str, /, *, details: tuple[str, ...] = (), **values: Any) -> Finding:
    return _finding("wrong", key, details, values)


def _finding(level: Level, key: str, details: tuple[str, ...], values: dict[str, Any]) -> Finding:
    """The text is doctor.<key> of the catalogue; what stands before the first underscore is the subject."""
    return Finding(key.partition("_")[0], level, say(f"doctor.{key}", **values), details)


def in_bytes(size: float) -> str:
    """Sizes as people say them."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
