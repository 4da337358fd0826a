"""Ctrl-C: the program ends, the worker with it, and what was unfinished goes on at the next start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.locks import device_lock, holder_of, is_held
from app.settings import ROOT, Settings
from app.store import Store, open_store
from tests.app.test_routes import free_port

pytestmark = [pytest.mark.full, pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to one process")]
Eventually = Callable[..., Any]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], tuple[subprocess.Popen[str], Store]]]:
    started: list[subprocess.Popen[str]] = []
    stores: list[Store] = []

    def start(fake: dict[str, Any]) -> tuple[subprocess.Popen[str], Store]:
        environment = {"WHATNEXT_PREDICTOR": "tests.app.fake_predictor:load", "WHATNEXT_MODEL": json.dumps(fake)}
        command = [sys.executable, "-m", "app.main", "--no-browser", "--data-dir", str(tmp_path / "data")]
        command += ["--port", str(free_port())]
        made = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(made)
        assert made.stdout is not None and "is open" in made.stdout.readline()
        stores.append(open_store(Settings(data_dir=tmp_path / "data"), prepare=False))
        return made, stores[-1]

    yield start
    for made in started:
        if made.poll() is None:
            made.kill()
            made.wait()
    for store in stores:
        store.close()


def drawing(store: Store, eventually: Eventually) -> str:
    owner = store.local_owner()
    stories = store.stories(owner)
    scene = stories.begin_scene(stories.create_story().id, "A seed lies in the rain.")
    job = store.jobs.submit(owner, "draw", story_id=scene.story_id, scene_id=scene.id)
    eventually(lambda: store.jobs.status(job).phase in ("reading", "drawing"), what="the drawing begins")
    return job


def test_once(page: Any, eventually: Eventually) -> None:
    process, store = page({"steps": 100, "step_seconds": 0.1})
    job = drawing(store, eventually)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    assert not is_held(device_lock(store.settings.locks_dir, "cpu"))
    left = store.jobs.status(job)
    assert (left.status, left.attempts) == ("interrupted", 0), "it goes on at the next start"


def test_twice_ends_at_once(page: Any, eventually: Eventually) -> None:
    process, store = page({"steps": 2, "step_seconds": 600, "deaf": True})
    job = drawing(store, eventually)
    holder = holder_of(device_lock(store.settings.locks_dir, "cpu"))
    assert holder is not None and holder.who == "predicting"
    process.send_signal(signal.SIGINT)
    assert "Ctrl-C once more" in "".join(process.stdout.readline() for _ in range(2))
    eventually(lambda: any(one.stop for one in store.processes.living("worker", within=60)), what="the worker is told")
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    eventually(lambda: not is_held(device_lock(store.settings.locks_dir, "cpu")), what="the worker is gone")
    assert time.monotonic() - began < 2.0
    assert store.jobs.status(job).status == "running", "as a power cut leaves it; the next start takes it over"
