"""Erased for good: not one byte of it is left in the data folder, and what is left goes on working."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.director import Director
from app.runner import Runner
from app.store import Store, open_store
from app.store.errors import NotFound
from app.store.jobs import Jobs
from app.store.stories import Stories
from app.story import Scene, Take
from tests.app.fake_predictor import Fake, bars
from tests.app.test_store_stories import draw, grow

MARK = "zweiundvierzigblau"


def left(store: Store, mark: str = MARK) -> list[str]:
    """The files of the data folder that still hold the mark; backups may."""
    store.close()
    found = []
    for path in store.settings.data_dir.rglob("*"):
        if path.is_file() and store.settings.backups_dir not in path.parents:
            content = path.read_bytes()
            shapes = (mark, mark.upper(), mark[:12], json.dumps(mark + "ü")[1:-7])
            if any(shape.encode() in content or shape.encode("utf-16-le") in content for shape in shapes):
                found.append(str(path.relative_to(store.settings.data_dir)))
    return found


def secret_scene(store: Store, stories: Stories, parent: str, mark: str = MARK) -> tuple[Scene, Take]:
    """A scene with the mark wherever words of a scene come to lie."""
    think = store.jobs.submit(
        stories.owner_id or "",
        "think",
        {"steer": mark},
        story_id=stories.scene(parent).story_id,
        scene_id=parent,
        words_json=json.dumps([{"text": mark, "done": True}]),
        result_json=json.dumps({"alternatives": [mark]}),
        status="done",
    )
    scene = stories.add_scene(parent, f"First {mark}.", steer=mark, think_job_id=think)
    stories.edit_words(scene.id, f"Then {mark}.")
    stories.edit_words(scene.id, f"At last {mark}.")
    payload = {"words": mark}
    job = store.jobs.submit(stories.owner_id or "", "draw", payload, story_id=scene.story_id, scene_id=scene.id)
    (store.settings.previews_dir / f"{job}-1-0001.webp").write_bytes(mark.encode())
    take, other = draw(stories, scene.id, 1), draw(stories, scene.id, 2)
    recipe = {
        "words": mark,
        "steer": mark,
        "bible": mark,
        "parents_json": json.dumps([{"words": mark}]),
        "model": "m",
        "fingerprint": "f",
        "seed": 1,
        "settings_json": "{}",
        "mode": "cut",
        "device": "cpu",
        "threads": 1,
        "dtype": "float32",
        "versions_json": "{}",
        "frames_sha256": "0",
    }
    columns = ", ".join(recipe)
    values = ", ".join(f":{name}" for name in recipe)
    with store.database.transaction() as session:
        session.connection().execute(
            text(
                f"INSERT INTO recipe (id, take_id, created_at, {columns}) VALUES (:take, :take, '2026-01-01', {values})"
            ),
            {"take": take.id, **recipe},
        )
    stories.add_verdict(take.id, "fail", reason=mark, judge="tests")
    stories.choose_take(other.id)
    stories.star_take(take.id)
    return scene, take


def test_a_scene_leaves_no_byte(store: Store, stories: Stories) -> None:
    first, second, third = grow(stories)
    secret, _ = secret_scene(store, stories, second.id)
    below, _ = secret_scene(store, stories, secret.id)
    file = store.media.path(stories.scene(below.id).takes[0].media["frames"])
    stories.set_head(first.story_id, below.id)
    what = stories.erase_scene(secret.id)
    assert set(what.scenes) == {secret.id, below.id} and len(what.takes) == 4 and not what.whole
    for job in what.jobs:
        for preview in store.settings.previews_dir.glob(f"{job}-*"):
            preview.unlink()
    assert not file.exists() and left(store) == []

    again = open_store(store.settings).stories(stories.owner_id)
    assert [scene.id for scene in again.path_to(third.id)] == [first.id, second.id, third.id]
    assert again.story(first.story_id).head_scene_id == second.id
    kinds = []
    while kind := again.undo(first.story_id):
        kinds.append(kind)
    assert kinds == ["add_scene", "add_scene", "begin_scene"], "what is left can be undone"
    while again.redo(first.story_id):
        pass
    assert len(again.tree(first.story_id)) == 3


def test_a_story_leaves_no_byte(store: Store, stories: Stories) -> None:
    (kept,) = grow(stories, 1)
    (first,) = grow(stories, 1)
    stories.edit_story(first.story_id, title=MARK, premise=MARK, cast=MARK, look=MARK)
    secret_scene(store, stories, first.id)
    trashed, _ = secret_scene(store, stories, first.id)
    stories.trash_scene(trashed.id)
    for job in stories.erase_story(first.story_id).jobs:
        for preview in store.settings.previews_dir.glob(f"{job}-*"):
            preview.unlink()
    assert left(store) == []
    assert open_store(store.settings).stories(stories.owner_id).scene(kept.id).words == kept.words


def test_what_was_brought_goes_with_its_take(store: Store, tmp_path: Path) -> None:
    """A picture that carries the mark inside: the upload, its copies and the job that read it."""
    note = PngImagePlugin.PngInfo()
    note.add_text("where", MARK)
    source = tmp_path / "holiday.png"
    Image.fromarray(bars(1)[0]).save(source, pnginfo=note)
    director = Director(store)
    owner = store.local_owner()
    job_id = store.jobs.submit(owner, "load")  # the queue is not empty
    media = store.media.put_file(source)
    from app.store.media import Media

    with store.database.transaction() as session:
        job_id = Jobs.submit_in(session, owner, "describe", {"media": media.name, "name": f"{MARK}.png"})
        Media.link(session, media, "source", owner_id=owner, job_id=job_id, name=f"{MARK}.png")
    job = store.jobs.claim("w", 1, "cpu", only=job_id)
    assert job is not None
    Runner(store, "w", Fake).run(job)
    assert director.status(job_id).status == "done", director.status(job_id).error
    stories = store.stories(owner)
    story = stories.create_story()
    scene = stories.begin_scene(story.id, "Somebody's picture.", describe_job_id=job_id)
    assert left(store)
    stories.erase_take(scene.takes[0].id)
    assert left(store) == []
    assert stories.scene(scene.id).words == "Somebody's picture." and not stories.scene(scene.id).takes


def test_a_take_alone(store: Store, stories: Stories) -> None:
    first, second, _ = grow(stories)
    one, two, three = (draw(stories, second.id, seed) for seed in (1, 2, 3))
    stories.choose_take(two.id)
    stories.trash_take(three.id)
    file = store.media.path(two.media["frames"])
    stories.erase_take(two.id)
    assert not file.exists()
    scene = stories.scene(second.id)
    assert [(take.id, take.chosen) for take in scene.takes] == [(one.id, True)]
    assert stories.undo(first.story_id) == "trash_take"
    assert [take.id for take in stories.scene(second.id).takes] == [one.id, three.id]
    assert sum(take.chosen for take in stories.scene(second.id).takes) == 1
    with pytest.raises(NotFound):
        stories.erase_take(two.id)


def test_the_only_beginning_is_the_story(store: Store, stories: Stories) -> None:
    first, _second, _third = grow(stories)
    assert stories.what_goes(scene_id=first.id).whole
    assert stories.erase_scene(first.id).whole
    with pytest.raises(NotFound):
        stories.story(first.story_id)
    assert store.jobs.recent() == ()


def test_a_very_deep_story_can_be_erased(store: Store, stories: Stories) -> None:
    """SQLite follows a cascade no deeper than a thousand."""
    (first,) = grow(stories, 1)
    with store.database.transaction() as session:
        session.connection().execute(
            text(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)"
                " INSERT INTO scene SELECT 'x' || i, :story, CASE WHEN i > 1 THEN 'x' || (i - 1) ELSE :first END,"
                " 'next', 'continue', i, 0, 'words', 'model', '', '', NULL, NULL, NULL, NULL, '2026-01-01 00:00', NULL"
                " FROM n"
            ),
            {"story": first.story_id, "first": first.id},
        )
    assert len(stories.erase_scene("x1").scenes) == 1500
    assert [scene.id for scene in stories.tree(first.story_id)] == [first.id]


def test_others_may_not(store: Store, stories: Stories) -> None:
    first, second, _ = grow(stories)
    take = draw(stories, first.id)
    stranger = store.stories(store.owner("account", "42"))
    attempts: list[Callable[[], Any]] = [
        lambda: stranger.erase_scene(second.id),
        lambda: stranger.erase_take(take.id),
        lambda: stranger.erase_story(first.story_id),
        lambda: stranger.what_goes(scene_id=second.id),
        lambda: stranger.what_goes(take_id=take.id),
        lambda: stranger.what_goes(story_id=first.story_id),
        lambda: stranger.steps(first.story_id),
        lambda: stranger.redo(first.story_id),
        lambda: stranger.restore_scene(second.id),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()
    assert stories.scene(second.id).words == "Scene 2."


def test_erased_while_it_is_drawn(store: Store, stories: Stories) -> None:
    """The worker finds nothing to add its take to, and takes its files away again."""
    _first, second, _ = grow(stories)
    payload = {"words": MARK, "options": {"seed": 5}}
    job_id = store.jobs.submit(stories.owner_id or "", "draw", payload, story_id=second.story_id, scene_id=second.id)
    job = store.jobs.claim("w", 1, "cpu", only=job_id)
    assert job is not None

    class Slow(Fake):
        def act(self, request: Any, *, should_stop: Any = None) -> Any:
            assert should_stop is not None
            for item in super().act(request, should_stop=None):
                if type(item).__name__ == "NextScene":
                    stories.erase_scene(second.id)
                yield item

    before = {path for path in store.settings.media_dir.rglob("*") if path.is_file()}
    Runner(store, "w", Slow).run(job)
    assert {path for path in store.settings.media_dir.rglob("*") if path.is_file()} == before
    assert left(store) == []


def test_logs_hold_no_words(store: Store, stories: Stories, caplog: pytest.LogCaptureFixture) -> None:
    """What the database says when it fails is logged without the values."""
    (first,) = grow(stories, 1)
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(IntegrityError) as caught,
        store.database.transaction() as session,
    ):
        session.connection().execute(
            text("INSERT INTO scene (id, story_id, words) VALUES (:id, :id, :words)"), {"id": first.id, "words": MARK}
        )
    assert MARK not in str(caught.value) and MARK not in caplog.text
