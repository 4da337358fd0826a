"""The tray of takes: what was drawn of a scene, what is being drawn, and what came of the rest. Pure; reads no tables.

Knows nothing of Gradio. A tray is plain JSON for client/takes.js.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app import ranking
from app.catalogue import say
from app.identity import now
from app.pages.progress import job_text, seconds
from app.store.jobs import Job
from app.story import Scene, Take

Verdicts = Mapping[str, Mapping[str, Any]]  # by take


@dataclass(frozen=True)
class Behind:
    """What the tray needs to know beside the scene and its jobs. `typical`: seconds that a take usually needs;
    `judge`: the one that was set up, "" for none."""

    trashed: int = 0
    verdicts: Verdicts = field(default_factory=dict)
    typical: float | None = None
    judge: str = ""


def shown_job(scene: Scene, open_jobs: Sequence[Job]) -> Job | None:
    """The job that fills stage and words: thinking; or the first drawing, while the scene has nothing to show."""
    mine = [job for job in open_jobs if job.scene_id == scene.id]
    thinking = next((job for job in mine if job.kind == "think"), None)
    if thinking is not None:
        return thinking
    drawing = sorted((job for job in mine if job.kind == "draw"), key=lambda job: (job.status != "running", job.id))
    first = drawing[0] if drawing else None
    return first if first is not None and (scene.chosen is None or has_just_ended(first, scene)) else None


def has_just_ended(job: Job, scene: Scene) -> bool:
    """Jobs are read before scenes: what runs there may have its take here already."""
    return any(one.job_id == job.id for one in scene.takes)


def takes_view(scene: Scene, jobs: Sequence[Job], behind: Behind | None = None) -> dict[str, Any]:
    """`jobs`: those of this scene, newest first."""
    behind = behind or Behind()
    draws = sorted((job for job in jobs if job.kind == "draw"), key=lambda job: job.id)
    open_draws = [job for job in draws if job.is_open and not has_just_ended(job, scene)]
    groups = {job.group_id for job in open_draws} or ({draws[-1].group_id} if draws else set())
    group = [job for job in draws if job.group_id in groups]
    judging = next((job for job in jobs if job.kind == "rank" and job.is_open), None)
    return {
        "scene": scene.id,
        "takes": [take_view(take, behind.verdicts.get(take.id)) for take in in_order(scene.takes)],
        "jobs": [
            draw_view(job, group.index(job) + 1, len(group), open_draws, behind.typical)
            for job in group
            if job in open_draws or job.status in ("failed", "cancelled")
        ],
        "group": group_view(group, open_draws, behind.typical),
        "working": any(job.is_open for job in draws) or judging is not None,
        "more": bool(scene.words.strip()) and any(take.kind == "drawn" for take in scene.takes),
        "trashed": behind.trashed,
        "opinion": opinion_view(scene, jobs, judging, behind.judge),
    }


def in_order(takes: Sequence[Take]) -> list[Take]:
    """As the person ranked them; those without a rank after them, as they were drawn."""
    return sorted(takes, key=lambda take: (take.rank is None, take.rank or 0, take.number))


def take_view(take: Take, verdict: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "id": take.id,
        "number": take.number,
        "kind": take.kind,
        "clip": take.media.get("clip"),
        "thumb": take.media.get("thumb") or take.media.get("first_frame"),
        "last": take.media.get("last_frame"),
        "chosen": take.chosen,
        "starred": take.starred,
        "rank": take.rank,
        "seconds": round(take.seconds, 2),
        "verdict": verdict_view(verdict) if verdict else None,
    }


def verdict_view(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """One line that always says whose opinion it is. Missing, or an opinion that is not worth showing: not judged."""
    own = ranking.is_own(str(verdict["judge"]))
    whose = say("takes.own_opinion") if own else say("takes.judge_says", judge=verdict["judge"])
    value = str(verdict["value"])
    hidden = own and not ranking.OWN_IS_SHOWN
    if hidden or value not in ("pass", "fail"):
        why = own_reason() if hidden else say("takes.why", reason=verdict["reason"])
        return {"value": "missing", "whose": whose, "text": say("takes.not_judged"), "why": why, "score": None}
    return {
        "value": value,
        "whose": whose,
        "text": say(f"takes.verdict_{value}"),
        "why": say("takes.why", reason=verdict["reason"]),
        "score": verdict["score"],
    }


def own_reason() -> str:
    return say("takes.own_not_shown", kappa=f"{ranking.OWN_KAPPA:.2f}", pairs=ranking.OWN_PAIRS)


def opinion_view(scene: Scene, jobs: Sequence[Job], judging: Job | None, judge: str) -> dict[str, Any] | None:
    """Whether somebody may be asked about the takes, and whom. None for a scene that follows nothing."""
    if scene.parent_id is None or not any(take.kind == "drawn" for take in scene.takes):
        return None
    last = next((job for job in jobs if job.kind == "rank"), None)
    may = bool(judge) or ranking.OWN_IS_SHOWN
    return {
        "ask": (say("takes.ask_judge", judge=judge) if judge else say("takes.ask_own")) if may else None,
        "why": None if may else own_reason(),
        "leaves": ranking.leaving_of(judge) if judge else None,
        "job": {"id": judging.id, "text": job_text(judging)} if judging else None,
        "error": last.error if last is not None and last.status == "failed" else None,
    }


def draw_view(job: Job, number: int, count: int, open_draws: Sequence[Job], typical: float | None) -> dict[str, Any]:
    """A take that is not there: waiting, being drawn, or ended without one. `number` of `count` in its group."""
    view: dict[str, Any] = {"id": job.id, "number": number, "count": count, "step": job.step, "total": job.total}
    if not job.is_open:
        return {
            **view,
            "state": job.status,
            "text": say("takes.cancelled") if job.status == "cancelled" else job.error or say("takes.failed"),
        }
    drawing = job.status == "running" and not job.cancel
    text = job_text(job)
    if not drawing and not job.cancel and (left := time_left(job, open_draws, typical)) is not None:
        text = say("takes.waiting", left=seconds(left))
    return {
        **view,
        "state": "drawing" if drawing else "stopping" if job.cancel else "waiting",
        "text": text,
        "preview": f"/preview/{job.id}?{job.preview}" if job.preview else None,
    }


def group_view(group: Sequence[Job], open_draws: Sequence[Job], typical: float | None) -> dict[str, Any] | None:
    """How far the takes that were asked for together are; None when none is under way."""
    if not open_draws:
        return None
    done = sum(job.status == "done" or (job.is_open and job not in open_draws) for job in group)
    left = time_left(open_draws[-1], open_draws, typical)
    said = [say("takes.progress", done=done, n=len(group))] if len(group) > 1 else [say("takes.one_more")]
    if left is not None:
        said.append(say("takes.left", left=seconds(left)))
    shares = [1.0 if job not in open_draws else job.step / job.total if job.total else 0.0 for job in group]
    share = sum(shares) / len(group)
    return {"done": done, "count": len(group), "text": " · ".join(said), "share": round(share, 3)}


def time_left(job: Job, open_draws: Sequence[Job], typical: float | None) -> float | None:
    """Seconds until this take is there: what the running one still needs, and a usual take for each that waits before
    it. None while nothing is known."""
    running = next((one for one in open_draws if one.status == "running"), None)
    rest = None if running is None else rest_of(running, typical)
    if job.status == "running":
        return rest
    if typical is None:
        if running is None or running.eta_s is None or not running.step or running.started_at is None:
            return None
        typical = (now() - running.started_at).total_seconds() + running.eta_s
    before = sum(1 for one in open_draws if one.status != "running" and one.id < job.id)
    return (rest if rest is not None else 0.0) + (before + 1) * typical


def rest_of(running: Job, typical: float | None) -> float | None:
    if running.eta_s is not None:
        return running.eta_s
    if typical is None or running.started_at is None:
        return None
    return max(1.0, typical - (now() - running.started_at).total_seconds())
