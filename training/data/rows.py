"""What goes through curation: rows, and what a stage says of one. Plain values only, so that a row fits into a message.

A row's id is the hash of its content (a file's bytes, a part of them and how it is cut), never of its name or place:
the same film brought twice is one row. Pictures never travel with a row, only the paths of files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["source", "clip", "pair"]
# ok: goes on; dropped: a rule says no; missing: somebody could not say (asked again by the next run); failed: the stage
# broke on it (not tried again)
Status = Literal["ok", "dropped", "missing", "failed"]


@dataclass(frozen=True)
class Row:
    id: str
    kind: Kind
    parent: str  # the source of a clip, the clip of a pair; "" for a source
    values: Mapping[str, Any] = field(default_factory=dict)

    def with_values(self, more: Mapping[str, Any]) -> Row:
        return Row(self.id, self.kind, self.parent, {**self.values, **more})


@dataclass(frozen=True)
class Outcome:
    """`values` are added to the row; `children` are the rows that it becomes (a film's clips)."""

    status: Status = "ok"
    reason: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    children: tuple[Row, ...] = ()


_PLAIN = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=str)


def digest(*parts: Any) -> str:
    """16 hexadecimal digits of plain values."""
    return hashlib.sha256(_PLAIN.encode(parts).encode()).hexdigest()[:16]


def hash_of_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def share_of(name: str) -> float:
    """A number from 0 to 1 that a name always has."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:12], 16) / 16**12
