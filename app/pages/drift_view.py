"""The small card of each scene: how far its picture is from the anchor's. Pure; knows nothing of Gradio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.drift import beyond, known_drift
from app.story import Scene, Take
from nsp_core import drift

NAMES = ("colour", "contrast", "sharpness", "identity")


def drift_views(path: Sequence[Scene]) -> list[dict[str, Any] | None]:
    """A card for each scene of a path that begins where the story does; one walk, however long it is."""
    views = []
    anchors: dict[str, Scene] = {}  # in the order of the path
    for scene in path:
        named = anchors.get(scene.anchor_scene_id or "")
        anchor = named or next(iter(anchors.values()), None)
        views.append(drift_view(scene, anchor, scene.chosen))
        if scene.chosen is not None and "last_frame" in scene.chosen.media:
            anchors[scene.id] = scene
    return views


def drift_view(scene: Scene, anchor: Scene | None, take: Take | None) -> dict[str, Any] | None:
    """For client/drift.js: None without an anchor or pictures; {"asks": True} when it is not measured yet."""
    if anchor is None or take is None:
        return None
    view = {"anchor": anchor.id, "number": anchor.depth + 1, "named": scene.anchor_scene_id == anchor.id}
    kept = known_drift(anchor, take)
    if kept is None:
        return {**view, "asks": True}
    limits = drift.LIMITS_OF_BROUGHT_IN if kept["brought_in"] else drift.LIMITS
    return {
        **view,
        "asks": False,
        "beyond": list(beyond(kept)),
        "values": {name: kept[name] for name in NAMES},
        "limits": {
            "colour": [None, limits.colour],
            "contrast": list(limits.contrast),
            "sharpness": [limits.sharpness, None],
            "identity": [limits.identity, None],
        },
    }
