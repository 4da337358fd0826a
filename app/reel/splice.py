"""A sound track of which most is copied: the clips' own AAC where nothing changes it, encoded anew only around seams.

An AAC frame (ISO/IEC 14496-3, 4.5.2 and 4.6.11) holds 2048 samples under a window, and half of them again in the next
frame; decoding adds the halves up, and what the transform folded into each other cancels out. It still does where a
copied frame meets one of ours, if both were made of the same sound under halves of the same window. So a seam is
encoded a few frames further than it reaches, and joined where both sides have the same half, which the first bits of a
frame say. Where no such place is found, more is encoded. Frames lie on a grid of 1024 samples: a clip's sound is moved
onto it, by at most 11 ms.

Knows sound, nothing of pictures; see app.reel.sound for what is mixed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.packet import Packet

from app.reel.encode import audio_frame
from app.reel.sound import RATE, Placed, Samples, shaped
from nsp_core.media import HOUSE
from nsp_core.media.probe import open_clip
from nsp_core.media.write import AAC_FRAME as FRAME

_SPARE = (2, 12)  # frames on both sides of a seam in which a place to join is looked for: mostly the first will do
_WARM = 3  # frames after which an encoder and a decoder have forgotten that they began here
_LEAST = 32  # frames; a shorter run is not worth two seams
_KEPT = 4 << 20  # bytes of clips' sound that stay in memory: some minutes

Frames = dict[int, bytes]  # by their place on the grid: frame n holds samples n * 1024 .. (n + 2) * 1024


@dataclass(frozen=True)
class Run:
    """Frames `first` .. `last` of the film are those of `path`, `shift` places further to the front there."""

    path: Path
    first: int
    last: int
    shift: int


@dataclass(frozen=True)
class Track:
    """Copied runs and encoded frames, which together are the whole track, from frame -1 on."""

    runs: tuple[Run, ...]
    own: Frames
    frames: int  # of the film; the last one may be cut short

    @property
    def copied(self) -> int:
        return sum(run.last - run.first + 1 for run in self.runs)


@dataclass(frozen=True)
class _Seam:
    """Our own frames between two runs. `begin`: the last one that is copied before them, `end`: the last one of ours;
    None where no place to join was found."""

    begin: int | None
    end: int | None
    own: Frames


class Shelf:
    """The clips' frames, read when they are asked for; what was not asked for longest goes first."""

    def __init__(self) -> None:
        self._read: OrderedDict[Path, Frames] = OrderedDict()

    def frames(self, path: Path) -> Frames:
        """Empty for sound that is not on the grid, or is not as ours."""
        if path in self._read:
            self._read.move_to_end(path)
            return self._read[path]
        found = _frames_of(path)
        self._read[path] = found
        held = sum(sum(map(len, one.values())) for one in self._read.values())
        while held > _KEPT and len(self._read) > 1:
            _, gone = self._read.popitem(last=False)
            held -= sum(map(len, gone.values()))
        return found


