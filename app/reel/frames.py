"""Pictures of the film as planes: reads them from clips, brings them into the master's size, mixes them.

A picture is one array (3 * height / 2, width) of uint8: the planes of yuv420p below each other, limited range, BT.709,
as they lie in the clips; nothing is turned into RGB and back. Knows nothing of plans and timelines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from nsp_core.errors import UnreadableMedia
from nsp_core.media import HOUSE
from nsp_core.media.probe import open_clip
from nsp_core.media.write import to_yuv
from nsp_core.types import Frames

Planes = NDArray[np.uint8]
BLACK, GREY = 16, 128
_GROUND = 24  # the blurred ground is made this many times smaller
_DIMMED = 0.72


@dataclass(frozen=True)
class Window:
    """What of a clip's picture is shown (x, y, width, height), and where in the master it goes."""

    x: int
    y: int
    width: int
    height: int
    into_x: int
    into_y: int
    into_width: int
    into_height: int


@dataclass(frozen=True)
class Overlay:
    """Something to lay over a picture at (x, y), both even: its planes, and how opaque it is, 0 to 256."""

    x: int
    y: int
    planes: Planes
    alpha: NDArray[np.uint16]  # (height, width)


class Reader:
    """Pictures of one clip in the master's size and rate. Numbers asked for must not fall; reading on is cheap."""

    def __init__(self, path: Path, rate: Fraction, fps: Fraction, width: int, height: int, window: Window) -> None:
        self.path = path
        self.rate, self.fps = rate, fps  # of the clip, of the master
        self.width, self.height, self.window = width, height, window
        self._container = open_clip(path)
        self._video: Any = self._container.streams.video[0]
        self._video.thread_type = "AUTO"
        self._number = -1
        self._picture: VideoFrame | None = None
        self._decoded: Iterator[VideoFrame] | None = None
        self._shaped: tuple[int, Planes] | None = None

    def close(self) -> None:
        self._container.close()

    def picture(self, number: int) -> Planes:
        """The picture that is seen in the middle of the master's frame `number`; the last one beyond the end."""
        wanted = int((number + Fraction(1, 2)) * self.rate / self.fps)
        self._go_to(wanted)
        if self._shaped is None or self._shaped[0] != self._number:
            assert self._picture is not None
            self._shaped = (self._number, shaped(self._picture, self.width, self.height, self.window))
        return self._shaped[1]

    def rgb(self, number: int) -> Frames:
        """The same as (H, W, 3)."""
        return rgb_of(self.picture(number))

    def _go_to(self, wanted: int) -> None:
        if self._decoded is None:
            moment = int(wanted / self.rate / self._video.time_base)
            self._container.seek(moment, stream=self._video, backward=True)
            self._decoded = self._container.decode(self._video)
        while self._number < wanted:
            try:
                frame = next(self._decoded)
            except StopIteration:
                break
            except av.error.FFmpegError as error:
                raise UnreadableMedia(
                    f"{self.path.name} is damaged; draw that scene again, then make the film."
                ) from error
            self._picture = frame
            self._number = round(frame.pts * self._video.time_base * self.rate)
        if self._picture is None:
            raise UnreadableMedia(f"{self.path.name} ends too early; draw that scene again, then make the film.")


def shaped(frame: VideoFrame, width: int, height: int, window: Window) -> Planes:
    """One decoded picture in the master's size."""
    whole = Window(0, 0, frame.width, frame.height, 0, 0, width, height)
    if window == whole:
        return planes_of(_scaled(frame, width, height))
    planes = planes_of(_scaled(frame, frame.width, frame.height))
    cut = _cut(planes, frame.height, window)
    scaled = planes_of(_scaled(_frame(cut), window.into_width, window.into_height))
    if (window.into_width, window.into_height) == (width, height):
        return scaled
    ground = _ground(planes, frame.width, frame.height, width, height)
    _paste(ground, height, scaled, window.into_height, window.into_x, window.into_y)
    return ground


def whole_window(width: int, height: int, to_width: int, to_height: int, *, crop: bool, focus: float = 0.5) -> Window:
    """How a picture of one shape gets into another. `focus`: where the part that is kept lies, 0 to 1."""
    if width * to_height == to_width * height:
        return Window(0, 0, width, height, 0, 0, to_width, to_height)
    wider = width * to_height > to_width * height
    if crop:
        if wider:
            kept = min(width, _even(height * to_width / to_height))
            return Window(_even((width - kept) * focus), 0, kept, height, 0, 0, to_width, to_height)
        kept = min(height, _even(width * to_height / to_width))
        return Window(0, _even((height - kept) * focus), width, kept, 0, 0, to_width, to_height)
    if wider:
        shown = min(to_height, max(2, _even(to_width * height / width)))
        return Window(0, 0, width, height, 0, _even((to_height - shown) / 2), to_width, shown)
    shown = min(to_width, max(2, _even(to_height * width / height)))
    return Window(0, 0, width, height, _even((to_width - shown) / 2), 0, shown, to_height)


