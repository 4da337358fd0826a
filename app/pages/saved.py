"""What a person takes along of one scene: the clip, its last picture without loss, its words; each with a good name.

Knows nothing of requests and of Gradio.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.catalogue import say
from app.store.errors import NotFound

if TYPE_CHECKING:
    from app.pages.desk import Desk

PARTS = {"clip": "clip", "picture": "last_frame"}


@dataclass(frozen=True)
class Saved:
    """`content` is a file, or a text."""

    name: str
    ext: str
    content: Path | str


def saved_part(desk: Desk, take_id: str, part: str) -> Saved:
    """`part` is clip, picture or words. Raises NotFound for what is not there or not this person's."""
    take = desk.stories.take(take_id)
    scene = desk.stories.scene(take.scene_id)
    title = desk.stories.story(scene.story_id).title.rstrip(" .…")  # a title may be a sentence, or the start of one
    name = say("play.file_scene", title=title, n=scene.depth + 1)
    if part == "words":
        return Saved(name, "txt", f"{scene.words}\n")
    if part not in PARTS or PARTS[part] not in take.media:
        raise NotFound("There is no such part of a scene.")
    file = take.media[PARTS[part]]
    if part == "picture":
        name = say("play.file_last", title=title, n=scene.depth + 1)
    return Saved(name, file.rpartition(".")[2], desk.media_path(file))
