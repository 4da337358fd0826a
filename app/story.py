"""The story as a tree of scenes: plain dataclasses and the questions one asks of them.

Knows nothing of tables, files or pages. Scenes are immutable here; what changes them is app.store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Kind = Literal["begin", "next"]
Mode = Literal["continue", "cut"]
WordsSource = Literal["model", "user", "edited"]
TakeKind = Literal["drawn", "uploaded", "still"]
Role = Literal[
    "clip",  # the house mp4
    "first_frame",  # lossless PNG
    "last_frame",  # lossless PNG: what a continued scene starts from
    "frames",  # every frame, lossless
    "tail_latents",  # the latents the frames came from
    "thumb",  # small picture for strips and covers
    "preview",  # small moving picture
    "source",  # what the person uploaded
]


@dataclass(frozen=True)
class Take:
    """One drawing of a scene. `media` maps a role to the file's name (sha256.ext), as in /media/<name>."""

    id: str
    scene_id: str
    number: int
    kind: TakeKind
    chosen: bool
    starred: bool
    rank: int | None
    width: int
    height: int
    frame_count: int
    fps: int
    seed: int | None
    draw_seconds: float | None
    created_at: datetime
    media: Mapping[str, str] = field(default_factory=dict)
    parent_take_id: str | None = None
    job_id: str | None = None  # that drew or read it
    drift: str | None = None  # JSON: how far it is from the anchor's picture; see app.drift
    deleted_at: datetime | None = None

    @property
    def seconds(self) -> float:
        return self.frame_count / self.fps


@dataclass(frozen=True)
class Scene:
    """One node of the tree. `seen` is what the model understood of an uploaded beginning."""

    id: str
    story_id: str
    parent_id: str | None
    kind: Kind
    mode: Mode
    depth: int
    position: int
    words: str
    words_source: WordsSource
    steer: str
    seen: str
    in_world: bool | None
    confidence: float | None
    created_at: datetime
    takes: tuple[Take, ...] = ()
    anchor_scene_id: str | None = None  # the scene whose look it takes up again
    deleted_at: datetime | None = None

    @property
    def chosen(self) -> Take | None:
        """The take that the story goes on from."""
        return next((take for take in self.takes if take.chosen and take.deleted_at is None), None)


@dataclass(frozen=True)
class Story:
    id: str
    owner_id: str
    title: str
    premise: str
    cast: str
    look: str
    version: int
    head_scene_id: str | None
    created_at: datetime
    updated_at: datetime
    opened_at: datetime | None = None
    deleted_at: datetime | None = None
    scene_count: int = 0
    cover: str | None = None  # media name of a thumb

    @property
    def bible(self) -> str:
        """What enters every prompt: the fields that are filled in, one a line."""
        parts = (("Premise", self.premise), ("Cast", self.cast), ("Look", self.look))
        return "\n".join(f"{name}: {text.strip()}" for name, text in parts if text.strip())


class Tree:
    """The scenes of one story. Children are in the order they were added; trashed scenes are left out by the caller."""

    def __init__(self, scenes: Iterable[Scene]) -> None:
        ordered = sorted(scenes, key=lambda scene: (scene.depth, scene.position, scene.id))
        self._scenes = {scene.id: scene for scene in ordered}
        self._children: dict[str | None, list[Scene]] = {}
        for scene in ordered:
            self._children.setdefault(scene.parent_id, []).append(scene)

    def __len__(self) -> int:
        return len(self._scenes)

    def __iter__(self) -> Iterator[Scene]:
        return iter(self._scenes.values())

    def __contains__(self, scene_id: str) -> bool:
        return scene_id in self._scenes

    def __getitem__(self, scene_id: str) -> Scene:
        return self._scenes[scene_id]

    @property
    def roots(self) -> tuple[Scene, ...]:
        return tuple(self._children.get(None, ()))

    def children(self, scene_id: str) -> tuple[Scene, ...]:
        return tuple(self._children.get(scene_id, ()))

    def siblings(self, scene_id: str) -> tuple[Scene, ...]:
        """All alternatives of a scene, itself included."""
        return tuple(self._children.get(self[scene_id].parent_id, ()))

    def path(self, scene_id: str) -> tuple[Scene, ...]:
        """From the beginning to the scene, oldest first."""
        path: list[Scene] = []
        at: str | None = scene_id
        while at is not None:
            path.append(self[at])
            at = self[at].parent_id
        return tuple(reversed(path))

    def branch(self, scene_id: str) -> tuple[Scene, ...]:
        """The scene and everything that grows from it, parents before children."""
        found = [self[scene_id]]
        for scene in found:  # grows while it is read
            found.extend(self.children(scene.id))
        return tuple(found)

    def leaves(self) -> tuple[Scene, ...]:
        return tuple(scene for scene in self if not self.children(scene.id))

    def is_branching(self, scene_id: str) -> bool:
        return len(self.children(scene_id)) > 1


def shown_path(tree: Tree, scene_id: str) -> tuple[Scene, ...]:
    """From the beginning through the scene to an end: where the story goes several ways, the one that grew last."""
    path = list(tree.path(scene_id))
    newest: dict[str, str] = {}  # the latest scene in each branch; ids rise with time
    for scene in reversed(tree.branch(scene_id)):  # children before parents
        newest[scene.id] = max([scene.id, *(newest[child.id] for child in tree.children(scene.id))])
    while children := tree.children(path[-1].id):
        path.append(max(children, key=lambda scene: newest[scene.id]))
    return tuple(path)


def within_context(path: tuple[Scene, ...], limit: int, keep: str | None = None) -> tuple[Scene, ...]:
    """At most `limit` scenes of a path: the first one, which holds who and where, the one to `keep`, and the latest."""
    if len(path) <= limit:
        return path
    latest = path[len(path) - limit + 1 :]
    kept = next((scene for scene in path[1 : -len(latest)] if scene.id == keep), None)
    return (path[0], *latest) if kept is None else (path[0], kept, *latest[1:])


def title_from(words: str, limit: int = 48) -> str:
    """A title for a story nobody has named: its first words."""
    line = " ".join(words.split()) or "Untitled story"
    return line if len(line) <= limit else line[: limit - 1].rsplit(" ", 1)[0].rstrip(",.;: ") + "…"
