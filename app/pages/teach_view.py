"""What the panel "Teach" and the list of adapters show. Knows nothing of Gradio, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from app.catalogue import say, spoken
from app.checkup.finding import in_bytes
from app.models.line import time_words
from app.teaching.adapters import Offer
from app.teaching.lesson import GATHERING, Clip, Lesson, Step
from app.teaching.teaching import Report

MOST_CLIPS = 400  # that are shown; the others are learnt from all the same
MOST_POINTS = 240  # of a line in the chart

Chosen = tuple[Path, float] | None


def lessons_view(lessons: Iterable[Lesson], report: Report | None) -> list[dict[str, Any]]:
    running = report.lesson if report is not None and report.what == "running" else None
    shown = [(one, state_of(one, report)) for one in lessons]
    return [
        {"key": one.key, "name": one.name, "text": _text(one, state), "running": one.key == running}
        for one, state in shown
    ]


def state_of(lesson: Lesson, report: Report | None) -> str:
    """What the lesson's own files say, unless somebody is at it just now, or died at it."""
    mine = report is not None and report.lesson == lesson.key
    if mine and report is not None and report.what == "running":
        if report.waits:
            return "waiting"
        return {"prepare": "preparing", "plan": "planning", "learn": "learning", "stop": "stopping"}[report.doing]
    state = lesson.state
    return "paused" if state == "learning" else state


def lesson_view(lesson: Lesson, report: Report | None, chosen: Chosen) -> dict[str, Any]:
    report = report if report is not None and report.lesson == lesson.key else None
    state, clips = state_of(lesson, report), lesson.clips()
    running = report is not None and report.what == "running"
    steps = lesson.progress()
    silent = sum(one.keep and bool(one.still or one.clip) and not one.caption for one in clips)
    if state != "prepared" or lesson.plan:
        silent = 0
    return {
        "key": lesson.key,
        "name": lesson.name,
        "state": state,
        "text": _text(lesson, state),
        "running": running,
        "doing": report.doing if report is not None and running else "",
        "ending": report is not None and running and report.ending,
        "stage": _stage(report.stage) if report is not None and running else "",
        "share": report.done / report.total if report is not None and running and report.total else None,
        "why": say("teach.wordless", n=silent) if silent else _why(lesson, report),
        "told": str(lesson.told.get("message") or "") if state == "done" else "",
        "files": [{"name": path.name, "size": in_bytes(path.stat().st_size)} for path in lesson.files()][:MOST_CLIPS]
        if state in (GATHERING, "prepared", "stopped", "failed") and not lesson.asked.get("folder")
        else [],
        "folder": str(lesson.asked.get("folder") or ""),
        "names": lesson.names,
        "clips": [_clip(lesson, one) for one in clips[:MOST_CLIPS]],
        "more": max(0, len(clips) - MOST_CLIPS),
        "counts": _counts(clips),
        "plan": [str(one) for one in lesson.plan.get("sentences") or [] if isinstance(one, str)],
        "plan_is_old": lesson.plan_is_old,
        "minutes": lesson.asked.get("minutes") or None,
        "learning": _learning(steps, running),
        "previews": _previews(lesson, clips),
        "report": _address(lesson, "report.html") if (lesson.folder / "report.html").is_file() else "",
        "adapter": f"lesson:{lesson.key}" if lesson.adapter is not None else "",
        "in_use": bool(chosen and chosen[1] and lesson.adapter and chosen[0] == lesson.adapter.resolve()),
        "size": in_bytes(lesson.bytes()) if not running else "",
    }


def _why(lesson: Lesson, report: Report | None) -> str:
    """What went wrong, in one sentence; "" when nothing did."""
    if report is not None and report.what == "failed":
        return report.why
    if report is not None and report.what == "running":
        return ""
    return str(lesson.told.get("message") or "") if lesson.state in ("failed", "prepared") else ""


def _text(lesson: Lesson, state: str) -> str:
    """A lesson that nothing can be learnt from yet has no plan."""
    return say("teach.is_unplanned") if state == "prepared" and not lesson.plan else say(f"teach.is_{state}")


def _stage(name: str) -> str:
    """What the command is at, in the words of the page; "" for what it has no words for."""
    return say(f"teach.stage_{name}") if f"teach.stage_{name}" in spoken().texts else ""


