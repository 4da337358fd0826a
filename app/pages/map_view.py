"""The map: every scene of a story with what can be seen of it from afar. Pure; where it stands on the sheet is the
page's affair."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from app.store.outline import Node

MOST_WORDS = 300


def map_view(nodes: Sequence[Node], drawing: Collection[str] = ()) -> dict[str, Any]:
    """Parents before children. `parent` is a place in the same list, -1 for a beginning; what is usual is left out."""
    place = {node.id: number for number, node in enumerate(nodes)}
    return {"scenes": [_entry(node, place, drawing) for node in nodes]}


def _entry(node: Node, place: dict[str, int], drawing: Collection[str]) -> dict[str, Any]:
    words = node.words if len(node.words) <= MOST_WORDS else node.words[: MOST_WORDS - 1] + "…"
    entry: dict[str, Any] = {"id": node.id, "parent": place.get(node.parent_id or "", -1), "words": words}
    extra = {
        "thumb": node.thumb,
        "takes": node.takes,
        "star": node.starred,
        "cut": node.mode == "cut",
        "drawing": node.id in drawing,
    }
    return {**entry, **{name: value for name, value in extra.items() if value}}
