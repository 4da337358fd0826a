"""The house encoding: one set of parameters for every clip, so that a reel is a copy of its clips.

Frozen: a change makes old clips differ from new ones, so it needs a new HOUSE_ENCODING_VERSION (and a test says so).
Knows nothing of encoders.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from fractions import Fraction

from nsp_core.errors import GeometryError


@dataclass(frozen=True)
class HouseEncoding:
    """H.264 that every browser and phone plays and that can be cut at every 12th frame, with a stereo AAC track.

    `upscale`: small clips are shown larger by an integer factor, because players blur them badly when they scale
    themselves; `largest_side` ends it for clips that are large enough.
    """

    codec: str = "libx264"
    profile: str = "high"
    pixel_format: str = "yuv420p"
    crf: int = 17
    preset: str = "medium"
    gop: int = 12
    b_frames: int = 2
    timescale: int = 120_000  # ticks a second: whole ticks at 8, 12, 15, 24, 25, 30, 50, 60 and their 1000/1001
    colour_tag: int = 1  # BT.709 for primaries, transfer and matrix (ITU-T H.273)
    range_tag: int = 1  # limited
    audio_codec: str = "aac"
    audio_rate: int = 48_000
    audio_layout: str = "stereo"
    audio_bits: int = 128_000
    upscale: int = 4
    upscale_filter: str = "lanczos"  # or "nearest"
    largest_side: int = 1280

    def factor(self, width: int, height: int) -> int:
        """The integer factor by which a clip of this size is enlarged: 4 for 160x96, 1 from 641 pixels on."""
        return max(1, min(self.upscale, self.largest_side // max(width, height)))

    def ticks(self, fps: Fraction) -> int:
        """Length of one frame in units of 1/timescale."""
        ticks = self.timescale / fps if fps > 0 else Fraction(0)
        if ticks < 1 or ticks.denominator != 1:
            raise GeometryError(
                f"A clip of {float(fps):g} frames a second cannot be written; allowed are rates that divide "
                f"{self.timescale}, such as 8, 24, 25 or 30: resample it first."
            )
        return int(ticks)


HOUSE = HouseEncoding()
HOUSE_ENCODING_VERSION = 1
HOUSE_ENCODING_HASH = hashlib.sha256(json.dumps(asdict(HOUSE), sort_keys=True).encode()).hexdigest()[:16]
