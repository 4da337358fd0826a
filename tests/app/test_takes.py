"""Several takes of one scene, without a browser: asked for, shown as they come, stopped, chosen, ordered, judged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from app import ranking
from app.director import Director
from app.identity import new_id, now
from app.pages.desk import Desk
from app.pages.examples import Examples, read_examples
from app.pages.takes_view import time_left, verdict_view
from app.settings import Settings
from app.store import open_store
from app.store.jobs import Job
from nsp_core.errors import ConfigError
from nsp_core.judges import Verdict
from nsp_core.types import Scene, StoryContext
from tests.browser.painter import Painter

View = dict[str, Any]
BALL = "It is day on the meadow. A red ball lies on the left."


@dataclass
class Opinionated(Painter):
    """A painter that is asked what it thinks of scenes; `says` is what."""

    says: Verdict | Exception | str | None = None

    def judge(self, context: StoryContext, scene: Scene) -> Verdict:
        assert context.scenes and scene.words and scene.frames is not None
        if isinstance(self.says, Exception):
            raise self.says
        return self.says  # type: ignore[return-value]


class Room:
    """A desk, the model behind it, and a scene that follows another one."""

    def __init__(self, director: Director, painter: Painter, examples: Examples, uploads: Path) -> None:
        self.director = director
        self.painter = painter
        self.desk = Desk(director, director.store.owner("account", new_id()), examples, uploads=uploads)

    def act(self, what: str, at: View | None = None, **details: Any) -> View:
        return self.desk.act({**(at["here"] if at else {}), "do": what, **details})

    def ask(self, what: str, at: View, **details: Any) -> View:
        return self.desk.ask({**at["here"], "ask": what, **details})

    def jobs(self, at: View, kind: str = "draw") -> list[Job]:
        """Those that are open, the first to be done first."""
        open_jobs = self.director.active(self.desk.owner_id, at["here"]["story"])
        return sorted((job for job in open_jobs if job.kind == kind), key=lambda job: job.id)

    def work(self, at: View, most: int = 99, kind: str = "draw") -> View:
        for job in self.jobs(at, kind)[:most]:
            self.director.run_here(job.id)
        return self.desk.look(at["here"])

    @cached_property
    def thought(self) -> View:
        """A first scene with words that may come next: every test draws a way of its own from there."""
        begun = self.work(self.act("begin_words", words=BALL))
        return self.work(self.act("think", begun), kind="think")

    def asked(self, takes: Any = 1) -> View:
        """A second scene whose takes have just been asked for."""
        draft = self.thought["draft"]
        words = draft["alternatives"][0]
        return self.act("draw", self.thought, words=words, job=draft["job"], alternative=0, takes=takes)

    def drawn(self, takes: int = 1) -> View:
        return self.work(self.asked(takes))

    @cached_property
    def pair(self) -> View:
        """A scene with two takes, for tests that change nothing of it but verdicts."""
        return self.drawn(2)


@pytest.fixture(scope="module")
def painter() -> Opinionated:
    return Opinionated(word_seconds=0, step_seconds=0)


@pytest.fixture(scope="module")
def director(tmp_path_factory: pytest.TempPathFactory, painter: Painter) -> Iterator[Director]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("takes"), in_process=True)
    made = Director(open_store(settings), load=lambda: painter)
    made.start()
    yield made
    made.shutdown()
    made.store.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, director: Director, painter: Opinionated) -> Room:
    return new_room(tmp_path_factory.mktemp("shared"), director, painter)


@pytest.fixture
def room(shared: Room, painter: Opinionated) -> Room:
    painter.says = None
    return shared


def new_room(folder: Path, director: Director, painter: Painter) -> Room:
    (folder / "examples.json").write_text("[]")
    return Room(director, painter, read_examples(folder), folder / "uploads")


def ids(view: View) -> list[str]:
    return [take["id"] for take in view["takes"]["takes"]]


def chosen(view: View) -> int:
    return next(take["number"] for take in view["takes"]["takes"] if take["chosen"])


# drawing --------------------------------------------------------------------------------------------------------


def test_takes_of_one_request_belong_together_and_are_shown_as_they_come(room: Room) -> None:
    view = room.asked(3)
    jobs = room.jobs(view)
    assert len(jobs) == 3 and len({job.group_id for job in jobs}) == 1
    assert len({job.payload["options"]["seed"] for job in jobs}) == 3
    assert view["job"]["id"] == jobs[0].id, "the first that will be drawn fills the stage"
    assert view["takes"]["takes"] == [] and [one["state"] for one in view["takes"]["jobs"]] == ["waiting"] * 3

    view = room.work(view, most=1)
    assert view["job"] is None and view["path"][-1]["clip"], "a finished take can be used while the others are drawn"
    assert len(view["takes"]["takes"]) == 1 and len(view["takes"]["jobs"]) == 2 and view["takes"]["working"]
    assert view["takes"]["group"]["text"].startswith("1 of 3 drawn") and "left" in view["takes"]["group"]["text"]
    assert [one["number"] for one in view["takes"]["jobs"]] == [2, 3]
    assert view["takes"]["jobs"][0]["text"].startswith("Waiting its turn, ready in about")
    assert room.desk.look(view["here"])["takes"] == view["takes"], "a refresh shows the same"
    thinking = room.act("think", view)
    assert thinking["job"]["kind"] == "think"

    view = room.work(room.work(view, kind="think"))
    assert [take["number"] for take in view["takes"]["takes"]] == [1, 2, 3] and chosen(view) == 1
    assert view["takes"]["jobs"] == [] and view["takes"]["group"] is None and not view["takes"]["working"]
    assert view["draft"], "what was thought of meanwhile waits"


@pytest.mark.parametrize("takes", [0, 9, 2.5, "3", True])
def test_a_number_of_takes_that_cannot_be_is_refused_before_anything_changes(room: Room, takes: Any) -> None:
    view = room.asked(takes)
    assert view["notice"]["kind"] == "error" and "1 to 8" in view["notice"]["text"]
    assert view["here"] == room.thought["here"] and not room.jobs(view)


def test_stopping_keeps_what_is_finished_and_empties_the_queue(room: Room) -> None:
    view = room.act("stop_takes", room.work(room.asked(4), most=2))
    assert view["notice"]["text"] == "Stopped. The 2 takes that are finished are kept." and not room.jobs(view)
    assert len(view["takes"]["takes"]) == 2
    assert [(one["state"], one["number"]) for one in view["takes"]["jobs"]] == [("cancelled", 3), ("cancelled", 4)]
    assert "stopped" in view["takes"]["jobs"][0]["text"] and view["trouble"] is None


def test_stopping_before_the_first_one_keeps_the_words(room: Room) -> None:
    view = room.act("stop_takes", room.asked(2))
    assert view["notice"]["text"].startswith("Stopped. No take") and view["path"][-1]["words"]
    assert view["takes"]["takes"] == [] and not view["takes"]["more"]


def test_one_take_of_several_is_stopped(room: Room) -> None:
    view = room.asked(3)
    view = room.act("cancel", view, job=room.jobs(view)[1].id)
    assert [one["state"] for one in view["takes"]["jobs"]] == ["waiting", "cancelled", "waiting"]
    assert len(room.work(view)["takes"]["takes"]) == 2


def test_a_take_that_fails_says_so_and_the_others_stay(
    room: Room, monkeypatch: pytest.MonkeyPatch, painter: Opinionated
) -> None:
    view = room.work(room.asked(2), most=1)

    def broken(*_: Any, **__: Any) -> Iterator[Any]:
        raise MemoryError
        yield

    monkeypatch.setattr(painter, "act", broken)
    view = room.work(view)
    assert len(view["takes"]["takes"]) == 1 and "memory" in view["takes"]["jobs"][0]["text"]
    assert view["takes"]["jobs"][0]["state"] == "failed" and view["trouble"] is None, "the tile says it, nothing else"


def test_more_takes_keep_the_earlier_ones(room: Room) -> None:
    view = room.drawn(1)
    before = ids(view)
    assert view["takes"]["more"]
    view = room.work(room.act("draw_more", view, takes=2))
    assert ids(view)[:1] == before and len(ids(view)) == 3 and chosen(view) == 1


def test_time_left_counts_what_comes_before() -> None:
    running, one, two = (_job(number) for number in ("1", "2", "3"))
    running = replace(running, status="running", step=2, eta_s=4.0, started_at=now() - timedelta(seconds=6))
    queue = (running, one, two)
    assert time_left(running, queue, 20.0) == 4.0
    assert time_left(one, queue, 20.0) == 24.0 and time_left(two, queue, 20.0) == 44.0
    assert time_left(one, queue, None) == pytest.approx(14.0, abs=0.5), "learned from the one that is under way"
    assert time_left(one, (one, two), None) is None
    begun = replace(running, eta_s=None, started_at=now() - timedelta(seconds=15))
    assert time_left(begun, (begun, one), 20.0) == pytest.approx(5.0, abs=0.5)


def _job(number: str) -> Job:
    none: dict[str, Any] = {name: None for name in Job.__dataclass_fields__}
    return Job(**{**none, "id": number, "kind": "draw", "status": "pending", "step": 0, "total": 8, "cancel": 0})


# choosing -------------------------------------------------------------------------------------------------------


def test_take_is_chosen_starred_and_ranked(room: Room) -> None:
    view = room.drawn(3)
    one, two, three = ids(view)
    view = room.act("choose_take", view, take=two)
    assert chosen(view) == 2 and view["path"][-1]["clip"] == view["takes"]["takes"][1]["clip"]
    view = room.act("star_take", view, take=three, starred=True)
    assert [take["starred"] for take in view["takes"]["takes"]] == [False, False, True]
    assert not room.act("star_take", view, take=three, starred=False)["takes"]["takes"][2]["starred"]
    view = room.act("rank_takes", view, order=[three, one, two])
    assert ids(view) == [three, one, two] and [take["rank"] for take in view["takes"]["takes"]] == [1, 2, 3]
    view = room.work(room.act("draw_more", view))
    assert ids(view)[:3] == [three, one, two] and view["takes"]["takes"][3]["rank"] is None


@pytest.mark.parametrize("order", [None, "abc", [], ["x", "y"], [1, 2]])
def test_an_order_of_other_takes_is_refused(room: Room, order: Any) -> None:
    view = room.pair
    refused = room.act("rank_takes", view, order=order)
    assert refused["notice"]["kind"] == "error" and ids(refused) == ids(view)


def test_a_take_is_thrown_away_and_brought_back(room: Room) -> None:
    view = room.drawn(2)
    first = ids(view)[0]
    view = room.act("trash_take", view, take=first)
    assert view["notice"]["text"] == "Take 1 was thrown away." and view["takes"]["trashed"] == 1
    assert chosen(view) == 2, "the story goes on from the other one"
    assert [take["number"] for take in room.ask("takes_trash", view)["takes"]] == [1]
    undo = view["notice"]["action"]
    view = room.act(undo["do"], view, **undo["with"])
    assert len(ids(view)) == 2 and view["takes"]["trashed"] == 0 and chosen(view) == 2


def test_takes_of_others_do_not_exist(room: Room, director: Director, tmp_path: Path) -> None:
    mine = room.pair
    other = new_room(tmp_path, director, room.painter)
    theirs = other.work(other.act("begin_words", words=BALL))
    for what in ("choose_take", "star_take", "trash_take", "restore_take"):
        refused = other.act(what, theirs, take=ids(mine)[1])
        assert refused["notice"]["kind"] == "error", what
    assert "error" in other.ask("takes_trash", mine) and "error" in other.ask("ideas", mine)
    assert ids(room.desk.look(mine["here"])) == ids(mine)
    elsewhere = room.act("choose_take", room.thought, take=ids(mine)[1])
    assert elsewhere["notice"]["kind"] == "error", "a take of another scene than the one that is open"


def test_thinking_again_keeps_the_earlier_thoughts(room: Room) -> None:
    view = room.work(room.act("think", room.drawn(1)), kind="think")
    first = view["draft"]
    view = room.work(room.act("think", view, steer="make it rain"), kind="think")
    assert view["draft"]["job"] != first["job"] and view["thoughts"] == 2
    earlier = room.ask("ideas", view, but=view["draft"]["job"])["ideas"]
    assert earlier == [first]
    taken = room.act("draw", view, words=first["alternatives"][1], job=first["job"], alternative=1)
    assert taken["path"][-1]["words"] == first["alternatives"][1]
    both = room.ask("ideas", view)["ideas"]
    assert [one["steer"] for one in both] == ["make it rain", ""], "also when a scene was made since"


# judging --------------------------------------------------------------------------------------------------------


def judged(room: Room, view: View) -> list[dict[str, Any]]:
    view = room.work(room.act("judge_takes", view), kind="rank")
    return [take["verdict"] for take in view["takes"]["takes"]]


def test_an_opinion_that_agrees_too_rarely_is_not_shown_and_not_asked_for(room: Room, painter: Opinionated) -> None:
    assert ranking.OWN_KAPPA < 0.7, "better by now? Then this test, and what the page shows, change together."
    painter.says = Verdict("pass", "it follows", "x", score=0.9)
    view = room.act("judge_takes", room.pair)
    assert view["notice"]["kind"] == "error" and "kappa" in view["notice"]["text"] and not room.jobs(view, "rank")
    assert view["takes"]["opinion"]["ask"] is None and "kappa" in view["takes"]["opinion"]["why"]
    row = {"judge": "own:starter@1", "value": "pass", "reason": "it follows", "score": 0.9}
    assert verdict_view(row)["text"] == "not judged" and verdict_view(row)["score"] is None


def test_an_own_opinion_is_labelled_as_the_storytellers(
    room: Room, painter: Opinionated, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "OWN_IS_SHOWN", True)
    painter.says = Verdict("pass", "it follows", "the exact judge", "own 1", score=0.83)
    view = room.pair
    view = room.desk.look(view["here"])
    assert view["takes"]["opinion"]["ask"] == "What does the storyteller think?"
    found = judged(room, view)
    assert [one["text"] for one in found] == ["follows from the story"] * 2 and found[0]["score"] == 0.83
    assert all(one["whose"] == "The storyteller's own opinion" for one in found), "whatever name it gives itself"
    row = room.desk.stories.verdicts(ids(view)[0])[-1]
    assert row["judge"].startswith("own:") and row["judge"].endswith(f"@{painter.fingerprint}")


@pytest.mark.parametrize("says", [None, "pass", RuntimeError("broken"), Verdict("missing", "cannot see it", "x")])
def test_a_judge_that_fails_leaves_not_judged(
    room: Room, painter: Opinionated, monkeypatch: pytest.MonkeyPatch, says: Any
) -> None:
    monkeypatch.setattr(ranking, "OWN_IS_SHOWN", True)
    painter.says = says
    found = judged(room, room.pair)
    assert found[0]["value"] == "missing" and found[0]["text"] == "not judged" and found[0]["score"] is None


def test_a_model_without_an_opinion_says_so(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "OWN_IS_SHOWN", True)
    monkeypatch.setattr(Opinionated, "judge", None)
    view = room.work(room.act("judge_takes", room.pair), kind="rank")
    assert "no opinion" in view["takes"]["opinion"]["error"]


def test_the_judge_that_was_set_up_is_asked_by_its_name(
    room: Room, director: Director, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Strict:
        name = "strict"

        def judge(self, context: StoryContext, scene: Scene) -> Verdict:
            return Verdict("fail", f"{len(context.scenes)} before, {len(scene.frames)} frames", "own:disguised")

    monkeypatch.setattr(ranking, "get_judge", lambda name: {"strict": Strict()}[name])
    monkeypatch.setattr(director, "settings", replace(director.settings, judge="strict"))
    view = room.desk.look(room.pair["here"])
    assert view["takes"]["opinion"]["ask"] == "What does the judge “strict” think?"
    found = judged(room, view)[0]
    assert found["whose"] == "The judge “strict”" and found["value"] == "fail"
    assert found["why"] == "Because: 1 before, 17 frames." and room.desk.stories.verdicts(ids(view)[0])


def test_a_judge_that_does_not_exist_is_one_sentence(
    room: Room, director: Director, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(director, "settings", replace(director.settings, judge="nobody"))
    view = room.work(room.act("judge_takes", room.pair), kind="rank")
    assert "no judge 'nobody'" in view["takes"]["opinion"]["error"]
    with pytest.raises(ConfigError):
        ranking.judge_for("nobody", lambda: None, "x")


def test_the_first_scene_is_not_judged(room: Room) -> None:
    assert room.thought["takes"]["opinion"] is None
    verdict = ranking.ask_one("x", lambda *_: pytest.fail("asked"), StoryContext(), lambda: Scene("a"))
    assert verdict.outcome == "missing" and "before" in verdict.reason
