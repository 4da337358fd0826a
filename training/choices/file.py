"""A file of choices, as the app takes it out (`launch.py export --choices FILE`), read strictly.

JSON, one object a line; the first says what it is and which version of it. What a field means is said in the app's own
README of the format (ARCHITECTURE.md, "A file of choices"). Knows nothing of models, nor of the database.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nsp_core.errors import UserError
from nsp_core.types import Frames, Scene, StoryContext

FILE = "what-happens-next choices"
FORMAT = 1
Text = Annotated[str, Field(max_length=8000)]
Name = Annotated[str, Field(max_length=400)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Told(Part):
    """A scene before. `clip`, `first`, `last`: files beside the file of choices, or null."""

    words: Text
    clip: Name | None = None
    first: Name | None = None
    last: Name | None = None


class Take(Part):
    clip: Name | None
    first: Name | None = None
    last: Name | None = None
    seed: int | None = None
    model: str | None = None
    adapter: str | None = None
    settings: dict[str, Any] = {}


class Choice(Part):
    """`better` is what stayed and `worse` what it was preferred to: words, or takes."""

    id: Name
    kind: Literal["kept", "rewrote", "chose", "starred", "threw_away"]
    at: Name = ""
    story: Name
    about: Literal["words", "take"]
    bible: Text = ""
    mode: Literal["continue", "cut"] = "continue"
    steer: Text = ""
    context: Annotated[list[Told], Field(max_length=64)]
    words: Text
    better: Text | Take | None
    worse: Annotated[list[Text | Take], Field(max_length=64)]


class Head(Part):
    file: Literal["what-happens-next choices"]
    format: int
    folder: Name = ""
    made_at: Name = ""
    choices: int


def read(path: Path) -> list[Choice]:
    """All choices of a file, oldest first. Raises UserError with one sentence for whatever is wrong with it."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: give a file that `export --choices FILE` wrote.") from error
    head = _head(path, lines)
    found = [_choice(path, number, line) for number, line in enumerate(lines[1:], start=2) if line.strip()]
    if len(found) != head.choices:
        raise UserError(
            f"{path.name} says that it holds {head.choices} choices and has {len(found)}: export them again."
        )
    return found


def write(path: Path, rows: Sequence[Choice]) -> None:
    """As the app does it: for people who are made up (training.choices.proof). Whole or not at all."""
    part = path.with_name(f".{path.name}.partial")
    head = Head(file=FILE, format=FORMAT, folder=f"{path.stem}.files", choices=len(rows))
    part.write_text("".join(f"{one.model_dump_json()}\n" for one in (head, *rows)), encoding="utf-8")
    part.replace(path)


def picture(path: Path, name: str | None) -> Path | None:
    """The file that a choice names, which lies below the folder of the file of choices. None when it is not there."""
    if name is None:
        return None
    folder = path.resolve().parent
    found = (folder / name).resolve()
    if not found.is_relative_to(folder):
        raise UserError(f"{path.name} names {name}, which lies elsewhere: export the choices again.")
    return found if found.is_file() else None


def context_of(path: Path, choice: Choice) -> StoryContext:
    """The story before it, the ends of its last pictures with it (2, H, W, 3)."""
    scenes = [Scene(one.words, _ends(path, one)) for one in choice.context]
    return StoryContext(tuple(scenes), bible=choice.bible)


def _ends(path: Path, one: Told) -> Frames | None:
    files = [picture(path, name) for name in (one.first, one.last)]
    if None in files:
        return None
    try:
        return np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files if file])
    except (OSError, ValueError) as error:
        raise UserError(f"A picture beside {path.name} cannot be read: export the choices again.") from error


def _head(path: Path, lines: list[str]) -> Head:
    try:
        told = json.loads(lines[0]) if lines else None
        if isinstance(told, dict) and told.get("file") == FILE and int(told.get("format", 0)) > FORMAT:
            raise UserError(f"{path.name} was written by a newer version of this program: get that one.")
        head = Head.model_validate(told)
    except (ValueError, TypeError) as error:
        raise UserError(f"{path.name} is no file of choices: give one that `export --choices FILE` wrote.") from error
    return head


def _choice(path: Path, number: int, line: str) -> Choice:
    try:
        one = Choice.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][:1]) or "it"
        raise UserError(
            f"Line {number} of {path.name} is no choice ({where}: {first['msg']}): export the choices again."
        ) from error
    kind = str if one.about == "words" else Take
    if not all(isinstance(each, kind) for each in (one.better, *one.worse) if each is not None):
        raise UserError(
            f"Line {number} of {path.name} is about {one.about}, and what it prefers is not: export the choices again."
        )
    return one
