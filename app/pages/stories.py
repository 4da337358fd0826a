"""The shelf: what the list of stories shows. Pure; knows nothing of Gradio."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.catalogue import say
from app.store.search import Hit
from app.story import Story

FIRST_PAGE = 24


def shelf_view(stories: Iterable[Story]) -> list[dict[str, Any]]:
    return [
        {
            "id": story.id,
            "title": story.title or say("view.untitled"),
            "scenes": story.scene_count,
            "cover": story.cover,
            "updated": story.updated_at.isoformat(),
        }
        for story in stories
    ]


def hit_view(hit: Hit) -> dict[str, Any]:
    """`pieces`: [text, whether it is what was looked for]."""
    return {
        "story": hit.story_id,
        "scene": hit.scene_id,
        "title": hit.story_title or say("view.untitled"),
        "where": say("library.in_scene", number=hit.number) if hit.scene_id else "",
        "field": say(f"library.field_{hit.field}"),
        "pieces": [[piece.text, piece.hit] for piece in hit.pieces],
        "thumb": hit.thumb,
        "trashed": hit.trashed,
    }
