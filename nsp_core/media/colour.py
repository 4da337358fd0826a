"""Colours of decoded video: which matrix to use, and high dynamic range brought to an ordinary screen.

HDR is recognised by its tags (PQ or HLG) only. It goes: signal -> light in nits -> tone curve of ITU-R BT.2390 on
the largest channel (ordinary tones stay, highlights are bent, hues keep their ratios) -> BT.709 primaries -> sRGB.
Knows nothing of files or decoders: numpy in, numpy out.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nsp_core.types import Frames

PQ, HLG = 16, 18  # transfer tags of ITU-T H.273
BT2020 = 9  # primaries tag of ITU-T H.273
WHITE_NITS = 203.0  # BT.2408: where an HDR picture puts the white of paper
PEAK_NITS = 1000.0

# ITU-T H.273 matrix tags -> the numbers libswscale gives them
_SWS_709, _SWS_601, _SWS_2020 = 1, 5, 9
_MATRICES = {1: _SWS_709, 4: 4, 5: _SWS_601, 6: _SWS_601, 7: 7, 9: _SWS_2020, 10: _SWS_2020}

_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], dtype=np.float32
)


def matrix_of(tag: int, width: int, height: int) -> int:
    """The YUV matrix for libswscale. Untagged files follow the rule of players: 709 for HD, 601 below."""
    return _MATRICES.get(tag, _SWS_709 if height >= 720 or width >= 1280 else _SWS_601)


def is_hdr(transfer: int) -> bool:
    return transfer in (PQ, HLG)


def tone_map(rgb: NDArray[np.uint16], transfer: int, primaries: int) -> Frames:
    """(..., 3) R'G'B' of 16 bits in PQ or HLG -> 8-bit sRGB of the same shape."""
    if transfer == PQ:
        light = _pq_table()[rgb]
    else:
        scene = _hlg_table()[rgb]
        luminance = scene @ np.array([0.2627, 0.6780, 0.0593], dtype=np.float32)
        light = scene * (PEAK_NITS / WHITE_NITS * np.maximum(luminance, 1e-6) ** np.float32(0.2))[..., None]
    strongest = light.max(axis=-1)
    light *= (_bend(strongest) / np.maximum(strongest, 1e-6))[..., None]
    if primaries == BT2020:
        light = light @ _BT2020_TO_BT709.T
    light = np.clip(light, 0.0, 1.0)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** np.float32(1 / 2.4) - 0.055)
    return np.asarray(np.rint(encoded * 255.0), dtype=np.uint8)


def pq_to_nits(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """SMPTE ST 2084, signal 0..1 -> nits."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = np.power(np.clip(signal, 0.0, 1.0).astype(np.float64), 1 / m2)
    return np.asarray(10000.0 * np.power(np.maximum(power - c1, 0.0) / (c2 - c3 * power), 1 / m1), dtype=np.float32)


def nits_to_pq(nits: NDArray[np.float32]) -> NDArray[np.float32]:
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = np.power(np.maximum(nits.astype(np.float64), 0.0) / 10000.0, m1)
    return np.asarray(np.power((c1 + c2 * power) / (1.0 + c3 * power), m2), dtype=np.float32)


@lru_cache(maxsize=1)
def _pq_table() -> NDArray[np.float32]:
    """16-bit PQ code -> light, 1.0 being paper white."""
    return pq_to_nits(np.arange(65536, dtype=np.float32) / 65535.0) / np.float32(WHITE_NITS)


@lru_cache(maxsize=1)
def _hlg_table() -> NDArray[np.float32]:
    """16-bit HLG code -> scene light 0..1 (ARIB STD-B67)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    signal = np.arange(65536, dtype=np.float64) / 65535.0
    return np.asarray(np.where(signal <= 0.5, signal**2 / 3.0, (np.exp((signal - c) / a) + b) / 12.0), np.float32)


def _bend(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """BT.2390 section 5.4.1 in PQ space, from PEAK_NITS to paper white: a line, then a Hermite spline to 1.0."""
    top = nits_to_pq(np.array([PEAK_NITS], np.float32))[0]
    signal = np.minimum(nits_to_pq(light * np.float32(WHITE_NITS)) / top, 1.0)
    goal = nits_to_pq(np.array([WHITE_NITS], np.float32))[0] / top
    knee = 1.5 * goal - 0.5
    t = np.clip((signal - knee) / (1.0 - knee), 0.0, 1.0)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * goal
    bent = np.where(signal < knee, signal, spline)
    return pq_to_nits(np.asarray(bent * top, np.float32)) / np.float32(WHITE_NITS)
