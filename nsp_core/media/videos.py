"""Videos by PyAV: only the wanted part, at the wanted rate and size, upright, in the colours of an ordinary screen.

Called by read.py, which has found out by content which demuxer may open the file and turns every error that a broken
file causes into UnreadableMedia. Every frame is decoded (later ones need earlier ones), but only frames that are kept
are converted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from nsp_core.errors import UnreadableMedia
from nsp_core.media import colour
from nsp_core.media.clip import Limits, MediaClip, megapixels
from nsp_core.media.geometry import at_constant_rate, fit_side, stack, turn_upright
from nsp_core.types import Frames

_ATTACHED_PICTURE = 0x400  # AV_DISPOSITION_ATTACHED_PIC: a cover, not a film
_THREADS = 4  # each one holds frames of its own: many processors must not mean much memory
_EXACT = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP


@dataclass(frozen=True)
class Packets:
    """What a file's packets say without decoding one: their number, where pictures can be entered, where they end."""

    count: int
    entries: tuple[float, ...]
    seconds: float


@dataclass
class _Decoding:
    """What is learnt while frames go by."""

    decoded: int = 0
    end: float = 0.0  # of the last frame on screen, in seconds of the file
    failure: str = ""
    notes: list[str] = field(default_factory=list)

    def remark(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def open_container(path: Path, demuxer: str, limits: Limits) -> InputContainer:
    """Open with one demuxer and no protocol but plain files: nothing in the file can reach another one."""
    return av.open(
        str(path.resolve()),
        "r",
        format=demuxer,
        options={"protocol_whitelist": "file", "max_pixels": str(limits.frame_pixels)},
    )


def pick_video_stream(container: InputContainer) -> VideoStream | None:
    for stream in container.streams.video:
        if not int(stream.disposition) & _ATTACHED_PICTURE:
            return stream
    return None


def packets_of(path: Path, demuxer: str, limits: Limits) -> Packets:
    """Runs through the file once, to where it really ends: a header may promise more than is there."""
    deadline = time.monotonic() + limits.decode_seconds
    with open_container(path, demuxer, limits) as container:
        stream = pick_video_stream(container)
        base = stream.time_base if stream is not None else None
        if stream is None or base is None:
            return Packets(0, (), 0.0)
        first = stream.start_time
        count, end, entries = 0, 0.0, []
        usual = 1.0 / float(stream.average_rate or 25)
        with suppress(av.error.FFmpegError):
            for packet in container.demux(stream):
                if packet.pts is None or packet.is_corrupt:
                    continue
                count += 1
                first = packet.pts if first is None else first
                at = float((packet.pts - first) * base)
                end = max(end, at + (float(packet.duration * base) if packet.duration else usual))
                if packet.is_keyframe:
                    entries.append(at)
                if time.monotonic() > deadline or at > limits.seconds:
                    break
    return Packets(count, tuple(sorted(entries)), end)


def read_video(
    path: Path, demuxer: str, *, max_seconds: float, start: float | None, fps: float | None, side: int, limits: Limits
) -> MediaClip:
    name = path.name
    if start is None:
        start = max(0.0, packets_of(path, demuxer, limits).seconds - max_seconds)
    with open_container(path, demuxer, limits) as container:
        stream = pick_video_stream(container)
        if stream is None:
            raise UnreadableMedia(f"{name} has no pictures in it, only sound or text; choose a picture or a video.")
        if getattr(stream, "codec_context", None) is None:
            raise UnreadableMedia(
                f"{name} is coded in a way that cannot be read here; save it as H.264 MP4 and try again."
            )
        if stream.width * stream.height > limits.frame_pixels:
            raise _too_many_pixels(name, stream.width * stream.height, limits)
        length = float(container.duration / av.time_base) if container.duration else None
        if length is not None and length > limits.seconds:
            raise UnreadableMedia(
                f"{name} is {length:.0f} s long, at most {limits.seconds:g} s are read; cut it and try again."
            )
        if length is not None and start >= length > 0:
            raise UnreadableMedia(
                f"Reading {name} from {start:g} s was asked, but it is {length:.1f} s long; choose an earlier start."
            )
        rate = fps or min(60.0, float(stream.average_rate or stream.guessed_rate or 24))
        state = _Decoding()
        timed = _timed_frames(container, stream, name, start, limits, state)
        aspect = stream.sample_aspect_ratio
        frames = _convert(at_constant_rate(timed, rate, start, max_seconds), aspect, side, name, limits, state)
        has_audio = len(container.streams.audio) > 0
        declared = _declared_seconds(stream, None if has_audio else length)
        width, height = _stretched(stream.width, stream.height, aspect)
    if not frames:
        raise UnreadableMedia(
            f"{name} is broken: not one of its pictures can be decoded{state.failure}; save or download it again."
        )
    got = state.end - start
    expected = min(max_seconds, (declared or length or state.end) - start)
    missing = min(expected - got, expected) if declared is not None else 0.0
    if (state.failure or missing > 0.5) and got < 0.5 * expected:
        raise UnreadableMedia(
            f"{name} is broken: only {max(got, 0.0):.1f} of {expected:.1f} s can be decoded; save or download it again."
        )
    if state.failure or missing > 1.0:
        state.remark(f"The file is damaged or ends early: {got:.1f} of {expected:.1f} s could be read.")
    if length is not None and length > start + max_seconds + 0.5 / rate:
        state.remark(f"Only {max_seconds:g} s of {length:.1f} s were read.")
    if (frames[0].shape[0] > frames[0].shape[1]) != (height > width):
        width, height = height, width
    return MediaClip(
        frames=stack(frames),
        fps=rate,
        kind="clip",
        has_audio=has_audio,
        note=" ".join(state.notes),
        source_width=width,
        source_height=height,
        source_seconds=length or state.end,
    )


def first_frame_at(
    container: InputContainer, stream: VideoStream, at: float, side: int, name: str, limits: Limits
) -> Frames | None:
    """The picture at which the film can be entered at that second or before; None when it does not decode."""
    base = stream.time_base
    if base is None:
        return None
    start = float(stream.start_time * base) if stream.start_time is not None else 0.0
    container.seek(int(round((at + start) / base)), stream=stream, backward=True)
    for tries, frame in enumerate(container.decode(stream)):
        if frame.width * frame.height > limits.frame_pixels:
            raise _too_many_pixels(name, frame.width * frame.height, limits)
        if frame.pts is None or float(frame.pts * base) - start >= at - 1e-3 or tries > 8:
            return _to_rgb(frame, stream.sample_aspect_ratio, side, None, _Decoding())
    return None


def _declared_seconds(stream: VideoStream, otherwise: float | None) -> float | None:
    """How long the pictures are said to last. The container's length may be that of longer sound, so it counts only
    when there is none."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return otherwise


def _timed_frames(
    container: InputContainer, stream: VideoStream, name: str, start: float, limits: Limits, state: _Decoding
) -> Iterator[tuple[float, float, VideoFrame]]:
    """(seconds from the file's beginning, duration, frame) with rising times. A fault in the file ends the frames."""
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = _THREADS
    base = stream.time_base
    usual = 1.0 / float(stream.average_rate or 25)
    origin = float(stream.start_time * base) if stream.start_time is not None and base else None
    if start > 1.0 and base:
        with suppress(av.error.FFmpegError, ValueError):  # not seekable: decode from the beginning
            container.seek(int((start + (origin or 0.0)) / base), stream=stream, backward=True)
    deadline = time.monotonic() + limits.decode_seconds
    now = -1.0
    try:
        for frame in container.decode(stream):
            state.decoded += 1
            if state.decoded > limits.frames:
                state.failure = f" within {limits.frames} frames"
                return
            if time.monotonic() > deadline:
                raise UnreadableMedia(
                    f"{name} takes longer than {limits.decode_seconds:g} s to decode; "
                    "make it smaller or shorter and try again."
                )
            stamp = float(frame.pts * (frame.time_base or base)) if frame.pts is not None and base else None
            if origin is None:
                origin = stamp if stamp is not None else 0.0
            at = max(0.0, stamp - origin) if stamp is not None else max(0.0, now + usual)
            if at <= now:
                continue  # a repeated or falling stamp: the earlier frame stays on screen
            now = at
            duration = float(frame.duration * (frame.time_base or base)) if frame.duration and base else usual
            state.end = at + duration
            if at > limits.seconds:
                return
            yield at, duration, frame
    except av.error.FFmpegError as error:
        state.failure = f" ({error.strerror})" if error.strerror else " (the data are invalid)"


def _convert(
    picked: Iterator[VideoFrame], aspect: Fraction | None, side: int, name: str, limits: Limits, state: _Decoding
) -> list[Frames]:
    frames: list[Frames] = []
    last: VideoFrame | None = None
    size: tuple[int, int] | None = None
    for frame in picked:
        if frame is last:
            frames.append(frames[-1])
            continue
        last = frame
        if frame.width * frame.height > limits.frame_pixels:
            raise _too_many_pixels(name, frame.width * frame.height, limits)
        converted = _to_rgb(frame, aspect, side, size, state)
        size = size or (converted.shape[1], converted.shape[0])
        frames.append(converted)
    return frames


def _to_rgb(
    frame: VideoFrame, aspect: Fraction | None, side: int, size: tuple[int, int] | None, state: _Decoding
) -> Frames:
    """One decoded frame -> upright RGB at the kept size (`size` of the first frame, so that all are alike)."""
    matrix = _display_matrix(frame)
    swaps = matrix is not None and abs(matrix[1]) > abs(matrix[0])
    if size is None:
        width, height = fit_side(*_stretched(frame.width, frame.height, aspect), side)
    else:
        width, height = size[::-1] if swaps else size
    shrinks = width < frame.width or height < frame.height
    alpha = any(component.is_alpha for component in frame.format.components)
    hdr = colour.is_hdr(frame.color_trc)
    ready = frame.reformat(
        width=width,
        height=height,
        format="rgb48le" if hdr else "rgba" if alpha else "rgb24",
        src_colorspace=colour.matrix_of(frame.colorspace, frame.width, frame.height),
        interpolation=(Interpolation.AREA if shrinks else Interpolation.BICUBIC) | _EXACT,
        src_color_range=frame.color_range or ("JPEG" if frame.format.name.startswith("yuvj") else "MPEG"),
        dst_color_range="JPEG",
    )
    pixels = ready.to_ndarray()
    if hdr:
        pixels = colour.tone_map(
            cast("np.ndarray[tuple[int, ...], np.dtype[np.uint16]]", pixels), frame.color_trc, frame.color_primaries
        )
        state.remark("Its high dynamic range was brought to an ordinary screen.")
    elif alpha:
        share = pixels[..., 3:].astype(np.float32) / 255.0
        pixels = np.asarray(np.rint(pixels[..., :3] * share + 255.0 * (1.0 - share)), dtype=np.uint8)
        state.remark("Transparent parts are white.")
    if matrix is not None and matrix != (1, 0, 0, 1):
        state.remark("It was turned upright.")
    return turn_upright(np.asarray(pixels, dtype=np.uint8), matrix)


def _stretched(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """The size with square pixels."""
    ratio = float(aspect) if aspect else 1.0
    if not 0.1 < ratio < 10.0:
        return width, height
    return (max(1, round(width * ratio)), height) if ratio >= 1 else (width, max(1, round(height / ratio)))


def _display_matrix(frame: VideoFrame) -> tuple[int, int, int, int] | None:
    """a, b, c, d of the display matrix, each -1, 0 or 1; None without one."""
    side_data: Any = frame.side_data  # PyAV's stub names the wrong class
    for entry in side_data:
        if entry.type.name == "DISPLAYMATRIX":
            values = np.frombuffer(bytes(entry), dtype="<i4")
            if len(values) < 9:
                return None
            a, b, c, d = (int(np.sign(value)) if abs(value) > 2**15 else 0 for value in values[[0, 1, 3, 4]])
            return (a, b, c, d) if a or b or c or d else None
    return None


def _too_many_pixels(name: str, pixels: int, limits: Limits) -> UnreadableMedia:
    return UnreadableMedia(
        f"{name} has {megapixels(pixels)} a frame, at most {megapixels(limits.frame_pixels)} are read; "
        "make it smaller and try again."
    )
