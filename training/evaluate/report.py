"""The report of an evaluation as one HTML file: every figure, and every clip that was judged beside its rendering.

    gallery = Gallery()
    Measure(..., show=gallery.add).run()
    gallery.write(path, title, table)

Nothing is loaded from elsewhere: clips are animated WebP inside the file. Knows nothing of models or judges.
"""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from nsp_core.types import Frames

MILLISECONDS = 125  # a frame, at 8 a second
HOLD = 750  # the last frame rests before the clip begins again
KINDS = {
    "continue": "Right scene, continue",
    "cut": "Right scene, cut",
    "steering": "Steering",
    "what_if": "What if: two stories that differ in one fact",
    "phrases": "Wishes as people type them",
    "closed_loop": "Closed loop: nothing but its own words and clips",
}


@dataclass(frozen=True)
class Exhibit:
    """One judged scene. `passed` None is a missing verdict; `drawn` or `wanted` None: there was nothing to draw."""

    kind: str
    case: str
    asked: str  # what stood before: the story's last words, or the wish
    words: str
    last: Frames | None  # (H, W, 3), the picture that is continued
    drawn: Frames | None  # (T, H, W, 3)
    wanted: Frames | None  # the rendering of what the words tell
    passed: bool | None
    verdict: str


@dataclass
class Gallery:
    exhibits: list[Exhibit] = field(default_factory=list)

    def add(self, exhibit: Exhibit) -> None:
        self.exhibits.append(exhibit)

    def write(self, path: Path, title: str, figures: str) -> None:
        """Whole or not at all: written aside and renamed."""
        parts = [_HEAD.format(title=html.escape(title), figures=html.escape(figures))]
        for kind, name in KINDS.items():
            some = [e for e in self.exhibits if e.kind == kind]
            if some:
                right = sum(e.passed is True for e in some)
                parts.append(f"<section><h2>{html.escape(name)} <small>{right} of {len(some)} follow</small></h2>")
                parts += map(_card, some)
                parts.append("</section>")
        parts.append("</main></html>\n")
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.partial")
        part.write_text("".join(parts), encoding="utf-8")
        os.replace(part, path)


def _card(e: Exhibit) -> str:
    mark = {True: "follows", False: "fails", None: "missing"}[e.passed]
    pictures = [
        _figure(picture, caption)
        for picture, caption in ((e.last, "before"), (e.drawn, "drawn"), (e.wanted, "as the words say"))
        if picture is not None
    ]
    said = f"<p class='asked'>{html.escape(e.asked)}</p><p>{html.escape(e.words or '(no words)')}</p>"
    verdict = f"<p class='verdict'>{html.escape(e.case)}: {html.escape(e.verdict)}</p>"
    return f"<article class='{mark}'><div>{''.join(pictures)}</div>{said}{verdict}</article>"


def _figure(picture: Any, caption: str) -> str:
    frames = picture if picture.ndim == 4 else picture[None]
    data = base64.b64encode(webp(frames)).decode()
    height, width = frames.shape[1:3]
    return (
        f"<figure><img alt='{caption}' width='{width}' height='{height}' src='data:image/webp;base64,{data}'>"
        f"<figcaption>{caption}</figcaption></figure>"
    )


def webp(frames: Iterable[Any], quality: int = 85) -> bytes:
    """(T, H, W, 3) uint8 as an animated WebP that repeats for ever."""
    first, *rest = [Image.fromarray(frame) for frame in frames]
    out = io.BytesIO()
    times = [MILLISECONDS] * len(rest) + [HOLD] if rest else 0
    first.save(out, "WEBP", save_all=bool(rest), append_images=rest, duration=times, loop=0, quality=quality)
    return out.getvalue()


_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body {{ font: 15px/1.45 system-ui, sans-serif; margin: 0; background: #f7f4ee; color: #2b2a33 }}
main {{ max-width: 1180px; margin: 0 auto; padding: 24px }}
pre {{ background: #fff; padding: 14px; border-radius: 10px; overflow-x: auto }}
section {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(540px, 1fr)); gap: 14px }}
h2 {{ grid-column: 1 / -1; margin: 28px 0 0 }} h2 small {{ font-weight: 400; color: #6d6a78 }}
article {{ background: #fff; border-radius: 10px; padding: 12px; border-left: 6px solid #9a97a3 }}
article.follows {{ border-color: #2f8f5b }} article.fails {{ border-color: #c4472f }}
article div {{ display: flex; gap: 8px }} figure {{ margin: 0 }} figure img {{ border-radius: 6px; max-width: 100% }}
figcaption {{ font-size: 12px; color: #6d6a78 }} p {{ margin: 4px 0 }} .asked, .verdict {{ color: #6d6a78 }}
.verdict {{ font-size: 13px }}
</style><main><h1>{title}</h1><pre>{figures}</pre>"""
