"""How good a picture looks, apart from what it shows: sharp as a drawing is, and near to the drawing that it means.

Knows nothing of models or stories. Frames are (H, W, 3) uint8, clips (T, H, W, 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.picturebook.reader import PictureReader, idle, psnr

Pixels = npt.NDArray[np.uint8]

_WINDOW = 7
_K1, _K2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


@dataclass(frozen=True)
class Legibility:
    """The last frame of a clip against a re-rendering of the state that is read from it."""

    ssim: float
    sharpness: float  # ratio of the two; 1 is as sharp as a drawing


def legibility(frame: Pixels, reader: PictureReader) -> Legibility | None:
    """None when nothing certain can be read from the frame."""
    world = reader.read(frame).world
    if world is None:
        return None
    drawn = idle(world.seen())[-1]
    return Legibility(ssim(frame, drawn), sharpness(frame) / max(sharpness(drawn), 1e-6))


def ssim(found: Pixels, wanted: Pixels) -> float:
    """Structural similarity of the grey pictures, uniform 7x7 windows (Wang et al. 2004, their constants)."""
    x, y = _grey(found), _grey(wanted)
    mean_x, mean_y = _mean(x), _mean(y)
    var_x, var_y = _mean(x * x) - mean_x**2, _mean(y * y) - mean_y**2
    both = _mean(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + _K1) * (2 * both + _K2)
    return float((likeness / ((mean_x**2 + mean_y**2 + _K1) * (var_x + var_y + _K2))).mean())


def sharpness(frame: Pixels) -> float:
    """Variance of the Laplacian of the grey picture."""
    grey = _grey(frame)
    inner = grey[1:-1, 1:-1]
    edges = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return float(edges.var())


def masked_psnr(found: Pixels, wanted: Pixels, mask: npt.NDArray[np.uint8]) -> float | None:
    """PSNR in dB over the pixels of a clip where `mask` (T, H, W) is set; None when it never is."""
    where = mask.astype(bool)
    return psnr(found[where], wanted[where]) if where.any() else None


def _grey(frame: Pixels) -> npt.NDArray[np.float64]:
    return frame.astype(np.float64) @ np.array([0.299, 0.587, 0.114])


def _mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Means over all windows that lie inside the picture."""
    sums = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    size = _WINDOW
    found: npt.NDArray[np.float64] = (
        sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    )
    return found / size**2
