"""The program is killed while it packs a story or brings one in: a whole file or none, a whole story or none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import killpoints
from app.pack import bring_in, pack_story
from app.settings import ROOT, Settings
from app.store import open_store


@pytest.mark.parametrize("at", ["pack.written", "pack.files"])
def test_a_kill_leaves_a_whole_story_or_none(at: str, tmp_path: Path) -> None:
    store = open_store(Settings(data_dir=tmp_path / "data"))
    stories = store.stories(store.local_owner())
    scene = stories.begin_scene(stories.create_story("Rain").id, "One.")
    with store.database.transaction() as session:
        source = store.media.put_bytes(b"\xff\xd8\xff", "jpg")
        store.media.link(session, source, "source", owner_id=store.local_owner(), scene_id=scene.id)
    out, elsewhere = tmp_path / "rain.zip", Settings(data_dir=tmp_path / "elsewhere")
    open_store(elsewhere).close()
    command = ["app.export", "Rain", "--to", "pack", "--out", str(out), "--data-dir", str(tmp_path / "data")]
    if at == "pack.files":
        pack_story(store, None, scene.story_id, out)
        command = ["app.bring", str(out), "--data-dir", str(elsewhere.data_dir)]
    env = {**os.environ, killpoints.AT: at}
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode in (-9, 137), done.stderr
    assert out.exists() == (at == "pack.files")
    there = open_store(elsewhere)
    assert there.stories(None).list_stories() == ()
    if not out.exists():
        pack_story(store, None, scene.story_id, out)
    made = bring_in(there, there.local_owner(), out)  # and again
    assert made.title == "Rain" and there.media.read(source.name) == b"\xff\xd8\xff"
    there.close()
    store.close()
