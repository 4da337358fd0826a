"""The files of a take that follow from its frames, and how each is made: by the worker, and again when one is lost.

Knows nothing of rows. The frames are kept without loss, everything else can be made from them again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from app.store.media import Media, MediaFile
from app.story import Role
from nsp_core.types import Frames


def make_files(media: Media, frames: Frames, fps: int) -> dict[Role, MediaFile]:
    """All of them, on disk before any row speaks of them."""
    return {role: make(media, frames, fps) for role, make in MAKERS.items()}


def picture(frame: Frames) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(frame))


def _frames(media: Media, frames: Frames, fps: int) -> MediaFile:
    from nsp_core.media import save_frames

    return media.make("npz", lambda path: save_frames(path, frames, fps), **_size(frames), **_length(frames, fps))


def _first(media: Media, frames: Frames, _fps: int) -> MediaFile:
    return _png(media, frames[0])


def _last(media: Media, frames: Frames, _fps: int) -> MediaFile:
    return _png(media, frames[-1])


def _png(media: Media, frame: Frames) -> MediaFile:
    from nsp_core.media import write_png

    return media.make("png", lambda path: write_png(path, frame), width=frame.shape[1], height=frame.shape[0])


def _thumb(media: Media, frames: Frames, _fps: int) -> MediaFile:
    middle = picture(frames[len(frames) // 2])
    return media.make("webp", lambda path: middle.save(path, quality=88), **_size(frames))


def _clip(media: Media, frames: Frames, fps: int) -> MediaFile:
    from nsp_core.media import HOUSE, write_clip

    factor = HOUSE.factor(frames.shape[2], frames.shape[1])  # small clips are shown larger
    shown = {name: value * factor for name, value in _size(frames).items()}
    facts = {**shown, **_length(frames, fps), "has_audio": True}
    return media.make("mp4", lambda path: write_clip(path, frames, fps), **facts)


def _size(frames: Frames) -> dict[str, int]:
    return {"width": frames.shape[2], "height": frames.shape[1]}


def _length(frames: Frames, fps: int) -> dict[str, float]:
    return {"frame_count": frames.shape[0], "fps": fps, "seconds": frames.shape[0] / fps}


MAKERS: dict[Role, Callable[[Media, Frames, int], MediaFile]] = {
    "frames": _frames,
    "first_frame": _first,
    "last_frame": _last,
    "thumb": _thumb,
    "clip": _clip,
}
