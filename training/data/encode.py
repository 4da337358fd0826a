"""Frames of a clip's size into an MP4 without sound, and back. Same frames and library, same bytes.

One thread and no name of a program, because clips are compared by their bytes; the encoder's settings are the house's
except for quality and effort, which stand in the config. Knows nothing of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from nsp_core.media.house import HOUSE
from nsp_core.media.write import BITEXACT_CODEC, encoder_options, open_output, whole_file
from training.data.config import ClipConfig

WITHOUT_TREE = ":mbtree=0"  # x264's reads memory that nobody wrote: small clips would differ from run to run


def write_yuv_clip(path: Path, frames: Sequence[Any], config: ClipConfig) -> None:
    """`frames`: av's, yuv420p of the clip's size; one may stand there several times. Whole or not at all."""
    house = replace(HOUSE, crf=config.crf, preset=config.preset, gop=config.frames)  # read from its beginning, always
    ticks = house.ticks(Fraction(config.fps))
    options = encoder_options(house)
    options["x264-params"] += WITHOUT_TREE
    with whole_file(path) as partial, open_output(partial, house) as container:
        stream: Any = container.add_stream(house.codec, rate=config.fps, options=options)
        stream.width, stream.height, stream.pix_fmt = config.width, config.height, house.pixel_format
        context = stream.codec_context
        context.thread_count = 1
        context.time_base = Fraction(1, house.timescale)
        context.color_primaries = context.color_trc = context.colorspace = house.colour_tag
        context.color_range = house.range_tag
        context.flags |= BITEXACT_CODEC
        for index, given in enumerate(frames):
            # pixels alone: what a decoder left on a frame (its type, messages of another encoder) changes the bytes
            frame: Any = av.VideoFrame.from_ndarray(given.to_ndarray(), format=house.pixel_format)
            frame.pts, frame.duration, frame.time_base = index * ticks, ticks, Fraction(1, house.timescale)
            frame.color_primaries = frame.color_trc = frame.colorspace = house.colour_tag
            frame.color_range = house.range_tag
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def place_of(folder: Path, id: str, ending: str) -> Path:
    """Two hexadecimal digits a folder: a million files in one are slow everywhere."""
    return folder / "clips" / id[:2] / f"{id}{ending}"
