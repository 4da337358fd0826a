"""Another language is one file: with a made-up one, every word that the page says comes from it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.catalogue import LANGUAGES
from tests.browser.conftest import PAINTER, Server, new_server, painted
from tests.browser.painter import NEXT
from tests.browser.room import Room
from tests.browser.test_access_journeys import places
from tests.browser.test_begin_journeys import film

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

# What is left of the page when everything inside the brackets is taken out: texts that nobody sees are not asked for.
LEFT = """() => {
  const said = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  // names and figures of models, parts and machines; the story's own words in hits; examples, which are the model's
  const data = "[translate=no], code, pre, kbd, time, textarea, script, style, noscript, .wn-examples, .wn-hit";
  while (walk.nextNode()) {
    const node = walk.currentNode;
    const parent = node.parentElement;
    const seen = parent.checkVisibility({ visibilityProperty: true });
    if (node.data.trim() && seen && !parent.closest(data)) said.push(node.data);
  }
  for (const node of document.querySelectorAll("[aria-label], [title], [placeholder], [alt]"))
    for (const name of ["aria-label", "title", "placeholder", "alt"])
      if (node.getAttribute(name) && node.closest(".wn")) said.push(node.getAttribute(name));
  return said;
}"""


def bracketed(value: Any) -> Any:
    """Every text of the catalogue between brackets, its letters and its {names} as they are."""
    return {key: bracketed(one) for key, one in value.items()} if isinstance(value, dict) else f"⟦{value}⟧"


def written(sections: dict[str, Any]) -> str:
    """As TOML: a JSON string is a TOML string."""
    lines = []
    for section, texts in sections.items():
        lines.append(f"[{section}]")
        for name, text in texts.items():
            forms = (
                ", ".join(f"{form} = {json.dumps(one)}" for form, one in text.items()) if isinstance(text, dict) else ""
            )
            lines.append(f"{name} = " + (f"{{{forms}}}" if forms else json.dumps(text)))
    return "\n".join(lines)


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[Server]:
    sections = tomllib.loads((LANGUAGES / "en.toml").read_text(encoding="utf-8"))
    made_up = {name: texts if name == "language" else bracketed(texts) for name, texts in sections.items()}
    path = tmp_path / "brackets.toml"
    path.write_text(written(made_up), encoding="utf-8")
    server = new_server(tmp_path, {**painted(), "WHATNEXT_LANGUAGE": str(path)})
    yield server
    server.stop()


def unsaid(texts: list[str]) -> set[str]:
    """What is neither from the catalogue nor told by the story or by the machine."""
    left = set()
    for text in texts:
        rest = text
        while (inner := re.sub(r"⟦[^⟦⟧]*⟧", "", rest)) != rest:
            rest = inner
        for known in (PAINTER.begin, *NEXT):
            for length in range(len(known), 8, -1):
                rest = rest.replace(known[:length], "")
        if re.search(r"[^\W\d_]{2}", re.sub(r"\d [kKMG]B", "", rest)):
            left.add(text)
    return left


@pytest.mark.full
def test_every_word_comes_from_the_catalogue(foreign: Server, open_room: Callable[..., Room], tmp_path: Path) -> None:
    room = open_room(foreign)
    left = {}
    for place in places(room, film(tmp_path / "film.mkv", "matroska")):
        if words := unsaid(room.page.evaluate(LEFT)):
            left[place] = words
    assert not left
