"""Pictures -> files: a piece of the film in the master's form, or a whole film as WebM, GIF or animated WebP.

Pictures come one after the other and are let go of again; knows nothing of where they come from.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from app.reel.frames import Planes, rgb_of
from app.reel.master import Master
from app.reel.sound import RATE, Samples
from nsp_core.media.captions import add_caption_track, caption_packets
from nsp_core.media.write import encoder_options, open_output

_BITEXACT_CODEC = 1 << 23  # as in the house's clips: headers are compared, and no program's name is in them


def encode_piece(pictures: Iterable[Planes], out: Path, master: Master) -> None:
    """Pictures only: sound is made for the whole film. `out` gets its name by whoever calls."""
    with open_output(out, master.encoding) as container:
        options = encoder_options(master.encoding, threads=min(4, os.cpu_count() or 1))
        stream: Any = container.add_stream(master.encoding.codec, rate=master.fps, options=options)
        stream.width, stream.height = master.width, master.height
        stream.pix_fmt = master.encoding.pixel_format
        context = stream.codec_context
        context.time_base = Fraction(1, master.encoding.timescale)
        tag = master.encoding.colour_tag
        context.color_primaries = context.color_trc = context.colorspace = tag
        context.color_range = master.encoding.range_tag
        context.flags |= _BITEXACT_CODEC
        for number, planes in enumerate(pictures):
            container.mux(stream.encode(_timed(planes, number * master.tick, master)))
        container.mux(stream.encode(None))


def write_webm(
    pictures: Iterator[Planes],
    sound: Iterator[Samples] | None,
    out: Path,
    master: Master,
    *,
    captions: Sequence[tuple[str, float, float]] = (),
    title: str = "",
    comment: str = "",
    language: str = "eng",
) -> None:
    """VP9, Opus and WebVTT. Sound runs beside the pictures, so that neither waits for the other in memory."""
    with av.open(str(out), "w", format="webm") as container:
        options = {"crf": "32", "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"}
        stream: Any = container.add_stream("libvpx-vp9", rate=master.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = master.width, master.height, "yuv420p"
        stream.codec_context.time_base = 1 / master.fps
        _tag(stream.codec_context, master)
        stream.codec_context.thread_count = min(4, os.cpu_count() or 1)
        audio: Any = container.add_stream("libopus", rate=RATE, layout="stereo") if sound is not None else None
        track = add_caption_track(container, language, "webvtt") if captions else None
        container.metadata.update({name: text for name, text in (("title", title), ("comment", comment)) if text})
        container.start_encoding()
        for packet in caption_packets(captions, track):
            container.mux(packet)
        heard = 0
        for number, planes in enumerate(pictures):
            frame = _frame(planes, master)
            frame.pts, frame.time_base = number, 1 / master.fps
            container.mux(stream.encode(frame))
            until = (number + 1) / master.fps * RATE
            while sound is not None and heard < until and (block := next(sound, None)) is not None:
                container.mux(audio.encode(audio_frame(block, heard)))
                heard += block.shape[1]
        container.mux(stream.encode(None))
        if audio is not None:
            container.mux(audio.encode(None))


def write_gif(
    pictures: Iterator[Planes], sample: Iterable[Planes], out: Path, master: Master, comment: str = ""
) -> None:
    """One palette for the film, of a `sample` of its pictures, so that colours do not flicker; dithered; for ever."""
    from PIL import Image

    shown = [Image.fromarray(rgb_of(planes)) for planes in sample]
    strip = Image.new("RGB", (master.width, master.height * len(shown)))
    for number, picture in enumerate(shown):
        strip.paste(picture, (0, number * master.height))
    palette = strip.quantize(255, method=Image.Quantize.MEDIANCUT)
    frames = [
        Image.fromarray(rgb_of(planes)).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
        for planes in pictures
    ]
    lasting = _durations(len(frames), master.fps, 10)
    with out.open("wb") as file:
        frames[0].save(
            file, "GIF", save_all=True, append_images=frames[1:], duration=lasting, loop=0, optimize=False, disposal=1,
            comment=comment.encode("ascii"),
        )  # fmt: skip


def write_webp(pictures: Iterator[Planes], count: int, out: Path, master: Master, packet: bytes = b"") -> None:
    """`count` pictures: animated, lossy, for ever. `packet`: XMP."""
    from PIL import Image

    def following() -> Iterator[Image.Image]:
        for planes in pictures:
            yield Image.fromarray(rgb_of(planes))

    frames = following()
    first = next(frames)
    lasting = _durations(count, master.fps, 1)
    with out.open("wb") as file:
        first.save(
            file, "WEBP", save_all=True, append_images=frames, duration=lasting, loop=0, quality=80, method=3,
            xmp=packet,
        )  # fmt: skip


def audio_frame(block: Samples, at: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
    return frame


def _durations(count: int, fps: Fraction, unit: int) -> list[int]:
    """Milliseconds of each picture in whole units, so that the whole is as long as it should be."""
    ends = [round((number + 1) * 1000 / unit / fps) for number in range(count)]
    return [unit * (end - begin) for begin, end in zip([0, *ends], ends, strict=False)]


def _timed(planes: Planes, at: int, master: Master) -> VideoFrame:
    frame = _frame(planes, master)
    frame.pts, frame.duration, frame.time_base = at, master.tick, Fraction(1, master.encoding.timescale)
    return frame


def _frame(planes: Planes, master: Master) -> VideoFrame:
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(planes), format="yuv420p")
    _tag(frame, master)
    return frame


def _tag(what: Any, master: Master) -> None:
    what.color_primaries = what.color_trc = what.colorspace = master.encoding.colour_tag
    what.color_range = master.encoding.range_tag
