"""What the page says of a story that goes on by itself. Pure; knows nothing of Gradio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.alone import part_of
from app.catalogue import say
from app.store.jobs import Job


def alone_view(recent: Sequence[Job]) -> dict[str, Any] | None:
    """Of the latest chain among a story's jobs, newest first: where it is (`at`), and whether it is over.

    One that is over is told, too: a page that did not look for a while finds out where it went.
    """
    job = next((job for job in recent if part_of(job) is not None), None)
    if job is None:
        return None
    alone = part_of(job) or {}
    scene, of = alone["scene"], alone["of"]
    view = {"chain": alone["chain"], "at": job.scene_id, "open": job.is_open, "failed": False, "left": of - scene + 1}
    if job.is_open:
        held = job.status == "paused" or bool(alone.get("held"))
        text = "alone.stopping" if job.cancel else "alone.held" if held else "alone.scene"
        return {**view, "text": say(text, scene=scene, of=of), "stopping": bool(job.cancel)}
    if job.status == "failed" and job is recent[0]:
        return {**view, "text": say("alone.failed", scene=scene, of=of), "failed": True}
    return view
