"""Every word that a file gives away, read out of the finished file itself: what is shown before anything is sent.

Knows nothing of stories: a page, a pack or a film is opened as a stranger would open it. What only a program reads
(ids and hashes; times and modes by the name of their field) is left out; a field that is new is shown until somebody
looks at it.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from app.pack.form import MANIFEST, STORY
from app.terminal import plain

# of story.json and of a film's plan: what says nothing of anybody
# fmt: off
MACHINE = frozenset(
    (
        "kind", "mode", "role", "name", "words_source", "device", "dtype", "frames", "latents", "created_at", "made_at",
        "at", "value", "source", "fit", "shape", "size", "voice", "join", "format", "version", "major_brand",
        "minor_version", "compatible_brands", "encoder", "handler_name", "vendor_id", "language", "creation_time",
        "duration",
    )
)
# fmt: on
_OF_THE_PAGE = "texts"  # what the player's own buttons say
_ID = re.compile(r"[0-9a-f]{64}(\.\w+)?|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CLIP = '<script type="text/plain"'  # a whole film in one line


@dataclass(frozen=True)
class Line:
    """`what`: the field that it stands in. `times`: how often, in all files together."""

    what: str
    text: str
    times: int = 1


def words_in(path: Path) -> Iterator[tuple[str, str]]:
    """(field, text) of everything readable in the file, in its order. A kind that is not known gives nothing."""
    reader = {".html": _page, ".zip": _pack, ".md": _card, ".jsonl": _rows}.get(path.suffix)
    if reader is None and path.suffix in (".mp4", ".webm", ".gif", ".webp"):
        reader = _film
    if reader is not None:
        yield from reader(path)


def lines_of(paths: list[Path]) -> tuple[Line, ...]:
    """All of them, each once, in the order in which they are met."""
    found: dict[tuple[str, str], int] = {}
    for path in paths:
        for what, text in words_in(path):
            if text := plain(text):
                found[what, text] = found.get((what, text), 0) + 1
    return tuple(Line(what, text, times) for (what, text), times in found.items())


def strings_of(value: Any, what: str = "") -> Iterator[tuple[str, str]]:
    """Texts of a JSON value by the name of their field; JSON that is kept as text is opened, too."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == _OF_THE_PAGE:
                continue
            yield from strings_of(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from strings_of(inner, what)
    elif isinstance(value, str) and value[:1] in ("{", "["):
        try:
            yield from strings_of(json.loads(value), what)
        except ValueError:
            yield what, value
    elif isinstance(value, str) and what not in MACHINE and not _ID.fullmatch(value):
        yield what, value


class _Texts(HTMLParser):
    """What a page shows, and the JSON that it carries; clips and scripts that run are passed over."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.kind = "", ""
        self.found: list[tuple[str, str]] = []
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside, self.kind, self.parts = tag, dict(attrs).get("type") or "", []
        given = dict(attrs)
        if tag == "meta" and given.get("name") not in (None, "viewport", "referrer"):
            self.found += strings_of(given.get("content") or "", str(given["name"]))

    def handle_data(self, data: str) -> None:
        if self.inside == "script" and self.kind.endswith("json"):
            self.parts.append(data)
        elif self.inside in ("title", "h1"):
            self.found.append(("title", data))

    def handle_endtag(self, tag: str) -> None:
        if tag == "script" and self.parts:
            self.found += strings_of(json.loads("".join(self.parts)))
        self.inside, self.parts = "", []


def _page(path: Path) -> Iterator[tuple[str, str]]:
    reader = _Texts()
    with path.open(encoding="utf-8") as file:
        for line in file:
            if not line.startswith(_CLIP):
                reader.feed(line)
    reader.close()
    yield from reader.found


def _pack(path: Path) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if member != MANIFEST and member.endswith(".json"):
                yield from strings_of(json.loads(archive.read(member)), "" if member == STORY else member)


def _card(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("title:") or line.startswith("pretty_name:"):
            yield "title", line.partition(":")[2].strip().strip("'\"")


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield from strings_of(json.loads(line))


def _film(path: Path) -> Iterator[tuple[str, str]]:
    """Names, comments, chapters and soft captions. What is burned into pictures or spoken cannot be read here."""
    import av

    with av.open(str(path)) as film:
        for holder in (film, *film.streams, *film.chapters()):
            told = holder["metadata"] if isinstance(holder, dict) else holder.metadata
            for name, text in told.items():
                yield from strings_of(text, name.lower())
        for stream in film.streams.subtitles:
            for packet in film.demux(stream):
                for text in _captions(packet):
                    yield "caption", text
            break


def _captions(packet: Any) -> Iterator[str]:
    data = bytes(packet)
    if len(data) > 2 and int.from_bytes(data[:2]) <= len(data) - 2:  # mov_text: a length, the text, styles
        yield data[2 : 2 + int.from_bytes(data[:2])].decode("utf-8", "replace")
    elif data:
        yield data.decode("utf-8", "replace")  # WebVTT
