"""The beginnings that are offered to somebody who has none: assets/examples/examples.json and its pictures.

    [{"title": "An egg on the meadow", "words": "It is day. A red egg lies on the left.", "image": "egg.png"}, ...]

`image` may be missing: then the scene is drawn from its words. Knows nothing of stories.
"""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from app.settings import ROOT

log = logging.getLogger(__name__)

FOLDER = ROOT / "assets" / "examples"
MANIFEST = "examples.json"
SHOWN = 6
_FILE = re.compile(r"[\w-][\w.-]{0,80}\.(png|jpg|jpeg|webp)")


@dataclass(frozen=True)
class Example:
    name: str  # its key: the title in lower case, words joined by hyphens
    title: str
    words: str
    image: str | None = None


@dataclass(frozen=True)
class Examples:
    folder: Path
    all: tuple[Example, ...] = ()

    def __getitem__(self, name: str) -> Example:
        found = next((one for one in self.all if one.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

    def titled(self, file_name: str) -> Example | None:
        """The example that an upload called `file_name` came from; uploads of people are called otherwise."""
        return next((one for one in self.all if example_file_name(one) == file_name), None)


def example_file_name(example: Example) -> str:
    """What the picture is called while it is read: a name that no file system allows a person to give."""
    return f"example/{example.name}{Path(example.image or '').suffix}"


def read_examples(folder: Path = FOLDER) -> Examples:
    """At most six. A manifest that cannot be read costs the examples, never the page."""
    try:
        entries = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Examples(folder)
    except (OSError, ValueError) as error:
        log.warning("%s cannot be read (%s); the page offers no examples.", folder / MANIFEST, error)
        return Examples(folder)
    found: list[Example] = []
    for entry in entries if isinstance(entries, list) else []:
        title, words, image = (str(entry.get(key) or "").strip() for key in ("title", "words", "image"))
        if not title or not words:
            continue
        if image and not (_FILE.fullmatch(image) and (folder / image).is_file()):
            log.warning("The picture %r of the example %r is not there; it is drawn from its words.", image, title)
            image = ""
        name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or f"example-{len(found) + 1}"
        found.append(Example(name, title, words, image or None))
    return Examples(folder, tuple(found[:SHOWN]))
