"""Pieces -> one MP4, by copying their packets under one sound track, with captions and chapters.

Knows nothing of how pieces came about. Pictures keep their exact times; the sound is encoded as it goes, or, where all
is silent, written as frames of silence that nobody has to encode.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.packet import Packet

from app.reel.encode import audio_frame
from app.reel.master import Master
from app.reel.sound import RATE, Samples, ahead, samples_of
from nsp_core.errors import UnreadableMedia
from nsp_core.media.captions import add_caption_track, caption_packets
from nsp_core.media.probe import open_clip
from nsp_core.media.write import AAC_FRAME, open_output

Frame = tuple[int, int, bytes]  # sample at which it begins, its length, AAC

# a stereo AAC-LC frame that decodes to exact silence whatever came before it, as in nsp_core.media.join
_SILENT_AAC = bytes.fromhex("211004608c1c")


@dataclass(frozen=True)
class Part:
    """Frames `first` .. `first + frames` of a file; whole groups of pictures."""

    path: Path
    first: int
    frames: int


@dataclass(frozen=True)
class Chapter:
    name: str
    first: int
    last: int


def write_film(
    parts: Sequence[Part],
    out: Path,
    master: Master,
    sound: Iterator[Samples] | None,
    *,
    frames: Iterator[Frame] | None = None,
    captions: Sequence[tuple[str, float, float]] = (),
    chapters: Sequence[Chapter] = (),
    title: str = "",
    comment: str = "",
    language: str = "eng",
    told: Callable[[int], None] = lambda _frames: None,
) -> None:
    """`sound` is encoded, `frames` are written as they are; neither: silence. `told` hears how many pictures are in the
    film so far; what it raises ends the writing."""
    with (
        contextlib.ExitStack() as stack,
        open_output(out, master.encoding) as container,
        open_clip(parts[0].path) as first,
    ):
        video: Any = container.add_stream_from_template(first.streams.video[0])
        audio: Any = container.add_stream(master.encoding.audio_codec, rate=RATE, layout=master.encoding.audio_layout)
        audio.bit_rate = master.encoding.audio_bits
        track = add_caption_track(container, language) if captions else None
        if chapters:
            container.set_chapters(_chapters(chapters, master))
        container.metadata.update({name: text for name, text in (("title", title), ("comment", comment)) if text})
        container.start_encoding()
        for packet in caption_packets(captions, track):
            container.mux(packet)
        if sound is not None:
            sound = stack.enter_context(contextlib.closing(ahead(sound)))
        writer = _Sound(container, audio, sound, frames)
        tick = master.tick
        done = 0
        last_dts: int | None = None
        for part in parts:
            for packet in _pictures(part, master):
                assert packet.pts is not None and packet.dts is not None
                packet.pts += done * tick
                packet.dts += done * tick
                if last_dts is not None and packet.dts <= last_dts:
                    packet.dts = last_dts + 1  # after a piece of one frame, which has no delay
                last_dts = packet.dts
                packet.stream = video
                container.mux(packet)
            done += part.frames
            writer.until(samples_of(done, master))
            told(done)
        writer.end()


class _Sound:
    def __init__(
        self, container: Any, stream: Any, blocks: Iterator[Samples] | None, frames: Iterator[Frame] | None
    ) -> None:
        self.container, self.stream, self.blocks, self.frames = container, stream, blocks, frames
        self.at = 0 if blocks is not None else -AAC_FRAME  # an AAC track begins with a run-up
        self.total = 0

    def until(self, sample: int) -> None:
        self.total = sample
        if self.blocks is not None:
            while self.at < sample and (block := next(self.blocks, None)) is not None:
                self.container.mux(self.stream.encode(audio_frame(block, self.at)))
                self.at += block.shape[1]
        elif self.frames is not None:
            while self.at + AAC_FRAME <= sample and (frame := next(self.frames, None)) is not None:
                self._write(*frame)
        else:
            while self.at + AAC_FRAME <= sample:
                self._write(self.at, AAC_FRAME, _SILENT_AAC)

    def end(self) -> None:
        if self.blocks is not None:
            self.container.mux(self.stream.encode(None))
        elif self.frames is not None:
            for frame in self.frames:
                self._write(*frame)
        elif self.at < self.total:
            self._write(self.at, self.total - self.at, _SILENT_AAC)

    def _write(self, at: int, length: int, data: bytes) -> None:
        packet: Packet[Any] = Packet(data)
        packet.stream = self.stream
        packet.time_base = Fraction(1, RATE)
        packet.pts = packet.dts = at
        packet.duration = length
        packet.is_keyframe = True
        self.container.mux(packet)
        self.at = at + AAC_FRAME


def _pictures(part: Part, master: Master) -> Iterator[Packet[Any]]:
    """The packets of a part, its first picture at time 0. Groups are closed: none needs a picture outside."""
    with open_clip(part.path, packets_only=True) as container:
        stream: Any = container.streams.video[0]
        tick = master.tick
        begin = (stream.start_time or 0) + part.first * tick
        end = begin + part.frames * tick
        if part.first:
            container.seek(begin, stream=stream, backward=True)
        found = 0
        for packet in container.demux(stream):
            if packet.pts is None or packet.dts is None:
                continue
            if packet.dts >= end:
                break
            if begin <= packet.pts < end:
                packet.pts -= begin
                packet.dts -= begin
                packet.duration = tick
                found += 1
                yield packet
        if found != part.frames:
            raise UnreadableMedia(
                f"{part.path.name} has {found} of {part.frames} pictures where they are needed; draw that scene again."
            )


def _chapters(chapters: Sequence[Chapter], master: Master) -> Any:
    return [
        {
            "id": number,
            "start": chapter.first * master.tick,
            "end": chapter.last * master.tick,
            "time_base": Fraction(1, master.encoding.timescale),
            "metadata": {"title": chapter.name},
        }
        for number, chapter in enumerate(chapters)
    ]
