"""Clips -> one film, by copying their packets: nothing is decoded, so a reel of any length takes a moment.

Video keeps every frame at its exact time. Sound goes onto one continuous grid of AAC frames: each clip gives the
frames that fall into its time, so sound never runs away from pictures by more than half a frame (11 ms), where a
plain copy would drift by up to 21 ms a clip and leave overlapping times.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
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
_KEPT_OPEN = 12  # files; each costs 0.4 MB, opening one again a few milliseconds
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
    words: Sequence[str] | None = None,
    chapters: Sequence[str] | None = None,
    title: str = "",
    comment: str = "",
    language: str = "eng",
    differing: Literal["refuse", "re-encode"] = "refuse",
    master: HouseEncoding = HOUSE,
) -> JoinInfo:
    """Join clips of one format into `out`. `on_progress(done, total)` counts clips.

    `captions` have times of their own; `words` instead captions each clip for as long as it lasts ("" leaves it
    out). `chapters` names each clip. A clip that differs from the first is refused by name, or
    (differing="re-encode") encoded anew on its own.
    """
    if not paths:
        raise GeometryError("A film of no clips was asked; give at least one clip.")
    for what, given in (("chapter names", chapters), ("captions", words)):
        if given is not None and len(given) != len(paths):
            raise GeometryError(f"{len(given)} {what} for {len(paths)} clips were given; give one for each.")
    out = Path(out)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="whatnext-join-")))
        clips = _Clips([Path(path) for path in paths], differing, master, folder, stack)
        lengths = clips.lengths
        partial = stack.enter_context(whole_file(out))
        with open_output(partial, master) as container:
            joiner = _Joiner(container, clips.take(0), master)
            starts = [sum(lengths[:index]) * float(joiner.tick) for index in range(len(lengths) + 1)]
            shown = list(captions or ())
            if words is not None:
                shown += [(text, starts[k], starts[k + 1]) for k, text in enumerate(words) if text.strip()]
            track = add_caption_track(container, language) if shown else None
            if chapters is not None:
                container.set_chapters(_chapters(chapters, lengths, joiner.tick))
            container.metadata.update({name: text for name, text in (("title", title), ("comment", comment)) if text})
            container.start_encoding()
            for packet in caption_packets(shown, track):  # few, and libav interleaves by time
                container.mux(packet)
            for index in range(len(lengths)):
                with clips.take(index) as clip:
                    joiner.copy(clip, lengths[index], is_last=index == len(lengths) - 1)
                if on_progress is not None:
                    on_progress(index + 1, len(lengths))
    return JoinInfo(
        seconds=starts[-1],
        frames=joiner.frames,
        clips=len(lengths),
        reencoded=tuple(clips.reencoded),
        starts=tuple(starts[:-1]),
    )


class _Clips:
    """The clips, checked against the first one. Opening costs more than copying a small clip, so the first ones stay
    open until they are copied; further ones are opened again."""

    def __init__(
        self, files: list[Path], differing: str, master: HouseEncoding, folder: Path, stack: ExitStack
    ) -> None:
        self.files = files
        self.lengths: list[int] = []  # in ticks
        self.reencoded: list[int] = []
        self._kept: dict[int, InputContainer] = {}
        wanted: ClipFormat | None = None
        for index, file in enumerate(files):
            clip = stack.enter_context(open_clip(file))
            found = read_format(clip, file.name)
            wanted = wanted or found
            if found != wanted:
                if differing == "refuse":
                    raise GeometryError(_difference(file.name, files[0].name, found, wanted))
                clip.close()
                files[index] = _encode_anew(file, wanted, master, folder / f"{index}.mp4")
                self.reencoded.append(index)
                clip = stack.enter_context(open_clip(files[index]))
                if (made := read_format(clip, file.name)) != wanted:
                    raise GeometryError(_difference(file.name, files[0].name, made, wanted))
            length = clip.streams.video[0].duration or 0
            if length <= 0:
                raise UnreadableMedia(f"{file.name} has no length; write it again.")
            self.lengths.append(length)
            if index < _KEPT_OPEN:
                self._kept[index] = clip
            else:
                clip.close()

    def take(self, index: int) -> InputContainer:
        return self._kept[index] if index in self._kept else open_clip(self.files[index])


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
