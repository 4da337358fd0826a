"""A set of the picture book: right, wrong, repeated, shuffled scenes of held-out stories. Knows nothing of judges."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from nsp_core.errors import UserError
from training.calibrate.pairs import Made, Pair, read_pairs, write_pairs

_SPEC = re.compile(r"picturebook:(\d+)(?::(\d+))?")


def set_called(spec: str, keep: Path | None, scratch: Path) -> list[Pair]:
    """A folder, or "picturebook:STORIES" (":SEED"), which is made in `keep` or in `scratch`.

    Raises UserError for what is neither, and for a folder that has another set already.
    """
    match = _SPEC.fullmatch(spec)
    if match is None:
        if not Path(spec).expanduser().is_dir():
            raise UserError(f"{spec} is no set of scenes: give a folder, or picturebook:N for N held-out stories.")
        return read_pairs(Path(spec).expanduser())
    folder = scratch if keep is None else keep
    write_pairs(folder, scenes(int(match[1]), int(match[2] or 0)))
    return read_pairs(folder)


def scenes(stories: int, seed: int) -> Iterator[Made]:
    from training.evaluate.opinion_check import candidates

    for kind, told, scene in candidates(seed, stories):
        yield Made(f"{told.number}-{kind}", str(told.number), kind, told.context, scene)
