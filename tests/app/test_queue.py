"""The queue in a person's hands: the order that is shown is the order of the claim, whatever is moved or paused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.director import Director
from app.pages.desk import Desk
from app.pages.examples import Examples
from app.store import Store
from app.store.errors import NotFound
from app.store.queue import Queue

View = dict[str, Any]


def queue_of(store: Store) -> Queue:
    return Queue(store.database, store.local_owner())


def claimed(store: Store) -> list[str]:
    """All that can be done now, in the order in which it is done."""
    done = []
    while (job := store.jobs.claim("w", 1, "cpu")) is not None:
        done.append(job.id)
        store.jobs.finish(job.id, "w", "done")
    return done


def shown(store: Store) -> list[str]:
    return [job.id for job in queue_of(store).in_order()]


@pytest.fixture
def five(store: Store) -> dict[str, str]:
    """a: one draw; b: two takes of a scene; c: one draw; t: a thought, which comes first."""
    owner = store.local_owner()
    jobs = {"a": store.jobs.submit(owner, "draw")}
    jobs["b1"], jobs["b2"] = (store.jobs.submit(owner, "draw", group_id="b") for _ in range(2))
    jobs["c"] = store.jobs.submit(owner, "draw")
    jobs["t"] = store.jobs.submit(owner, "think", priority=10)
    return jobs


def names(five: dict[str, str], ids: list[str]) -> list[str]:
    called = {job: name for name, job in five.items()}
    return [called[job] for job in ids]


def test_what_is_shown_is_what_is_done(store: Store, five: dict[str, str]) -> None:
    assert names(five, shown(store)) == ["t", "a", "b1", "b2", "c"]
    assert names(five, claimed(store)) == ["t", "a", "b1", "b2", "c"]


@pytest.mark.parametrize(
    ("moves", "order"),
    [
        ([("c", -1)], ["t", "a", "c", "b1", "b2"]),
        ([("b", -1)], ["t", "b1", "b2", "a", "c"]),
        ([("a", 1)], ["t", "b1", "b2", "a", "c"]),
        ([("c", -9)], ["c", "t", "a", "b1", "b2"]),  # also before what began with a higher priority
        ([("t", 99), ("b", -1), ("c", -1)], ["b1", "b2", "c", "a", "t"]),
        ([("a", "t")], ["a", "t", "b1", "b2", "c"]),
        ([("c", "b")], ["t", "a", "c", "b1", "b2"]),
        ([("a", 0)], ["t", "a", "b1", "b2", "c"]),
    ],
)
def test_moving(store: Store, five: dict[str, str], moves: list[tuple[str, Any]], order: list[str]) -> None:
    for unit, to in moves:
        name = five.get(unit, unit)
        if isinstance(to, int):
            queue_of(store).move(name, to)
        else:
            queue_of(store).move(name, before=five.get(to, to))
    assert names(five, shown(store)) == order
    late = store.jobs.submit(store.local_owner(), "draw")
    assert shown(store)[-1] == late, "what is asked for later comes later"
    assert names(five, claimed(store)[:-1]) == order


def test_what_runs_cannot_be_moved(store: Store, five: dict[str, str]) -> None:
    store.jobs.claim("w", 1, "cpu")
    with pytest.raises(NotFound):
        queue_of(store).move(five["t"], 1)
    with pytest.raises(NotFound):
        queue_of(store).move("no-such-job", 1)
    with pytest.raises(NotFound):
        Queue(store.database, store.owner("account", "stranger")).move(five["a"], 1)
    assert names(five, shown(store)) == ["t", "a", "b1", "b2", "c"]


def test_nothing_stands_before_what_it_waits_for(store: Store) -> None:
    owner = store.local_owner()
    first = store.jobs.submit(owner, "draw")
    second = store.jobs.submit(owner, "draw", after_job_id=first)
    other = store.jobs.submit(owner, "draw")
    assert queue_of(store).move(second, -2) == 2
    assert shown(store) == [first, second, other] == claimed(store)


def test_pausing_one_and_all(store: Store, five: dict[str, str]) -> None:
    queue = queue_of(store)
    queue.pause(["b"])
    assert {store.jobs.status(five[name]).status for name in ("b1", "b2")} == {"paused"}
    assert store.jobs.claim("w", 1, "cpu").id == five["t"]  # type: ignore[union-attr]
    queue.pause(None)
    assert store.jobs.status(five["t"]).status == "running", "what runs is finished"
    assert store.jobs.claim("w", 1, "cpu") is None and not store.jobs.has_pending("cpu")
    assert queue.counts() == {"running": 1, "paused": 4}
    queue.move(five["c"], -2)  # what is paused keeps a place, and may be given another
    queue.pause([five["c"]], False)
    assert store.jobs.claim("w", 1, "cpu").id == five["c"]  # type: ignore[union-attr]
    queue.pause(None, False)
    assert names(five, claimed(store)) == ["a", "b1", "b2"]


class Person:
    def __init__(self, director: Director, folder: Path) -> None:
        self.director = director
        self.owner = director.store.local_owner()
        self.desk = Desk(director, self.owner, Examples(folder), uploads=folder)
        self.here: View = {}

    def begin(self, words: str) -> View:
        view = self.desk.act({"do": "begin_words", "words": words})
        self.here = view["here"]
        return view

    def act(self, do: str, **details: Any) -> View:
        return self.desk.act({**self.here, "do": do, **details})

    def queue(self) -> View:
        return self.desk.ask({"ask": "queue"})


@pytest.fixture
def person(open_room: Callable[..., Director], tmp_path: Path) -> Person:
    return Person(open_room(in_process=True), tmp_path)


def test_the_page_shows_all_stories(person: Person) -> None:
    assert person.queue()["units"] == []
    one = person.begin("A seed lies in the rain.")
    assert one["queue"] == {"open": 1, "paused": 0}
    two = person.begin("An egg lies on the meadow.")
    person.director.submit_draw(person.owner, two["here"]["scene"], takes=3)
    units = person.queue()["units"]
    assert [unit["story"]["id"] for unit in units] == [view["here"]["story"] for view in (one, two, two)]
    assert [unit["words"] for unit in units][:2] == ["A seed lies in the rain.", "An egg lies on the meadow."]
    assert "3 takes" in units[2]["what"] and units[0]["text"] == "Comes next"
    assert [unit["first"] for unit in units] == [True, False, False] and units[2]["last"]
    assert person.desk.look({})["queue"]["open"] == 5

    person.act("queue_move", unit=units[2]["unit"], by=-2)
    assert [unit["unit"] for unit in person.queue()["units"]] == [units[at]["unit"] for at in (2, 0, 1)]
    person.act("queue_pause", unit=units[0]["unit"])
    shown = person.queue()
    assert [unit["state"] for unit in shown["units"]] == ["waiting", "paused", "waiting"]
    assert shown["pausable"] and shown["paused"]
    assert person.desk.look(one["here"])["job"]["state"] == "paused"
    person.act("queue_remove", unit=units[2]["unit"])
    assert len(person.queue()["units"]) == 2
    assert person.act("queue_remove", unit=units[2]["unit"])["notice"]["kind"] == "error"
    person.act("queue_pause")
    assert person.desk.look({})["queue"] == {"open": 2, "paused": 2}
    person.act("queue_resume")
    assert person.desk.look({})["queue"] == {"open": 2, "paused": 0}


def test_typical_times_add_up(person: Person) -> None:
    first = person.begin("A seed lies in the rain.")
    person.director.run_here(first["job"]["id"])
    person.director.submit_draw(person.owner, first["here"]["scene"], takes=2)
    person.director.submit_draw(person.owner, first["here"]["scene"])
    shown = person.queue()
    assert "usually" in shown["units"][0]["usual"] and "Starts in about" in shown["units"][1]["text"]
    assert "about" in shown["left"]


def test_strangers_see_and_move_nothing(person: Person, tmp_path: Path) -> None:
    person.begin("A seed lies in the rain.")
    (unit,) = person.queue()["units"]
    stranger = Desk(person.director, person.director.store.owner("account", "x"), Examples(tmp_path), uploads=tmp_path)
    assert stranger.ask({"ask": "queue"})["units"] == []
    for do in ("queue_move", "queue_remove"):
        assert stranger.act({"do": do, "unit": unit["unit"], "by": 1})["notice"]["kind"] == "error"
    stranger.act({"do": "queue_pause"})
    stranger.act({"do": "queue_pause", "unit": unit["unit"]})
    assert person.queue()["units"][0]["state"] == "waiting"


def test_a_chain_holds_after_what_runs(person: Person) -> None:
    first = person.begin("A seed lies in the rain.")
    person.director.run_here(first["job"]["id"])
    person.act("alone", scenes=2)
    jobs = person.director.store.jobs
    (unit,) = person.queue()["units"]
    assert "1 of 2" in unit["alone"] and unit["pausable"]

    claim = jobs.claim

    def claim_then_pause(*args: Any, **named: Any) -> Any:
        job = claim(*args, **named)
        person.act("queue_pause")
        return job

    jobs.claim = claim_then_pause  # type: ignore[method-assign]
    try:
        person.director.run_here(unit["unit"])
    finally:
        jobs.claim = claim  # type: ignore[method-assign]
    (waiting,) = person.director.active(person.owner)
    assert (waiting.kind, waiting.status) == ("draw", "paused")
    assert "waits" in person.desk.look(person.here)["alone"]["text"]
    person.act("queue_resume")
    (waiting,) = person.director.active(person.owner)
    assert waiting.status == "pending"
