"""A story room with something to lose in it, and what is asked there."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from app.director import Director
from app.settings import Settings
from app.store import open_store
from app.store.jobs import Job
from tests.app.dying import PATIENCE
from tests.app.fake_predictor import bars


def furnish(folder: Path) -> Path:
    """A data folder with a story of two drawn scenes, one of them with two takes, and an upload that was read."""
    settings = Settings(folder / "data", predictor="tests.app.fake_predictor:load", model="{}", in_process=True)
    director = Director(open_store(settings))
    director.start()
    owner = director.store.local_owner()
    stories = director.store.stories(owner)
    story = stories.create_story("Rain", look="A quiet picture book.")
    first = stories.begin_scene(story.id, "A seed lies in the rain.")
    second = stories.add_scene(first.id, "The seed sprouts.")
    jobs = [*director.submit_draw(owner, first.id, takes=2, seed=1), *director.submit_draw(owner, second.id, seed=3)]
    jobs.append(director.submit_describe(owner, picture(folder / "holiday.png", 5)))
    for job in jobs:
        assert director.run_here(job).status == "done"
    director.shutdown()
    director.store.close()
    return folder / "data"


def picture(path: Path, seed: int) -> Path:
    Image.fromarray(bars(seed)[0]).save(path)
    return path


def until(question: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        time.sleep(0.01)
    raise AssertionError(f"{what}: not within {PATIENCE} s")


def ended(director: Director, job_id: str) -> Job:
    return until(lambda: None if (job := director.status(job_id)).is_open else job, f"end of {job_id}")


def the_story(director: Director) -> tuple[str, str, list[Any]]:
    """(owner, story, path) of what was there before."""
    owner = director.store.local_owner()
    stories = director.store.stories(owner)
    story = next(each for each in stories.list_stories() if each.title == "Rain")
    path = stories.path_to(story.head_scene_id or "")
    return owner, story.id, list(path)


# what the worker is asked for ----------------------------------------------------------------------------------------


def draw(director: Director) -> str:
    owner, _, path = the_story(director)
    return director.submit_draw(owner, path[-1].id, seed=11)[0]


def think(director: Director) -> str:
    owner, _, path = the_story(director)
    return director.submit_think(owner, path[-1].id, steer="make it rain", alternatives=2, seed=5)


def describe(director: Director) -> str:
    owner, _, _ = the_story(director)
    return director.submit_describe(owner, picture(director.settings.data_dir.parent / "new.png", 7))


def load(director: Director) -> str:
    return director.submit_load(director.store.local_owner())
