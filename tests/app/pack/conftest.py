"""A story worth packing, and two rooms: the one that it grew in, and an empty one elsewhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.settings import Settings
from app.store import Store, open_store
from app.store.models import TakeRow
from app.store.stories import Stories
from app.store.takes import NewTake
from app.story import Story, Take
from app.take_files import make_files
from nsp_core.media import save_latents
from tests.app.fake_predictor import bars
from tests.app.test_library import RECIPE


@pytest.fixture(scope="module")
def rain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A story of real files, with everything that a pack has to carry."""
    folder = tmp_path_factory.mktemp("rain") / "data"
    room = open_store(Settings(data_dir=folder))
    stories = room.stories(room.local_owner())
    story = stories.create_story("Rain", look="A quiet picture book.")
    first = stories.begin_scene(story.id, "A seed lies in the rain.")
    takes = [filmed(room, stories, first.id, seed) for seed in (1, 2)]
    second = stories.add_scene(first.id, "The seed sprouts.")
    filmed(room, stories, second.id, 3)
    path = stories.path_to(second.id)
    stories.choose_take(takes[1].id)
    stories.star_take(takes[0].id)
    stories.rank_takes(path[0].id, [takes[1].id, takes[0].id])
    stories.add_verdict(takes[0].id, "fail", reason="No seed.", judge="own:m@f", score=0.25, votes_json="[1, 2]")
    other = stories.add_scene(path[0].id, "The seed stays «asleep» 🌱.", mode="cut", steer="nothing happens")
    stories.set_anchor(stories.add_scene(other.id, "And so on.").id, path[0].id)
    stories.edit_story(story.id, premise="It rains.", cast="A seed.")
    with room.database.transaction() as session:
        session.get_one(TakeRow, path[1].takes[0].id).drift_json = json.dumps(
            {"version": 1, "anchor": path[0].id, "take": takes[0].id, "brought_in": False,
             "colour": 0.1, "contrast": 0.2, "sharpness": 0.3, "identity": 0.4}
        )  # fmt: skip
        source = room.media.put_bytes(b"\xff\xd8\xffa photograph", "jpg")
        room.media.link(session, source, "source", owner_id=room.local_owner(), scene_id=path[0].id, name="me.jpg")
    room.close()
    return folder


def filmed(store: Store, stories: Stories, scene_id: str, seed: int) -> Take:
    """A take as the runner keeps it, from the scenes before it."""
    frames = bars(seed)
    files = make_files(store.media, frames, 8)
    latents = np.full((1, 64, 5, 2, 2), seed, np.float32)
    files["tail_latents"] = store.media.make("safetensors", lambda path: save_latents(path, latents))
    parents = stories.context_and_parents(stories.scene(scene_id).parent_id)[1]
    recipe = {**RECIPE, "fingerprint": "fake-1", "seed": seed, "settings_json": '{"steps": 4, "guidance": 1.5}'}
    recipe |= {"parents_json": json.dumps(parents, ensure_ascii=False), "mode": "continue" if parents else "cut"}
    size = {"width": frames.shape[2], "height": frames.shape[1], "frame_count": frames.shape[0], "fps": 8}
    before = parents[-1]["take"] if parents else None
    return stories.add_take(
        scene_id, NewTake("drawn", **size, files=files, draw_seconds=0.5, parent_take_id=before, recipe=recipe)
    )


@pytest.fixture(scope="module")
def empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty") / "data"
    open_store(Settings(data_dir=folder)).close()
    return folder


@pytest.fixture
def room(rain_folder: Path, tmp_path: Path) -> Iterator[Store]:
    yield from copied(rain_folder, tmp_path / "room")


@pytest.fixture
def elsewhere(empty_folder: Path, tmp_path: Path) -> Iterator[Store]:
    yield from copied(empty_folder, tmp_path / "elsewhere")


def copied(folder: Path, to: Path) -> Iterator[Store]:
    shutil.copytree(folder, to)
    opened = open_store(Settings(data_dir=to, model="{}", safe_model="{}"))
    yield opened
    opened.close()


@pytest.fixture
def rain(room: Store) -> Story:
    return room.stories(None).list_stories()[0]
