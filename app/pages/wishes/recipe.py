"""A take's recipe: shown, copied, and drawn again exactly. Knows nothing of Gradio."""

from __future__ import annotations

import json
from typing import Any

from app.catalogue import say
from app.pages.place import Place
from app.pages.progress import job_text
from app.pages.wishes.person import Message, Person, Question, Wish, text_of
from app.store.errors import NotFound
from app.store.jobs import Job
from app.story import Take
from nsp_core.errors import UserError

_JSON = ("settings", "parents", "versions")


class Recipes:
    def __init__(self, person: Person) -> None:
        self.person = person
        self.wishes: dict[str, Wish] = {"replay": self._replay}
        self.questions: dict[str, Question] = {"recipe": self._recipe}

    def _replay(self, message: Message, place: Place) -> Place:
        self.person.director.submit_replay(self.person.owner_id, text_of(message, "take", limit=64))
        return place

    def _recipe(self, message: Message, _place: Place) -> dict[str, Any]:
        take = self.person.stories.take(text_of(message, "take", limit=64))
        row = self.person.stories.recipe(take.id)
        if row is None:
            raise UserError(say("recipe.none"))
        recipe = plain(row)
        return {
            "take": take.id,
            "number": take.number,
            "drawn": take.created_at.isoformat(),
            "seconds": take.draw_seconds,
            "recipe": recipe,
            "parents": [self._parent(parent) for parent in recipe["parents"]],
            "anchor": self._anchor(recipe),
            "text": json.dumps(recipe, indent=2, ensure_ascii=False),
            "replay": self._last_replay(take),
        }

    def _parent(self, parent: dict[str, Any]) -> dict[str, Any]:
        """A scene that it was drawn after: with its number in the story and its take's, while they are there."""
        try:
            scene = self.person.stories.scene(parent["scene"])
            number = next((one.number for one in scene.takes if one.id == parent["take"]), None)
            place = scene.depth + 1
        except NotFound:
            number, place = None, None
        seen = parent["frames"] is not None
        return {"words": parent["words"], "scene": place, "take": number, "seen": seen}

    def _anchor(self, recipe: dict[str, Any]) -> str | None:
        anchor = next((parent for parent in recipe["parents"] if parent.get("anchor")), None)
        return None if anchor is None else str(anchor["words"])

    def _last_replay(self, take: Take) -> dict[str, Any] | None:
        jobs = self.person.store.jobs.recent(
            owner_id=self.person.owner_id, scene_id=take.scene_id, kinds=("replay",), limit=60
        )
        job = next((job for job in jobs if job.payload["take"] == take.id), None)
        return None if job is None else replay_view(job)


def replay_view(job: Job) -> dict[str, Any]:
    """What came of drawing it again, or how far that is."""
    return {
        "job": job.id,
        "open": job.is_open,
        "status": job.status,
        "text": job_text(job) if job.is_open else job.error or "",
        "share": job.step / job.total if job.total else 0,
        "at": job.finished_at.isoformat() if job.finished_at else None,
        **{name: job.result.get(name) for name in ("verdict", "then", "now", "differences", "notes")},
    }


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A recipe for people and programs: without our row's names, what is JSON in a column as what it is."""
    found = {name: value for name, value in row.items() if name not in ("take_id", "created_at")}
    for name in _JSON:
        found[name] = json.loads(found.pop(f"{name}_json"))
    return found
