"""report.html of a lesson: what was learnt from, how it went, and held-out clips before and after, in one file.

Nothing is loaded from elsewhere. Knows nothing of models.
"""

from __future__ import annotations

import base64
import html
from typing import Any

from nsp_core.media import crop_resize, read_media
from nsp_core.media.write import whole_file
from training.evaluate.report import webp
from training.teach.lesson import Clip, Lesson

WIDTH = 320  # pixels of a clip on the page
COLUMNS = (("real", "your clip"), ("before", "before"), ("after", "after"))


def write_report(lesson: Lesson, clips: list[Clip], ended: str) -> None:
    told, rows = lesson.told(), lesson.progress_rows()
    plan = lesson.read("plan.json", {})
    looks = [(row["step"], row["held_out"]) for row in rows if row["held_out"] is not None]
    parts = [_HEAD.format(title=html.escape(told.name))]
    parts.append(f"<p>{html.escape(ended)}</p>")
    if looks:
        least = min(value for _, value in looks)
        parts.append(
            f"<p>Loss on clips that it never learnt from: {looks[0][1]:.4f} before, {least:.4f} at its best "
            f"({change(looks[0][1], least)}). Lower is nearer to your clips; it is no measure of a likeness.</p>"
        )
    parts.append(chart(rows))
    parts.append(
        "<h2>Before and after</h2><p>Drawn from the first picture and the words of clips that it never learnt "
    )
    parts.append("from (of a photo from the words alone), with the same noise.</p>")
    parts += [card(lesson, clip) for clip in clips]
    parts.append("<h2>What was planned</h2><ul>")
    parts += [f"<li>{html.escape(one)}</li>" for one in plan.get("sentences", ())]
    parts.append("</ul></main></html>\n")
    with whole_file(lesson.report) as part:
        part.write_text("".join(parts), encoding="utf-8")


def change(before: float, after: float) -> str:
    share = (after - before) / before if before else 0.0
    return f"{share:+.0%}" if abs(share) >= 0.005 else "no change"


def card(lesson: Lesson, clip: Clip) -> str:
    words = next((r["words"] for r in lesson.read("previews.json", []) if r["id"] == clip.id), clip.caption)
    figures = []
    for kind, label in COLUMNS:
        path = lesson.previews / f"{kind}-{clip.id}.mp4"
        if kind == "real":
            path = lesson.folder / str(clip.clip or clip.still)
        if path.is_file():
            data = base64.b64encode(moving(path)).decode()
            picture = f"<img alt='{label}' src='data:image/webp;base64,{data}'>"
            figures.append(f"<figure>{picture}<figcaption>{label}</figcaption></figure>")
    return f"<article><p>{html.escape(words)}</p><div>{''.join(figures)}</div></article>"


def moving(path: Any) -> bytes:
    frames = read_media(path, fps=8, side=2 * WIDTH).frames
    height = round(WIDTH * frames.shape[1] / frames.shape[2])
    return webp([crop_resize(frame, WIDTH, height) for frame in frames], 75)


def chart(rows: list[dict[str, Any]], width: int = 640, height: int = 180) -> str:
    """The loss by step, and the held-out clips' as dots, as SVG."""
    if len(rows) < 2:
        return ""
    values = [row[name] for row in rows for name in ("loss", "held_out") if row[name] is not None]
    low, high = min(values), max(values)
    last = max(row["step"] for row in rows) or 1

    def at(step: int, value: float) -> str:
        return f"{40 + (width - 50) * step / last:.1f},{10 + (height - 30) * (high - value) / ((high - low) or 1):.1f}"

    line = " ".join(at(row["step"], row["loss"]) for row in rows if row["held_out"] is None)
    dots = "".join(
        f"<circle r='4' cx='{x}' cy='{y}'/>"
        for x, y in (at(row["step"], row["held_out"]).split(",") for row in rows if row["held_out"] is not None)
    )
    return (
        f"<svg viewBox='0 0 {width} {height}' role='img' aria-label='loss by step'><polyline points='{line}'/>{dots}"
        f"<text x='0' y='16'>{high:.2f}</text><text x='0' y='{height - 20}'>{low:.2f}</text>"
        f"<text x='{width - 60}' y='{height - 4}'>step {last}</text></svg>"
        "<p class='small'>Line: what is learnt from. Dots: the clips that are not.</p>"
    )


_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0; background: #f7f4ee; color: #2b2a33 }}
main {{ max-width: 1080px; margin: 0 auto; padding: 24px 16px }}
article {{ background: #fff; border-radius: 10px; padding: 12px; margin: 14px 0 }}
article div {{ display: flex; flex-wrap: wrap; gap: 8px }} figure {{ margin: 0 }}
figure img {{ width: 320px; max-width: 100%; border-radius: 6px }}
figcaption, .small {{ font-size: 13px; color: #6d6a78 }} p {{ margin: 4px 0 }}
svg {{ width: 100%; max-width: 640px; background: #fff; border-radius: 10px }}
polyline {{ fill: none; stroke: #6d6a78; stroke-width: 1.5 }} circle {{ fill: #2f6f8f }}
text {{ font-size: 12px; fill: #6d6a78 }}
</style><main><h1>{title}</h1>"""
