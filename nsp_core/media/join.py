"""Clips -> one film, by copying their packets: nothing is decoded, so a reel of any length takes a moment.

Video keeps every frame at its exact time. Sound goes onto one continuous grid of AAC frames: each clip gives the
frames that fall into its time, so sound never runs away from pictures by more than half a frame (11 ms), where a
plain copy would drift by up to 21 ms a clip and leave overlapping times.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from nsp_core.errors import GeometryError, UnreadableMedia
from nsp_core.media.captions import Caption, add_caption_track, caption_packets
from nsp_core.media.geometry import crop_resize
from nsp_core.media.house import HOUSE, HouseEncoding
from nsp_core.media.probe import ClipFormat, open_clip, read_format
from nsp_core.media.read import read_media
from nsp_core.media.write import AAC_FRAME, open_output, whole_file, write_clip

__all__ = ["Caption", "JoinInfo", "join_clips"]

OnProgress = Callable[[int, int], None]
# A stereo AAC-LC frame that decodes to exact silence whatever came before it: fills in where a clip's sound is short.
_SILENT_AAC = bytes.fromhex("211004608c1c")


@dataclass(frozen=True)
class JoinInfo:
    seconds: float
    frames: int
    clips: int
    reencoded: tuple[int, ...]  # positions of clips that could not be copied
    starts: tuple[float, ...]  # where each clip begins, in seconds


def join_clips(
    paths: Sequence[str | Path],
    out: str | Path,
    captions: Sequence[tuple[str, float, float]] | None = None,
    on_progress: OnProgress | None = None,
    *,
    chapters: Sequence[str] | None = None,
    title: str = "",
    language: str = "eng",
    differing: Literal["refuse", "re-encode"] = "refuse",
    master: HouseEncoding = HOUSE,
) -> JoinInfo:
    """Join clips of one format into `out`. `chapters` names each clip; `on_progress(done, total)` counts clips.

    A clip that differs from the first is refused by name, or (differing="re-encode") encoded anew on its own.
    """
    if not paths:
        raise GeometryError("A film of no clips was asked; give at least one clip.")
    if chapters is not None and len(chapters) != len(paths):
        raise GeometryError(f"{len(chapters)} chapter names for {len(paths)} clips were given; give one for each.")
    files = [Path(path) for path in paths]
    out = Path(out)
    with tempfile.TemporaryDirectory(prefix="whatnext-join-") as folder:
        lengths, reencoded = _lengths(files, master, differing, Path(folder))
        with whole_file(out) as partial, open_output(partial, master) as container, open_clip(files[0]) as first:
            joiner = _Joiner(container, first, master)
            track = add_caption_track(container, language) if captions else None
            starts = [sum(lengths[:index]) * float(joiner.tick) for index in range(len(lengths))]
            if chapters is not None:
                container.set_chapters(_chapters(chapters, lengths, joiner.tick))
            if title:
                container.metadata["title"] = title
            container.start_encoding()
            # all captions first: they are few, and libav interleaves by time
            for packet in caption_packets(captions or (), track):
                container.mux(packet)
            for index, file in enumerate(files):
                with open_clip(file) as clip:
                    joiner.copy(clip, lengths[index], is_last=index == len(files) - 1)
                if on_progress is not None:
                    on_progress(index + 1, len(files))
    return JoinInfo(
        seconds=sum(lengths) * float(joiner.tick),
        frames=joiner.frames,
        clips=len(files),
        reencoded=tuple(reencoded),
        starts=tuple(starts),
    )


class _Joiner:
    """The output streams and where each of them stands."""

    def __init__(self, container: OutputContainer, first: InputContainer, master: HouseEncoding) -> None:
        self.container = container
        self.video: Any = container.add_stream_from_template(first.streams.video[0])
        self.audio: Any = container.add_stream_from_template(first.streams.audio[0]) if first.streams.audio else None
        self.tick = Fraction(first.streams.video[0].time_base or Fraction(1, master.timescale))
        self.rate = master.audio_rate
        self.frames = 0
        self.elapsed = 0  # ticks of video so far
        self.last_dts: int | None = None
        self.sound: int | None = None  # where the next AAC frame goes, in samples; None before the first

    def copy(self, clip: InputContainer, length: int, *, is_last: bool) -> None:
        end = self.elapsed + length
        until = round(end * self.tick * self.rate)
        first_clip = self.sound is None
        for packet in clip.demux():
            if packet.dts is None or packet.pts is None:
                continue
            if packet.stream.type == "video":
                self._copy_picture(packet)
            elif packet.stream.type == "audio" and self.audio is not None:
                if packet.pts < 0 and not first_clip:
                    continue  # the encoder's run-up: only the film's first clip needs it
                if self.sound is None:
                    self.sound = packet.pts
                self._copy_sound(packet, until, is_last)
        if self.audio is not None:
            self.sound = 0 if self.sound is None else self.sound
            while self._room(self.sound, until, is_last):
                self._copy_sound(Packet(_SILENT_AAC), until, is_last)
        self.elapsed = end

    def _copy_picture(self, packet: Packet[Any]) -> None:
        assert packet.pts is not None and packet.dts is not None
        packet.pts += self.elapsed
        packet.dts += self.elapsed
        if self.last_dts is not None and packet.dts <= self.last_dts:
            packet.dts = self.last_dts + 1  # after a clip of one frame, which has no delay
        self.last_dts = packet.dts
        packet.stream = self.video
        self.container.mux(packet)
        self.frames += 1

    def _copy_sound(self, packet: Packet[Any], until: int, is_last: bool) -> None:
        assert self.sound is not None
        if not self._room(self.sound, until, is_last):
            return
        packet.stream = self.audio
        packet.time_base = Fraction(1, self.rate)
        packet.pts = packet.dts = self.sound
        packet.duration = min(AAC_FRAME, until - self.sound) if is_last else AAC_FRAME
        packet.is_keyframe = True
        self.container.mux(packet)
        self.sound += AAC_FRAME

    def _room(self, position: int, until: int, is_last: bool) -> bool:
        """Whether the frame at `position` belongs to this clip: to the sample at the film's end, else to the nearest
        frame."""
        return position < until if is_last else position + AAC_FRAME // 2 <= until


def _lengths(files: list[Path], master: HouseEncoding, differing: str, folder: Path) -> tuple[list[int], list[int]]:
    """The length of each clip in ticks. Files that differ from the first are replaced in `files`, or refused."""
    lengths: list[int] = []
    reencoded: list[int] = []
    wanted: ClipFormat | None = None
    for index, file in enumerate(files):
        with open_clip(file) as clip:
            found = read_format(clip, file.name)
            video = clip.streams.video[0]
            length = video.duration or 0
        if wanted is None:
            wanted = found
        elif found != wanted:
            if differing == "refuse":
                raise GeometryError(_difference(file.name, files[0].name, found, wanted))
            files[index] = _encode_anew(file, wanted, master, folder / f"{index}.mp4")
            reencoded.append(index)
            with open_clip(files[index]) as clip:
                if (made := read_format(clip, file.name)) != wanted:
                    raise GeometryError(_difference(file.name, files[0].name, made, wanted))
                length = clip.streams.video[0].duration or 0
        if length <= 0:
            raise UnreadableMedia(f"{file.name} has no length; write it again.")
        lengths.append(length)
    return lengths, reencoded


def _difference(name: str, first: str, found: ClipFormat, wanted: ClipFormat) -> str:
    parts = [
        f"{field.name.replace('_', ' ')} {getattr(found, field.name)} instead of {getattr(wanted, field.name)}"
        for field in fields(ClipFormat)
        if getattr(found, field.name) != getattr(wanted, field.name)
    ]
    return (
        f"{name} cannot be joined to {first} by copying, because it has {', '.join(parts)}; "
        "write it again in the house encoding."
    )


def _encode_anew(file: Path, wanted: ClipFormat, master: HouseEncoding, made: Path) -> Path:
    """One foreign clip in the size and rate of the others. Its own sound is not kept (clips of ours have none yet)."""
    side = max(wanted.width, wanted.height)
    clip = read_media(file, max_seconds=600.0, fps=float(wanted.fps), side=2 * side)
    frames = np.stack([crop_resize(frame, wanted.width, wanted.height) for frame in clip.frames])
    write_clip(made, frames, wanted.fps, master=replace(master, upscale=1))
    return made


def _chapters(names: Sequence[str], lengths: Sequence[int], tick: Fraction) -> Any:
    starts = [sum(lengths[:index]) for index in range(len(lengths) + 1)]
    return [
        {"id": index, "start": starts[index], "end": starts[index + 1], "time_base": tick, "metadata": {"title": name}}
        for index, name in enumerate(names)
    ]
