"""How far a picture has moved away from an anchor: colour, contrast, sharpness, identity. Plain numpy, no model.

Knows nothing of stories: what a person asked for (night, rain, a new thing) moves these numbers, too. What moves them
further than stories do is taken for drift; `LIMITS` says from where on. Where the limits are from (last picture of each
scene against the last one of the first scene):

- 60 stories of the picture-book world as its own renderer draws them, 420 scenes, so by definition without drift:
  colour 95 % at most 19.1, 99 % at most 20.3; contrast 0.55 to 1.75 in 98 %; sharpness 99 % at least 0.46; identity
  median 0.82, 95 % at least 0.38. Single changes, median identity: rain starts 0.94, snow starts 0.95, the sun sets
  0.92, a bear comes 0.94, an egg cracks 0.88; median colour 2 to 11.
- 7 stories of 8 scenes that the starter (v1) continued from a true picture. Medians after 1, 2, 4, 6, 8 scenes:
  identity 0.71, 0.64, 0.55, 0.33, 0.24 (another story's picture: 0.29), colour 6, 10, 13, 14, 14; contrast and, after
  the first scene, sharpness stay where they are. Beyond a limit: 1 of 7 after one scene, 2 after four, 4 after six, 6
  after eight.
- sharpness falls to 0.2 to 0.3 at once when the anchor was brought in, as no drawing of the starter is as sharp as a
  rendered picture; against the starter's own first drawing it stays near 1. Hence two limits.
- cures, for the eighth scene of 4 of these stories: going on has identity 0.23 (4 of 4 beyond a limit), a plain cut
  0.23 (4 of 4), a cut for which the reader is shown the anchor instead of the latest picture 0.49 (1 of 4). For the
  fourth scene, when little is worn: 0.51, 0.27, 0.45 (1, 3 and 1 of 4). A cut is crisp again in each case, but closer
  to the anchor only when the anchor is what is looked at.

Letters: H height, W width. Pictures are (H, W, 3) uint8, RGB, both of one size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # (H, W, 3)
Plane = NDArray[np.float32]  # (H, W)
Lab = NDArray[np.float32]  # (H, W, 3)

VERSION = 1
WIDTH = 160  # pictures are brought down to about this width: the figures below are measured there
CELL = 8  # pixels a side of what counts as one colour
_WHITE = np.array([0.95047, 1.0, 1.08883], np.float32)  # D65
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]],
    np.float32,
)


@dataclass(frozen=True)
class Drift:
    """A picture against its anchor. The same picture has (0, 1, 1, 1).

    colour: mean CIE Lab delta-E of the cells, after the one change of light for the whole picture that explains most.
    contrast: standard deviation of lightness, as a multiple of the anchor's.
    sharpness: variance of the Laplacian of lightness, as a multiple of the anchor's.
    identity: how far outlines run as they did, from 1 (all) to 0 (no more than by chance); it minds neither light nor
    colour, and says nothing of who somebody is.
    """

    colour: float
    contrast: float
    sharpness: float
    identity: float


@dataclass(frozen=True)
class Limits:
    """Beyond these the picture has drifted."""

    colour: float = 20.0
    contrast: tuple[float, float] = (0.55, 1.75)
    sharpness: float = 0.4
    identity: float = 0.36


LIMITS = Limits()
# a picture that was brought in is sharper than anything the starter draws: that is no drift yet
LIMITS_OF_BROUGHT_IN = Limits(sharpness=0.12)


def compare(anchor: Picture, picture: Picture) -> Drift:
    """Raises ValueError for pictures of two sizes."""
    if anchor.shape != picture.shape:
        raise ValueError(f"two pictures of one size are compared, got {anchor.shape} and {picture.shape}")
    before, after = lab(smaller(anchor)), lab(smaller(picture))
    light, now = before[..., 0], after[..., 0]
    return Drift(
        colour=beyond_light(cells(before), cells(after)),
        contrast=float((now.std() + 1e-3) / (light.std() + 1e-3)),
        sharpness=float((laplacian(now).var() + 1e-3) / (laplacian(light).var() + 1e-3)),
        identity=outlines(light, now),
    )


def drifted(drift: Drift, limits: Limits = LIMITS) -> tuple[str, ...]:
    """Which of the four are beyond their limit."""
    found = {
        "colour": drift.colour > limits.colour,
        "contrast": not limits.contrast[0] <= drift.contrast <= limits.contrast[1],
        "sharpness": drift.sharpness < limits.sharpness,
        "identity": drift.identity < limits.identity,
    }
    return tuple(name for name, is_beyond in found.items() if is_beyond)


def smaller(picture: Picture) -> Picture:
    """Brought down by a whole factor to about WIDTH, each pixel the mean of those that it stands for."""
    factor = max(1, picture.shape[1] // WIDTH)
    if factor == 1:
        return picture
    height, width = (side // factor * factor for side in picture.shape[:2])
    whole = picture[:height, :width].reshape(height // factor, factor, width // factor, factor, 3)
    return np.rint(whole.mean((1, 3))).astype(np.uint8)


def lab(picture: Picture) -> Lab:
    """CIE L*a*b* (D65) of an sRGB picture: L from 0 to 100."""
    value = picture.astype(np.float32) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _TO_XYZ.T / _WHITE
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def cells(picture: Lab) -> NDArray[np.float32]:
    """(cells, 3): the mean colour of each square of CELL pixels."""
    height, width = (side // CELL * CELL for side in picture.shape[:2])
    whole = picture[:height, :width].reshape(height // CELL, CELL, width // CELL, CELL, 3)
    return whole.mean((1, 3)).reshape(-1, 3)


def beyond_light(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """Mean delta-E that is left when one affine change of Lab (night falls, clouds gather) is allowed for all cells.

    The change is fitted with less say for cells that it does not fit: something new in one place is not the light.
    """
    known = np.concatenate([before, np.ones((len(before), 1), np.float32)], 1)
    say = np.ones(len(before), np.float32)
    distance = np.linalg.norm(after - before, axis=1)
    for _ in range(5):
        change = np.linalg.lstsq(known * say[:, None], after * say[:, None], rcond=None)[0]
        distance = np.linalg.norm(after - known @ change, axis=1)
        say = 1 / np.sqrt(np.maximum(1, distance / (np.median(distance) + 1))).astype(np.float32)
    return float(distance.mean())


def laplacian(light: Plane) -> Plane:
    around = light[:-2, 1:-1] + light[2:, 1:-1] + light[1:-1, :-2] + light[1:-1, 2:]
    return around - 4 * light[1:-1, 1:-1]


def outlines(before: Plane, after: Plane) -> float:
    """Agreement of the directions of edges, whichever side is the lighter one, weighted by how strong they are."""
    (ax, ay), (bx, by) = _slopes(before), _slopes(after)
    strength = np.hypot(ax, ay) * np.hypot(bx, by)
    agreement = 2 * (ax * bx + ay * by) ** 2 / (strength**2 + 1e-6) - 1
    weight = np.sqrt(strength)
    return float((agreement * weight).sum() / max(1e-6, float(weight.sum())))


def _slopes(light: Plane) -> tuple[Plane, Plane]:
    across = (light[1:-1, 2:] - light[1:-1, :-2]) / 2
    down = (light[2:, 1:-1] - light[:-2, 1:-1]) / 2
    return across.astype(np.float32), down.astype(np.float32)
