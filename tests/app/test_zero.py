"""ZeroGPU: a stand-in for `spaces` that forks for each call and forbids a card in the parent; the rows are the same."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app import zero
from app.director import Director
from app.space.start import get_ready, prepare
from app.store import open_store
from app.store.jobs import Job
from nsp_core.errors import Cancelled, OutsideLanguage
from nsp_core.types import NextScene, SamplingOptions, SceneRequest, StoryContext
from tests.app.fake_predictor import Fake

if sys.platform in ("win32", "darwin"):
    pytest.skip("Spaces run on Linux, where a process can fork", allow_module_level=True)

PARENT = os.getpid()
FORK = multiprocessing.get_context("fork")


class Spaces:
    """`asked`: the seconds of each call."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.used_up = False
        self.forks = 0

    def GPU(self, *, duration: Callable[..., int]) -> Callable[..., Any]:  # noqa: N802  # its name there
        import inspect

        def decorate(task: Callable[..., Any]) -> Callable[..., Any]:
            if inspect.isgeneratorfunction(task):

                def several(*args: Any) -> Iterator[Any]:
                    yield from self._forked(lambda: task(*args), duration(*args))

                return several
            return lambda *args: next(iter(self._forked(lambda: iter([task(*args)]), duration(*args))))

        return decorate

    def _forked(self, work: Callable[[], Iterator[Any]], seconds: int) -> Iterator[Any]:
        self.asked.append(seconds)
        if self.used_up:
            raise ValueError(
                "You have <b>exceeded</b> your GPU quota (60s requested vs. 12s left). Try again in 1:00:00"
            )
        self.forks += 1
        here, there = FORK.Pipe(duplex=False)

        def child() -> None:
            here.close()
            try:
                for item in work():
                    there.send(("item", item))
                there.send(("end", None))
            except BaseException as error:
                there.send(("error", error))
            os._exit(0)

        process = FORK.Process(target=child, daemon=True)
        process.start()
        there.close()
        while True:
            what, value = here.recv()
            if what == "item":
                yield value
                continue
            process.join()
            if what == "error":  # of an error the real one tells the class alone
                raise RuntimeError(type(value).__name__)
            return


def move(_predictor: Any) -> None:
    assert os.getpid() != PARENT, "a card was touched in the parent"


@pytest.fixture
def spaces() -> Spaces:
    return Spaces()


@pytest.fixture
def room(make_settings: Any, spaces: Spaces) -> Iterator[Director]:
    director = Director(
        open_store(make_settings(in_process=True)), load=lambda: zero.Borrowing(Fake(steps=6), spaces.GPU, move)
    )
    director.start()
    yield director
    director.shutdown()
    director.store.close()


def drawn(room: Director, *, steps: int | None = None) -> tuple[Job, str]:
    owner = room.store.local_owner()
    stories = room.store.stories(owner)
    scene = stories.begin_scene(stories.create_story("Rain").id, "It rains.")
    (job,) = room.submit_draw(owner, scene.id, seed=1, steps=steps)
    return room.run_here(job), scene.id


def test_a_take_that_a_fork_drew_is_in_the_same_rows(room: Director, spaces: Spaces) -> None:
    job, scene = drawn(room)
    assert job.status == "done", job.error
    kept = room.store.stories(None).scene(scene)
    assert kept.chosen is not None and kept.chosen.frame_count == 17
    recipe = room.store.stories(None).recipe(kept.chosen.id)
    assert recipe is not None and recipe["fingerprint"] == "fake-1"
    words = room.run_here(room.submit_think(room.store.local_owner(), scene, alternatives=2))
    assert words.status == "done" and len(words.words) == 2
    assert spaces.forks == 2


def test_a_fork_is_asked_for_as_long_as_the_work_takes(room: Director, spaces: Spaces) -> None:
    drawn(room, steps=4)
    assert all(zero.LEAST <= seconds <= zero.MOST for seconds in spaces.asked)
    durations = zero.Durations(1.5)
    assert (durations.asked(4), durations.asked(20), durations.asked(1000)) == (zero.LEAST, 38, zero.MOST)
    durations.took(zero.MOVING + 40, 20)  # two seconds each
    assert durations.asked(20) == round(zero.MOVING + 60)


