"""Frames and latents as files that give back every bit. Knows nothing of where the files are kept.

Frames are one PNG, the frames stacked from top to bottom; latents are a .npy file, read without pickle.
"""

from __future__ import annotations

import hashlib
import io

import numpy as np
from PIL import Image, PngImagePlugin

from nsp_core.types import Frames, Latents

_KEY = "whatnext:frames"
_MAX_PIXELS = 1 << 30  # our own files; PIL's guard against hostile pictures is for uploads


def frames_to_png(frames: Frames) -> bytes:
    """(T, H, W, 3) -> PNG of T*H rows that remembers T."""
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8:
        raise ValueError(f"Frames are (T, H, W, 3) uint8, got {frames.shape} {frames.dtype}.")
    count, height, width, _ = frames.shape
    info = PngImagePlugin.PngInfo()
    info.add_text(_KEY, str(count))
    out = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(frames).reshape(count * height, width, 3))
    picture.save(out, "PNG", pnginfo=info, compress_level=4)
    return out.getvalue()


def frames_from_png(data: bytes) -> Frames:
    """The exact frames that frames_to_png was given; a plain PNG is one frame."""
    with Image.open(io.BytesIO(data)) as picture:
        if picture.width * picture.height > _MAX_PIXELS:
            raise ValueError(f"{picture.width}x{picture.height} is too large for stored frames.")
        count = int(getattr(picture, "text", {}).get(_KEY, "1"))
        rows = np.asarray(picture.convert("RGB"), dtype=np.uint8)
    if count < 1 or rows.shape[0] % count:
        raise ValueError(f"{rows.shape[0]} rows are not {count} frames.")
    return rows.reshape(count, rows.shape[0] // count, rows.shape[1], 3)


def latents_to_npy(latents: Latents) -> bytes:
    out = io.BytesIO()
    np.save(out, np.ascontiguousarray(latents, dtype=np.float32), allow_pickle=False)
    return out.getvalue()


def latents_from_npy(data: bytes) -> Latents:
    return np.load(io.BytesIO(data), allow_pickle=False).astype(np.float32, copy=False)


def raw_sha256(array: Frames | Latents) -> str:
    """Of the bare values: equal for equal pictures, whatever file they were kept in."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
