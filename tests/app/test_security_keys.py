"""Keys come from the environment or the keyring, and are found nowhere afterwards."""

from __future__ import annotations

import io
import json
import logging
import os
import pickle
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from app.director import Director
from app.keys import HIDDEN, Key, hide_keys, key

SECRET = "sk-ant-api03-nobody-may-ever-read-this"


def test_the_environment_goes_before_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {("what-happens-next", "ANTHROPIC_API_KEY"): "from the keyring"}
    fake = SimpleNamespace(get_password=lambda service, name: kept.get((service, name)))
    monkeypatch.setitem(sys.modules, "keyring", fake)
    found = key("ANTHROPIC_API_KEY", {"ANTHROPIC_API_KEY": SECRET})
    assert found is not None and found.reveal() == SECRET
    found = key("ANTHROPIC_API_KEY", {})
    assert found is not None and found.reveal() == "from the keyring"
    assert key("HF_TOKEN", {}) is None


def test_no_keyring_and_a_locked_one_are_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert key("ANTHROPIC_API_KEY", {}) is None

    def locked(_service: str, _name: str) -> str:
        raise RuntimeError("the keyring is locked")

    monkeypatch.setitem(sys.modules, "keyring", SimpleNamespace(get_password=locked))
    assert key("ANTHROPIC_API_KEY", {}) is None


def test_a_key_shows_nothing_of_itself() -> None:
    one = Key(SECRET)
    for text in (repr(one), str(one), f"{one}", f"{[one]}"):
        assert SECRET not in text and HIDDEN in text
    with pytest.raises(TypeError):
        pickle.dumps(one)
    with pytest.raises(TypeError):
        json.dumps({"key": one})


def test_logs_have_no_keys() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        hide_keys({"HF_TOKEN": "plain-looking-token"})
        log = logging.getLogger("a.library")
        log.error("request with %s and %s failed", SECRET, {"token": "plain-looking-token"})
        try:
            raise ValueError(f"bad key {SECRET}")
        except ValueError:
            log.exception("it failed")
    finally:
        root.removeHandler(handler)
    written = out.getvalue()
    assert SECRET not in written and "plain-looking-token" not in written
    assert written.count(HIDDEN) >= 3 and "it failed" in written and "Traceback" in written


def test_nothing_in_the_data_folder_has_the_key(
    monkeypatch: pytest.MonkeyPatch, open_room: Callable[..., Director], eventually: Callable[..., Any]
) -> None:
    """A whole job through page and worker with the key in their environment; then every byte that was written."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    director = open_room()
    owner = director.store.local_owner()
    stories = director.store.stories(owner)
    scene = stories.begin_scene(stories.create_story("A story").id, "It is day.", keep_pictures=False)
    (job,) = director.submit_draw(owner, scene.id)
    eventually(lambda: not director.status(job).is_open)
    director.shutdown()
    read = 0
    for folder, _, names in os.walk(director.settings.data_dir):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                assert SECRET.encode() not in file.read(), name
            read += 1
    assert read > 5
