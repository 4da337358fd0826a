"""What a person asks for becomes a job: a row, written once all that it needs is there.

Knows nothing of pages, and nothing of who does the job.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlmodel import Session

from app import alone
from app.identity import new_id
from app.killpoints import reached
from app.ranking import config_of
from app.store import Store
from app.store.jobs import Kind
from app.store.media import Media
from app.store.models import SceneRow
from app.story import Mode
from nsp_core.errors import UserError
from nsp_core.media.sniff import HEAD_BYTES, sniff

MAX_TAKES = 8
MAX_ALTERNATIVES = 6
_PRIORITY: dict[Kind, int] = {"load": 20, "describe": 10, "think": 10, "rank": 5, "draw": 0, "replay": 0, "export": 0}


class Asking(ABC):
    """`allow` is asked before a job is written and may raise UserError. Every submit_* returns at once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.settings = store.settings
        self.allow: Callable[[], None] = lambda: None

    @abstractmethod
    def expect(self) -> None:
        """Before a job is written: somebody is there, or on the way, who will do it."""

    def submit_describe(
        self, owner_id: str, source: Path, *, name: str = "", start: float | None = None, seconds: float = 30.0
    ) -> str:
        """Read an uploaded picture or clip (`seconds` of it from `start`; None: its end). `name` is what the person
        called the file.

        When it is done, `stories.begin_scene(story, words, describe_job_id=...)` makes it the first scene.
        """
        self.allow()
        name = name or source.name
        with source.open("rb") as file:
            ext = sniff(file.read(HEAD_BYTES)).extension  # what it is, not what it is called
        ext = ext or Path(name).suffix.lstrip(".") or source.suffix.lstrip(".")
        media = self.store.media.put_file(source, ext)
        reached("upload.copied")
        payload = {"media": media.name, "name": name, "start": start, "seconds": seconds}
        self.expect()
        with self.store.database.transaction() as session:
            job_id = self.store.jobs.submit_in(session, owner_id, "describe", payload, priority=_PRIORITY["describe"])
            reached("upload.submitted")
            Media.link(session, media, "source", owner_id=owner_id, job_id=job_id, name=name)
        return job_id

    def submit_think(
        self, owner_id: str, scene_id: str, *, steer: str = "", alternatives: int = 1, seed: int | None = None
    ) -> str:
        """The words of what happens after `scene_id`, perhaps steered ("make it rain")."""
        if not 1 <= alternatives <= MAX_ALTERNATIVES:
            raise UserError(f"Ask for 1 to {MAX_ALTERNATIVES} alternatives, got {alternatives}.")
        scene = self.store.stories(owner_id).scene(scene_id)
        payload = {"steer": steer.strip(), "alternatives": alternatives, "seed": _seed(seed)}
        return self._submit(owner_id, "think", payload, story_id=scene.story_id, scene_id=scene.id)

    def submit_draw(
        self,
        owner_id: str,
        scene_id: str,
        *,
        takes: int = 1,
        mode: Mode | None = None,
        seed: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        shift: float | None = None,
    ) -> tuple[str, ...]:
        """Takes of a scene, one job each and each with a seed of its own (seed, seed + 1 ... when one is given)."""
        if not 1 <= takes <= MAX_TAKES:
            raise UserError(f"Ask for 1 to {MAX_TAKES} takes, got {takes}.")
        scene = self.store.stories(owner_id).scene(scene_id)
        if not scene.words.strip():
            raise UserError("This scene has no words yet: say in one sentence what happens, then draw it.")
        group = new_id()
        jobs = []
        for number in range(takes):
            options: dict[str, Any] = {"seed": _seed(None if seed is None else seed + number)}
            options.update(
                {k: v for k, v in (("steps", steps), ("guidance", guidance), ("shift", shift)) if v is not None}
            )
            payload = {"words": scene.words, "mode": mode or scene.mode, "options": options}
            jobs.append(
                self._submit(owner_id, "draw", payload, story_id=scene.story_id, scene_id=scene.id, group_id=group)
            )
        return tuple(jobs)

    def submit_chain(
        self, owner_id: str, find: Callable[[Session], Sequence[SceneRow]], *, steps: int | None = None
    ) -> tuple[str, ...]:
        """A take of each of these scenes, one after the other: each goes on from the picture before it. `find` gives
        the scenes, in that order, and may make them: they and their jobs are one transaction. Returns their ids."""
        self.allow()
        self.expect()
        group = new_id()
        with self.store.database.transaction() as session:
            scenes = find(session)
            before: str | None = None
            for number, scene in enumerate(scenes, start=1):
                options = {"seed": _seed(None)} | ({} if steps is None else {"steps": steps})
                before = self.store.jobs.submit_in(
                    session,
                    owner_id,
                    "draw",
                    # no words: what they are when their turn comes
                    {"options": options, "chain": {"at": number, "of": len(scenes)}},
                    story_id=scene.story_id,
                    scene_id=scene.id,
                    after_job_id=before,
                    group_id=group,
                    priority=_PRIORITY["draw"],
                )
            return tuple(scene.id for scene in scenes)

    def submit_alone(
        self, owner_id: str, scene_id: str, *, scenes: int, steer: str = "", options: dict[str, Any] | None = None
    ) -> str:
        """Think and draw `scenes` scenes after this one, one after the other, without asking. `options`: as submit_draw
        takes them. Returns the first job; see app.alone for the rest."""
        if not 1 <= scenes <= alone.MOST:
            raise UserError(f"A story goes on by itself for 1 to {alone.MOST} scenes, got {scenes}.")
        scene = self.store.stories(owner_id).scene(scene_id)
        payload = alone.first_payload(scenes, steer.strip(), options or {})
        self.allow()
        self.expect()
        return self.store.jobs.submit(
            owner_id, "think", payload, story_id=scene.story_id, scene_id=scene.id, priority=alone.PRIORITY
        )

    def submit_rank(self, owner_id: str, scene_id: str) -> str:
        """Ask a judge about all takes of a scene: the one that was set up, or the model itself."""
        scene = self.store.stories(owner_id).scene(scene_id)
        takes = [take.id for take in scene.takes if take.kind == "drawn"]
        if not takes:
            raise UserError("This scene has no drawn takes to be judged: draw one first.")
        for job in self.store.jobs.recent(owner_id=owner_id, scene_id=scene_id, kinds=("rank",), open_only=True):
            return job.id
        config = config_of(self.settings.judge, self.settings.data_dir)
        payload = {"takes": takes, "judge": self.settings.judge, "config": config}
        return self._submit(owner_id, "rank", payload, story_id=scene.story_id, scene_id=scene.id)

    def submit_replay(self, owner_id: str, take_id: str) -> str:
        """Draw a take again from its recipe, to see whether it comes out the same. The story does not change."""
        stories = self.store.stories(owner_id)
        take = stories.take(take_id)
        if stories.recipe(take_id) is None:
            raise UserError("These pictures were brought in, not drawn: there is nothing to draw again.")
        scene = stories.scene(take.scene_id)
        for job in self.store.jobs.recent(owner_id=owner_id, scene_id=scene.id, kinds=("replay",), open_only=True):
            if job.payload["take"] == take_id:
                return job.id
        return self._submit(owner_id, "replay", {"take": take_id}, story_id=scene.story_id, scene_id=scene.id)

    def submit_load(self, owner_id: str) -> str:
        """Load the model before it is needed. When one is on its way already, that is the answer."""
        for job in self.store.jobs.recent(owner_id=owner_id, kinds=("load",), open_only=True, limit=1):
            return job.id
        return self._submit(owner_id, "load", {})

    def _submit(self, owner_id: str, kind: Kind, payload: dict[str, Any], **columns: Any) -> str:
        if kind != "load":
            self.allow()
        self.expect()
        return self.store.jobs.submit(owner_id, kind, payload, priority=_PRIORITY[kind], **columns)


def _seed(given: int | None) -> int:
    return random.SystemRandom().randrange(2**31) if given is None else given
