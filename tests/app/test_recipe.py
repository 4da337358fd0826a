"""A take is drawn again from its recipe: the same pictures, or a true word about why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from sqlmodel import select

from app.director import Director
from app.settings import STARTER, Settings
from app.store import open_store
from app.store.models import RecipeRow
from app.store.stories import Stories
from app.story import Scene, Take
from nsp_core.errors import UserError

OpenRoom = Callable[..., Director]


class Told:
    """A story of two scenes that are drawn, and what its replays answer."""

    def __init__(self, director: Director, **options: Any) -> None:
        self.director = director
        self.store = director.store
        self.stories: Stories = self.store.stories(self.store.local_owner())
        self.owner = self.stories.owner_id or ""
        self.options = options
        first = self.stories.begin_scene(self.stories.create_story(look="soft").id, "It is a clear day at the shore.")
        self.first = first.id
        self.draw(self.first, seed=3)
        self.second = self.stories.add_scene(self.first, "It starts to rain all over the quiet land.").id
        self.draw(self.second, seed=4)

    def draw(self, scene: str, **options: Any) -> Take:
        (job,) = self.director.submit_draw(self.owner, scene, **{**self.options, **options})
        done = self.director.run_here(job)
        assert done.status == "done", done.error
        return self.stories.take(done.result["take"])

    def scene(self, scene: str) -> Scene:
        return self.stories.scene(scene)

    def chosen(self, scene: str) -> Take:
        take = self.scene(scene).chosen
        assert take is not None
        return take

    def replay(self, scene: str) -> dict[str, Any]:
        job = self.director.submit_replay(self.owner, self.chosen(scene).id)
        done = self.director.run_here(job)
        assert done.status == "done", done.error
        return done.result

    def recipe(self, scene: str) -> dict[str, Any]:
        found = self.stories.recipe(self.chosen(scene).id)
        assert found is not None
        return found

    def change(self, scene: str, **columns: Any) -> None:
        """As if it had been recorded otherwise."""
        with self.store.database.transaction() as session:
            row = session.exec(select(RecipeRow).where(RecipeRow.take_id == self.chosen(scene).id)).one()
            for name, value in columns.items():
                setattr(row, name, value)


@pytest.fixture
def told(open_room: OpenRoom) -> Told:
    return Told(open_room(in_process=True))


def test_a_replay_is_equal_and_changes_nothing(told: Told) -> None:
    before = told.stories.story(told.scene(told.first).story_id)
    for scene in (told.first, told.second):
        answer = told.replay(scene)
        assert answer["verdict"] == "equal" and answer["now"] == answer["then"] and answer["differences"] == []
    assert len(told.scene(told.second).takes) == 1
    assert told.stories.story(before.id).version == before.version


def test_the_recorded_take_counts_not_the_one_chosen_today(told: Told) -> None:
    then = told.chosen(told.first)
    (parent,) = json.loads(told.recipe(told.second)["parents_json"])
    assert parent["take"] == then.id
    assert (parent["frames"], parent["latents"]) == (then.media["frames"], then.media["tail_latents"])
    other = told.draw(told.first, seed=99)
    told.stories.choose_take(other.id)
    told.stories.edit_words(told.first, "It snows.")
    told.stories.edit_story(told.scene(told.first).story_id, look="bold")
    told.stories.trash_take(then.id)
    assert told.replay(told.second)["verdict"] == "equal"


def test_the_take_after_another_parent_is_not_the_same(told: Told) -> None:
    """What would be drawn today differs: so the test above does prove something."""
    told.stories.choose_take(told.draw(told.first, seed=99).id)
    again = told.draw(told.second, seed=4)
    assert told.stories.recipe(again.id)["frames_sha256"] != told.recipe(told.second)["frames_sha256"]  # type: ignore[index]


def test_facts_that_changed_are_named(told: Told) -> None:
    recipe = told.recipe(told.second)
    versions = json.loads(recipe["versions_json"])
    settings = {**json.loads(recipe["settings_json"]), "seed": 5}
    told.change(
        told.second,
        fingerprint="another",
        dtype="float16",
        versions_json=json.dumps({**versions, "numpy": "0.1"}),
        settings_json=json.dumps(settings),
    )
    answer = told.replay(told.second)
    assert answer["verdict"] == "differs" and answer["now"] != answer["then"]
    named = {one["what"]: (one["then"], one["now"]) for one in answer["differences"]}
    assert set(named) == {"fingerprint", "dtype", "numpy", "seed"}
    assert named["fingerprint"] == ("another", "fake-1") and named["seed"] == ("4", "5")
    assert named["numpy"] == ("0.1", versions["numpy"])


def test_it_is_drawn_with_as_many_threads_as_then(told: Told) -> None:
    before = torch.get_num_threads()
    told.change(told.second, threads=before + 1)
    answer = told.replay(told.second)
    assert answer["verdict"] == "equal" and not answer["differences"]
    assert torch.get_num_threads() == before


def test_a_changed_fact_that_does_no_harm_is_still_equal(told: Told) -> None:
    told.change(told.second, fingerprint="another")
    answer = told.replay(told.second)
    assert answer["verdict"] == "equal" and [one["what"] for one in answer["differences"]] == ["fingerprint"]


def test_a_difference_that_nothing_explains_is_said_so(told: Told) -> None:
    told.change(told.second, frames_sha256="0" * 64)
    answer = told.replay(told.second)
    assert answer["verdict"] == "unexplained" and answer["differences"] == []


@pytest.mark.full
@pytest.mark.parametrize("harm", ["gone", "changed"])
@pytest.mark.parametrize("role", ["frames", "tail_latents"])
def test_a_lost_parent_picture_is_said_and_nothing_drawn(told: Told, role: str, harm: str) -> None:
    path = told.store.media.path(told.chosen(told.first).media[role])
    path.unlink() if harm == "gone" else path.write_bytes(path.read_bytes() + b"x")
    answer = told.replay(told.second)
    assert answer["verdict"] == "missing" and answer["now"] is None
    assert harm in answer["notes"][0]


def test_recipes_of_an_older_program_find_their_latents(told: Told) -> None:
    parents = json.loads(told.recipe(told.second)["parents_json"])
    versions = json.loads(told.recipe(told.second)["versions_json"])
    del versions["system"]
    for parent in parents:
        del parent["latents"]
    told.change(told.second, parents_json=json.dumps(parents), versions_json=json.dumps(versions))
    path = told.store.media.path(told.chosen(told.first).media["tail_latents"])
    answer = told.replay(told.second)
    assert answer["verdict"] == "equal" and answer["differences"] == []
    path.unlink()
    assert told.replay(told.second)["verdict"] == "missing"


def test_pictures_that_were_brought_in_have_no_recipe(told: Told, tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    Image.new("RGB", (160, 96), (120, 180, 90)).save(path)
    job = told.director.run_here(told.director.submit_describe(told.owner, path))
    scene = told.stories.begin_scene(told.stories.create_story().id, "A meadow.", describe_job_id=job.id)
    assert scene.chosen is not None
    with pytest.raises(UserError, match="brought in, not drawn"):
        told.director.submit_replay(told.owner, scene.chosen.id)


def test_asked_twice_it_is_drawn_once(told: Told) -> None:
    take = told.chosen(told.second).id
    one = told.director.submit_replay(told.owner, take)
    assert told.director.submit_replay(told.owner, take) == one


def test_a_scene_goes_on_from_what_was_kept_without_loss_never_from_the_clip(told: Told) -> None:
    """The mp4 may be anything or gone: the same seed gives the same pictures."""
    clip = told.store.media.path(told.chosen(told.first).media["clip"])
    expected = told.recipe(told.second)["frames_sha256"]
    clip.write_bytes(b"no film at all")
    assert told.stories.recipe(told.draw(told.second, seed=4).id)["frames_sha256"] == expected  # type: ignore[index]
    clip.unlink()
    assert told.stories.recipe(told.draw(told.second, seed=4).id)["frames_sha256"] == expected  # type: ignore[index]


@pytest.mark.full
@pytest.mark.timeout(600)
def test_the_starter_draws_the_same_once_more(tmp_path: Path) -> None:
    if not (STARTER / "model_index.json").is_file():
        pytest.skip(f"no starter in {STARTER}")
    director = Director(open_store(Settings(data_dir=tmp_path, in_process=True)))
    director.start()
    try:
        told = Told(director, steps=2)
        threads = told.recipe(told.second)["threads"]
        assert threads >= 1
        for scene in (told.first, told.second):
            answer = told.replay(scene)
            assert answer["verdict"] == "equal", answer
        clip = told.store.media.path(told.chosen(told.first).media["clip"])
        clip.write_bytes(b"no film at all")
        again = told.draw(told.second, seed=4)
        assert told.stories.recipe(again.id)["frames_sha256"] == told.recipe(told.second)["frames_sha256"]  # type: ignore[index]
        other = told.draw(told.first, seed=99)
        told.stories.choose_take(other.id)
        after_other = told.draw(told.second, seed=4)
        assert told.stories.recipe(after_other.id)["frames_sha256"] != told.recipe(told.second)["frames_sha256"]  # type: ignore[index]
        assert told.replay(told.second)["verdict"] == "equal"  # the recorded parent, whatever is chosen now
        settings = {**json.loads(told.recipe(told.second)["settings_json"]), "seed": 5}
        told.change(told.second, settings_json=json.dumps(settings))
        answer = told.replay(told.second)
        assert answer["verdict"] == "differs" and [one["what"] for one in answer["differences"]] == ["seed"]
    finally:
        director.shutdown()
        director.store.close()
