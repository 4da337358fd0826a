"""The form that every part of a film has: size, rate, headers. What fits it is copied, all else is encoded once.

Knows nothing of plans' scenes or of how a picture is painted: facts of clips in, one Master out.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from app.reel.plan import SHAPES, SHORT_SIDE, Output
from nsp_core.errors import UnreadableMedia
from nsp_core.media import HOUSE, HouseEncoding
from nsp_core.media.probe import ClipFormat, open_clip, read_format

PIECES = 1  # raise it when the same request would give other pictures: cached pieces are not used any more
_SILENT_PACKET = 16  # bytes; an AAC frame of silence has 6, one of anything else some hundred
SMALL = 480  # longer side of a GIF or animated WebP whose size was not asked for
SMALL_RATE = 12  # most pictures a second in them: more are many megabytes
_QUICK = "veryfast"  # where every picture is encoded anyway, and headers need not be those of the clips


@dataclass(frozen=True)
class Source:
    """What is known of a clip before a picture of it is read. `key` names its content; frames are counted from 0."""

    path: Path
    key: str
    frames: int
    keyframes: tuple[int, ...]
    format: ClipFormat
    silent: bool  # its sound, if it has any, is silence

    @property
    def seconds(self) -> float:
        return float(self.frames / self.format.fps)


@dataclass(frozen=True)
class Master:
    """`format` None: nothing is copied, so nothing has to fit."""

    width: int
    height: int
    fps: Fraction
    encoding: HouseEncoding
    format: ClipFormat | None = None

    @property
    def tick(self) -> int:
        """Length of a frame in units of 1/timescale."""
        return self.encoding.ticks(self.fps)

    @property
    def key(self) -> str:
        facts = [PIECES, self.width, self.height, str(self.fps), asdict(self.encoding)]
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]

    def frames(self, seconds: float) -> int:
        return round(seconds * self.fps)


def look_at(path: Path) -> Source:
    """Reads the packets' times and sizes, decodes nothing. Raises UnreadableMedia."""
    with open_clip(path) as container:
        found = read_format(container, path.name)
        if not found.fps:
            raise UnreadableMedia(f"{path.name} has no constant rate; draw that scene again.")
        video = container.streams.video[0].index
        shown: list[tuple[int, bool]] = []
        loudest = 0
        for packet in container.demux():
            if packet.dts is None or packet.pts is None:
                continue
            if packet.stream.index == video:
                shown.append((packet.pts, packet.is_keyframe))
            elif packet.stream.type == "audio":
                loudest = max(loudest, packet.size)
    if not shown:
        raise UnreadableMedia(f"{path.name} has no pictures in it; draw that scene again.")
    keyframes = tuple(number for number, (_, key) in enumerate(sorted(shown)) if key)
    return Source(path, _content(path), len(shown), keyframes, found, loudest <= _SILENT_PACKET)


def master_of(sources: Sequence[Source], output: Output) -> Master:
    """The form in which most of the clips are, in the size and shape that is asked for."""
    (width, height, fps), _ = Counter(
        (one.format.width, one.format.height, one.format.fps) for one in sources
    ).most_common(1)[0]
    wide, tall = _asked_size(width, height, output)
    if output.kind in ("gif", "webp"):
        less = min(1.0, SMALL / max(wide, tall)) if output.size == "source" else 1.0
        rate = fps / max(1, -(-fps.numerator // (fps.denominator * SMALL_RATE)))
        return Master(_even(wide * less), _even(tall * less), rate, replace(HOUSE, upscale=1, preset=_QUICK))
    if (wide, tall) != (width, height):
        return Master(wide, tall, fps, replace(HOUSE, upscale=1, preset=_QUICK))
    encoding = replace(HOUSE, upscale=1)
    return Master(width, height, fps, encoding, stamp(width, height, fps))


def quick(master: Master) -> Master:
    """The same where nothing is copied: nobody has to wait for the house's headers."""
    return replace(master, encoding=replace(master.encoding, preset=_QUICK), format=None)


@lru_cache(maxsize=16)
def stamp(width: int, height: int, fps: Fraction) -> ClipFormat:
    """What a clip of that size and rate looks like from outside when this machine encodes it."""
    import numpy as np

    from nsp_core.media import write_clip

    with tempfile.TemporaryDirectory(prefix="whatnext-stamp-") as folder:
        path = Path(folder) / "stamp.mp4"
        write_clip(path, np.zeros((1, height, width, 3), np.uint8), fps, master=replace(HOUSE, upscale=1))
        with open_clip(path) as container:
            return read_format(container, path.name)


def _asked_size(width: int, height: int, output: Output) -> tuple[int, int]:
    across, down = SHAPES.get(output.shape, (width, height))
    if output.size == "source":
        if output.shape == "source":
            return width, height
        # as large as the clip: nothing of it is scaled up, and nothing that is not cut off gets smaller
        return (
            (_even(height * across / down), height)
            if across * height > down * width
            else (
                width,
                _even(width * down / across),
            )
        )
    short = SHORT_SIDE[output.size]
    return (_even(short * across / down), short) if across >= down else (short, _even(short * down / across))


def _even(value: float) -> int:
    return max(2, 2 * round(value / 2))


def _content(path: Path) -> str:
    """A media file is named by its content; any other is read."""
    name = path.name.partition(".")[0]
    if len(name) == 64 and set(name) <= set("0123456789abcdef"):
        return name
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
