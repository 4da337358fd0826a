"""Clips that look the same as an earlier one: three fingerprints (first, middle, last frame), each within a few bits.

All clips are held against each other, so this is no stage of single rows; it is arithmetic and is done anew in every
run. Windows of one shot look alike and are not held against each other. Knows nothing of frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.data.rows import Outcome, Row

REASON = "it looks the same as another clip"


def same_looks(rows: Sequence[Row], bits: int) -> dict[str, Outcome]:
    """Outcome `dropped` by row id, with `same_as` the clip that is kept. `bits` below 0: none."""
    if bits < 0 or not rows:
        return {}
    prints = np.array([[int(mark, 16) for mark in row.values["prints"]] for row in rows], np.uint64)
    # two numbers of 64 bits that differ in at most `bits` agree in one of bits + 1 bands: only those are compared
    edges = np.linspace(0, 64, bits + 2).astype(int)
    bands: list[dict[int, list[int]]] = [{} for _ in edges[1:]]
    widths = [(int(a), (1 << int(b - a)) - 1) for a, b in zip(edges, edges[1:], strict=False)]
    all_keys = zip(*(((prints[:, 1] >> np.uint64(a)) & np.uint64(mask)).tolist() for a, mask in widths), strict=True)
    found: dict[str, Outcome] = {}
    for number, (row, keys) in enumerate(zip(rows, all_keys, strict=True)):
        near = sorted({i for band, key in zip(bands, keys, strict=True) for i in band.get(key, ())})
        if near:
            apart = np.bitwise_count(prints[near] ^ prints[number]).max(axis=1)
            close = [i for i, bits_apart in zip(near, apart.tolist(), strict=True) if bits_apart <= bits]
            close = [i for i in close if not one_shot(rows[i], row)]
            if close:
                found[row.id] = Outcome("dropped", REASON, {"same_as": rows[close[0]].id})
                continue
        for band, key in zip(bands, keys, strict=True):
            band.setdefault(key, []).append(number)
    return found


def one_shot(a: Row, b: Row) -> bool:
    return (
        a.parent == b.parent
        and a.values["shot"] == b.values["shot"]
        and a.values["kind"] == b.values["kind"] == "video"
    )
