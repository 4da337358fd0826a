"""A film as frames with times, small ones for looking and, when they are wanted, ones of the clips' size.

Scaling is libavfilter's, one graph for a film: turned upright, square pixels, the middle of the picture, BT.709.
Nothing in a file can reach another one, and what it is is told by its content (nsp_core.media.sniff). Knows nothing of
shots and of what is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.filter import Graph

from nsp_core.errors import UnreadableMedia
from nsp_core.media import Limits
from nsp_core.media.colour import is_hdr, matrix_of
from nsp_core.media.read import what_it_is
from nsp_core.media.videos import open_container, pick_video_stream

LIMITS = Limits(bytes=64 * 2**30, seconds=6 * 3600.0, frames=2_000_000, decode_seconds=float("inf"))
_MATRIX_NAMES = {1: "bt709", 4: "fcc", 5: "bt601", 7: "smpte240m", 9: "bt2020"}
_DISPLAY_MATRIX = "DISPLAYMATRIX"


@dataclass(frozen=True)
class Timed:
    """`at`: seconds from the film's first frame; `number`: of the frame, from where decoding began."""

    at: float
    number: int
    frame: Any
    duration: float


@dataclass(frozen=True)
class Look:
    """What a film is, from its container and its first frame; `turns` is 0, 90, 180 or 270 degrees clockwise."""

    width: int  # upright, with square pixels
    height: int
    fps: float
    seconds: float | None  # None: the file does not say
    codec: str
    turns: int
    hdr: bool
    stored: tuple[int, int]  # as it is coded
    matrix: str


class Film:
    """Use as a context. Raises UnreadableMedia for what is no film that can be decoded."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.path = path
        sniffed = what_it_is(path, LIMITS)
        if sniffed.kind != "video":
            raise UnreadableMedia(f"{path.name} is a picture, not a film; give it as an image.")
        try:
            self._container = open_container(path, sniffed.reader, LIMITS)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise UnreadableMedia(f"{path.name} looks like a film but is broken: {error}") from error
        stream = pick_video_stream(self._container)
        if stream is None or getattr(stream, "codec_context", None) is None or stream.time_base is None:
            self._container.close()
            raise UnreadableMedia(f"{path.name} has no pictures in it that can be decoded.")
        self.stream: Any = stream
        self.stream.thread_type = "AUTO" if threads > 1 else "NONE"  # a worker has one core
        self.stream.codec_context.thread_count = threads
        self._origin: float | None = None
        self.failure = ""  # why frames ended before the file did

    def __enter__(self) -> Film:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    @property
    def fps(self) -> float:
        return float(self.stream.average_rate or self.stream.guessed_rate or 25)

    def look(self) -> Look:
        first = next(self.frames(), None)
        if first is None:
            raise UnreadableMedia(f"{self.path.name} is broken: not one of its pictures can be decoded{self.failure}.")
        frame = first.frame
        turns = turns_of(frame)
        width, height = frame.width, frame.height
        aspect = float(self.stream.sample_aspect_ratio or 1)
        if not 0.1 < aspect < 10:
            aspect = 1.0
        shown = (round(width * aspect), height)
        upright = shown[::-1] if turns % 180 else shown
        seconds = None
        if self.stream.duration:
            seconds = float(self.stream.duration * self.stream.time_base)
        elif self._container.duration and not self._container.streams.audio:
            seconds = self._container.duration / av.time_base
        return Look(
            *upright,
            fps=self.fps,
            seconds=seconds,
            codec=self.stream.codec_context.name,
            turns=turns,
            hdr=is_hdr(frame.color_trc),
            stored=(width, height),
            matrix=_MATRIX_NAMES.get(matrix_of(frame.colorspace, width, height), "bt709"),
        )

    def frames(self, start: float = 0.0) -> Iterator[Timed]:
        """From the frame that is on screen at `start` or earlier; a fault in the file ends them (`failure`)."""
        stream = self.stream
        base = stream.time_base
        if self._origin is None and stream.start_time is not None:
            self._origin = float(stream.start_time * base)
        if self._origin is not None:
            with suppress(av.error.FFmpegError, ValueError):
                self._container.seek(int((start + (self._origin or 0.0)) / base), stream=stream, backward=True)
        usual, now, number = 1.0 / self.fps, -1.0, -1
        try:
            for frame in self._container.decode(stream):
                stamp = float(frame.pts * base) if frame.pts is not None else None
                if self._origin is None:
                    self._origin = stamp if stamp is not None else 0.0
                at = max(0.0, stamp - self._origin) if stamp is not None else max(0.0, now + usual)
                if at <= now:
                    continue  # a repeated or falling stamp: the earlier frame stays on screen
                now, number = at, number + 1
                yield Timed(at, number, frame, float(frame.duration * base) if frame.duration else usual)
        except av.error.FFmpegError as error:
            self.failure = f" ({error.strerror or 'the data are invalid'})"


class Scaler:
    """Frames of a film in another form; `crop`: only the middle in the shape of width:height."""

    def __init__(
        self, film: Film, look: Look, width: int, height: int, form: str, *, crop: bool, flags: str, matrix: bool = True
    ) -> None:
        """Without `matrix` the colours are what libswscale takes them for, as OpenCV does it."""
        graph: Any = Graph()
        chain = [graph.add_buffer(template=film.stream)]
        if crop:
            wide, high = crop_of(look, width, height)
            chain.append(graph.add("crop", f"{wide}:{high}:exact=1"))
        size = (height, width) if look.turns % 180 else (width, height)
        colours = f":in_color_matrix={look.matrix}:out_color_matrix=bt709" if matrix else ""
        chain.append(graph.add("scale", f"{size[0]}:{size[1]}:flags={flags}{colours}"))
        chain += [graph.add(name, text) for name, text in _TURNS[look.turns]]
        chain += [graph.add("setsar", "1"), graph.add("format", form), graph.add("buffersink")]
        graph.link_nodes(*chain).configure()
        self._graph, self._stored = graph, look.stored

    def __call__(self, frame: Any) -> Any:
        """Raises UnreadableMedia when the frame is not of the film's size."""
        if (frame.width, frame.height) != self._stored:
            raise UnreadableMedia(f"its frames change from {self._stored} to {(frame.width, frame.height)} midway")
        self._graph.push(frame)
        return self._graph.pull()


_TURNS: dict[int, tuple[tuple[str, str], ...]] = {
    0: (),
    90: (("transpose", "clock"),),
    180: (("hflip", ""), ("vflip", "")),
    270: (("transpose", "cclock"),),
}


def crop_of(look: Look, width: int, height: int) -> tuple[int, int]:
    """The part of the coded picture that has the shape of width:height when it is shown, even in both sides."""
    wide, high = look.width, look.height
    kept = (min(wide, high * width / height), min(high, wide * height / width))
    shares = (kept[0] / wide, kept[1] / high)
    if look.turns % 180:
        shares = shares[::-1]
    across, down = (max(2, int(side * share) // 2 * 2) for side, share in zip(look.stored, shares, strict=True))
    return across, down


def turns_of(frame: Any) -> int:
    """Degrees clockwise from the display matrix, to the nearest quarter; mirrors are left as they are."""
    for entry in frame.side_data:
        if entry.type.name == _DISPLAY_MATRIX:
            values = np.frombuffer(bytes(entry), dtype="<i4")
            if len(values) >= 5:
                a, b = int(values[0]), int(values[1])
                if abs(a) >= abs(b):
                    return 0 if a >= 0 else 180
                return 90 if b > 0 else 270
    return 0
