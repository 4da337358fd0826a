"""Pictures and animations by PIL: upright, sRGB, 8 bits, on white where they are transparent.

Called by read.py, which has already found out by content that PIL is the reader and turns every error that a broken
file causes into UnreadableMedia.
"""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

from nsp_core.errors import UnreadableMedia
from nsp_core.media.clip import Limits, MediaClip, megapixels
from nsp_core.media.geometry import at_constant_rate, fit_side, stack
from nsp_core.types import Frames

_ANIMATED = {"GIF", "WEBP", "PNG", "AVIF"}  # a TIFF's pages or an MPO's views are no animation
_EXIF_ORIENTATION = 0x0112


def read_picture(
    path: Path, reader: str, *, max_seconds: float, start: float | None, fps: float | None, side: int, limits: Limits
) -> MediaClip:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL's remarks on size and damaged camera data: our limits speak instead
        return _read(path, reader, max_seconds, start, fps, side, limits)


def _read(
    path: Path, reader: str, max_seconds: float, start: float | None, fps: float | None, side: int, limits: Limits
) -> MediaClip:
    formats = ["JPEG", "MPO"] if reader == "JPEG" else [reader]
    if reader == "HEIF":
        from pillow_heif import register_heif_opener

        register_heif_opener()
    try:
        image = Image.open(path, formats=formats)
    except Image.DecompressionBombError:
        raise UnreadableMedia(
            f"{path.name} claims more pixels than any camera makes, at most {megapixels(limits.pixels)} are "
            "read; make it smaller and try again."
        ) from None
    with image:
        width, height = image.size
        moves = reader in _ANIMATED and getattr(image, "n_frames", 1) > 1
        allowed = limits.frame_pixels if moves else limits.pixels
        if width * height > allowed:
            raise UnreadableMedia(
                f"{path.name} has {megapixels(width * height)}, at most {megapixels(allowed)} are read; "
                "make it smaller and try again."
            )
        if moves:
            return _read_animation(image, path.name, max_seconds, start, fps or 24.0, side, limits)
        frame, notes = _one_frame(image, side)
        turned = frame.shape[1] > frame.shape[0] if width < height else frame.shape[1] < frame.shape[0]
        return MediaClip(
            frames=frame[None],
            fps=0.0,
            kind="picture",
            note=" ".join(notes),
            source_width=height if turned else width,
            source_height=width if turned else height,
        )


def _one_frame(image: Image.Image, side: int) -> tuple[Frames, list[str]]:
    notes: list[str] = []
    if image.format in ("JPEG", "MPO"):
        image.draft(None, (side, side))  # decodes a large photo at 1/2, 1/4 or 1/8: seconds become milliseconds
    with suppress(Exception):  # camera data are often damaged, which must not cost the picture
        if image.getexif().get(_EXIF_ORIENTATION, 1) in range(2, 9):
            image = ImageOps.exif_transpose(image)
            notes.append("It was turned upright.")
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        image = Image.fromarray(_to_eight_bits(image))
        notes.append("Its brightness was brought to 8 bits.")
    has_alpha = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    profile = image.info.get("icc_profile")
    if has_alpha:
        image = image.convert("RGBA")
        notes.append("Transparent parts are white.")
    elif image.mode in ("P", "1"):
        image = image.convert("RGB")
    image = image.resize(fit_side(*image.size, side), Image.Resampling.BOX) if max(image.size) > side else image
    return np.asarray(_to_srgb(image, profile)), notes


def _to_eight_bits(image: Image.Image) -> Frames:
    """16-bit greys divided, not clipped; 'I' and 'F' hold 0..1, 0..255, 0..65535 or what they like."""
    values = np.asarray(image).astype(np.float64)
    if image.mode.startswith("I;16"):
        top = 65535.0
    else:
        highest = float(values.max(initial=0.0))
        top = next((top for top in (1.0 if image.mode == "F" else 255.0, 255.0, 65535.0) if highest <= top), highest)
    return np.asarray(np.rint(np.clip(values / top, 0.0, 1.0) * 255.0), dtype=np.uint8)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Through the embedded profile when it can be used (Display P3 phones, print CMYK), plainly when not."""
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image).convert("RGB")
    if profile and image.mode in ("RGB", "CMYK", "L"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a broken or foreign profile must not cost the picture
    return image.convert("RGB")


def _read_animation(
    image: Image.Image, name: str, max_seconds: float, start: float | None, fps: float, side: int, limits: Limits
) -> MediaClip:
    deadline = time.monotonic() + limits.decode_seconds
    if start is None:
        start = max(0.0, sum(delay for delay in _delays(image, name, limits, deadline)) - max_seconds)
    total = 0.0

    def timed() -> Iterator[tuple[float, float, Frames]]:
        nonlocal total
        for seconds in _delays(image, name, limits, deadline):
            moment, total = total, total + seconds
            if total > start:
                yield moment, seconds, _one_frame(image.copy(), side)[0]

    frames = list(at_constant_rate(timed(), fps, start, max_seconds))
    if not frames:
        raise UnreadableMedia(
            f"Reading {name} from {start:g} s was asked, but it is {total:.1f} s long; choose an earlier start."
        )
    return MediaClip(
        frames=stack(frames),
        fps=fps,
        kind="clip",
        note=f"Only the first {max_seconds:g} s were read." if start == 0 and total > max_seconds + 1e-3 else "",
        source_width=image.size[0],
        source_height=image.size[1],
        source_seconds=total,
    )


def animation_seconds(path: Path, reader: str, limits: Limits) -> float:
    """How long it moves, 0 for a still picture. Every frame is decoded, none is kept."""
    if reader not in _ANIMATED:
        return 0.0
    with warnings.catch_warnings(), Image.open(path, formats=[reader]) as image:
        warnings.simplefilter("ignore")
        if getattr(image, "n_frames", 1) < 2:
            return 0.0
        return sum(_delays(image, path.name, limits, time.monotonic() + limits.decode_seconds))


def _delays(image: Image.Image, name: str, limits: Limits, deadline: float) -> Iterator[float]:
    """Decode frame by frame; how many seconds each one stays on screen."""
    for index in range(min(int(getattr(image, "n_frames", 1)), limits.frames)):
        if time.monotonic() > deadline:
            raise UnreadableMedia(
                f"{name} takes longer than {limits.decode_seconds:g} s to decode; make it smaller or shorter and try "
                "again."
            )
        image.seek(index)
        image.load()
        delay = float(image.info.get("duration", 100) or 100)
        # browsers show delays of 10 ms and less for a tenth of a second, and GIFs are made to look right there
        yield (100.0 if delay <= 10 else delay) / 1000.0
