"""Frames -> files: a clip in the house encoding, one frame as PNG.

A file appears under its name only when it is whole. Same frames and library, same bytes: clips are kept by content
hash, so nothing that varies (threads, dates, names of programs) goes into them.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from numpy.typing import NDArray
from PIL import Image

from nsp_core.errors import GeometryError
from nsp_core.media.house import HOUSE, HouseEncoding
from nsp_core.types import Frames

BITEXACT_CODEC = 1 << 23  # AV_CODEC_FLAG_BITEXACT: no program name in the stream
_BITEXACT_FORMAT = 0x0400  # AVFMT_FLAG_BITEXACT
AAC_FRAME = 1024  # samples
AHEAD = 4  # pictures that wait for the encoder
_FILTERS = {"lanczos": Image.Resampling.LANCZOS, "nearest": Image.Resampling.NEAREST}


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it becomes `path` when the block ends well and vanishes when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_clip(path: str | Path, frames: Frames, fps: float | Fraction, *, master: HouseEncoding = HOUSE) -> None:
    """Write (T, H, W, 3) RGB as an MP4 in the house encoding, with a silent track of the same length."""
    check_frames(frames)
    rate = Fraction(fps).limit_denominator(1001)
    ticks = master.ticks(rate)
    with whole_file(Path(path)) as partial, open_output(partial, master) as container:
        stream: Any = container.add_stream(master.codec, rate=rate, options=encoder_options(master))
        stream.height, stream.width = enlarge(frames[0], master).shape[:2]
        stream.pix_fmt = master.pixel_format
        context = stream.codec_context
        context.time_base = Fraction(1, master.timescale)
        context.color_primaries = context.color_trc = context.colorspace = master.colour_tag
        context.color_range = master.range_tag
        context.flags |= BITEXACT_CODEC
        audio: Any = container.add_stream(master.audio_codec, rate=master.audio_rate, layout=master.audio_layout)
        audio.bit_rate = master.audio_bits
        audio.codec_context.flags |= BITEXACT_CODEC
        for index, picture in enumerate(made_ahead(lambda frame: to_yuv(enlarge(frame, master), master), frames)):
            picture.pts, picture.duration = index * ticks, ticks
            picture.time_base = Fraction(1, master.timescale)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        samples = round(len(frames) * ticks * master.audio_rate / master.timescale)
        for block in _silence(samples, master):
            container.mux(audio.encode(block))
        container.mux(audio.encode(None))


def write_png(path: str | Path, frame: Frames) -> None:
    """One frame (H, W, 3), lossless."""
    check_frames(frame[None])
    with whole_file(Path(path)) as partial:
        Image.fromarray(frame).save(partial, format="PNG", optimize=False)


def open_output(path: Path, master: HouseEncoding) -> OutputContainer:
    container = av.open(
        str(path.resolve()),
        "w",
        format="mp4",
        options={"movflags": "+faststart", "video_track_timescale": str(master.timescale)},
    )
    container.flags |= _BITEXACT_FORMAT
    return container


def check_frames(frames: Frames) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or 0 in frames.shape:
        raise GeometryError(
            f"Frames of shape {frames.shape} and type {frames.dtype} cannot be written; give (T, H, W, 3) of uint8 "
            "with at least one frame."
        )


def made_ahead(make: Callable[[Frames], VideoFrame], frames: Frames) -> Iterator[VideoFrame]:
    """make(frame) of each, in order, a few of them in a thread while the encoder works: neither needs Python's lock."""
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[VideoFrame]] = deque()
        for frame in frames:
            waiting.append(pool.submit(make, frame))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def enlarge(frame: Frames, master: HouseEncoding) -> Frames:
    """By the house's integer factor; an odd side gains one repeated row or column, which 4:2:0 needs."""
    height, width = frame.shape[:2]
    factor = master.factor(width, height)
    if factor > 1:
        image = Image.fromarray(frame)
        frame = np.asarray(image.resize((width * factor, height * factor), _FILTERS[master.upscale_filter]))
    odd_rows, odd_columns = frame.shape[0] % 2, frame.shape[1] % 2
    return np.pad(frame, ((0, odd_rows), (0, odd_columns), (0, 0)), mode="edge") if odd_rows or odd_columns else frame


def to_yuv(frame: Frames, master: HouseEncoding) -> VideoFrame:
    picture = VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24").reformat(
        format=master.pixel_format,
        dst_colorspace="ITU709",
        src_color_range="JPEG",
        dst_color_range="MPEG",
        interpolation=Interpolation.BICUBIC
        | Interpolation.ACCURATE_RND
        | Interpolation.FULL_CHR_H_INT
        | Interpolation.FULL_CHR_H_INP,
    )
    picture.color_primaries = picture.color_trc = picture.colorspace = master.colour_tag
    picture.color_range = master.range_tag
    return picture


def encoder_options(master: HouseEncoding, *, threads: int = 1) -> dict[str, str]:
    """x264's options. The number of threads changes the bytes, never the headers: clips of both join by copying."""
    x264 = {
        "keyint": master.gop,
        "min-keyint": master.gop,
        "scenecut": 0,
        "open-gop": 0,
        "bframes": master.b_frames,
        "b-pyramid": "none",  # one frame of delay, the same for clips of every length
        "threads": threads,
        "lookahead-threads": 1,
    }
    return {
        "preset": master.preset,
        "crf": str(master.crf),
        "profile": master.profile,
        "x264-params": ":".join(f"{key}={value}" for key, value in x264.items()),
    }


def _silence(samples: int, master: HouseEncoding) -> Iterator[AudioFrame]:
    for position in range(0, samples, AAC_FRAME):
        quiet: NDArray[np.float32] = np.zeros((2, min(AAC_FRAME, samples - position)), dtype=np.float32)
        block = AudioFrame.from_ndarray(quiet, format="fltp", layout=master.audio_layout)
        block.sample_rate, block.pts = master.audio_rate, position
        block.time_base = Fraction(1, master.audio_rate)
        yield block
