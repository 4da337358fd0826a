"""The page that plays a story: nothing in it reaches outside, what a person wrote is text. Without a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from app.player import write_page
from app.player.page import HERE
from app.store import Store
from app.store.stories import Stories
from nsp_core.errors import Cancelled, UserError
from tests.app.test_library import draw

EVIL = '</script><script>alert(1)</script><img src=x onerror=alert(1)> & "quoted" \u2028 {n}'


class Read(HTMLParser):
    """Every element with its attributes, and the text of those that are asked for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.elements:
            self.texts.append((self.elements[-1][1].get("id") or self.elements[-1][0], data))

    def of(self, name: str) -> str:
        return "".join(text for whose, text in self.texts if whose == name).strip()


@pytest.fixture
def page(store: Store, stories: Stories, tmp_path: Path) -> tuple[Read, str, dict[str, Any]]:
    """Of a story with a branch, a scene without a clip, and words that would be markup."""
    story = stories.create_story(EVIL[:100])
    first = stories.begin_scene(story.id, EVIL)
    draw(store, stories, first, b"one" * 300_000)
    second = stories.add_scene(first.id, "Two.")
    draw(store, stories, second, b"one" * 300_000)
    stories.add_scene(first.id, "Another two.")
    stories.trash_scene(stories.add_scene(first.id, "Never mind.").id)
    gone = stories.add_scene(second.id, "Three.")
    store.media.path(draw(store, stories, gone, b"gone").media["clip"]).unlink()
    made = write_page(store, store.local_owner(), story.id, tmp_path / "story.html")
    assert (made.scenes, made.shown, made.clips, made.missing) == (4, 2, 1, 1)
    text = made.path.read_text(encoding="utf-8")
    assert made.bytes == len(text.encode()) and [path.name for path in tmp_path.glob("*story*")] == ["story.html"]
    read = Read(text)
    return read, text, json.loads(read.of("story"))


def test_the_tree_and_its_clips_are_in_it(page: tuple[Read, str, dict[str, Any]]) -> None:
    read, text, data = page
    assert data["roots"] == [0] and data["scenes"][0]["words"] == EVIL.strip()
    told = [[data["scenes"][number]["words"] for number in scene["next"]] for scene in data["scenes"]]
    assert told[0] == ["Two.", "Another two."] and told[1] == ["Three."] and told[2:] == [[], []]
    assert [scene["clip"] for scene in data["scenes"]] == [0, 0, None, None]
    assert base64.b64decode(read.of("clip-0"), validate=True) == b"one" * 300_000
    assert "Never mind" not in text, "what was thrown away stays behind"


def test_a_damaged_clip_is_a_missing_one(store: Store, stories: Stories, tmp_path: Path) -> None:
    first = stories.begin_scene(stories.create_story("A story").id, "One.")
    clip = store.media.path(draw(store, stories, first, b"one" * 1000).media["clip"])
    clip.chmod(0o600)
    clip.write_bytes(b"two" * 1000)
    made = write_page(store, store.local_owner(), first.story_id, tmp_path / "story.html")
    assert (made.scenes, made.shown, made.missing) == (1, 0, 1)


def test_nothing_in_it_reaches_outside(page: tuple[Read, str, dict[str, Any]]) -> None:
    read, text, _ = page
    policy = next(at["content"] or "" for tag, at in read.elements if at.get("http-equiv") == "Content-Security-Policy")
    for name, content in (("script-src", read.of("script")), ("style-src", read.of("style"))):
        written = re.search(rf"<{name[:-4]}>(.*?)</{name[:-4]}>", text, re.DOTALL)
        assert written and content
        digest = base64.b64encode(hashlib.sha256(written[1].encode()).digest()).decode()
        assert f"{name} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';") and "unsafe" not in policy and "http" not in policy
    assert not [at for _, at in read.elements if {"src", "href", "style", "action", "srcset"} & set(at)]
    assert not [at for _, at in read.elements if any(name.startswith("on") for name in at)]
    assert not re.search(r"https?:|//\w+\.|url\(|@import", text.replace(read.of("clip-0"), ""))


def test_what_a_person_wrote_is_text(page: tuple[Read, str, dict[str, Any]]) -> None:
    read, text, _ = page
    assert text.count("alert(1)") == 6, "in the title, the heading and the words"
    assert [at.get("type") for tag, at in read.elements if tag == "script"] == ["application/json", "text/plain", None]
    assert not [tag for tag, _ in read.elements if tag == "img"]
    script = (HERE / "player.js").read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function\(|fetch|XMLHttp", script)


def test_everybody_can_use_it(page: tuple[Read, str, dict[str, Any]]) -> None:
    read, text, data = page
    by_id = {at["id"]: (tag, at) for tag, at in read.elements if "id" in at}
    assert dict(read.elements)["html"]["lang"] == "en" and read.of("title") and read.of("p")
    assert by_id["words"][1]["aria-live"] == "polite" and by_id["choices"][1]["aria-labelledby"] == "ask"
    assert "controls" in by_id["clip"][1] and all(by_id[name][0] == "button" for name in ("back", "again"))
    assert "prefers-reduced-motion" in read.of("style") and ":focus-visible" in read.of("style")
    script = (HERE / "player.js").read_text(encoding="utf-8")
    assert 'createElement("button")' in script and 'addTextTrack("captions"' in script
    assert "prefers-reduced-motion" in script and all(data["texts"].values())
    assert set(re.findall(r'\bat\("([\w-]+)"\)', script)) <= set(by_id), "every element that it looks for is there"
    assert set(re.findall(r"\btexts\.(\w+)", script)) == set(data["texts"])


def test_what_cannot_be_written_leaves_nothing(store: Store, stories: Stories, tmp_path: Path) -> None:
    story = stories.create_story("Empty")
    out = tmp_path / "out.html"
    with pytest.raises(UserError, match="no scene"):
        write_page(store, None, story.id, out)
    draw(store, stories, stories.begin_scene(story.id, "One."), b"one")
    with pytest.raises(Cancelled):
        write_page(store, None, story.id, out, should_stop=lambda: True)
    assert not list(tmp_path.glob("*.html")) and not list(tmp_path.glob(".*partial"))
    out.write_text("mine")
    with pytest.raises(UserError, match="already"):
        write_page(store, None, story.id, out)
    assert out.read_text() == "mine"
