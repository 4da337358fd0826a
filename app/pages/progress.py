"""What a job says of itself, in words for a person. Pure; knows nothing of Gradio."""

from __future__ import annotations

import math
from typing import Any

from app.identity import now
from app.store.jobs import Job

WAKING = "Waking the storyteller, only the first time takes a moment …"
PHASES = {
    "describe": {"reading": "Looking at your picture …", "describing": "Finding words for it …"},
    "think": {"reading": "Reading the story so far …", "thinking": "Thinking …"},
    "draw": {"reading": "Reading the story so far …", "drawing": "Drawing", "finishing": "Adding the last touches …"},
}


def job_view(job: Job, words: str = "") -> dict[str, Any]:
    """A job that is open, as the page's script reads it. `words`: what is being drawn."""
    return {
        "id": job.id,
        "kind": job.kind,
        "scene": job.scene_id,
        "step": job.step,
        "total": job.total,
        "text": job_text(job),
        "words": words,
        "alternatives": [{"text": one.text, "done": one.done} for one in job.words],
        "preview": f"/preview/{job.id}?{job.preview}" if job.preview else None,
        "cancelling": bool(job.cancel),
    }


def job_text(job: Job) -> str:
    if job.cancel:
        return "Stopping …"
    if job.status == "interrupted":
        return "Picking it up again …"
    if job.status != "running":
        return "Waiting its turn …" if job.ahead else "Getting ready …"
    if job.phase == "loading model":
        return WAKING
    if job.kind == "draw" and job.phase == "drawing" and job.total:
        return " · ".join(filter(None, (f"Drawing, step {job.step} of {job.total}", _time(job))))
    return PHASES.get(job.kind, {}).get(
        job.phase, "Putting it into the book …" if job.phase == "saving" else "Working …"
    )


def _time(job: Job) -> str:
    if job.eta_s is not None and job.step < job.total:
        return f"about {seconds(job.eta_s)} left"
    if job.started_at is not None:
        return seconds((now() - job.started_at).total_seconds())
    return ""


def seconds(value: float) -> str:
    whole = max(1, math.ceil(value))
    return f"{whole} s" if whole < 90 else f"{round(whole / 60)} min"
