"""One thing that is asked of a judge's service, and what comes back. Knows nothing of any particular service.

An `Ask` is content only: the same content has the same key, wherever its pictures came from and whatever they are
called, so that an answer that is kept can never belong to other pictures.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from PIL import Image

from nsp_core.types import Frames

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Picture:
    """An encoded picture with its size in pixels."""

    jpeg: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Ask:
    """`schema` is the JSON schema of the answer: an object of text fields, all of them required. `vote` tells repeated
    questions apart."""

    text: str
    schema: Mapping[str, Any]
    pictures: tuple[Picture, ...] = ()
    vote: int = 0

    def key(self, service: Mapping[str, Any]) -> str:
        """64 hexadecimal digits of everything that the answer depends on; `service` is what the service adds."""
        digest = hashlib.sha256()
        for picture in self.pictures:
            digest.update(hashlib.sha256(picture.jpeg).digest())
        plain = {"text": self.text, "schema": self.schema, "vote": self.vote, "service": service}
        digest.update(json.dumps(plain, sort_keys=True, ensure_ascii=False).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class Answer:
    """`fields` None: there is none, and `reason` says why."""

    fields: Fields | None
    reason: str = ""
    cost_nano: int = 0  # paid for this answer now, in 1e-9 dollars; 0 when it was kept from before


@dataclass(frozen=True)
class Reply:
    """What one call brought. `text` None: the service has answered, and it was no answer (`reason`)."""

    text: str | None
    cost_nano: int
    reason: str = ""


class Busy(Exception):
    """Nothing was done and nothing is to be paid: ask again, after `wait` seconds if the service said so."""

    def __init__(self, reason: str, wait: float | None = None, *, everybody: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.wait, self.everybody = reason, wait, everybody


class Unclear(Exception):
    """The call was sent and nothing came back: it may have to be paid."""


class GiveUp(Exception):
    """The service will not answer this, however often it is asked; nothing is to be paid."""


class Asker(Protocol):
    """Whoever gets answers: one call each (`calls.Live`), or in batches (`batches.Batched`)."""

    def ask_all(self, asks: Sequence[Ask]) -> list[Answer]:
        """An answer for each, in order. What goes wrong is an Answer without fields, never an exception."""
        ...


def object_schema(**kinds: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema of an object with exactly these fields, in this order."""
    return {"type": "object", "properties": dict(kinds), "required": list(kinds), "additionalProperties": False}


def read_fields(text: str, schema: Mapping[str, Any]) -> Fields | None:
    """The answer's fields; None when it is not what the schema asks for. Nothing is guessed."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    wanted: Mapping[str, Any] = schema["properties"]
    if not isinstance(found, dict) or set(found) != set(wanted):
        return None
    for name, kind in wanted.items():
        if not isinstance(found[name], str) or found[name] not in kind.get("enum", (found[name],)):
            return None
    return found


def pictures_of(frames: Frames, count: int, longest: int) -> tuple[Picture, ...]:
    """`count` pictures of a clip (T, H, W, 3), evenly in time with its first and last one, never enlarged."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, count).round().astype(int))
    return tuple(_encoded(frames[index], longest) for index in chosen)


def _encoded(frame: Frames, longest: int) -> Picture:
    picture = Image.fromarray(frame)
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=92, subsampling=0)
    return Picture(out.getvalue(), *picture.size)


@dataclass
class Tally:
    """What became of the answers of one asker; for logs and reports."""

    kept: int = 0
    asked: int = 0
    missing: int = 0
    tries: int = 0
    cost_nano: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def count(self, answer: Answer, *, kept: bool = False) -> None:
        self.kept += kept
        self.asked += not kept
        self.cost_nano += answer.cost_nano
        if answer.fields is None:
            self.missing += 1
            self.reasons[answer.reason] = self.reasons.get(answer.reason, 0) + 1
