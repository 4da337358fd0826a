"""The one door for files from outside: any path -> MediaClip, or UnreadableMedia with one clear sentence.

Decides by content, never by name, and lets nothing through that a picture or video library may throw at a broken
file. Knows nothing of models: `to_model_frames` (geometry.py) makes what the model reads.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nsp_core.errors import UnreadableMedia
from nsp_core.media.clip import Limits, MediaClip
from nsp_core.media.pictures import read_picture
from nsp_core.media.sniff import HEAD_BYTES, Sniffed, sniff
from nsp_core.media.videos import read_video

log = logging.getLogger(__name__)

READABLE = "pictures (JPEG, PNG, WebP, HEIC, AVIF, GIF, TIFF, BMP) and videos (MP4, MOV, WebM, MKV, AVI and others)"
DEFAULT_LIMITS = Limits()


def read_media(
    path: str | Path,
    *,
    max_seconds: float = 30.0,
    start: float | None = 0.0,
    fps: float | None = 8.0,
    side: int = 640,
    limits: Limits = DEFAULT_LIMITS,
) -> MediaClip:
    """Read a picture or `max_seconds` of a clip from `start` (None: the last ones that can be read), kept at `fps`
    (None: its own) and `side` at most."""
    path = Path(path)
    if max_seconds <= 0 or (start or 0.0) < 0:
        raise UnreadableMedia(
            f"Reading {max_seconds:g} s from {start or 0.0:g} s of {path.name} was asked; the length must be above "
            "zero and the start not below it."
        )
    sniffed = what_it_is(path, limits)
    with one_sentence_for(path, sniffed):
        read = read_picture if sniffed.kind == "picture" else read_video
        return read(path, sniffed.reader, max_seconds=max_seconds, start=start, fps=fps, side=side, limits=limits)


@contextmanager
def one_sentence_for(path: Path, sniffed: Sniffed) -> Iterator[None]:
    """Whatever a library raises at a hostile file inside leaves as UnreadableMedia."""
    try:
        yield
    except UnreadableMedia:
        raise
    except MemoryError:
        raise UnreadableMedia(f"{path.name} needs more memory than there is; make it smaller and try again.") from None
    except Exception as error:  # the border to hostile files: the libraries raise a dozen unrelated types
        log.info("cannot read %s as %s: %r", path.name, sniffed.reader, error)
        raise UnreadableMedia(
            f"{path.name} looks like {_looks_like(sniffed)} but is broken or cut short; save or download it again."
        ) from error


def what_it_is(path: Path, limits: Limits) -> Sniffed:
    """A picture or a video; anything else raises UnreadableMedia that says what it is."""
    sniffed = _look(path, limits)
    if sniffed.kind == "other":
        raise UnreadableMedia(f"{path.name} is {sniffed.reader}; choose one of the {READABLE}.")
    return sniffed


def _look(path: Path, limits: Limits) -> Sniffed:
    try:
        if path.is_dir():
            raise UnreadableMedia(f"{path} is a folder; choose one picture or video in it.")
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except FileNotFoundError:
        raise UnreadableMedia(f"There is no file {path}; check its name.") from None
    except OSError as error:
        raise UnreadableMedia(f"{path} cannot be opened ({error.strerror}); check that it may be read.") from error
    if size > limits.bytes:
        raise UnreadableMedia(
            f"{path.name} is {size / 2**20:.0f} MB, at most {limits.bytes / 2**20:.0f} MB are read; "
            "cut it or make it smaller and try again."
        )
    return sniff(head)


def _looks_like(sniffed: Sniffed) -> str:
    return f"a {sniffed.reader} picture" if sniffed.kind == "picture" else "a video"
