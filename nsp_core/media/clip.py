"""What reading a file gives, and how much of one is read at most.

Knows nothing of decoders: plain values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nsp_core.types import Frames


@dataclass(frozen=True)
class Limits:
    """The most that one file may be. Beyond it `read_media` says so in one sentence and reads nothing."""

    bytes: int = 512 * 2**20
    pixels: int = 64_000_000  # of a picture
    frame_pixels: int = 36_000_000  # of one frame of a film or an animation: 8K
    seconds: float = 3600.0  # of the whole file, not of the part that is read
    frames: int = 30_000  # decoded in one call, whether kept or not
    decode_seconds: float = 120.0  # wall clock


@dataclass(frozen=True)
class MediaClip:
    """A picture (one frame, fps 0) or a clip at a constant rate, upright, RGB, on white where it was transparent.

    `note` says in plain words what was done to it or left out ("" when nothing was); `source_*` describe the file.
    """

    frames: Frames
    fps: float
    kind: Literal["picture", "clip"]
    has_audio: bool = False
    note: str = ""
    source_width: int = 0
    source_height: int = 0
    source_seconds: float | None = None

    @property
    def seconds(self) -> float:
        return len(self.frames) / self.fps if self.fps else 0.0


def megapixels(pixels: int) -> str:
    return f"{pixels / 1e6:.1f} megapixels"