def test_what_goes_wrong_in_a_fork_is_said_here(room: Director) -> None:
    _, scene = drawn(room)
    job = room.run_here(room.submit_think(room.store.local_owner(), scene, steer="a dragon"))
    assert job.status == "failed" and job.error_kind == "OutsideLanguage" and job.result["known"] == ["A seed sprouts."]


def test_a_share_that_is_used_up_is_said_in_zerogpus_words(room: Director, spaces: Spaces) -> None:
    spaces.used_up = True
    job, _ = drawn(room)
    assert job.status == "failed" and job.error_kind == "NoCard" and spaces.forks == 0
    assert job.error is not None and "You have exceeded your GPU quota" in job.error and "<b>" not in job.error
    spaces.used_up = False
    assert drawn(room)[0].status == "done"


def test_an_error_that_cannot_travel_still_says_what_it_was(spaces: Spaces) -> None:
    class Stuck(Exception):
        """Not to be found by its name anywhere else."""

    fake = Fake()
    fake.describe = lambda _frames: (_ for _ in ()).throw(Stuck("in the middle"))  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="Stuck: in the middle"):
        zero.Borrowing(fake, spaces.GPU, move).describe(np.zeros((3, 4, 4, 3), np.uint8))


def request(steps: int) -> SceneRequest:
    return SceneRequest(StoryContext(), "It rains.", "cut", SamplingOptions(steps=steps))


def test_a_fork_stops_within_a_step(spaces: Spaces) -> None:
    seen: list[Any] = []
    borrowed = zero.Borrowing(Fake(steps=500, step_seconds=0.01), spaces.GPU, move)
    with pytest.raises(Cancelled):
        for item in borrowed.act(request(500), should_stop=lambda: len(seen) >= 3):
            seen.append(item)
    assert 3 <= len(seen) < 10
    assert isinstance(list(borrowed.act(request(4)))[-1], NextScene)  # the next one is not stopped with it


def test_whoever_stops_listening_stops_the_fork(spaces: Spaces) -> None:
    borrowed = zero.Borrowing(Fake(steps=5000, step_seconds=0.01), spaces.GPU, move)
    items = borrowed.act(request(5000))
    next(items)
    items.close()
    assert isinstance(list(borrowed.act(request(4)))[-1], NextScene)


def test_what_else_a_model_says_of_itself_is_heard(spaces: Spaces) -> None:
    fake = Fake()
    borrowed = zero.Borrowing(fake, spaces.GPU, move)
    assert borrowed.fingerprint == "fake-1" and borrowed.step_seconds == fake.step_seconds
    assert borrowed.describe(np.zeros((3, 4, 4, 3), np.uint8)).words.startswith("3 frames")
    with pytest.raises(OutsideLanguage) as refused:
        list(borrowed.think(StoryContext(), steer="a dragon"))
    assert refused.value.known == ("A seed sprouts.",)


def test_the_settings_name_it(monkeypatch: pytest.MonkeyPatch, spaces: Spaces) -> None:
    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=spaces.GPU))
    monkeypatch.setattr(zero, "load_here", lambda _spec: Fake())
    from app.predictors import build

    zero.load.cache_clear()
    made = build("app.zero:load", "anything")
    assert isinstance(made, zero.Borrowing) and build("app.zero:load", "anything") is made
    zero.load.cache_clear()


def test_a_space_has_something_decorated_before_its_page_opens(
    monkeypatch: pytest.MonkeyPatch, spaces: Spaces, tmp_path: Path
) -> None:
    decorated: list[str] = []

    def gpu(**how: Any) -> Any:
        decorated.append("one")
        return spaces.GPU(**how)

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=gpu))
    monkeypatch.setattr(zero, "load_here", lambda _spec: Fake())
    env = {"WHATNEXT_DATA": str(tmp_path), "WHATNEXT_FILTER": "off"}
    prepare(env, kind="zero", tier="", keep="")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    zero.load.cache_clear()
    get_ready(kind="zero", tier="")
    assert decorated
    zero.load.cache_clear()
