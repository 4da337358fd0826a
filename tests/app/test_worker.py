"""Worker and director with real processes: deaths, cancels, adoption, and a story that is none the worse for it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.director import Director
from app.locks import device_lock, is_held
from app.pages.desk import Desk
from app.pages.examples import Examples
from app.settings import ROOT
from app.store import open_store
from app.store.jobs import Job
from tests.app.fake_predictor import bars

OpenRoom = Callable[..., Director]
Eventually = Callable[..., Any]


def begin(director: Director, words: str = "A seed lies in the rain.") -> tuple[str, str]:
    """A story with a first scene: (owner, scene)."""
    owner = director.store.local_owner()
    stories = director.store.stories(owner)
    story = stories.create_story()
    return owner, stories.begin_scene(story.id, words).id


def ended(director: Director, job_id: str, eventually: Eventually, within: float = 90.0) -> Job:
    return eventually(
        lambda: None if (job := director.status(job_id)).is_open else job, within=within, what=f"end of {job_id}"
    )


def test_words_then_pictures(open_room: OpenRoom, eventually: Eventually) -> None:
    director = open_room({"word_seconds": 0.03, "step_seconds": 0.12})
    owner, first = begin(director)
    stories = director.store.stories(owner)
    (job_id,) = director.submit_draw(owner, first, seed=3)
    previews, phases = set(), set()
    while (job := director.status(job_id, owner)).is_open:
        phases.add(job.phase)
        if job.preview:
            previews.add(job.preview)
        time.sleep(0.01)
    assert job.status == "done", job.error
    assert "drawing" in phases and previews
    assert job.preview is None
    eventually(lambda: not list(director.settings.previews_dir.iterdir()), what="previews are cleared away")
    take = stories.scene(first).chosen
    assert take is not None and take.seed == 3
    assert set(take.media) == {"frames", "first_frame", "last_frame", "thumb", "clip", "tail_latents"}
    assert np.array_equal(stories.frames_of(take.id), bars(3))
    with Image.open(director.store.media.path(take.media["last_frame"])) as picture:
        assert np.array_equal(np.asarray(picture), bars(3)[-1])

    job_id = director.submit_think(owner, first, steer="make it rain", alternatives=2, seed=5)
    partial = set()
    while (job := director.status(job_id)).is_open:
        partial.update(words.text for words in job.words if not words.done)
        time.sleep(0.005)
    assert job.status == "done", job.error
    assert len(partial) > 1, "words stream"
    assert [words.text for words in job.words] == [
        f"After A seed lies in the rain. comes number {n} of 5 make it rain." for n in (0, 1)
    ]
    second = stories.add_scene(first, job.words[1].text, think_job_id=job_id)
    drawn = ended(director, director.submit_draw(owner, second.id, seed=4)[0], eventually)
    follower = stories.take(drawn.result["take"])
    assert follower.parent_take_id == take.id
    frames = stories.frames_of(follower.id)
    assert np.array_equal(frames[0], bars(3)[-1]), "continued from the lossless last frame"
    recipe = stories.recipe(follower.id)
    assert recipe is not None
    assert recipe["mode"] == "continue" and recipe["fingerprint"] == "fake-1" and recipe["seed"] == 4
    assert [parent["take"] for parent in json.loads(recipe["parents_json"])] == [take.id]


def test_same_seed_same_frames(shared_room: Director, eventually: Eventually) -> None:
    director = shared_room
    owner, first = begin(director)
    stories = director.store.stories(owner)
    hashes = []
    for _ in range(2):
        job = ended(director, director.submit_draw(owner, first, seed=9)[0], eventually)
        recipe = stories.recipe(job.result["take"])
        assert recipe is not None
        hashes.append(recipe["frames_sha256"])
    assert hashes[0] == hashes[1]
    takes = stories.scene(first).takes
    assert [take.number for take in takes] == [1, 2] and [take.chosen for take in takes] == [True, False]
    assert takes[0].media["frames"] == takes[1].media["frames"], "kept once"


def test_a_killed_worker_costs_the_take_in_progress_only(
    open_room: OpenRoom, eventually: Eventually, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    director = open_room({"steps": 6, "step_seconds": 0.15, "trace": str(trace)})
    owner, first = begin(director)
    stories = director.store.stories(owner)
    ended(director, director.submit_draw(owner, first, seed=1)[0], eventually)
    before = stories.scene(first)
    second = stories.add_scene(first, "The seed sprouts.")
    (job_id,) = director.submit_draw(owner, second.id, seed=2)
    eventually(lambda: director.status(job_id).step >= 2, what="drawing")
    worker = director.worker_state()
    assert worker is not None
    os.kill(worker.pid, signal.SIGKILL)
    seen = eventually(lambda: (job := director.status(job_id)).attempts == 2 and job, what="second attempt")
    assert seen.worker_id != worker.id
    job = ended(director, job_id, eventually)
    assert job.status == "done" and job.attempts == 2
    assert stories.scene(first) == before
    assert [take.seed for take in stories.scene(second.id).takes] == [2]
    assert len({line.split()[0] for line in trace.read_text().splitlines() if "step" in line}) == 2


def test_a_worker_that_always_dies_ends_in_a_sentence(open_room: OpenRoom, eventually: Eventually) -> None:
    director = open_room({"die_while_drawing": "always"})
    owner, first = begin(director)
    job = ended(director, director.submit_draw(owner, first)[0], eventually)
    assert job.status == "failed" and job.attempts == 2 and job.error_kind == "WorkerLost"
    assert job.error is not None and job.error.endswith("then try again.")
    assert director.store.stories(owner).scene(first).takes == ()
    assert director.store.jobs.has_pending("cpu") is False


def test_cancel_within_one_step(open_room: OpenRoom, eventually: Eventually, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    director = open_room({"steps": 40, "step_seconds": 0.2, "trace": str(trace)})
    owner, first = begin(director)
    jobs = director.submit_draw(owner, first, takes=3)
    eventually(lambda: director.status(jobs[0]).step >= 2, what="drawing")
    group = director.status(jobs[0]).group_id
    assert group is not None
    steps = len(trace.read_text().splitlines())
    director.cancel_group(group, owner)
    assert ended(director, jobs[0], eventually).status == "cancelled"
    assert len(trace.read_text().splitlines()) <= steps + 1
    assert {director.status(job).status for job in jobs} == {"cancelled"}
    assert director.store.stories(owner).scene(first).takes == ()
    think = director.submit_think(owner, first)
    assert ended(director, think, eventually).status == "done", "the worker lives on"


def test_a_deaf_model_costs_the_worker(open_room: OpenRoom, eventually: Eventually) -> None:
    director = open_room({"deaf": True, "steps": 2, "step_seconds": 600}, cancel_kill_after=0.5)
    owner, first = begin(director)
    (job_id,) = director.submit_draw(owner, first)
    eventually(lambda: director.status(job_id).phase == "reading")
    director.cancel(job_id)
    assert ended(director, job_id, eventually).status == "cancelled"


def test_what_the_model_does_not_know_is_said(shared_room: Director, eventually: Eventually) -> None:
    director = shared_room
    owner, first = begin(director)
    job = ended(director, director.submit_think(owner, first, steer="a dragon comes"), eventually)
    assert (job.status, job.error_kind) == ("failed", "OutsideLanguage")
    assert job.error == "I don't know that yet: 'dragon'." and job.result["known"] == ["A seed sprouts."]


def test_a_wish_that_cannot_come_true_is_answered_with_what_could(
    shared_room: Director, eventually: Eventually
) -> None:
    director = shared_room
    owner, first = begin(director)
    job = ended(director, director.submit_think(owner, first, steer="a unicorn comes"), eventually)
    assert (job.status, job.error_kind) == ("failed", "NotHere")
    assert job.error == "I don't see how this can happen here: 'a unicorn comes'."
    assert job.result["here"] and len(job.result["known"]) == 3
    assert all(one.startswith("After ") and "unicorn" not in one for one in job.result["known"])


def test_a_model_that_cannot_be_loaded_is_said(open_room: OpenRoom, eventually: Eventually) -> None:
    director = open_room({"fail_load": "The folder is empty: put a model there."})
    owner, first = begin(director)
    job = ended(director, director.submit_think(owner, first), eventually)
    assert (job.status, job.error_kind) == ("failed", "ModelUnavailable")
    assert job.error == "The folder is empty: put a model there."


def test_a_worker_that_cannot_start_is_said(open_room: OpenRoom, eventually: Eventually) -> None:
    director = open_room({"die_on_load": True})
    owner, first = begin(director)
    job = ended(director, director.submit_think(owner, first), eventually)
    assert job.status == "failed" and job.error


def test_an_upload_becomes_the_first_scene(shared_room: Director, eventually: Eventually, tmp_path: Path) -> None:
    director = shared_room
    owner = director.store.local_owner()
    stories = director.store.stories(owner)
    picture = tmp_path / "holiday.png"
    Image.fromarray(bars(1)[0]).save(picture)
    job = ended(director, director.submit_describe(owner, picture), eventually)
    assert job.status == "done", job.error
    assert job.result["words"] == "17 frames, 160 wide." and job.result["pictures"]["kind"] == "still"
    story = stories.create_story()
    scene = stories.begin_scene(story.id, "A striped wall.", words_source="edited", describe_job_id=job.id)
    assert scene.seen == "17 frames, 160 wide." and scene.in_world is True
    assert scene.chosen is not None and scene.chosen.kind == "still" and scene.chosen.frame_count == 17
    retold = stories.begin_scene(story.id, "A striped wall.", describe_job_id=job.id, keep_pictures=False)
    assert retold.takes == ()
    assert stories.may_read(scene.chosen.media["clip"])
    stranger = director.store.stories(director.store.owner("account", "somebody-else"))
    assert not stranger.may_read(scene.chosen.media["clip"])


def test_a_broken_upload_is_one_sentence(shared_room: Director, eventually: Eventually, tmp_path: Path) -> None:
    director = shared_room
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + b"nothing")
    job = ended(director, director.submit_describe(director.store.local_owner(), broken), eventually)
    assert (job.status, job.error_kind) == ("failed", "UnreadableMedia")
    assert job.error is not None and job.error.startswith("broken.png")


def test_the_worker_leaves_when_no_page_is_there(open_room: OpenRoom, eventually: Eventually) -> None:
    director = open_room(worker_exit_after=2.0)
    owner, first = begin(director)
    ended(director, director.submit_think(owner, first), eventually)
    director._over.set()  # the page dies without a word
    child = director.worker.child
    assert child is not None
    assert eventually(lambda: child.poll() is not None) and child.returncode == 0
    assert not is_held(director.worker.lock_path)


def test_shutdown_ends_the_worker_and_gives_its_job_back(open_room: OpenRoom, eventually: Eventually) -> None:
    director = open_room({"steps": 100, "step_seconds": 0.1})
    owner, first = begin(director)
    (job_id,) = director.submit_draw(owner, first, steps=5)
    eventually(lambda: director.status(job_id).step >= 1)
    director.shutdown()
    child = director.worker.child
    assert child is not None and child.poll() == 0
    job = director.status(job_id)
    assert job.status == "interrupted" and job.attempts == 0
    again = open_room({"step_seconds": 0.0})
    assert ended(again, job_id, eventually).status == "done", "the next start goes on with it"


PAGE = """
import sys, time
from app.director import Director
from app.pages.desk import Desk
from app.pages.examples import Examples
from app.settings import Settings
from app.store import open_store
from pathlib import Path
director = Director(open_store(Settings.from_json(Path(sys.argv[1]).read_text())))
director.start()
owner = director.store.local_owner()
stories = director.store.stories(owner)
scene = stories.begin_scene(stories.create_story().id, "A seed lies in the rain.")
print(director.submit_draw(owner, scene.id, seed=1)[0], flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_page_is_followed_by_one_that_adopts_the_worker(
    make_settings: Callable[..., Any], open_room: OpenRoom, eventually: Eventually, tmp_path: Path
) -> None:
    fake = {"steps": 12, "step_seconds": 0.2}
    settings_file = tmp_path / "page.json"
    settings_file.write_text(make_settings(fake).to_json())
    page = subprocess.Popen(
        [sys.executable, "-c", PAGE, str(settings_file)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert page.stdout is not None
    job_id = page.stdout.readline().strip()
    store = open_store(make_settings(fake))
    job = eventually(lambda: (job := store.jobs.status(job_id)).step >= 2 and job)
    page.kill()
    page.wait()
    director = open_room(fake)
    seen = director.active(director.store.local_owner())
    assert [(job.id, job.status) for job in seen] == [(job_id, "running")], "a refresh shows what is being drawn"
    end = ended(director, job_id, eventually)
    assert end.status == "done" and end.attempts == 1 and end.worker_id == job.worker_id
    assert director.worker.child is None, "adopted, not started"
    think = ended(director, director.submit_think(end.owner_id, end.scene_id or ""), eventually)
    assert think.worker_id == job.worker_id and director.worker.child is None
    director.shutdown()
    assert not is_held(director.worker.lock_path), "the adopted worker ends with its page"
    store.close()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to one process")
def test_ctrl_c_of_the_page_ends_the_worker(
    make_settings: Callable[..., Any], eventually: Eventually, tmp_path: Path
) -> None:
    settings = make_settings({"steps": 600, "step_seconds": 0.1})
    settings_file = tmp_path / "page.json"
    settings_file.write_text(settings.to_json())
    page = subprocess.Popen(
        [sys.executable, "-c", PAGE, str(settings_file)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert page.stdout is not None
    job_id = page.stdout.readline().strip()
    store = open_store(settings)
    eventually(lambda: store.jobs.status(job_id).step >= 1)
    page.send_signal(signal.SIGINT)
    page.wait(timeout=60)
    assert not is_held(device_lock(settings.locks_dir, "cpu"))
    assert store.jobs.status(job_id).status == "interrupted"
    store.close()


def test_a_worker_of_another_model_is_replaced(open_room: OpenRoom, eventually: Eventually) -> None:
    first = open_room({"fingerprint": "old"})
    owner, scene = begin(first)
    old = ended(first, first.submit_think(owner, scene), eventually)
    first._over.set()  # this page is gone without ending its worker
    second = open_room({"fingerprint": "new"})
    new = ended(second, second.submit_think(owner, scene), eventually)
    assert (old.result["fingerprint"], new.result["fingerprint"]) == ("old", "new")


def test_in_process_mode_writes_the_same_rows(open_room: OpenRoom) -> None:
    director = open_room(in_process=True)
    owner, first = begin(director)
    (job_id,) = director.submit_draw(owner, first, seed=8)
    job = director.run_here(job_id)
    assert job.status == "done", job.error
    assert director.worker.child is None
    take = director.store.stories(owner).scene(first).chosen
    assert take is not None and np.array_equal(director.store.stories(owner).frames_of(take.id), bars(8))


def test_without_a_worker_the_page_does_what_is_asked(
    open_room: OpenRoom, eventually: Eventually, tmp_path: Path
) -> None:
    director = open_room({"step_seconds": 0.2}, in_process=True)
    owner = director.store.local_owner()
    desk = Desk(director, owner, Examples(tmp_path), uploads=tmp_path, works_here=True)
    view = desk.act({"do": "begin_words", "words": "An egg."})  # comes back before anything is drawn
    assert view["job"]["kind"] == "draw"
    eventually(lambda: (job := desk.look(view["here"])["job"]) is not None and job["step"] > 0, what="progress")
    done = eventually(lambda: (now := desk.look(view["here"]))["job"] is None and now, what="the drawn scene")
    assert done["path"][0]["clip"] and director.worker.child is None


def test_the_model_is_loaded_once_and_ahead(open_room: OpenRoom, eventually: Eventually, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    director = open_room({"load_seconds": 1.0, "trace": str(trace)})
    owner, first = begin(director)
    load = director.submit_load(owner)
    assert director.submit_load(owner) == load
    eventually(lambda: director.status(load).phase == "loading model")
    eventually(lambda: (row := director.worker_state()) is not None and row.state == "loading")
    assert ended(director, load, eventually).result["fingerprint"] == "fake-1"
    ended(director, director.submit_think(owner, first), eventually)
    assert trace.read_text().splitlines() == ["load"]
