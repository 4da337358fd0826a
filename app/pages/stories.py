"""The shelf: what the list of stories shows. Pure; knows nothing of Gradio."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.catalogue import say
from app.story import Story


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
