"""What a model draws on: in its recipes, in its lock, and when another model takes over on another device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.director import Director
from app.locks import FileLock, device_lock
from app.recipe import surroundings
from app.settings import Settings
from app.store import Store, open_store
from app.tier_choice import of_tier
from app.worker_process import WorkerProcess
from nsp_core.tiers import tier_called
from tests.app.fake_predictor import Fake


def big(settings: Settings) -> Settings:
    return of_tier(settings, tier_called("gpu-16"))


def test_a_tier_draws_on_the_card(store: Store) -> None:
    settings = big(store.settings)
    assert settings.device == "cuda" and of_tier(settings, tier_called("starter")).device == "cpu"
    assert settings.safe().device == "cpu"
    assert big(replace(settings, device="cuda:1")).device == "cuda:1", "a person may name another card"
    assert "device-cuda" in WorkerProcess(replace(store, settings=settings)).lock_path.name


def test_another_model_on_another_device(store: Store) -> None:
    """The worker of the model before is asked to end, and what a dead one did there waits again."""
    owner = store.local_owner()
    job = store.jobs.submit(owner, "load", {})
    before = store.processes.register("worker", 999_999_999, device="cpu", model_key="another model")
    assert store.jobs.claim(before, 999_999_999, "cpu") is not None
    worker = WorkerProcess(store)
    worker.settings = big(store.settings)
    assert [row.id for row in worker.with_other_models()] == [before]
    with FileLock(device_lock(store.settings.locks_dir, "cpu")):
        assert worker.take_over() == (), "it lives"
    assert worker.take_over() == (job,)
    assert store.jobs.status(job).status == "interrupted"


def test_what_a_page_does_itself_is_left_alone(store: Store) -> None:
    store.jobs.submit(store.local_owner(), "load", {})
    assert store.jobs.claim("page", 1, "inline") is not None
    assert WorkerProcess(store).take_over() == ()


def test_the_recipe_names_the_device_and_the_model(tmp_path: Path, make_settings: Callable[..., Settings]) -> None:
    """Also where the page draws itself and another model was chosen since it was opened."""
    director = Director(open_store(make_settings(in_process=True)), load=lambda: Fake(steps=1))
    director.engine.asked_for = big(director.settings)
    owner = director.store.local_owner()
    stories = director.store.stories(owner)
    scene = stories.begin_scene(stories.create_story().id, "A seed lies in the rain.")
    director.page_id = director.store.processes.register("page", 1)
    (job,) = director.submit_draw(owner, scene.id)
    ended = director.run_here(job)
    assert ended.status == "done"
    recipe = stories.recipe(ended.result["take"])
    assert recipe is not None and (recipe["device"], recipe["model"]) == ("cuda", "gpu-16")
    director.store.close()


@pytest.mark.parametrize(("says", "device"), [("cuda", "cuda"), (None, "cpu")])
def test_a_model_that_finds_its_device_says_which(says: str | None, device: str) -> None:
    predictor = Fake()
    if says:
        predictor.draws_on = says  # type: ignore[attr-defined]
    assert surroundings(predictor, device="cpu", threads=1)["device"] == device
