"""A story room in a temporary folder, with the fake predictor behind its worker."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.director import Director
from app.settings import Settings
from app.store import Store, open_store
from app.store.stories import Stories

MakeSettings = Callable[..., Settings]


def quick(folder: Path, fake: dict[str, Any] | None = None, **values: Any) -> Settings:
    """Quick settings; what `fake` gets are the fields of tests.app.fake_predictor.Fake."""
    usual: dict[str, Any] = {
        "data_dir": folder / "data",
        "predictor": "tests.app.fake_predictor:load",
        "model": json.dumps(fake or {}),
        "safe_predictor": "tests.app.fake_predictor:load",  # the fake stands for the starter, unless a test says not
        "safe_model": json.dumps(fake or {}),
        "heartbeat_every": 0.2,
        "worker_poll": 0.02,
        "worker_poll_idle": 0.05,
        "stop_grace": 30.0,
    }
    return Settings(**{**usual, **values})


@pytest.fixture
def make_settings(tmp_path: Path) -> MakeSettings:
    return partial(quick, tmp_path)


@pytest.fixture(scope="module")
def shared_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Director]:
    """One page with one worker for all tests of a module that only ask for things."""
    director = Director(open_store(quick(tmp_path_factory.mktemp("room"))))
    director.start()
    yield director
    director.shutdown()
    director.store.close()


@pytest.fixture
def store(make_settings: MakeSettings) -> Iterator[Store]:
    opened = open_store(make_settings())
    yield opened
    opened.close()


@pytest.fixture
def stories(store: Store) -> Stories:
    return store.stories(store.local_owner())


@pytest.fixture
def open_room(make_settings: MakeSettings) -> Iterator[Callable[..., Director]]:
    """Start directors (pages); all are shut down at the end, and with them the workers."""
    rooms: list[Director] = []

    def start(fake: dict[str, Any] | None = None, **values: Any) -> Director:
        director = Director(open_store(make_settings(fake, **values)))
        director.start()
        rooms.append(director)
        return director

    yield start
    for room in rooms:
        room.shutdown()
        room.store.close()


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Wait until a question is answered with something true, and return the answer."""

    def wait(question: Callable[[], Any], *, within: float = 60.0, what: str = "") -> Any:
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            if answer := question():
                return answer
            time.sleep(0.02)
        raise AssertionError(f"not within {within} s: {what or question}")

    return wait
