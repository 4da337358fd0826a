"""Pages that stand alone, without a script and without the story room: locked, please log in, not running.

They look like the room by day and by night, as the system has it. Knows nothing of requests and stories.
"""

from __future__ import annotations

import html
from functools import cache
from pathlib import Path

from app.catalogue import say

COLOURS = Path(__file__).parent / "pages" / "client" / "colours.css"
NIGHT = ':root[data-look="dark"] {'

_STYLE = """
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--wn-paper);color:var(--wn-ink);
font:500 1rem/1.5 Quicksand,"Avenir Next","Segoe UI",system-ui,sans-serif;padding:1rem}
main{width:min(27rem,100%);background:var(--wn-page);border-radius:18px;padding:2rem;box-shadow:var(--wn-shadow)}
h1{font:600 1.6rem/1.2 Lora,Georgia,serif;margin:0 0 .5rem}p{margin:0 0 1rem;color:var(--wn-soft)}
label{font-weight:700;display:block;margin-bottom:.35rem}
input{width:100%;font:inherit;color:inherit;background:var(--wn-paper);border:1.5px solid var(--wn-edge);
border-radius:12px;padding:.7rem .9rem}
button{margin-top:1.1rem;width:100%;min-height:44px;border:0;border-radius:999px;padding:.8rem;font:inherit;
font-weight:700;font-size:1.1rem;background:var(--wn-warm);color:var(--wn-on-warm);cursor:pointer}
:focus-visible{outline:3px solid var(--wn-green);outline-offset:2px}
.wrong{background:var(--wn-bad-bg);border:1px solid var(--wn-bad-line);color:var(--wn-ink);border-radius:12px;
padding:.6rem .9rem}
"""


@cache
def colours() -> str:
    """Those of the room; night is when the system says so, for there is no script that could ask for a choice."""
    day, _, night = COLOURS.read_text(encoding="utf-8").partition(NIGHT)
    return f"{day}@media (prefers-color-scheme: dark) {{ :root {{{night} }}"


def plain_page(heading: str, text: str, more: str = "") -> str:
    """A whole document. `heading` and `text` are plain text, `more` is markup of our own."""
    return (
        f'<!doctype html><html lang="{html.escape(say("language.code"))}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{html.escape(heading)}</title><style>{colours()}{_STYLE}</style></head><body><main>"
        f"<h1>{html.escape(heading)}</h1><p>{html.escape(text)}</p>{more}</main></body></html>"
    )