def splice(
    placed: Sequence[Placed], total: int, shelf: Shelf, check: Callable[[], None] = lambda: None
) -> Track | None:
    """The track of a film of `total` samples; None where too little can be copied to be worth it. `check` is called
    now and then; what it raises ends the work."""
    frames = -(-total // FRAME)
    if any(one.path is not None and not shelf.frames(one.path) for one in placed):
        return None
    placed = [_on_grid(one) for one in placed]
    runs = _runs(placed, total, shelf)
    if 2 * sum(run.last - run.first + 1 for run in runs) < frames:
        return None
    made: dict[tuple[int, int], _Seam] = {}
    while True:
        seams: list[_Seam] = []
        for left, right in zip((None, *runs), (*runs, None), strict=True):
            check()
            place = left.last + 1 if left else -1, right.first - 1 if right else frames - 1
            if place not in made:
                made[place] = _seam(placed, total, left, right, place, shelf)
            seams.append(made[place])
            if None in (seams[-1].begin, seams[-1].end):
                break
        else:
            joined = [
                replace(run, first=before.end + 1, last=after.begin)
                for run, before, after in zip(runs, seams, seams[1:], strict=False)
                if before.end is not None and after.begin is not None
            ]
            return Track(tuple(joined), {place: data for seam in seams for place, data in seam.own.items()}, frames)
        # it cannot be joined there: that run is encoded with its neighbourhood
        del runs[len(seams) - 2 if seams[-1].begin is None else len(seams) - 1]
        if 2 * sum(run.last - run.first + 1 for run in runs) < frames:
            return None


def packets(track: Track, shelf: Shelf, total: int) -> Iterator[tuple[int, int, bytes]]:
    """(sample at which it begins, its length, the frame), in order. The first one is the run-up, before sample 0."""
    runs = iter((*track.runs, None))
    run = next(runs)
    place = -1
    while place < track.frames:
        if run is not None and place == run.first:
            frames = shelf.frames(run.path)
            for one in range(run.first, run.last + 1):
                yield one * FRAME, min(FRAME, total - one * FRAME), frames[one - run.shift]
            place = run.last + 1
            run = next(runs)
            continue
        yield place * FRAME, min(FRAME, total - place * FRAME), track.own[place]
        place += 1


def half_of(frame: bytes) -> tuple[bool, int] | None:
    """The half of its window that the next frame lies over: whether it is short, and its shape. None where the two
    channels may have different ones, or the frame does not begin with a pair of channels."""
    if len(frame) < 2 or frame[0] >> 5 != 1 or not frame[0] & 1:
        return None
    sequence, shape = frame[1] >> 5 & 3, frame[1] >> 4 & 1
    return sequence in (1, 2), shape  # LONG_START and EIGHT_SHORT end in short windows


def _on_grid(one: Placed) -> Placed:
    if one.path is None:
        return one
    return replace(one, skip=one.at - round((one.at - one.skip) / FRAME) * FRAME)


def _runs(placed: Sequence[Placed], total: int, shelf: Shelf) -> list[Run]:
    """Where the film's sound is one clip's, unchanged, for long enough."""
    found: list[Run] = []
    for one in placed:
        if one.path is None or one.gain != 1:
            continue
        begin, end = one.at + one.lead, min(one.at + one.length - one.tail, total)
        spans = [(begin, end)]
        for other in placed:
            if other is not one and other.at < end and other.at + other.length > begin:
                spans = [piece for span in spans for piece in _without(span, other.at, other.at + other.length)]
        shift = (one.at - one.skip) // FRAME
        frames = shelf.frames(one.path)
        # what the clip's outermost frames share with others that are not there cannot be had again
        lowest, highest = min(frames) + shift + 1, max(frames) + shift - 1
        for begin, end in spans:
            first, last = max(-(-begin // FRAME), lowest), min(end // FRAME - 2, highest)
            if last - first + 1 >= _LEAST:
                found.append(Run(one.path, first, last, shift))
    return sorted(found, key=lambda run: run.first)


def _without(span: tuple[int, int], begin: int, end: int) -> list[tuple[int, int]]:
    parts = [(span[0], min(span[1], begin)), (max(span[0], end), span[1])]
    return [part for part in parts if part[0] < part[1]]


def _seam(
    placed: Sequence[Placed], total: int, left: Run | None, right: Run | None, place: tuple[int, int], shelf: Shelf
) -> _Seam:
    """From frame place[0] to frame place[1], and a little further where that is needed to join."""
    first, last = place
    for spare in _SPARE:
        here = _encoded(placed, total, first - spare, last + spare, shelf)
        begin = _join(left, here, first - 1, first - spare - 1, -1, shelf) if left else first - 1
        end = _join(right, here, last, last + spare + 1, 1, shelf) if right else last
        if begin is not None and end is not None:
            return _Seam(begin, end, {one: here[one] for one in range(begin + 1, end + 1)})
    return _Seam(begin, end, {})


def _join(run: Run, own: Frames, start: int, stop: int, step: int, shelf: Shelf) -> int | None:
    """The place nearest to `start` after which one may go over between the run and our own frames; `stop` is none."""
    frames = shelf.frames(run.path)
    for place in range(start, stop, step):
        theirs, ours = frames.get(place - run.shift), own.get(place)
        if theirs is not None and ours is not None and (half := half_of(theirs)) is not None and half == half_of(ours):
            return place
    return None


def _encoded(placed: Sequence[Placed], total: int, first: int, last: int, shelf: Shelf) -> Frames:
    """Our own frames `first` .. `last`, as far as there are any, of what is mixed there."""
    begin, end = max(0, first - _WARM), min(-(-total // FRAME), last + _WARM)
    samples = _mixed(placed, begin * FRAME, end * FRAME, total, shelf)
    encoder: Any = _encoder()
    found: Frames = {}
    for at in range(0, samples.shape[1], RATE):
        made = encoder.encode(audio_frame(samples[:, at : at + RATE], begin * FRAME + at))
        found |= {packet.pts // FRAME: bytes(packet) for packet in made}
    found |= {packet.pts // FRAME: bytes(packet) for packet in encoder.encode(None)}
    warm = begin + _WARM - 1 if begin else -1
    return {place: data for place, data in found.items() if max(warm, first) <= place <= last}


def _mixed(placed: Sequence[Placed], begin: int, end: int, total: int, shelf: Shelf) -> Samples:
    """Samples `begin` .. `end` of the film, silent after its end."""
    made: Samples = np.zeros((2, end - begin), np.float32)
    for one in placed:
        first, last = max(begin, one.at), min(end, one.at + one.length, total)
        if first >= last:
            continue
        part: Samples = np.zeros((2, last - first), np.float32)
        if one.voice is not None:
            part[:] = one.voice[first - one.at : last - one.at]
        elif one.path is not None:
            offset = one.at - one.skip
            part[:] = _decoded(shelf.frames(one.path), first - offset, last - offset)
        made[:, first - begin : last - begin] += shaped(one, part, first - one.at)
    return np.clip(made, -1, 1)


def _decoded(frames: Frames, begin: int, end: int) -> Samples:
    """Samples of a clip; silence where it has none."""
    made: Samples = np.zeros((2, end - begin), np.float32)
    decoder: Any = av.CodecContext.create("aac", "r")
    decoder.extradata = _headers()
    for place in range(begin // FRAME - 2, -(-end // FRAME)):
        if place not in frames:
            continue
        packet: Packet[Any] = Packet(frames[place])
        packet.pts = packet.dts = place * FRAME
        packet.time_base = Fraction(1, RATE)
        for block in (one.to_ndarray() for one in decoder.decode(packet)):
            first, last = max(begin, place * FRAME), min(end, (place + 1) * FRAME)
            if place >= 0 and first < last:
                made[:, first - begin : last - begin] = block[:, first - place * FRAME : last - place * FRAME]
    return made


def _frames_of(path: Path) -> Frames:
    found: Frames = {}
    with open_clip(path, packets_only=True) as container:
        if not container.streams.audio:
            return {}
        stream: Any = container.streams.audio[0]
        if bytes(stream.codec_context.extradata or b"") != _headers() or stream.time_base != Fraction(1, RATE):
            return {}
        for packet in container.demux(stream):
            if packet.pts is None:
                continue
            if packet.pts % FRAME or (found and packet.pts // FRAME != max(found) + 1):
                return {}
            found[packet.pts // FRAME] = bytes(packet)
    return found


def _encoder() -> Any:
    encoder: Any = av.CodecContext.create(HOUSE.audio_codec, "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE, HOUSE.audio_layout, "fltp"
    encoder.bit_rate, encoder.time_base = HOUSE.audio_bits, Fraction(1, RATE)
    encoder.open()
    return encoder


@cache
def _headers() -> bytes:
    """What a decoder has to know; frames of clips with other headers do not fit."""
    return bytes(_encoder().extradata)
