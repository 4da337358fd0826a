"""Frames and latents kept exactly: what the next scene continues from never passes through a lossy codec.

Frames: .npz (deflate over differences between frames, which are nearly empty in drawn worlds). Latents: safetensors.
Neither format can carry code.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from nsp_core.errors import UnreadableMedia
from nsp_core.media.write import check_frames, whole_file
from nsp_core.types import Frames, Latents

_LARGEST = 2**31  # bytes of frames in one file


def save_frames(path: str | Path, frames: Frames, fps: float) -> None:
    check_frames(frames)
    steps = frames.copy()
    steps[1:] -= frames[:-1]  # wraps around at 256, and back when summed: exact
    with whole_file(Path(path)) as partial, partial.open("wb") as file:
        np.savez_compressed(file, steps=steps, fps=np.float64(fps))


def load_frames(path: str | Path) -> tuple[Frames, float]:
    """The frames and their rate, bit for bit as they were saved."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _LARGEST:
                raise UnreadableMedia(f"{path} holds more than 2 GB of frames, which is not one clip; choose another.")
        with np.load(path, allow_pickle=False) as stored:
            steps, fps = stored["steps"], float(stored["fps"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UnreadableMedia(f"{path} does not hold frames saved by this program; choose another file.") from error
    if steps.dtype != np.uint8 or steps.ndim != 4 or steps.shape[3] != 3:
        raise UnreadableMedia(f"{path} does not hold frames saved by this program; choose another file.")
    return np.cumsum(steps, axis=0, dtype=np.uint8), fps


def save_latents(path: str | Path, latents: Latents) -> None:
    with whole_file(Path(path)) as partial:
        save_file({"latents": np.ascontiguousarray(latents, dtype=np.float32)}, partial)


def load_latents(path: str | Path) -> Latents:
    try:
        stored: NDArray[np.float32] = load_file(path)["latents"]
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UnreadableMedia(f"{path} does not hold latents saved by this program; choose another file.") from error
    return stored
