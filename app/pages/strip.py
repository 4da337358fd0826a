"""The strip: which scenes are shown in a row, and which other ways each of them has. Pure; knows nothing of Gradio."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from app.pages.drift_view import drift_views
from app.story import Scene, Tree


def strip_view(tree: Tree, path: tuple[Scene, ...], drawing: Collection[str] = ()) -> list[dict[str, Any]]:
    """One entry a scene, as the page's script reads it. `drawing`: scenes that are waiting for their pictures."""
    views = [scene_view(tree, scene, scene.id in drawing) for scene in path]
    return [{**view, "drift": card} for view, card in zip(views, drift_views(path), strict=True)]


def scene_view(tree: Tree, scene: Scene, drawing: bool = False) -> dict[str, Any]:
    siblings = tree.roots if scene.parent_id is None else tree.siblings(scene.id)
    take = scene.chosen
    media = take.media if take else {}
    return {
        "id": scene.id,
        "words": scene.words,
        "seen": scene.seen,
        "clip": media.get("clip"),
        "thumb": media.get("thumb") or media.get("first_frame"),
        "last": media.get("last_frame"),
        "ways": [sibling.id for sibling in siblings],
        "after": len(tree.children(scene.id)),
        "drawing": drawing,
        "mode": scene.mode,
        "seconds": round(take.seconds, 3) if take else None,
        "take": take and {"id": take.id, "number": take.number, "kind": take.kind},
    }
