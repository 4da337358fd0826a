"""What the page says of undo, of a retelling under way and of the things thrown away. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from app.catalogue import say
from app.store.jobs import CHAIN_BROKEN, Job
from app.store.oplog import Step
from app.story import Scene, Take

OF_THE_STORY = ("rename", "edit_story", "clear_takes")


def step_text(step: Step) -> str:
    """In words for a person: "new words for scene 2"."""
    if step.number is None and step.kind not in OF_THE_STORY:
        return say("undo.change")  # its scene was erased for good
    return say(f"undo.{step.kind}", number=step.number)


def undo_view(steps: tuple[Step | None, Step | None]) -> dict[str, Any]:
    """What the two buttons say, and which op each means: {"undo", "undo_step", "redo", "redo_step"}."""
    view: dict[str, Any] = {}
    for name, step in zip(("undo", "redo"), steps, strict=True):
        view[name] = None if step is None else say(f"undo.{name}", what=step_text(step))
        view[f"{name}_step"] = None if step is None else step.op
    return view


def retelling_view(jobs: Iterable[Job]) -> dict[str, Any] | None:
    """Scenes that are drawn one after the other: how far they are. `jobs`: those that are open."""
    chained = [job for job in jobs if "chain" in job.payload and not job.cancel]
    if not chained:
        return None
    first = min(chained, key=lambda job: job.id)
    at, of = int(first.payload["chain"]["at"]), int(first.payload["chain"]["of"])
    return {"group": first.group_id, "scene": first.scene_id, "text": say("wander.retelling", at=at, of=of)}


def trouble_of(job: Job | None) -> str | None:
    """Why the last try did not work, or why it was not even begun."""
    if job is None or not (job.status == "failed" or job.error_kind == CHAIN_BROKEN):
        return None
    return job.error or say("view.failed")


def thrown_away_view(
    scenes: Sequence[tuple[Scene, int, int]], takes: Sequence[tuple[Take, Scene]]
) -> dict[str, list[dict[str, Any]]]:
    """`scenes`: each with how many scenes and takes go with it."""
    return {
        "scenes": [
            {
                "id": scene.id,
                "number": scene.depth + 1,
                "words": scene.words or scene.seen,
                "thumb": _thumb(scene.chosen or next(iter(scene.takes), None)),
                "scenes": grown,
                "takes": drawn,
            }
            for scene, grown, drawn in scenes
        ],
        "takes": [
            {
                "id": take.id,
                "scene": scene.id,
                "number": scene.depth + 1,
                "take": take.number,
                "words": scene.words or scene.seen,
                "thumb": _thumb(take),
            }
            for take, scene in takes
        ],
    }


def _thumb(take: Take | None) -> str | None:
    return None if take is None else take.media.get("thumb") or take.media.get("first_frame")
