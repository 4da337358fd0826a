"""The soft caption track of a reel that players can switch on: mov_text (3GPP timed text) in MP4, WebVTT in WebM.

Knows only text and times; join.py puts the samples into the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition

from nsp_core.errors import GeometryError

CAPTION_BASE = Fraction(1, 1000)
_LONGEST = 4000  # bytes of text in one sample: more than a screen holds

# libav derives the track's style box from an ASS header; this one is white text on the lower edge
_STYLE = b"""[Script Info]
ScriptType: v4.00+
PlayResX: 384
PlayResY: 288

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


class Caption(NamedTuple):
    """`text` is shown from `start` to `end`, in seconds of the reel."""

    text: str
    start: float
    end: float


def add_caption_track(container: OutputContainer, language: str, codec: str = "mov_text") -> Any:
    track: Any = container.add_stream(codec)
    track.codec_context.subtitle_header = _STYLE
    track.time_base = CAPTION_BASE
    track.metadata["language"] = language
    track.disposition = Disposition.default
    return track


def caption_packets(captions: Sequence[tuple[str, float, float]], track: Any) -> list[Packet[Any]]:
    packets: list[Packet[Any]] = []
    last = 0
    for text, start, end in captions:
        begin, stop = round(start * 1000), round(end * 1000)
        if begin < last or stop <= begin:
            raise GeometryError(
                f"A caption from {start:g} to {end:g} s was asked; captions must follow each other in time: sort them."
            )
        last = stop
        words = text.strip().encode("utf-8")[:_LONGEST].decode("utf-8", "ignore").encode("utf-8")
        if not words:
            continue
        plain = track.codec_context.name == "webvtt"
        packet: Packet[Any] = Packet(escaped(words) if plain else len(words).to_bytes(2, "big") + words)
        packet.stream = track
        packet.time_base = CAPTION_BASE
        packet.pts = packet.dts = begin
        packet.duration = stop - begin
        packet.is_keyframe = True
        packets.append(packet)
    return packets


def escaped(words: bytes) -> bytes:
    """WebVTT (W3C) gives & and < a meaning of their own."""
    return words.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
