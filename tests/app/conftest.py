"""A story room in a temporary folder, with the fake predictor behind its worker."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app.director import Director
from app.settings import Settings
from app.store import Store, open_store
from app.store.stories import Stories

if TYPE_CHECKING:
    from tests.app.dying import Nursery

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


# a room with something to lose in it; see furnished.py and dying.py ---------------------------------------------------


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its data folder, to be copied."""
    from tests.app.furnished import furnish

    return furnish(tmp_path_factory.mktemp("furnished"))


@pytest.fixture
def furnished_settings(furnished: Path, make_settings: MakeSettings) -> Settings:
    """Quick settings on a copy of the furnished room."""
    made = make_settings({"steps": 4})
    shutil.copytree(furnished, made.data_dir)
    return made


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What the processes of a test say."""
    return tmp_path / "processes.log"


@pytest.fixture
def nursery(log: Path, monkeypatch: pytest.MonkeyPatch) -> Nursery:
    """Workers of this test's directors are forks. They live until they are ended unless the test names a death."""
    from tests.app.dying import Nursery

    made = Nursery(None, log)
    monkeypatch.setattr("app.worker_process.subprocess", made)
    return made


@pytest.fixture
def open_furnished(
    furnished_settings: Settings,
    nursery: Nursery,  # noqa: ARG001
) -> Iterator[Callable[[], Director]]:
    """Start the program in the furnished room as a person does, in this process."""
    made: list[Director] = []

    def start() -> Director:
        made.append(Director(open_store(furnished_settings)))
        made[-1].start()
        return made[-1]

    yield start
    for director in made:
        director.shutdown()
        director.store.close()
