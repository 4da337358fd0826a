"""Frames brought to another rate or size: constant-rate picking by time stamps, upright turning, crop and resize.

Knows nothing of files: numpy arrays in and out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypeVar

import numpy as np
from PIL import Image

from nsp_core.errors import GeometryError
from nsp_core.media.clip import MediaClip
from nsp_core.types import Frames

F = TypeVar("F")


def at_constant_rate(timed: Iterable[tuple[float, float, F]], fps: float, start: float, seconds: float) -> Iterator[F]:
    """Pick from (time, duration, frame), times rising, the frame on screen at start, start + 1/fps, ...

    A rate that varies (phones, screen recordings) becomes constant: slow parts repeat frames, quick parts skip some.
    Stops asking for more once `seconds` are full. A source with any frame gives at least one.
    """
    wanted = max(1, round(seconds * fps))
    slack = 1e-4
    given = 0
    previous: F | None = None
    end = start
    for time, duration, frame in timed:
        if previous is not None:
            while given < wanted and start + given / fps < time - slack:
                yield previous
                given += 1
            if given >= wanted:
                return
        previous, end = frame, time + duration
    while previous is not None and given < wanted and (given == 0 or start + given / fps < end - slack):
        yield previous
        given += 1


def stack(frames: list[Frames]) -> Frames:
    """np.stack that empties the list as it goes: half the memory for a long clip."""
    stacked = np.empty((len(frames), *frames[0].shape), dtype=np.uint8)
    for index in range(len(frames)):
        stacked[index] = frames[index]
        frames[index] = stacked[index]
    return stacked


def turn_upright(frame: Frames, matrix: tuple[int, ...] | None) -> Frames:
    """Apply a display matrix (a, b, c, d of x' = ax + cy, y' = bx + dy), to the nearest quarter turn or mirror."""
    if matrix is None:
        return frame
    a, b, c, d = matrix
    if abs(a) + abs(d) >= abs(b) + abs(c):
        frame = frame[:, ::-1] if a < 0 else frame
        frame = frame[::-1] if d < 0 else frame
    else:
        frame = frame.transpose(1, 0, 2)
        frame = frame[:, ::-1] if c < 0 else frame
        frame = frame[::-1] if b < 0 else frame
    return np.ascontiguousarray(frame)


def fit_side(width: int, height: int, side: int) -> tuple[int, int]:
    """The size with its long side at most `side`; never larger than it was."""
    scale = min(1.0, side / max(width, height, 1))
    return max(1, round(width * scale)), max(1, round(height * scale))


def crop_resize(frame: Frames, width: int, height: int) -> Frames:
    """The middle of `frame` in the shape of width:height, averaged down (or smoothly up) to that size."""
    rows, columns = frame.shape[:2]
    if (columns, rows) == (width, height):
        return frame
    cut_width = min(float(columns), rows * width / height)
    cut_height = min(float(rows), columns * height / width)
    left, top = (columns - cut_width) / 2, (rows - cut_height) / 2
    shrinks = cut_width >= width and cut_height >= height
    resized = Image.fromarray(frame).resize(
        (width, height),
        Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC,
        box=(left, top, left + cut_width, top + cut_height),
    )
    return np.asarray(resized)


def to_model_frames(
    clip: MediaClip,
    width: int = 160,
    height: int = 96,
    frames: int = 17,
    fps: float = 8,
    part: Literal["first", "last"] = "last",
) -> Frames:
    """(frames, height, width, 3) as the model reads it: the middle of the picture, at the model's rate.

    Of a longer clip the last part is taken, because that is where the next scene starts; a shorter one holds its
    last frame, a picture is held throughout.
    """
    if min(width, height, frames) < 1 or fps <= 0:
        raise GeometryError(
            f"Frames of {width}x{height}, {frames} at {fps} a second, cannot be made; every number must be above zero."
        )
    if clip.kind == "picture" or not clip.fps:
        chosen = np.zeros(frames, dtype=np.intp)
    else:
        step = clip.fps / fps
        available = max(1, int((len(clip.frames) - 1) / step + 1 + 1e-6))
        steps = np.arange(frames)
        if available > frames and part == "last":
            offset = (len(clip.frames) - 1) - (frames - 1) * step
            chosen = np.floor(offset + steps * step + 1e-6).astype(np.intp)
        else:
            chosen = np.floor(np.minimum(steps * step, len(clip.frames) - 1) + 1e-6).astype(np.intp)
    made = {int(index): crop_resize(clip.frames[index], width, height) for index in np.unique(chosen)}
    return np.stack([made[int(index)] for index in chosen])
