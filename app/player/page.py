"""Writes the page: one HTML file with every chosen clip in it, which asks no network for anything.

Its own policy (a CSP of hashes) forbids all scripts and styles but its own two, and every address but data: in
pictures and films. What a person wrote gets into it as JSON only and is shown as text. Of a story the page holds the
title, the words and the chosen takes' clips, and what drew them (app.provenance): no other takes, nothing that was
brought.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from app.catalogue import say
from app.identity import new_id
from app.pack.packing import check_target, put_in_place
from app.plain import colours
from app.provenance.account import Provenance
from app.provenance.remarks import meta
from app.store import Store
from app.store.backup import private, room_for, sync
from app.store.media import SERVED, is_whole
from app.story import Scene, Tree
from nsp_core.errors import Cancelled, UserError

HERE = Path(__file__).parent
_PIECE = 3 << 18  # bytes, a multiple of 3: pieces of base64 can be put one after another

Told = Callable[[int, int], None]  # done, total


@dataclass(frozen=True)
class Page:
    """`shown`: scenes with a clip. `missing`: clips that are gone or damaged; their scenes are there in words."""

    path: Path
    title: str
    scenes: int
    shown: int
    clips: int
    missing: int
    bytes: int


def write_page(
    store: Store,
    owner_id: str | None,
    story_id: str,
    out: Path,
    *,
    provenance: Provenance | None = None,
    told: Told = lambda _done, _total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Page:
    """`provenance`: what the page tells of its making. Raises UserError when it cannot be written, Cancelled when
    `should_stop` says so."""
    check_target(out)
    stories = store.stories(owner_id)
    story, tree = stories.story(story_id), stories.tree(story_id)
    if not len(tree):
        raise UserError(f"“{story.title}” has no scene yet: begin it, then take it out.")
    wanted = sorted({name for scene in tree if (name := clip_of(scene))})
    files = {name: path for name in wanted if is_whole(path := store.media.path(name), name.partition(".")[0])}
    room_for(sum(path.stat().st_size for path in files.values()) * 4 // 3, out.parent)
    places = {name: place for place, name in enumerate(files)}
    partial = out.with_name(f".{out.name}.{new_id()}.partial")
    try:
        with private(partial) as file:
            remark = provenance.account.remark if provenance is not None else ""
            head, foot = _frame(story.title, _data(tree, places), meta(remark) if remark else "")
            file.write(head.encode())
            for name, path in files.items():
                if should_stop():
                    raise Cancelled("Stopped; nothing was written.")
                kind = SERVED[name.partition(".")[2]]
                file.write(f'<script type="text/plain" id="clip-{places[name]}" data-kind="{kind}">'.encode())
                _base64(path, file)
                file.write(b"</script>\n")
                told(places[name] + 1, len(files))
            file.write(foot.encode())
        sync(partial)
        put_in_place(partial, out)
    finally:
        partial.unlink(missing_ok=True)
    shown = sum(clip_of(scene) in files for scene in tree)
    return Page(out, story.title, len(tree), shown, len(files), len(wanted) - len(files), out.stat().st_size)


def clip_of(scene: Scene) -> str | None:
    """The media name of what is shown of a scene."""
    return None if scene.chosen is None else scene.chosen.media.get("clip")


def _data(tree: Tree, places: dict[str, int]) -> dict[str, Any]:
    """Scenes by number, with the numbers of those that follow."""
    numbers = {scene.id: number for number, scene in enumerate(tree)}
    return {
        "texts": _texts(),
        "roots": [numbers[scene.id] for scene in tree.roots],
        "scenes": [
            {
                "words": scene.words,
                "clip": places.get(clip_of(scene) or ""),
                "next": [numbers[child.id] for child in tree.children(scene.id)],
            }
            for scene in tree
        ],
    }


def _texts() -> dict[str, str]:
    return {
        "begin": say("player.begin"),
        "next": say("player.next"),
        "go_on": say("player.go_on"),
        "back": say("player.back"),
        "again": say("player.again"),
        "end": say("player.end"),
        "where": say("player.where"),
        "no_clip": say("player.no_clip"),
        "scene": say("player.scene", n="{n}"),  # the script counts
    }


def _frame(title: str, data: dict[str, Any], remark: str) -> tuple[str, str]:
    """What comes before the clips, and after them."""
    style = colours() + (HERE / "player.css").read_text(encoding="utf-8")
    script = (HERE / "player.js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; media-src data:; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    name = html.escape(title)
    head = (
        f'<!doctype html>\n<html lang="{html.escape(say("language.code"))}"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="referrer" content="no-referrer">\n{remark}'
        f"<title>{name}</title>\n<style>{style}</style></head>\n<body><main>\n<h1>{name}</h1>\n"
        f"<noscript><p>{html.escape(say('player.noscript'))}</p></noscript>\n"
        '<div id="screen" hidden><video id="clip" controls playsinline preload="auto" aria-describedby="words"></video>'
        '<p id="without" hidden></p></div>\n'
        '<p id="where"></p>\n<p id="words" aria-live="polite"></p>\n'
        '<h2 id="ask" tabindex="-1"></h2>\n<div id="choices" role="group" aria-labelledby="ask"></div>\n'
        '<div id="ways"><button type="button" id="back" hidden></button>'
        '<button type="button" id="again" hidden></button></div>\n</main>\n'
        f'<script type="application/json" id="story">{_inside_script(data)}</script>\n'
    )
    return head, f"<script>{script}</script>\n</body></html>\n"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _inside_script(data: dict[str, Any]) -> str:
    """JSON in which nothing can end the element that it lies in."""
    text = json.dumps(data)  # ASCII: line separators are escaped, too
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _base64(path: Path, file: IO[bytes]) -> None:
    with path.open("rb") as source:
        while piece := source.read(_PIECE):
            file.write(base64.b64encode(piece))
