"""What the queue shows: all open jobs of a person, over all stories, takes of one scene together. Without Gradio."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from app.alone import part_of
from app.catalogue import say
from app.identity import now
from app.pages.progress import job_text, seconds
from app.store.errors import NotFound
from app.store.jobs import Job, Kind
from app.store.queue import unit_of
from app.store.stories import Stories

Typical = Callable[[Kind], "float | None"]
_NAMED = ("describe", "think", "draw", "rank", "replay", "load", "export")


def queue_view(jobs: Sequence[Job], stories: Stories, typical: Typical, held_up: str = "") -> dict[str, Any]:
    """`jobs` in the order in which they are done. `held_up`: why nothing of it is begun just now."""
    usual = {kind: typical(kind) for kind in {job.kind for job in jobs}}
    units: dict[str, list[Job]] = {}
    for job in jobs:
        units.setdefault(unit_of(job), []).append(job)
    titles: dict[str, str] = {}
    shown, before = [], 0.0
    for name, together in units.items():
        left = sum(_left(job, usual[job.kind]) for job in together if job.status != "paused")
        shown.append(_unit(name, together, stories, titles, usual, before, left, held_up))
        before += left
    places = [one for one in shown if one["movable"]]
    for place, one in enumerate(places):
        one["first"], one["last"] = place == 0, place == len(places) - 1
    return {
        "units": shown,
        "held_up": held_up,
        "left": say("queue.all_left", time=seconds(before)) if before and not held_up else "",
        "pausable": any(one["pausable"] for one in shown),
        "paused": any(one["resumable"] for one in shown),
    }


def queue_badge(counts: dict[str, int]) -> dict[str, int]:
    """For the button that opens it."""
    return {"open": sum(counts.values()), "paused": counts.get("paused", 0)}


def _unit(
    name: str,
    jobs: list[Job],
    stories: Stories,
    titles: dict[str, str],
    usual: dict[Kind, float | None],
    before: float,
    left: float,
    held_up: str,
) -> dict[str, Any]:
    first = jobs[0]
    running = next((job for job in jobs if job.status == "running"), None)
    waiting = [job for job in jobs if job.status != "running"]
    paused = [job for job in jobs if job.status == "paused" or (job.status == "running" and _held(job))]
    chain = part_of(first)
    state = "running" if running else "paused" if len(paused) == len(jobs) else "waiting"
    done, total = _progress(running)
    one_takes = usual[first.kind]
    return {
        "unit": name,
        "kind": first.kind,
        "what": say(f"queue.{_name(first)}", n=len(jobs)),
        "words": _words(first, stories),
        "story": _story(first, stories, titles),
        "scene": first.scene_id,
        "alone": say("alone.scene", scene=chain["scene"], of=chain["of"]) if chain else "",
        "state": state,
        "text": _text(state, running, before, held_up),
        "left": say("progress.left", time=seconds(left)) if running and left else "",
        "usual": say("queue.usual", time=seconds(one_takes)) if one_takes else "",
        "step": done,
        "total": total,
        "waiting": len(waiting) if running else 0,
        "held": bool(running and _held(running)),
        "movable": bool(waiting) and not running and first.kind != "load",
        "pausable": first.kind != "load" and len(paused) < len(jobs) and bool(waiting or chain),
        "resumable": bool(paused),
        "cancelling": all(job.cancel for job in jobs),
        "first": True,
        "last": True,
    }


def _name(job: Job) -> str:
    if job.kind == "draw" and "chain" in job.payload:
        return "retell"  # scene after scene, not takes of one
    return job.kind if job.kind in _NAMED else "other"


def _text(state: str, running: Job | None, before: float, held_up: str) -> str:
    if running is not None:
        return job_text(running, held_up)
    if state == "paused":
        return say("queue.paused")
    if held_up:
        return held_up
    return say("queue.starts_in", time=seconds(before)) if before else say("queue.next")


def _left(job: Job, usual: float | None) -> float:
    """Seconds that a job will still take, as well as that can be known."""
    if job.status != "running" or job.started_at is None:
        return usual or 0.0
    if job.eta_s is not None:
        return job.eta_s
    so_far = (now() - job.started_at).total_seconds()
    if job.step:
        return so_far / job.step * (job.total - job.step)
    return max(0.0, (usual or 0.0) - so_far)  # past what is usual nothing is known


def _progress(job: Job | None) -> tuple[int, int]:
    return (job.step, job.total) if job is not None and job.total else (0, 0)


def _held(job: Job) -> bool:
    return bool((part_of(job) or {}).get("held"))


def _words(job: Job, stories: Stories) -> str:
    if job.kind == "describe":
        return str(job.payload.get("name", ""))
    if words := str(job.payload.get("words", "")):
        return words
    if job.scene_id is None:
        return ""
    try:
        scene = stories.scene(job.scene_id)
    except NotFound:
        return ""
    told = scene.words or scene.seen
    return say("queue.after", words=told) if job.kind == "think" and told else told


def _story(job: Job, stories: Stories, titles: dict[str, str]) -> dict[str, str] | None:
    if job.story_id is None:
        return None
    if job.story_id not in titles:
        try:
            titles[job.story_id] = stories.story(job.story_id).title
        except NotFound:
            return None
    return {"id": job.story_id, "title": titles[job.story_id]}
