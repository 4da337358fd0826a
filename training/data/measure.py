"""Numbers about frames: light, motion, letters, edges, and the fingerprints by which copies are found.

Everything is arithmetic on grey values (0..255); nothing here has learnt anything, and `text_share` is a heuristic that
sees lines of high-contrast strokes, in whatever script, and also a picket fence. Knows nothing of files or thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]  # (H, W)
_CHANGED = 0.35  # a mean difference below it is a repeated frame
_FLAT = 4.0  # a standard deviation below it is a card of one colour
_DARK_ROW = 20.0


def measures_of(small: Sequence[Grey], middle: Grey, black: float) -> dict[str, Any]:
    """Of a clip: `small`, its frames at its own rate; `middle`, the middle one at full size."""
    light = [float(frame.mean()) for frame in small]
    changes = [float(cv2.absdiff(a, b).mean()) for a, b in zip(small, small[1:], strict=False)]
    flat = [float(frame.std()) < _FLAT for frame in small]
    first, last = small[0], small[-1]
    return {
        "brightness": rounded(np.mean(light)),
        "motion": rounded(np.mean(changes)) if changes else 0.0,
        "still": rounded(np.mean([change < _CHANGED for change in changes])) if changes else 1.0,
        "black": rounded(np.mean([value < black for value in light])),
        "flat": rounded(np.mean(flat)),
        "bars": rounded(min(bars_of(frame) for frame in (first, small[len(small) // 2], last))),
        "text": rounded(text_share(middle)),
        "sharpness": rounded(cv2.Laplacian(middle, cv2.CV_64F).var()),
        "prints": [fingerprint(frame) for frame in (first, small[len(small) // 2], last)],
    }


def bars_of(grey: Grey) -> float:
    """Share of the picture that is black rows or columns at its edges; a black picture has none."""
    rows, columns = grey.max(axis=1) > _DARK_ROW, grey.max(axis=0) > _DARK_ROW
    if not rows.any():
        return 0.0
    high = len(rows) - int(rows.argmax()) - int(rows[::-1].argmax())
    wide = len(columns) - int(columns.argmax()) - int(columns[::-1].argmax())
    return 1.0 - high * wide / grey.size


def text_share(grey: Grey) -> float:
    """Share of the picture covered by what looks like lines of letters: strokes of high contrast that stand side by
    side in a row longer than high (the classical gradient-and-closing detector, for example of OpenCV's tutorials)."""
    gradient = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)))
    strokes = (gradient > 90).astype(np.uint8)  # burnt-in letters stand out; leaves and grass seldom do
    lines = cv2.morphologyEx(strokes, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_RECT, (15, 1)))
    count, _, stats, _ = cv2.connectedComponentsWithStats(lines, connectivity=8)
    covered = 0
    for left, top, wide, high, filled in stats[1:count]:
        part = strokes[top : top + high, left : left + wide]
        is_line = wide >= 2.5 * high and 6 <= high <= grey.shape[0] // 5 and wide >= 24
        if is_line and filled >= 0.4 * wide * high and part.mean() >= 0.12 and crossings(part) >= wide / 16:
            covered += int(wide) * int(high)
    return covered / grey.size


def crossings(strokes: Grey) -> int:
    """How often a line through the middle enters a stroke: letters are many, a bar is one."""
    row = strokes[len(strokes) // 2]
    return int(np.count_nonzero(np.diff(row.astype(np.int8)) == 1))


def fingerprint(grey: Grey) -> str:
    """16 hexadecimal digits: the signs of the differences along the rows of a 9x8 picture (dHash, N. Krawetz 2013)."""
    tiny = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    bits = (np.diff(tiny, axis=1) > 0).flatten()
    return f"{int(''.join('1' if bit else '0' for bit in bits), 2):016x}"


def rounded(value: Any) -> float:
    return round(float(value), 4)
