"""What stands in the head of the page before anything is drawn: fonts, day or night, the language, the app's name.

Knows nothing of stories. Colours are read from client/colours.css, the one file that names any.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from app.catalogue import say

CLIENT = Path(__file__).with_name("client")
LOOK = "wn:look"  # where the browser keeps the choice: "light", "dark", or nothing for what the system says

# In the head, because Gradio drops @font-face from `css`.
_FACE = (
    '@font-face{{font-family:{};src:url("font/{}.woff2") format("woff2");'
    "font-weight:{};font-style:{};font-display:swap}}"
)
_FACES = (
    ("Lora", "lora-400", 400, "normal"),
    ("Lora", "lora-400-italic", 400, "italic"),
    ("Lora", "lora-600", 600, "normal"),
    ("Quicksand", "quicksand-500", "400 599", "normal"),
    ("Quicksand", "quicksand-700", "600 700", "normal"),
)
# Asked again whenever the system turns to night or a person says what they like better (client/look.js).
_LOOK = """
(() => {
  const night = window.matchMedia("(prefers-color-scheme: dark)");
  const page = document.documentElement;
  page.lang = LANGUAGE;
  page.dataset.window = WINDOW;
  const set = () => {
    let wish = null;
    try { wish = localStorage.getItem(KEY); } catch (error) { /* a browser that keeps nothing */ }
    page.dataset.look = wish === "light" || wish === "dark" ? wish : night.matches ? "dark" : "light";
    let bar = document.querySelector('meta[name="theme-color"]');
    if (!bar) document.head.append(bar = Object.assign(document.createElement("meta"), { name: "theme-color" }));
    bar.content = PAPER[page.dataset.look];
  };
  // Gradio's frame names a card of its own, and asks for it without the cookie that this program wants to see.
  let card = document.querySelector('link[rel="manifest"]');
  if (!card) document.head.append(card = Object.assign(document.createElement("link"), { rel: "manifest" }));
  card.crossOrigin = "use-credentials";
  card.href = "/manifest.webmanifest";
  night.addEventListener("change", set);
  window.addEventListener("wn-look", set);
  set();
})();
"""


@cache
def paper() -> dict[str, str]:
    """The colour of the table, which the browser's own frame takes on: {"light": "#…", "dark": "#…"}."""
    found = re.findall(r"--wn-paper: (#\w+);", (CLIENT / "colours.css").read_text(encoding="utf-8"))
    return dict(zip(("light", "dark"), found, strict=True))


def head(*, windowed: bool = False) -> str:
    """`windowed`: the page says when it is opened and closed; see app.presence."""
    given = {"LANGUAGE": say("language.code"), "KEY": LOOK, "PAPER": paper(), "WINDOW": "own" if windowed else ""}
    script = _LOOK
    for name, value in given.items():
        script = script.replace(name, json.dumps(value).replace("</", "<\\/"))
    return (
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<link rel="apple-touch-icon" href="/icon/icon-192.png">'
        f"<style>{''.join(_FACE.format(*face) for face in _FACES)}</style><script>{script}</script>"
    )
