"""The page: one gr.HTML component that draws itself from a view, with three questions it may ask the server.

The scripts in client/ run as one function inside the component; they hold no story, only the last view. Gradio brings
the frame, the upload and the calls; everything that lasts is in the database, and where one is, in the address.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from app.catalogue import spoken
from app.pages.desks import Desks
from app.pages.head import paper

CLIENT = Path(__file__).with_name("client")
# later ones use earlier
SCRIPTS = (
    "page.js",
    "drawer.js",
    "leave.js",
    "adapters.js",
    "machine.js",
    "strip.js",
    "play.js",
    "stage.js",
    "recipe.js",
    "drift.js",
    "words.js",
    "retell.js",
    "together.js",
    "tiles.js",
    "takes.js",
    "compare.js",
    "ideas.js",
    "finder.js",
    "stories.js",
    "part.js",
    "camera.js",
    "begin.js",
    "alone.js",
    "queue.js",
    "engine.js",
    "tree.js",
    "map.js",
    "cutplay.js",
    "film.js",
    "share.js",
    "undo.js",
    "thrown.js",
    "library.js",
    "chart.js",
    "clips.js",
    "teach.js",
    "bible.js",
    "room.js",
    "desktop.js",
    "notify.js",
    "choices.js",
    "help.js",
)
STYLES = (
    "colours.css",
    "style.css",
    "drawer.css",
    "map.css",
    "wander.css",
    "begin.css",
    "play.css",
    "drift.css",
    "machine.css",
    "alone.css",
    "takes.css",
    "queue.css",
    "engine.css",
    "library.css",
    "film.css",
    "teach.css",
    "help.css",
    "thumb.css",
)
FRAME = """
<div class="wn">
  <header class="wn-top"></header>
  <div class="wn-notice" role="status" aria-live="polite" hidden></div>
  <div class="wn-main"></div>
  <div class="wn-live" role="status" aria-live="polite"></div>
</div>
"""


def script() -> str:
    """All of client/ as one function's body, the catalogue in front of it."""
    texts = json.dumps(spoken().texts, ensure_ascii=False).replace("</", "<\\/")
    parts = ['"use strict";', f"const CATALOGUE = {texts};"]
    return "\n".join([*parts, *((CLIENT / name).read_text(encoding="utf-8") for name in SCRIPTS)])


def style() -> str:
    return "\n".join((CLIENT / name).read_text(encoding="utf-8") for name in STYLES)


def theme() -> gr.themes.Base:
    """Only names our own fonts, so that Gradio brings none; colours are in colours.css, shapes in style.css."""
    base = gr.themes.Base(font=["Quicksand", "system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    # shown for the moment before the page is there
    return base.set(body_background_fill=paper()["light"], body_background_fill_dark=paper()["dark"])


def story_room(desks: Desks) -> gr.HTML:
    """The whole page. `look` shows a place, `act` does something and shows where it leads, `ask` fills a panel.

    Not a subclass of gr.HTML: Gradio writes a .pyi file beside the module of each subclass.
    """

    def look(message: Any) -> dict[str, Any]:
        return desks().look(message)

    def act(message: Any) -> dict[str, Any]:
        return desks().act(message)

    def ask(message: Any) -> dict[str, Any]:
        return desks().ask(message)

    return gr.HTML(
        value="",
        html_template=FRAME,
        js_on_load=script(),
        apply_default_css=False,
        server_functions=[look, act, ask],
        elem_id="wn-page",
    )
