"""Stage caption: what each clip shows. A person's words come first, then those that came with the film, then whoever is
asked. What nobody could say is missing, never made up; a guess is kept apart, as one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nsp_core.media import read_media
from nsp_core.types import Frames
from training.data.config import DataConfig
from training.data.engine import Stage
from training.data.rows import Outcome, Row, digest
from training.data.words import asked_for_captions
from training.evaluate.captioner import SERVICES

VERSION = 1
GUESS = "; it would say: "
ALL = 1_000_000.0  # of the cores: one worker does this stage alone


def at_once(name: str) -> int:
    """Rows of a batch: services are asked about many at the same time, a model here about one after the other."""
    return 64 if name in SERVICES else 4


def caption(rows: Sequence[Row], name: str, folder: Path, banned: tuple[str, ...]) -> list[Outcome]:
    asked = [row for row in rows if not ready(row)]
    answers = iter(asked_for_captions(name).captions([frames_of(row, folder) for row in asked]) if asked else ())
    found = []
    for row in rows:
        if words := ready(row):
            found.append(checked(words, {"captioned_by": "person" if row.values.get("by_hand") else "source"}, banned))
            continue
        answer = next(answers)
        cost = {"caption_usd": answer.cost_usd} if answer.cost_usd else {}
        if answer.text is None:
            reason, _, guess = answer.reason.partition(GUESS)
            found.append(Outcome("missing", reason, cost | ({"guess": guess} if guess else {})))
        else:
            who = asked_for_captions(name).name
            found.append(checked(answer.text, {"captioned_by": who, **cost}, banned))
    return found


def ready(row: Row) -> str:
    """Words that are there already."""
    return str(row.values.get("by_hand") or row.values.get("given") or "")


def checked(words: str, more: dict[str, Any], banned: tuple[str, ...]) -> Outcome:
    said = set(re.findall(r"\w+", words.lower()))
    if said & {word.lower() for word in banned}:
        return Outcome("dropped", "its caption has a word that is not wanted", {"caption": words, **more})
    return Outcome(values={"caption": words, **more})


def frames_of(row: Row, folder: Path) -> Frames:
    """(T, H, W, 3) of the clip's file."""
    return read_media(folder / str(row.values["file"]), fps=None, side=1280).frames


def stage(config: DataConfig, folder: Path) -> Stage:
    name, banned = config.words.captioner, config.quality.banned_words
    return Stage(
        "caption",
        "clip",
        partial(caption, name=name, folder=folder, banned=banned),
        digest("caption", VERSION, name, banned),
        cpus=ALL,
        batch_size=at_once(name),
        timeout=config.run.timeout,
    )
