"""The queue: one owner a job, at most two attempts, an order, and a flag that stops."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from app.settings import ROOT
from app.store import Store
from app.store.database import Database
from app.store.errors import NotFound
from app.store.jobs import Gone, Jobs

CLAIMER = """
import json, os, sys
from pathlib import Path
from app.store.database import Database
from app.store.jobs import Jobs
jobs = Jobs(Database(Path(sys.argv[1])))
sys.stdin.readline()
mine = []
while (job := jobs.claim(sys.argv[2], os.getpid(), "cpu")) is not None:
    mine.append(job.id)
print(json.dumps(mine))
"""


def test_two_processes_never_get_the_same_job(store: Store) -> None:
    owner = store.local_owner()
    made = [store.jobs.submit(owner, "draw") for _ in range(150)]
    command = [sys.executable, "-c", CLAIMER, str(store.database.path)]
    claimers = [
        subprocess.Popen([*command, name], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    for claimer in claimers:
        assert claimer.stdin is not None
        claimer.stdin.write("go\n")
        claimer.stdin.flush()
    shares = [json.loads(claimer.communicate(timeout=50)[0]) for claimer in claimers]
    assert Counter(shares[0] + shares[1]) == Counter(made)
    for share in shares:
        assert share == sorted(share), "oldest first"


def test_many_threads_never_get_the_same_job(store: Store) -> None:
    owner = store.local_owner()
    made = {store.jobs.submit(owner, "think") for _ in range(60)}
    claimed: list[str] = []

    def claim(name: str) -> None:
        jobs = Jobs(Database(store.database.path))
        while (job := jobs.claim(name, 1, "cpu")) is not None:
            claimed.append(job.id)
        jobs.database.close()

    threads = [threading.Thread(target=claim, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == 60 and set(claimed) == made


def test_order_kinds_and_waiting(store: Store) -> None:
    owner = store.local_owner()
    draw = store.jobs.submit(owner, "draw", {"words": "x"})
    late = store.jobs.submit(owner, "draw", after_job_id=draw)
    think = store.jobs.submit(owner, "think", priority=10)
    other = store.jobs.submit(owner, "draw", device="cuda:1")
    assert store.jobs.status(draw).ahead == 1 and store.jobs.status(think).ahead == 0
    first = store.jobs.claim("w", 1, "cpu")
    assert first is not None and (first.id, first.status, first.attempts) == (think, "running", 1)
    second = store.jobs.claim("w", 1, "cpu", kinds=["draw"])
    assert second is not None and second.id == draw and second.payload == {"words": "x"}
    assert store.jobs.claim("w", 1, "cpu") is None, f"{late} waits for {draw}, {other} for its device"
    store.jobs.finish(draw, "w", "done", result={"take": "t"})
    third = store.jobs.claim("w", 1, "cpu")
    assert third is not None and third.id == late
    fourth = store.jobs.claim("w", 1, "cuda:1")
    assert fourth is not None and fourth.id == other
    assert store.jobs.status(draw).result == {"take": "t"}


def test_progress_belongs_to_the_holder(store: Store) -> None:
    owner = store.local_owner()
    job = store.jobs.submit(owner, "draw")
    store.jobs.claim("w", 1, "cpu")
    words = json.dumps([{"text": "The seed", "done": False, "score": None}])
    assert store.jobs.update(job, "w", phase="drawing", step=2, total=8, eta_s=1.5, words_json=words) == 0
    seen = store.jobs.status(job)
    assert (seen.phase, seen.step, seen.total, seen.eta_s) == ("drawing", 2, 8, 1.5)
    assert [entry.text for entry in seen.words] == ["The seed"]
    with pytest.raises(Gone):
        store.jobs.update(job, "another", step=3)
    with pytest.raises(Gone):
        store.jobs.finish(job, "another", "done")
    assert store.jobs.cancel_flag(job, "another") == 1
    store.jobs.cancel(job)
    assert store.jobs.cancel_flag(job, "w") == 1 and store.jobs.update(job, "w", step=3) == 1
    assert store.jobs.status(job).status == "running", "a running job ends by its worker"
    store.jobs.finish(job, "w", "cancelled")
    assert store.jobs.status(job).finished_at is not None


def test_cancel_and_pause_of_what_waits(store: Store) -> None:
    owner = store.local_owner()
    one, two = store.jobs.submit(owner, "draw"), store.jobs.submit(owner, "draw")
    assert store.jobs.cancel(one).status == "cancelled"
    assert store.jobs.pause(two).status == "paused" and not store.jobs.has_pending("cpu")
    assert store.jobs.claim("w", 1, "cpu") is None
    assert store.jobs.pause(two, resume=True).status == "pending" and store.jobs.has_pending("cpu")
    assert store.jobs.cancel(one).status == "cancelled", "cancelling twice changes nothing"
    with pytest.raises(NotFound):
        store.jobs.cancel("no-such-job")


def test_take_over_twice_then_a_sentence(store: Store) -> None:
    owner = store.local_owner()
    job, cancelled = store.jobs.submit(owner, "draw"), store.jobs.submit(owner, "draw")
    store.jobs.claim("dead", 1, "cpu")
    store.jobs.claim("dead", 1, "cpu")
    store.jobs.cancel(cancelled)
    assert store.jobs.take_over(["dead"], max_attempts=2) == (), "not while it lives"
    assert set(store.jobs.take_over(["alive"], max_attempts=2)) == {job, cancelled}
    assert store.jobs.status(job).status == "interrupted"
    assert store.jobs.status(cancelled).status == "cancelled"
    again = store.jobs.claim("dead too", 1, "cpu")
    assert again is not None and (again.id, again.attempts) == (job, 2)
    store.jobs.take_over([], max_attempts=2)
    end = store.jobs.status(job)
    assert (end.status, end.error_kind) == ("failed", "WorkerLost")
    assert end.error is not None and "ended 2 times" in end.error and "try again" in end.error


def test_a_worker_that_was_asked_to_end_claims_nothing(store: Store) -> None:
    worker = store.processes.register("worker", 1, device="cpu")
    job = store.jobs.submit(store.local_owner(), "draw")
    store.processes.ask_to_stop(worker)
    assert store.jobs.claim(worker, 1, "cpu") is None
    other = store.jobs.claim(store.processes.register("worker", 2, device="cpu"), 2, "cpu")
    assert other is not None and other.id == job


def test_given_back_does_not_count(store: Store) -> None:
    job = store.jobs.submit(store.local_owner(), "draw")
    for _ in range(3):
        claimed = store.jobs.claim("w", 1, "cpu")
        assert claimed is not None and claimed.attempts == 1
        store.jobs.give_back(job, "w")
    assert store.jobs.status(job).status == "interrupted"


def test_what_a_page_shows_after_a_refresh(store: Store, tmp_path: Path) -> None:
    owner = store.local_owner()
    stories = store.stories(owner)
    scene = stories.begin_scene(stories.create_story().id, "A seed.")
    done = store.jobs.submit(owner, "think", story_id=scene.story_id, scene_id=scene.id)
    store.jobs.claim("w", 1, "cpu")
    store.jobs.finish(done, "w", "done")
    running = store.jobs.submit(owner, "draw", story_id=scene.story_id, scene_id=scene.id)
    elsewhere = store.jobs.submit(owner, "load")
    assert [job.id for job in store.jobs.recent(story_id=scene.story_id, open_only=True)] == [running]
    assert [job.id for job in store.jobs.recent(owner_id=owner)] == [elsewhere, running, done]
    assert store.jobs.recent(owner_id="somebody-else") == ()
    assert store.jobs.recent(scene_id=scene.id, kinds=("think",))[0].id == done
    assert store.jobs.typical_seconds("think") is not None and store.jobs.typical_seconds("draw") is None
    stories.erase_story(scene.story_id)
    with pytest.raises(NotFound):
        store.jobs.status(running)
    with pytest.raises(Gone):
        store.jobs.update(running, "w", step=1)
