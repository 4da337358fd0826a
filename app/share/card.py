"""The README of what is sent: what the Hub reads at its top, and a few lines for people. Knows no network."""

from __future__ import annotations

import html
import re
from typing import Any

import yaml

KIND_TAG = "what-happens-next"
_MARK = "<!-- what-happens-next story {story} -->"
_MARKED = re.compile(r"<!-- what-happens-next story ([0-9a-f-]{36}) -->")
_SHORT = 60  # letters of a Space's short_description


def space_card(title: str, story: str, scenes: int, licence: str) -> str:
    front = {
        "title": title,
        "emoji": "📖",
        "colorFrom": "yellow",
        "colorTo": "indigo",
        "sdk": "static",
        "app_file": "index.html",
        "pinned": False,
        "short_description": f"A story of {scenes} scenes in which you choose"[:_SHORT],
        "tags": [KIND_TAG, "story", "interactive"],
    }
    text = (
        "A branching story: the page plays it and asks what happens next. One file, no server behind it, and it asks "
        "no other address for anything."
    )
    return _card(front, licence, title, text, story)


def pack_card(title: str, story: str, file: str, scenes: int, takes: int, licence: str) -> str:
    front = {"pretty_name": title, "tags": [KIND_TAG, "story", "video"], "viewer": False}
    text = (
        f"A whole story in one file: {scenes} scenes, {takes} takes, all branches and how each take was drawn. "
        f"`python launch.py import {file}` of *What happens next?* brings it in and checks every hash."
    )
    return _card(front, licence, title, text, story)


def film_card(title: str, story: str, file: str, scenes: int, seconds: float, licence: str) -> str:
    front = {
        "pretty_name": title,
        "tags": [KIND_TAG, "story", "video"],
        "task_categories": ["text-to-video"],
        "size_categories": ["n<1K"],
    }
    text = f"A film of {scenes} scenes, {seconds:.1f} seconds: `{file}`. `metadata.jsonl` has the words of its scenes."
    return _card(front, licence, title, text, story)


def story_of(card: str) -> str | None:
    """The id of the story that a README says it belongs to."""
    found = _MARKED.search(card)
    return found[1] if found else None


def _card(front: dict[str, Any], licence: str, title: str, text: str, story: str) -> str:
    title = " ".join(title.split())
    front = {name: title if name in ("title", "pretty_name") else value for name, value in front.items()}
    if licence:
        front["license"] = licence
    top = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=1000)
    heading = re.sub(r"([\\`*_{}\[\]()#+!|~-])", r"\\\1", html.escape(title))
    return f"---\n{top}---\n\n# {heading}\n\n{text}\n\n{_MARK.format(story=story)}\n"
