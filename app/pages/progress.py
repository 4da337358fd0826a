"""What a job says of itself, in words for a person. Pure; knows nothing of Gradio."""

from __future__ import annotations

import math
from typing import Any

from app.catalogue import say
from app.identity import now
from app.store.jobs import LOADING, Job

PHASES = {
    "describe": {"reading": "progress.describe_reading", "describing": "progress.describe_describing"},
    "think": {"reading": "progress.think_reading", "thinking": "progress.think_thinking"},
    "draw": {
        "reading": "progress.draw_reading",
        "drawing": "progress.draw_drawing",
        "finishing": "progress.draw_finishing",
    },
    "replay": {"reading": "recipe.reading", "drawing": "recipe.drawing", "finishing": "progress.draw_finishing"},
    "rank": {"judging": "takes.judging"},
}


def job_view(job: Job, words: str = "", because: str = "") -> dict[str, Any]:
    """A job that is open, as the page's script reads it. `words`: what is being drawn; `because`: why it waits."""
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.status if job.status in ("running", "paused") else "waiting",
        "scene": job.scene_id,
        "step": job.step,
        "total": job.total,
        "text": job_text(job, because),
        "words": words,
        "alternatives": [{"text": one.text, "done": one.done} for one in job.words],
        "preview": f"/preview/{job.id}?{job.preview}" if job.preview else None,
        "cancelling": bool(job.cancel),
    }


def waking_text(seconds_so_far: float, usual: float | None) -> str:
    """That the model is being loaded, for how long, and how long that usually takes."""
    so_far = say("engine.so_far", time=seconds(seconds_so_far)) if seconds_so_far >= 1 else ""
    often = say("engine.usual", time=seconds(usual)) if usual else ""
    return " ".join(filter(None, (say("progress.waking"), so_far, often)))


def job_text(job: Job, because: str = "") -> str:
    if job.cancel:
        return say("progress.stopping")
    if because and job.status != "paused" and (job.status != "running" or job.phase == LOADING):
        return because
    if job.status == "interrupted":
        return say("progress.again")
    if job.status == "paused":
        return say("queue.paused_here")
    if job.status != "running":
        return say("progress.waiting" if job.ahead else "progress.ready")
    if job.phase == LOADING:
        return say("progress.waking")
    if job.kind in ("draw", "replay") and job.phase == "drawing" and job.total:
        return " · ".join(filter(None, (say("progress.step", step=job.step, total=job.total), _time(job))))
    otherwise = "progress.saving" if job.phase == "saving" else "progress.working"
    return say(PHASES.get(job.kind, {}).get(job.phase, otherwise))


def _time(job: Job) -> str:
    if job.eta_s is not None and job.step < job.total:
        return say("progress.left", time=seconds(job.eta_s))
    if job.started_at is not None:
        return seconds((now() - job.started_at).total_seconds())
    return ""


def seconds(value: float) -> str:
    whole = max(1, math.ceil(value))
    return say("progress.seconds", n=whole) if whole < 90 else say("progress.minutes", n=round(whole / 60))
