"""What a clip of ours is, read from the file itself: every parameter that the house encoding fixes.

For clips that this program wrote; files from outside go through read.py.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from nsp_core.errors import UnreadableMedia


@dataclass(frozen=True)
class ClipFormat:
    """Everything that must be equal for two clips to be joined by copying their packets."""

    codec: str
    profile: str | None
    pixel_format: str | None
    width: int
    height: int
    fps: Fraction
    time_base: Fraction
    colour: tuple[int, int, int, int]  # primaries, transfer, matrix, range
    headers: str  # hash of the sequence and picture parameter sets
    audio_codec: str | None
    audio_rate: int | None
    audio_layout: str | None
    audio_headers: str | None


@dataclass(frozen=True)
class ClipProbe:
    format: ClipFormat
    frames: int
    keyframes: tuple[int, ...]  # positions in the order of showing
    seconds: float
    audio_seconds: float
    captions: tuple[tuple[str, float, float], ...]
    chapters: tuple[tuple[str, float, float], ...]
    index_first: bool  # plays while it downloads


def read_format(container: InputContainer, name: str) -> ClipFormat:
    if not container.streams.video:
        raise UnreadableMedia(f"{name} has no pictures in it; give clips that this program wrote.")
    video: Any = container.streams.video[0]
    audio: Any = container.streams.audio[0] if container.streams.audio else None
    return ClipFormat(
        codec=video.codec_context.name,
        profile=video.profile,
        pixel_format=video.pix_fmt,
        width=video.width,
        height=video.height,
        fps=Fraction(video.average_rate or 0),
        time_base=Fraction(video.time_base),
        colour=(video.color_primaries, video.color_trc, video.colorspace, video.color_range),
        headers=_digest(video.codec_context.extradata),
        audio_codec=audio.codec_context.name if audio else None,
        audio_rate=audio.codec_context.sample_rate if audio else None,
        audio_layout=audio.codec_context.layout.name if audio else None,
        audio_headers=_digest(audio.codec_context.extradata) if audio else None,
    )


def open_clip(path: str | Path, *, packets_only: bool = False) -> InputContainer:
    """Open an MP4 of ours: one demuxer, plain files only. `packets_only`: for whoever moves packets and needs neither
    the pixel format nor the profile; ten times as fast, since libav decodes a frame to find these out."""
    path = Path(path)
    quickly = {"skip_frame": "all", "probesize": "32"} if packets_only else {}
    try:
        # one thread: starting threads costs more than decoding that one frame
        options = {"protocol_whitelist": "file", "threads": "1", **quickly}
        return av.open(str(path.resolve()), "r", format="mov", options=options)
    except FileNotFoundError:
        raise UnreadableMedia(f"There is no clip {path}; write it first.") from None
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UnreadableMedia(f"{path.name} is no MP4 clip that can be opened; write it again.") from error


def probe_clip(path: str | Path) -> ClipProbe:
    path = Path(path)
    with open_clip(path) as container:
        found = read_format(container, path.name)
        video: Any = container.streams.video[0]
        stamps: list[tuple[int, bool]] = []
        end = 0
        audio_end = 0.0
        captions: list[tuple[str, float, float]] = []
        for packet in container.demux():
            if packet.dts is None or packet.pts is None:
                continue
            kind = packet.stream.type
            if packet.stream.index == video.index:
                stamps.append((packet.pts, packet.is_keyframe))
                end = max(end, packet.pts + (packet.duration or 0))
            elif kind == "audio":
                audio_end = max(audio_end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            elif kind == "subtitle" and packet.size > 2:
                text = bytes(packet)[2 : 2 + int.from_bytes(bytes(packet)[:2], "big")].decode("utf-8")
                begin = float(packet.pts * packet.time_base)
                captions.append((text, begin, begin + float((packet.duration or 0) * packet.time_base)))
        shown = sorted(stamps)
        chapters = tuple(
            (
                str(chapter["metadata"].get("title", "")),
                float(chapter["start"] * (chapter["time_base"] or 1)),
                float(chapter["end"] * (chapter["time_base"] or 1)),
            )
            for chapter in container.chapters()
        )
    return ClipProbe(
        format=found,
        frames=len(shown),
        keyframes=tuple(index for index, (_, key) in enumerate(shown) if key),
        seconds=float((end - shown[0][0]) * found.time_base) if shown else 0.0,
        audio_seconds=audio_end,
        captions=tuple(captions),
        chapters=chapters,
        index_first=_index_first(path),
    )


def _digest(data: bytes | None) -> str:
    return hashlib.sha256(data or b"").hexdigest()[:16]


def _index_first(path: Path) -> bool:
    """True when the moov box comes before the mdat box."""
    with path.open("rb") as file:
        while len(head := file.read(8)) == 8:
            size, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if kind in (b"moov", b"mdat"):
                return kind == b"moov"
            if size < 8:  # 0 and 1 mean "to the end" and "64 bits follow": neither is written before moov by us
                return False
            file.seek(size - 8, 1)
    return False
