"""What a film is to be, as plain frozen data: which scenes and how much of each, joins, cards, captions, voice, form.

Knows nothing of clips, databases or encoders. A plan from outside (a browser, an old row) goes through `plan_of`, which
says in one sentence what cannot be. Times are seconds of the scene's own clip; nothing here says how it is rendered.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from nsp_core.errors import UserError

Join = Literal["cut", "dissolve", "fade"]
Look = Literal["paper", "night"]
CaptionMode = Literal["off", "soft", "burned"]
CaptionLook = Literal["plain", "box", "story"]
Voice = Literal["off", "offline", "server"]
Kind = Literal["mp4", "webm", "gif", "webp"]
Size = Literal["source", "720p", "1080p"]
Shape = Literal["source", "16:9", "9:16", "1:1", "4:5"]
Fit = Literal["blur", "crop"]

SHAPES: dict[Shape, tuple[int, int]] = {"16:9": (16, 9), "9:16": (9, 16), "1:1": (1, 1), "4:5": (4, 5)}
SHORT_SIDE: dict[Size, int] = {"720p": 720, "1080p": 1080}
MAX_SHOTS = 2000
SHORTEST = 0.1  # seconds that must be left of a scene

_Id = Annotated[str, Field(min_length=1, max_length=64)]
_Second = Annotated[float, Field(ge=0, le=36_000, allow_inf_nan=False)]
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Shot:
    """One scene of the film, from `start` to `end` of its clip (None: to its end). `join`: how the next one follows.
    `words` are what is read and spoken instead of the scene's own; "" says nothing."""

    __pydantic_config__ = _STRICT
    scene: _Id
    start: _Second = 0.0
    end: _Second | None = None
    join: Join = "cut"
    words: Annotated[str, Field(max_length=2000)] | None = None


@dataclass(frozen=True)
class Card:
    """Words on a plain ground before or after the scenes. `under` is a smaller line below them."""

    __pydantic_config__ = _STRICT
    text: Annotated[str, Field(max_length=120)]
    under: Annotated[str, Field(max_length=120)] = ""
    seconds: Annotated[float, Field(ge=1, le=10)] = 2.5
    look: Look = "paper"


@dataclass(frozen=True)
class Captions:
    __pydantic_config__ = _STRICT
    mode: CaptionMode = "soft"
    look: CaptionLook = "plain"  # of burned ones


@dataclass(frozen=True)
class Narration:
    """`pace` 1 is the voice's own. Scenes that are shorter than their words stand still on their last picture."""

    __pydantic_config__ = _STRICT
    voice: Voice = "off"
    pace: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0


@dataclass(frozen=True)
class Output:
    """`size` is the shorter side. `fit`: how a picture gets into another shape, on a blurred ground or cut."""

    __pydantic_config__ = _STRICT
    kind: Kind = "mp4"
    size: Size = "source"
    shape: Shape = "source"
    fit: Fit = "blur"


@dataclass(frozen=True)
class Plan:
    __pydantic_config__ = _STRICT
    shots: Annotated[tuple[Shot, ...], Field(max_length=MAX_SHOTS)]
    title: Card | None = None
    end: Card | None = None
    join_seconds: Annotated[float, Field(ge=0.1, le=3)] = 0.5
    captions: Captions = Captions()
    narration: Narration = Narration()
    output: Output = Output()

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)


def plan_for(scenes: Sequence[str]) -> Plan:
    """The film of a path as it is: every scene whole, cuts, soft captions."""
    return Plan(shots=tuple(Shot(scene) for scene in scenes))


def extended(plan: Plan, scenes: Sequence[str]) -> Plan:
    """The plan of an earlier point of the same path, with the scenes that came since. What was left out stays out."""
    known = {shot.scene for shot in plan.shots}
    return replace(plan, shots=(*plan.shots, *(Shot(scene) for scene in scenes if scene not in known)))


def without(plan: Plan, living: set[str]) -> Plan:
    """The plan without scenes that are not there any more."""
    return replace(plan, shots=tuple(shot for shot in plan.shots if shot.scene in living))


def plan_of(given: Any) -> Plan:
    """A plan from JSON text or from what JSON becomes. Raises UserError in one sentence."""
    try:
        plan = _adapter().validate_json(given) if isinstance(given, str | bytes) else _adapter().validate_python(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the plan"
        raise UserError(f"This film cannot be made: {place} is not right ({first['msg'].lower()}).") from None
    for number, shot in enumerate(plan.shots, 1):
        if shot.end is not None and shot.end - shot.start < SHORTEST:
            raise UserError(
                f"Scene {number} was cut to {max(0.0, shot.end - shot.start):.2f} s; leave at least {SHORTEST} s of it."
            )
    return plan


@cache
def _adapter() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)