def focus_of(path: Path, *, across: bool, kept: float) -> float:
    """Where the part of a clip lies that moves most and has most in it, 0 to 1: `kept` of its width (or height)."""
    luma = []
    with open_clip(path) as container:
        video = container.streams.video[0]
        for frame in container.decode(video):
            small = frame.reformat(width=96, height=64, format="gray")
            luma.append(small.to_ndarray().astype(np.float32))
    seen = np.stack(luma[:: max(1, len(luma) // 24)])
    moves = np.abs(np.diff(seen, axis=0)).mean(axis=0) if len(seen) > 1 else np.zeros_like(seen[0])
    middle = seen[len(seen) // 2]
    edges = np.abs(np.gradient(middle)[0]) + np.abs(np.gradient(middle)[1])
    weight = (4 * moves / (moves.mean() + 1) + edges / (edges.mean() + 1)).sum(axis=0 if across else 1)
    size = max(1, round(len(weight) * kept))
    sums = np.convolve(weight, np.ones(size), mode="valid")
    best = np.flatnonzero(sums >= sums.max() * 0.995)
    place = int(best[np.argmin(np.abs(best - (len(sums) - 1) / 2))])  # of equals the one nearest to the middle
    return place / (len(sums) - 1) if len(sums) > 1 else 0.5


def planes_of(frame: VideoFrame) -> Planes:
    return frame.to_ndarray(format="yuv420p")


def planes_from_rgb(frame: Frames) -> Planes:
    """(H, W, 3) with even sides."""
    return planes_of(to_yuv(frame, HOUSE))


def rgb_of(planes: Planes) -> Frames:
    """(H, W, 3)."""
    frame = _frame(planes)
    frame.color_primaries = frame.color_trc = frame.colorspace = HOUSE.colour_tag
    frame.color_range = HOUSE.range_tag
    return frame.reformat(
        format="rgb24", src_colorspace="ITU709", src_color_range="MPEG", dst_color_range="JPEG"
    ).to_ndarray()


def black(width: int, height: int) -> Planes:
    made = np.full((height * 3 // 2, width), GREY, np.uint8)
    made[:height] = BLACK
    return made


def mixed(one: Planes, other: Planes, share: float) -> Planes:
    """`share` of the other."""
    weight = round(256 * min(1.0, max(0.0, share)))
    if weight in (0, 256):
        return other if weight else one
    return ((one.astype(np.uint16) * (256 - weight) + other.astype(np.uint16) * weight + 128) >> 8).astype(np.uint8)


def overlay_of(picture: NDArray[np.uint8], x: int, y: int) -> Overlay:
    """From (H, W, 4) RGBA; odd sides gain a transparent row or column."""
    height, width = picture.shape[:2]
    padded = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)))
    alpha = (padded[:, :, 3].astype(np.uint32) * 256 + 127) // 255
    return Overlay(x - x % 2, y - y % 2, planes_from_rgb(padded[:, :, :3]), alpha.astype(np.uint16))


def laid_over(planes: Planes, height: int, overlay: Overlay, opacity: float = 1.0) -> Planes:
    made = planes.copy()
    alpha = overlay.alpha if opacity >= 1 else (overlay.alpha * opacity).astype(np.uint16)
    small = (alpha[0::2, 0::2] + alpha[1::2, 0::2] + alpha[0::2, 1::2] + alpha[1::2, 1::2]) >> 2
    x, y = overlay.x, overlay.y
    for whole, part, weight, at_x, at_y in zip(
        _views(made, height),
        _views(overlay.planes, alpha.shape[0]),
        (alpha, small, small),
        (x, x // 2, x // 2),
        (y, y // 2, y // 2),
        strict=True,
    ):
        rows, columns = part.shape
        place = whole[at_y : at_y + rows, at_x : at_x + columns]
        part, weight = part[: place.shape[0], : place.shape[1]], weight[: place.shape[0], : place.shape[1]]
        place[...] = ((place.astype(np.uint32) * (256 - weight) + part.astype(np.uint32) * weight + 128) >> 8).astype(
            np.uint8
        )
    return made


def _scaled(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    if (frame.width, frame.height, frame.format.name) == (width, height, HOUSE.pixel_format):
        return frame
    return frame.reformat(
        width=width,
        height=height,
        format=HOUSE.pixel_format,
        interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
    )


def _frame(planes: Planes) -> VideoFrame:
    return VideoFrame.from_ndarray(np.ascontiguousarray(planes), format="yuv420p")


def _views(planes: Planes, height: int) -> tuple[Planes, Planes, Planes]:
    """Y, U and V of a picture; changing one changes the picture. Needs a height that is even."""
    width = planes.shape[1]
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    return planes[:height], chroma[0], chroma[1]


def _cut(planes: Planes, height: int, window: Window) -> Planes:
    made = np.empty((window.height * 3 // 2, window.width), np.uint8)
    for number, (part, into) in enumerate(zip(_views(planes, height), _views(made, window.height), strict=True)):
        step = 2 if number else 1
        x, y = window.x // step, window.y // step
        into[...] = part[y : y + into.shape[0], x : x + into.shape[1]]
    return made


def _paste(planes: Planes, height: int, part: Planes, part_height: int, x: int, y: int) -> None:
    for number, (whole, view) in enumerate(zip(_views(planes, height), _views(part, part_height), strict=True)):
        step = 2 if number else 1
        rows, columns = view.shape
        whole[y // step : y // step + rows, x // step : x // step + columns] = view


def _ground(planes: Planes, width: int, height: int, to_width: int, to_height: int) -> Planes:
    """The picture itself, filling the shape, blurred and darker: cheap, because it is blurred when it is small."""
    filling = whole_window(width, height, to_width, to_height, crop=True)
    small_width, small_height = max(16, _even(to_width / _GROUND)), max(16, _even(to_height / _GROUND))
    small = planes_of(_scaled(_frame(_cut(planes, height, filling)), small_width, small_height))
    for number, view in enumerate(_views(small, small_height)):
        soft = np.asarray(Image.fromarray(view).filter(ImageFilter.GaussianBlur(1.0 if number else 2.0)))
        view[...] = soft if number else (BLACK + (soft.astype(np.float32) - BLACK) * _DIMMED).astype(np.uint8)
    return planes_of(_scaled(_frame(small), to_width, to_height)).copy()


def _even(value: float) -> int:
    return max(0, 2 * round(value / 2))
