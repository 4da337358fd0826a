"""Undo in words, retelling, the things thrown away, two tabs, without a browser. Jobs run in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.director import Director
from app.identity import new_id
from app.pages.desk import Desk
from app.pages.examples import Examples
from app.settings import Settings
from app.store import open_store
from tests.browser.painter import Painter

View = dict[str, Any]
BALL = "It is day on the meadow. A red ball lies on the left."


class Room:
    """A desk and the model behind it."""

    def __init__(self, director: Director, owner_id: str, uploads: Path) -> None:
        self.director = director
        self.desk = Desk(director, owner_id, Examples(uploads), uploads=uploads)

    def act(self, what: str, at: View | None = None, **details: Any) -> View:
        """As the page asks: with where it is and which version of the story it shows."""
        seen = {"seen": at["story"]["version"]} if at and at["story"] else {}
        return self.desk.act({**(at["here"] if at else {}), **seen, "do": what, **details})

    def ask(self, what: str, at: View, **details: Any) -> dict[str, Any]:
        answer = self.desk.ask({**at["here"], "ask": what, **details})
        assert "error" not in answer, answer
        return answer

    def work(self) -> None:
        """Everything that waits, in the order of the queue."""
        while job := self.director.store.jobs.claim("here", 1, "inline"):
            self.director.store.jobs.give_back(job.id, "here")
            self.director.run_here(job.id)

    def settle(self, view: View) -> View:
        self.work()
        return self.desk.look(view["here"])

    def begin(self, words: str = BALL) -> View:
        return self.settle(self.act("begin_words", words=words))

    def on(self, at: View, words: str) -> View:
        thought = self.settle(self.act("think", at))
        asked = self.act("draw", thought, words=words, job=thought["draft"]["job"], alternative=0)
        return self.settle(asked)

    def told(self, *words: str) -> View:
        view = self.begin()
        for one in words:
            view = self.on(view, one)
        return view

    def at(self, view: View, number: int) -> View:
        return self.act("open", view, scene=view["path"][number - 1]["id"])


def words_of(view: View) -> list[str]:
    return [one["words"] for one in view["path"]]


@pytest.fixture(scope="module")
def director(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Director]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("wander"), in_process=True)
    made = Director(open_store(settings), load=lambda: Painter(word_seconds=0, step_seconds=0, steps=2))
    made.start()
    yield made
    made.shutdown()
    made.store.close()


@pytest.fixture
def room(director: Director, tmp_path: Path) -> Room:
    return Room(director, director.store.owner("account", new_id()), tmp_path)


# undo in words --------------------------------------------------------------------------------------------------


def test_undo_says_what_and_stands_where_it_was(room: Room) -> None:
    first = room.begin()
    assert not any(first["undo"].values()), "a beginning is not undone: nothing would be left to look at"
    second = room.on(first, "The ball rolls.")
    assert second["undo"]["undo"] == "Undo: the new scene 2"
    renamed = room.act("rename", room.at(second, 1), title="Rolling", **{"from": "room"})
    assert renamed["undo"]["undo"] == "Undo: the new title"

    undone = room.act("undo", renamed)
    assert undone["story"]["title"] != "Rolling" and undone["here"]["scene"] == first["here"]["scene"]
    assert undone["undo"]["undo"] == "Undo: the new scene 2" and undone["undo"]["redo"] == "Do again: the new title"
    assert undone["notice"]["text"] == "Undone: the new title." and undone["notice"]["action"]["do"] == "redo"
    gone = room.act("undo", room.at(undone, 2))
    assert words_of(gone) == [BALL] and gone["here"]["scene"] == first["here"]["scene"]
    back = room.act("redo", gone)
    assert words_of(back) == [BALL, "The ball rolls."] and back["here"]["scene"] == second["here"]["scene"]
    assert back["path"][1]["clip"], "what was drawn is not drawn again"
    refused = room.act("undo", room.act("undo", back))
    assert refused["notice"]["text"] == "There is nothing to undo in this story."


def test_undo_of_words_goes_to_their_scene(room: Room) -> None:
    view = room.told("The ball rolls.", "It rains.")
    room.director.store.stories(room.desk.owner_id).edit_words(view["path"][1]["id"], "The ball jumps.")
    undone = room.act("undo", room.desk.look(view["here"]))
    assert undone["here"]["scene"] == view["path"][1]["id"] and undone["path"][1]["words"] == "The ball rolls."


def test_undo_ends_what_is_drawn_for_what_is_gone(room: Room) -> None:
    first = room.begin()
    thought = room.settle(room.act("think", first))
    asked = room.act("draw", thought, words="The ball rolls.", job=thought["draft"]["job"])
    undone = room.act("undo", asked)
    assert undone["job"] is None and not undone["elsewhere"] and words_of(undone) == [BALL]
    assert room.director.status(asked["job"]["id"]).status == "cancelled"


# telling again --------------------------------------------------------------------------------------------------


def test_the_rest_is_told_again(room: Room) -> None:
    view = room.told("The ball rolls.", "It rains.", "The sun sets.")
    second = room.at(view, 2)
    asked = room.act("retell_rest", second, words="A blue ball comes.", last=view["path"][-1]["id"])
    assert words_of(asked) == [BALL, "A blue ball comes.", "It rains.", "The sun sets."]
    assert asked["path"][1]["ways"] == [view["path"][1]["id"], asked["here"]["scene"]]
    assert [one["drawing"] for one in asked["path"]] == [False, True, True, True]
    assert asked["retelling"]["text"] == "Retelling, scene 1 of 3"
    assert asked["undo"]["undo"] == "Undo: the retelling from scene 2 on"
    store = room.director.store
    first_job = asked["job"]["id"]
    room.director.run_here(first_job)
    assert room.desk.look(asked["here"])["retelling"]["text"] == "Retelling, scene 2 of 3"

    done = room.settle(asked)
    assert done["retelling"] is None and all(one["clip"] for one in done["path"])
    stories = store.stories(room.desk.owner_id)
    takes = [stories.scene(one["id"]).chosen for one in done["path"]]
    for before, take in zip(takes, takes[1:], strict=False):
        assert before is not None and take is not None and take.parent_take_id == before.id, (
            "one goes on from the other"
        )

    undone = room.act("undo", done)
    assert words_of(undone) == words_of(view), "the old way was never touched"
    again = room.act("redo", undone)
    assert words_of(again) == words_of(done) and all(one["clip"] for one in again["path"])


@pytest.mark.full
def test_a_chain_ends_where_it_breaks(room: Room) -> None:
    view = room.told("The ball rolls.", "It rains.", "The sun sets.")
    asked = room.act("retell_rest", room.at(view, 2), words="A dragon comes.", last=view["path"][-1]["id"])
    failed = room.settle(asked)
    assert failed["trouble"]["text"].startswith("I don't know that yet") and failed["retelling"] is None
    third = room.at(failed, 3)
    assert third["trouble"]["text"].startswith("The scene before was not drawn")
    assert words_of(third) == [BALL, "A dragon comes.", "It rains.", "The sun sets."], "the undrawn scenes stay"

    # mended, and the rest drawn in one go
    mended = room.act("redraw", room.at(failed, 2), words="A blue ball comes.")
    mended = room.settle(mended)
    rest = room.act("draw_rest", room.at(mended, 3), last=mended["path"][-1]["id"])
    assert rest["retelling"]["text"] == "Retelling, scene 1 of 2"
    assert all(one["clip"] for one in room.settle(rest)["path"])


def test_a_stopped_chain_keeps_its_words(room: Room) -> None:
    view = room.told("The ball rolls.", "It rains.")
    asked = room.act("retell_rest", room.at(view, 2), words="A blue ball comes.", last=view["path"][-1]["id"])
    stopped = room.act("stop_chain", asked, group=asked["retelling"]["group"])
    assert stopped["retelling"] is None and stopped["job"] is None and not stopped["elsewhere"]
    assert words_of(stopped) == [BALL, "A blue ball comes.", "It rains."]
    assert not any(one["drawing"] for one in stopped["path"])


@pytest.mark.full
def test_what_cannot_be_told_again(room: Room) -> None:
    view = room.told("The ball rolls.", "It rains.")
    beginning = room.act("retell_rest", room.at(view, 1), words="Else.", last=view["path"][-1]["id"])
    assert "begin a new story" in beginning["notice"]["text"]
    other = room.begin()
    stranger = room.act("retell_rest", room.at(view, 2), words="Else.", last=other["here"]["scene"])
    assert stranger["notice"]["kind"] == "error" and len(stranger["path"]) == 3
    empty = room.act("retell_rest", room.at(view, 2), words=" ")
    assert "no words" in empty["notice"]["text"]


# thrown away ----------------------------------------------------------------------------------------------------


def test_thrown_away_and_brought_back(room: Room) -> None:
    view = room.told("The ball rolls.", "It rains.", "The sun sets.")
    less = room.act("trash_scene", room.at(view, 2))
    assert words_of(less) == [BALL]
    trash = room.ask("thrown_away", less)
    (one,) = trash["scenes"]
    assert (one["number"], one["words"], one["scenes"], one["takes"]) == (2, "The ball rolls.", 3, 3) and one["thumb"]
    back = room.act("restore_scene", less, which=one["id"])
    assert words_of(back) == words_of(view) and back["here"]["scene"] == one["id"]
    assert room.ask("thrown_away", back) == {"scenes": [], "takes": []}


def test_bringing_back_brings_what_leads_to_it(room: Room) -> None:
    view = room.told("The ball rolls.", "It rains.")
    less = room.act("trash_scene", room.at(view, 3))
    less = room.act("trash_scene", room.at(less, 2))
    trash = room.ask("thrown_away", less)["scenes"]
    assert [one["number"] for one in trash] == [2, 3]
    assert words_of(room.act("restore_scene", less, which=trash[1]["id"])) == words_of(view)


def test_an_undone_retelling_is_one_thing_in_the_trash(room: Room) -> None:
    view = room.told("The ball rolls.", "It rains.")
    done = room.settle(room.act("retell_rest", room.at(view, 2), words="Else.", last=view["path"][-1]["id"]))
    undone = room.act("undo", done)
    (one,) = room.ask("thrown_away", undone)["scenes"]
    assert one["words"] == "Else." and one["scenes"] == 2
    assert words_of(room.act("restore_scene", undone, which=one["id"])) == words_of(done)


def test_erasing_asks_what_goes_and_says_what_went(room: Room) -> None:
    view = room.told("The ball rolls.", "It rains.")
    trashed = room.act("trash_scene", room.at(view, 2))
    which = view["path"][1]["id"]
    assert "2 scenes of" in room.ask("what_goes", trashed, kind="scene", which=which)["text"]
    gone = room.act("erase_scene", trashed, which=which)
    assert gone["notice"]["text"] == "2 scenes were erased for good." and words_of(gone) == [BALL]
    assert not any(gone["undo"].values()), "what was erased can neither be undone nor done again"
    assert "one scene" in room.ask("what_goes", gone, kind="story")["text"]
    home = room.act("erase_story", gone)
    assert home["page"] == "home" and home["notice"]["text"] == "The story was erased for good."


# two tabs -------------------------------------------------------------------------------------------------------


def test_two_tabs_do_not_overwrite_each_other(room: Room, tmp_path: Path) -> None:
    other = Room(room.director, room.desk.owner_id, tmp_path)
    mine = room.begin()
    theirs = other.desk.look(mine["here"])
    renamed = other.act("rename", theirs, title="From the other tab", **{"from": "room"})
    assert renamed["notice"] is None
    refused = room.act("rename", mine, title="From this tab", **{"from": "room"})
    notice = refused["notice"]
    assert "changed in another window" in notice["text"] and refused["story"]["title"] == "From the other tab"
    assert notice["typed"] == "From this tab"
    # all the same, once the person has seen how it is now
    again = notice["action"]
    done = room.act(again["do"], refused, **again["with"])
    assert done["story"]["title"] == "From this tab" and done["notice"] is None


def test_a_stale_tab_may_add_but_not_take_away(room: Room) -> None:
    stale = room.told("The ball rolls.")
    room.act("rename", stale, title="Meanwhile", **{"from": "room"})
    branch = room.on(room.at(stale, 1), "It rains.")
    assert words_of(branch) == [BALL, "It rains."], "a new way loses nothing"
    for what, details in (
        ("trash_scene", {}),
        ("undo", {"step": stale["undo"]["undo_step"]}),
        ("redraw", {"words": "Other words."}),
        ("erase_scene", {"which": stale["here"]["scene"]}),
    ):
        refused = room.act(what, stale, **details)
        assert "nothing" in refused["notice"]["text"] or "another window" in refused["notice"]["text"], what
        assert len(refused["path"]) == 2, what


def test_a_finished_drawing_makes_no_tab_stale(room: Room) -> None:
    view = room.told("The ball rolls.")
    room.act("draw_more", view)
    room.work()
    renamed = room.act("rename", view, title="Still mine", **{"from": "room"})
    assert renamed["notice"] is None and renamed["story"]["title"] == "Still mine"
