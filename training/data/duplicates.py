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
    found: dict[str, Outcome] = {}
    for number, row in enumerate(rows):
        keys = [
            (int(prints[number, 1]) >> int(a)) & ((1 << int(b - a)) - 1) for a, b in zip(edges, edges[1:], strict=False)
        ]
        near = np.unique(np.array([i for band, key in zip(bands, keys, strict=True) for i in band.get(key, ())], int))
        if len(near):
            apart = np.bitwise_count(prints[near] ^ prints[number]).max(axis=1)
            close = [int(i) for i in near[apart <= bits] if not one_shot(rows[int(i)], row)]
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
