"""A story that goes on by itself: one job after the other, stopped, failed, held, and with nobody looking."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.alone import best_words, part_of
from app.director import Director
from app.pages.desk import Desk
from app.pages.examples import Examples
from app.store.jobs import Job, Jobs

OpenRoom = Callable[..., Director]
Eventually = Callable[..., Any]
View = dict[str, Any]


class Person:
    """Somebody at a desk with one drawn scene. `step` does the one job that is open, as a worker would."""

    def __init__(self, director: Director, folder: Path, *, works_here: bool = False) -> None:
        self.director = director
        self.owner = director.store.local_owner()
        self.desk = Desk(director, self.owner, Examples(folder), uploads=folder, works_here=works_here)

    def begin(self) -> View:
        view = self.desk.act({"do": "begin_words", "words": "A seed lies in the rain."})
        if not self.desk.person.works_here:
            self.step()
        return self.look(view)

    def act(self, at: View, do: str, **details: Any) -> View:
        return self.desk.act({**at["here"], "do": do, **details})

    def look(self, at: View, **elsewhere: Any) -> View:
        return self.desk.look({**at["here"], **elsewhere})

    def open_jobs(self) -> list[Job]:
        return list(self.director.active(self.owner))

    def step(self) -> Job:
        (job,) = self.open_jobs()
        return self.director.run_here(job.id)

    def words(self, at: View) -> list[str]:
        return [scene["words"] for scene in self.look(at, scene=None)["path"]]


@pytest.fixture
def person(open_room: OpenRoom, tmp_path: Path) -> Person:
    return Person(open_room(in_process=True), tmp_path)


def test_it_thinks_and_draws_until_it_is_done(person: Person) -> None:
    first = person.begin()
    view = person.act(first, "alone", scenes=2, steer="make it rain")
    chain = view["alone"]
    assert chain["open"] and chain["at"] == first["here"]["scene"] and "1 of 2" in chain["text"]
    kinds = []
    while person.open_jobs():
        job = person.step()
        kinds.append((job.kind, (part_of(job) or {})["scene"], job.status, job.payload.get("steer")))
    assert [kind[:3] for kind in kinds] == [
        ("think", 1, "done"),
        ("draw", 1, "done"),
        ("think", 2, "done"),
        ("draw", 2, "done"),
    ]
    assert kinds[0][3] == "make it rain" and kinds[2][3] == "", "the wish is for the first scene"
    end = person.look(first, scene=None)
    assert [bool(scene["clip"]) for scene in end["path"]] == [True] * 3
    assert end["here"]["scene"] == end["path"][2]["id"], "the story opens where it went"
    assert not end["alone"]["open"] and end["alone"]["at"] == end["path"][2]["id"]
    assert end["trouble"] is None


def test_stopping_keeps_what_is_finished(person: Person) -> None:
    first = person.begin()
    view = person.act(first, "alone", scenes=5)
    for _ in range(3):
        person.step()  # words, pictures, words: the second scene waits to be drawn
    view = person.look(first, scene=None)
    assert "2 of 5" in view["alone"]["text"]
    stopped = person.act(view, "alone_stop", chain=view["alone"]["chain"])
    assert person.open_jobs() == [] and not stopped["alone"]["open"] and not stopped["alone"]["failed"]
    assert [bool(scene["clip"]) for scene in stopped["path"]] == [True, True, False]
    assert person.act(stopped, "alone_stop", chain=view["alone"]["chain"])["notice"] is None, "twice changes nothing"


@pytest.mark.parametrize("kind", ["think", "draw"])
def test_a_stop_that_comes_while_a_job_ends_is_heard(
    person: Person, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = person.begin()
    view = person.act(first, "alone", scenes=3)
    if kind == "draw":
        person.step()
    finish = Jobs.finish_in

    def finish_late(session: Any, job_id: str, *args: Any, **named: Any) -> None:
        from app.store.models import JobRow

        session.get_one(JobRow, job_id).cancel = 1  # as a stop just before the transaction began would leave it
        finish(session, job_id, *args, **named)

    monkeypatch.setattr(Jobs, "finish_in", staticmethod(finish_late))
    person.step()
    assert person.open_jobs() == []
    assert len(person.look(view, scene=None)["path"]) == (2 if kind == "draw" else 1)


def test_a_failure_ends_it_with_a_sentence(person: Person) -> None:
    first = person.begin()
    view = person.act(first, "alone", scenes=4, steer="a dragon comes")
    person.step()
    view = person.look(view)
    assert view["alone"]["failed"] and "1 of 4" in view["alone"]["text"] and not view["alone"]["open"]
    assert "dragon" in view["trouble"]["text"] and view["steer"] == "a dragon comes"
    assert person.open_jobs() == [] and len(view["path"]) == 1
    again = person.act(view, "alone", scenes=view["alone"]["left"])
    assert again["alone"]["open"] and "1 of 4" in again["alone"]["text"]


def test_it_ends_where_the_story_was_thrown_away(person: Person) -> None:
    first = person.begin()
    view = person.act(first, "alone", scenes=3)
    person.step()
    (job,) = person.open_jobs()
    stories = person.director.store.stories(person.owner)
    update = person.director.store.jobs.update

    def trash_while_drawing(job_id: str, worker: str, **columns: Any) -> int:
        if columns.get("phase") == "saving":
            stories.trash_scene(job.scene_id or "")
        return update(job_id, worker, **columns)

    person.director.store.jobs.update = trash_while_drawing  # type: ignore[method-assign]
    assert person.step().status == "done"
    assert person.open_jobs() == [] and len(person.look(view, scene=None)["path"]) == 1


def test_who_went_elsewhere_stays_there(person: Person) -> None:
    first = person.begin()
    person.act(first, "alone", scenes=2)
    person.step()
    person.step()
    view = person.act(first, "open", scene=first["here"]["scene"])  # back to the first scene while it goes on
    person.step()
    assert person.look(view, scene=None)["here"]["scene"] == first["here"]["scene"]
    assert person.look(view)["alone"]["at"] != first["here"]["scene"]


def test_what_may_be_asked(person: Person) -> None:
    first = person.begin()
    for scenes in (0, 21, "3", 2.5, True):
        view = person.act(first, "alone", scenes=scenes)
        assert view["notice"]["kind"] == "error" and "1 to 20" in view["notice"]["text"]
    assert person.open_jobs() == []
    assert person.act(first, "alone", scenes=20)["notice"] is None
    assert "already" in person.act(first, "alone", scenes=1)["notice"]["text"]
    stranger = Desk(
        person.director, person.director.store.owner("account", "x"), Examples(Path()), uploads=Path("x").resolve()
    )
    (job,) = person.open_jobs()
    stranger.act({"do": "alone_stop", "chain": (part_of(job) or {})["chain"]})
    assert person.open_jobs(), "another person's chain is not theirs to stop"


def test_the_best_words() -> None:
    told = ["It rains.", "The egg hatches.", "The sun sets."]

    def best(*thoughts: tuple[str, float | None]) -> str:
        return best_words([{"text": text, "score": score} for text, score in thoughts], told)

    assert best(("A bird sings.", -0.9), ("A cat comes.", -0.2)) == "A cat comes."
    assert best(("It rains", -0.1), ("A cat comes.", -0.7)) == "A cat comes.", "not the same sentence again"
    assert best(("The sun  sets.", -0.1), ("it rains.", -3.0)) == "it rains.", "or the one told longest ago"
    assert best(("A cat comes.", None), ("A bird sings.", -5.0)) == "A bird sings."


@pytest.mark.full
def test_nobody_needs_to_look(open_room: OpenRoom, eventually: Eventually, tmp_path: Path) -> None:
    """Without a worker: the thread that was started for the first job does all that follow."""
    person = Person(open_room(in_process=True), tmp_path, works_here=True)
    first = person.begin()
    eventually(lambda: not person.open_jobs())
    person.act(first, "alone", scenes=3)
    eventually(lambda: len(person.words(first)) == 4 and not person.open_jobs(), what="three more scenes")


@pytest.mark.full
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_it_survives_a_killed_worker(open_room: OpenRoom, eventually: Eventually, tmp_path: Path) -> None:
    director = open_room({"step_seconds": 0.05})
    person = Person(director, tmp_path)
    stories = director.store.stories(person.owner)
    scene = stories.begin_scene(stories.create_story().id, "A seed lies in the rain.")
    chain = director.submit_alone(person.owner, scene.id, scenes=3)
    drawing = eventually(lambda: next((job for job in person.open_jobs() if job.step >= 1), None), what="drawing")
    worker = director.worker_state()
    assert worker is not None
    os.kill(worker.pid, signal.SIGKILL)
    eventually(lambda: not director.active(person.owner), what="the end of the chain")
    tree = stories.tree(scene.story_id)
    assert [len(scene.takes) for scene in tree] == [0, 1, 1, 1]
    assert director.status(drawing.id).attempts == 2 and director.status(chain).status == "done"