def _clip(lesson: Lesson, one: Clip) -> dict[str, Any]:
    return {
        "id": one.id,
        "source": one.source,
        "still": _address(lesson, one.still) if one.still else "",
        "clip": _address(lesson, one.clip) if one.clip and one.seconds else "",
        "seconds": round(one.seconds, 1),
        "caption": one.caption,
        "by": say(f"teach.by_{one.caption_by}") if one.caption_by in ("model", "file", "person") else "",
        "keep": one.keep,
        "reason": one.reason,
        "there": bool(one.still or one.clip),
        "held_out": one.held_out,
    }


def _counts(clips: Sequence[Clip]) -> str:
    if not clips:
        return ""
    kept = [one for one in clips if one.keep]
    films = sum(1 for one in kept if one.seconds)
    parts = [say("teach.clips", n=films)] if films or not kept else []
    if len(kept) > films:
        parts.append(say("teach.pictures", n=len(kept) - films))
    if len(kept) < len(clips):
        parts.append(say("teach.left_out", n=len(clips) - len(kept)))
    return " · ".join(parts)


def _learning(steps: Sequence[Step], running: bool) -> dict[str, Any] | None:
    """The two lines of the chart, and how far it is; None before the first step."""
    if not steps:
        return None
    last = steps[-1]
    held_out = [(one.step, one.held_out) for one in steps if one.held_out is not None]
    left = say("models.left", time=time_words(last.left)) if running and last.left else ""
    return {
        "step": last.step,
        "steps": last.steps,
        "text": say("teach.step", step=last.step, steps=last.steps),
        "left": left,
        "loss": thinned([(one.step, one.loss) for one in steps]),
        "held_out": thinned(held_out),
        "now": {"loss": last.loss, "held_out": held_out[-1][1] if held_out else None},
    }


def thinned(points: Sequence[tuple[int, float]], most: int = MOST_POINTS) -> list[list[float]]:
    """At most that many points: each the mean of its neighbours, so that a spike is neither lost nor made up. The first
    and the last one stay."""
    if len(points) <= most:
        return [[step, value] for step, value in points]
    inner, size = points[1:-1], (len(points) - 2) / (most - 2)
    groups = [inner[round(at * size) : round((at + 1) * size)] for at in range(most - 2)]
    means = [[group[len(group) // 2][0], sum(value for _, value in group) / len(group)] for group in groups if group]
    return [list(points[0]), *means, list(points[-1])]


def _previews(lesson: Lesson, clips: Iterable[Clip]) -> list[dict[str, Any]]:
    """By held-out clip: as it was, as the model drew it before, on the way, and after."""
    known = {one.id: one for one in clips}
    rows: dict[str, dict[str, Any]] = {}
    for one in lesson.previews():
        clip = known.get(one.clip)
        row = rows.setdefault(
            one.clip,
            {
                "id": one.clip,
                "caption": clip.caption if clip else "",
                "true": _address(lesson, clip.clip) if clip and clip.clip and clip.seconds else "",
                "drawn": [],
            },
        )
        label = say(f"teach.{one.when}") if one.when in ("before", "after") else say("teach.at_step", n=one.when)
        row["drawn"].append({"when": one.when, "label": label, "clip": _address(lesson, one.path)})
    return list(rows.values())


def _address(lesson: Lesson, name: str) -> str:
    """Changes when the file does, so that a browser does not show an older one."""
    path = lesson.folder / name
    stamp = int(path.stat().st_mtime) if path.is_file() else 0
    return f"/lesson/{quote(lesson.key)}/{quote(name)}?v={stamp}"


def adapters_view(found: Iterable[Offer], chosen: Chosen, base: str, *, left_out: str) -> list[dict[str, Any]]:
    """`base`: the fingerprint of the model that runs, "" when that is not known."""
    return [_adapter(one, chosen, base, left_out) for one in found]


def _adapter(one: Offer, chosen: Chosen, base: str, left_out: str) -> dict[str, Any]:
    mine = chosen is not None and chosen[0] == one.path.resolve()
    strength = chosen[1] if mine and chosen is not None else 0.0
    why = one.why
    if not why and base and one.base and one.base != base:
        why = say("teach.other_base", name=one.name)
    if not why and mine and strength and left_out:
        why = left_out
    facts = [in_bytes(one.bytes), say("teach.rank", n=one.rank)] if one.rank else []
    return {
        "key": one.key,
        "name": one.name,
        "from": say("teach.from_lesson") if one.lesson else say("teach.from_folder"),
        "facts": " · ".join(facts),
        "strength": strength,
        "why": why,
        "fits": not why,
    }
