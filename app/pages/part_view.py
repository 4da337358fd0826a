"""What the page shows of a film while its part is picked: small pictures, and the part itself moving.

Pictures travel inside the answer: the file is nobody's medium yet, so there is no address to fetch them from. Knows
nothing of Gradio.
"""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image

from nsp_core.media import Filmstrip, MediaClip
from nsp_core.types import Frames

SLACK = 0.25  # a film so little longer than what is read needs no choice


def may_pick(strip: Filmstrip, part: float) -> bool:
    return strip.kind == "clip" and strip.seconds > part + SLACK


def strip_view(strip: Filmstrip, part: float) -> dict[str, Any]:
    pictures = [_data([frame], 70) for frame in strip.frames]
    return {
        "seconds": round(strip.seconds, 3),
        "length": part,
        "pictures": [{"at": at, "src": src} for at, src in zip(strip.times, pictures, strict=True)],
    }


def part_view(clip: MediaClip) -> dict[str, Any]:
    return {"src": _data(list(clip.frames), 60, clip.fps)}


def _data(frames: list[Frames], quality: int, fps: float = 0.0) -> str:
    """A WebP as an address that carries it, moving when there are several frames."""
    pictures = [Image.fromarray(frame) for frame in frames]
    out = io.BytesIO()
    moving: dict[str, Any] = {}
    if len(pictures) > 1:
        moving = {"save_all": True, "append_images": pictures[1:], "duration": round(1000 / (fps or 8)), "loop": 0}
    pictures[0].save(out, "WEBP", quality=quality, method=2, **moving)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode("ascii")
