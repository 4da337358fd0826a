"""Drift of a take: its last picture against its anchor's, measured once and kept with the take as JSON.

The anchor is the scene whose look was taken up again, otherwise the first scene of the path that has pictures. Knows
nothing of pages; what the four numbers are is in nsp_core.drift.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from PIL import Image

from app.store.media import Media
from app.story import Scene, Take
from nsp_core import drift
from nsp_core.drift import Picture

log = logging.getLogger(__name__)


def anchor_of(path: Sequence[Scene]) -> Scene | None:
    """What the last scene of the path is measured against; None for a scene that has nothing before it."""
    drawn = [scene for scene in path[:-1] if scene.chosen is not None and "last_frame" in scene.chosen.media]
    named = [scene for scene in drawn if scene.id == path[-1].anchor_scene_id]
    return next(iter([*named, *drawn]), None)


def drift_of(media: Media, path: Sequence[Scene], last_frame: Picture) -> str | None:
    """What is kept with a take of the path's last scene; None where there is no anchor or its picture is gone.

    Never raises for a picture that cannot be read: a drawing is not lost for the sake of its measurement.
    """
    anchor = anchor_of(path)
    take = None if anchor is None else anchor.chosen
    if anchor is None or take is None:
        return None
    try:
        with Image.open(media.path(take.media["last_frame"])) as picture:
            measured = drift.compare(np.asarray(picture.convert("RGB")), last_frame)
    except (OSError, ValueError):
        log.warning("the drift of a take could not be measured", exc_info=True)
        return None
    return json.dumps(
        {
            "version": drift.VERSION,
            "anchor": anchor.id,
            "take": take.id,
            "brought_in": take.kind != "drawn",
            **{name: round(value, 4) for name, value in asdict(measured).items()},
        }
    )


def drift_of_take(media: Media, path: Sequence[Scene], take: Take) -> str | None:
    """The same for a take that is there already: older ones, or when another anchor was chosen since."""
    if "last_frame" not in take.media:
        return None
    try:
        with Image.open(media.path(take.media["last_frame"])) as picture:
            frame = np.asarray(picture.convert("RGB"))
    except OSError:
        return None
    return drift_of(media, path, frame)


def known_drift(anchor: Scene, take: Take) -> dict[str, Any] | None:
    """What is kept with the take, if it was measured against what is the anchor today."""
    if anchor.chosen is None or take.drift is None:
        return None
    kept: dict[str, Any] = json.loads(take.drift)
    today = (drift.VERSION, anchor.id, anchor.chosen.id)
    return kept if (kept["version"], kept["anchor"], kept["take"]) == today else None


def beyond(kept: dict[str, Any]) -> tuple[str, ...]:
    """Which of the four say that it has drifted."""
    measured = drift.Drift(*(kept[name] for name in ("colour", "contrast", "sharpness", "identity")))
    return drift.drifted(measured, drift.LIMITS_OF_BROUGHT_IN if kept["brought_in"] else drift.LIMITS)
