"""How long a file moves, and small pictures along it: what somebody needs to pick the part that is read.

Exact for short clips; of long or heavy ones only the pictures at which the file can be entered are decoded, the nearest
one before each time. Knows nothing of models.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import numpy as np
from PIL import Image

from nsp_core.errors import UnreadableMedia
from nsp_core.media.clip import Limits
from nsp_core.media.pictures import animation_seconds
from nsp_core.media.read import DEFAULT_LIMITS, one_sentence_for, read_media, what_it_is
from nsp_core.media.videos import Packets, first_frame_at, open_container, packets_of, pick_video_stream
from nsp_core.types import Frames

EXACT_PIXELS = 400_000_000  # decoded in about a second on a small machine


@dataclass(frozen=True)
class Filmstrip:
    """`frames` (n, height, width, 3) were on screen at `times`, or just before. A picture has one, and no length."""

    kind: Literal["picture", "clip"]
    seconds: float
    times: tuple[float, ...]
    frames: Frames


def read_filmstrip(path: str | Path, *, count: int = 12, side: int = 160, limits: Limits = DEFAULT_LIMITS) -> Filmstrip:
    """Raises UnreadableMedia, one sentence, when not one picture can be had."""
    path = Path(path)
    sniffed = what_it_is(path, limits)
    with one_sentence_for(path, sniffed):
        if sniffed.kind == "picture":
            seconds, packets = animation_seconds(path, sniffed.reader, limits), None
        else:
            packets = packets_of(path, sniffed.reader, limits)
            seconds = packets.seconds
        if packets is None or packets.count < count or _is_light(path, sniffed.reader, packets, limits):
            return _exact(path, seconds, count, side, limits)
        return _by_entries(path, sniffed.reader, packets, count, side, limits)


def _is_light(path: Path, demuxer: str, packets: Packets, limits: Limits) -> bool:
    with open_container(path, demuxer, limits) as container:
        stream = pick_video_stream(container)
        if stream is None or getattr(stream, "codec_context", None) is None:
            return True  # read_media says what is wrong with it
        return packets.count * stream.width * stream.height <= EXACT_PIXELS or len(packets.entries) < 2


def _exact(path: Path, seconds: float, count: int, side: int, limits: Limits) -> Filmstrip:
    rate = count / seconds if seconds > 0 else 8.0
    clip = read_media(path, max_seconds=max(seconds, 1 / rate), fps=rate, side=side, limits=limits)
    if clip.kind == "picture" or seconds <= 0:
        return Filmstrip("picture" if clip.kind == "picture" else "clip", seconds, (0.0,), clip.frames[:1])
    return Filmstrip("clip", seconds, tuple(index / rate for index in range(len(clip.frames))), clip.frames)


def _by_entries(path: Path, demuxer: str, packets: Packets, count: int, side: int, limits: Limits) -> Filmstrip:
    times = [packets.seconds * index / count for index in range(count)]
    found: dict[float, Frames] = {}
    frames: list[Frames] = []
    with open_container(path, demuxer, limits) as container:
        stream = pick_video_stream(container)
        if stream is None:
            raise UnreadableMedia(f"{path.name} has no pictures in it; choose a picture or a video.")
        stream.codec_context.skip_frame = "NONKEY"
        for time in times:
            entry = max((at for at in packets.entries if at <= time + 1e-3), default=0.0)
            if entry not in found:
                with suppress(av.error.FFmpegError, ValueError):
                    frame = first_frame_at(container, stream, entry, side, path.name, limits)
                    if frame is not None:
                        found[entry] = frame
            if entry in found or frames:
                frames.append(found.get(entry, frames[-1] if frames else found[entry]))
    if not frames:
        return _exact(path, packets.seconds, count, side, limits)
    height, width = frames[0].shape[:2]
    same = [one if one.shape[:2] == (height, width) else _resized(one, width, height) for one in frames]
    return Filmstrip("clip", packets.seconds, tuple(times[-len(same) :]), np.stack(same))


def _resized(frame: Frames, width: int, height: int) -> Frames:
    """Films may change their size on the way."""
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BOX))
