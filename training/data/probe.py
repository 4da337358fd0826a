"""Stage probe: can it be decoded, what is it, and is it large enough? One frame is decoded, no more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nsp_core.errors import UnreadableMedia
from nsp_core.media import read_media
from nsp_core.media.read import what_it_is
from training.data.config import ClipConfig
from training.data.engine import Stage
from training.data.film import LIMITS, Film
from training.data.place import opened
from training.data.rows import Outcome, Row, digest

VERSION = 1


def probe(rows: Sequence[Row], config: ClipConfig) -> list[Outcome]:
    return [look_at(row, config) for row in rows]


def look_at(row: Row, config: ClipConfig) -> Outcome:
    try:
        with opened(row) as path:
            if what_it_is(path, LIMITS).kind == "picture":
                found = picture(path)
            else:
                with Film(path) as film:
                    seen = film.look()
                found = {"kind": "video", "width": seen.width, "height": seen.height, "fps": round(seen.fps, 3)}
                found |= {"seconds": seen.seconds, "codec": seen.codec}
                if seen.hdr:
                    return Outcome("dropped", "its colours are of high dynamic range", found)
    except UnreadableMedia as error:
        return Outcome("dropped", f"it cannot be read: {said_of(error, row)}")
    least = (config.least_width, config.least_height) if found["kind"] == "video" else (config.image_side,) * 2
    if found["width"] < least[0] or found["height"] < least[1]:
        return Outcome("dropped", f"it is smaller than {least[0]}x{least[1]}", found)
    return Outcome(values=found)


def picture(path: Path) -> dict[str, Any]:
    clip = read_media(path, side=64)
    if clip.kind != "picture":  # a GIF or an animated WebP: a film in the form of a picture
        raise UnreadableMedia("it is an animated picture; save it as MP4")
    return {"kind": "image", "width": clip.source_width, "height": clip.source_height}


def said_of(error: UnreadableMedia, row: Row) -> str:
    """Without the name, so that equal reasons count as equal."""
    text = str(error).replace(str(row.values["path"]), "it").replace(Path(str(row.values["path"])).name, "it")
    return text.replace(str(row.values.get("member") or "\0"), "it")[:200]


def stage(config: ClipConfig) -> Stage:
    smallest = (config.least_width, config.least_height, config.image_side)
    return Stage("probe", "source", partial(probe, config=config), digest("probe", VERSION, smallest), batch_size=4)
