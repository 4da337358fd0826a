"""What the page shows and what asking it does: views and wishes, without a browser. Jobs run in this process."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.catalogue import say
from app.director import Director
from app.identity import new_id, now
from app.pages.desk import Desk
from app.pages.examples import Example, Examples, read_examples
from app.pages.progress import job_text, seconds
from app.pages.story_room import FRAME, script
from app.pages.strip import strip_view
from app.settings import Settings
from app.store import open_store
from app.store.jobs import Job
from app.story import Scene, Tree, shown_path
from tests.browser.painter import NEXT, Painter, paint

View = dict[str, Any]
BALL = "It is day on the meadow. A red ball lies on the left."


class Room:
    """A desk and the model behind it. `settle` does the job that the page waits for, and looks again."""

    def __init__(self, director: Director, examples: Examples, uploads: Path) -> None:
        self.director = director
        self.uploads = uploads
        # a person of their own for each test: nobody sees the others' stories
        self.desk = Desk(director, director.store.owner("account", new_id()), examples, uploads=uploads)

    def act(self, what: str, at: View | None = None, **details: Any) -> View:
        return self.desk.act({**(at["here"] if at else {}), "do": what, **details})

    def settle(self, view: View) -> View:
        self.director.run_here(view["job"]["id"])
        return self.desk.look(view["here"])

    def begin(self, words: str = BALL) -> View:
        return self.settle(self.act("begin_words", words=words))

    def think(self, at: View, steer: str = "") -> View:
        return self.settle(self.act("think", at, steer=steer))

    def draw(self, at: View, alternative: int = 0, words: str | None = None) -> View:
        text = words or at["draft"]["alternatives"][alternative]
        return self.settle(self.act("draw", at, words=text, job=at["draft"]["job"], alternative=alternative))

    def bring(self, picture: np.ndarray[Any, Any] | bytes, name: str) -> View:
        path = self.uploads / "x" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(picture, bytes):
            path.write_bytes(picture)
        else:
            Image.fromarray(picture).save(path)
        return self.act("begin_upload", path=str(path), name=name)


@pytest.fixture(scope="module")
def director(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Director]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("pages"), in_process=True)
    made = Director(open_store(settings), load=lambda: Painter(word_seconds=0, step_seconds=0))
    made.start()
    yield made
    made.shutdown()
    made.store.close()


@pytest.fixture
def room(tmp_path: Path, director: Director) -> Room:
    folder = tmp_path / "examples"
    folder.mkdir()
    Image.fromarray(paint(BALL)[0]).save(folder / "ball.png")
    entries = [
        {"title": "A ball!", "words": "My own words.", "image": "ball.png"},
        {"title": "Rain", "words": "It rains."},
    ]
    (folder / "examples.json").write_text(json.dumps(entries))
    return Room(director, read_examples(folder), tmp_path / "uploads")


PHOTO = np.full((90, 120, 3), (90, 60, 40), dtype=np.uint8)


# beginning ------------------------------------------------------------------------------------------------------


def test_the_first_visit(room: Room) -> None:
    view = room.desk.look({})
    assert view["page"] == "home" and view["stories"] == [] and view["notice"] is None
    assert [one["title"] for one in view["examples"]] == ["A ball!", "Rain"]
    json.dumps(view)


def test_words_become_a_drawn_first_scene(room: Room) -> None:
    asked = room.act("begin_words", words=f"  {BALL} \n ")
    assert asked["job"]["kind"] == "draw" and asked["path"][0]["drawing"] and asked["path"][0]["clip"] is None
    view = room.settle(asked)
    assert view["job"] is None and view["path"][0]["words"] == BALL
    assert view["path"][0]["clip"].endswith(".mp4") and view["story"]["title"].startswith("It is day")


def test_no_words_no_story(room: Room) -> None:
    view = room.act("begin_words", words="  ")
    assert view["page"] == "home" and view["notice"]["kind"] == "error" and not view["stories"]


def test_a_picture_of_the_known_world_becomes_a_story_by_itself(room: Room) -> None:
    asked = room.bring(np.asarray(Image.fromarray(paint(BALL)[0]).resize((640, 384))), "egg.png")
    assert asked["job"]["kind"] == "describe" and asked["here"]["reading"]
    view = room.settle(asked)
    assert view["here"]["reading"] is None and view["path"][0]["seen"] == BALL and view["path"][0]["clip"]
    assert room.desk.look(asked["here"])["here"] == view["here"]  # the old address leads to the same story
    assert len(room.desk.look({})["stories"]) == 1
    assert not list(room.uploads.rglob("*.png"))


def test_somebodys_photo_is_not_pretended_to_be_known(room: Room) -> None:
    view = room.settle(room.bring(PHOTO, "holiday.jpg"))
    assert view["offers"]["seen"] and "only know" in view["offers"]["limits"] and view["still"]
    assert room.desk.look(view["here"])["offers"] == view["offers"]  # a refresh finds it again
    assert room.desk.look({})["waiting"] == [{"job": view["here"]["reading"], "name": "holiday.jpg"}]


def test_a_photo_is_retold_or_kept(room: Room) -> None:
    view = room.settle(room.bring(PHOTO, "a.jpg"))
    told = room.settle(room.act("retell", view, words="It rains on the meadow."))
    assert told["path"][0]["words"] == "It rains on the meadow." and told["path"][0]["seen"] == view["offers"]["seen"]
    kept = room.act("keep_still", room.settle(room.bring(PHOTO, "b.jpg")), words="")
    assert kept["job"] is None and kept["path"][0]["clip"] and kept["path"][0]["words"] == view["offers"]["seen"]
    assert room.desk.look({})["waiting"] == []
    assert room.act("retell", view, words="Again.")["notice"]["kind"] == "error"


def test_a_broken_file_is_one_sentence_and_leaves_nothing(room: Room) -> None:
    view = room.settle(room.bring(b"\xff\xd8\xff\xe0 broken", "broken.jpg"))
    assert view["page"] == "home" and view["notice"]["kind"] == "error" and "broken.jpg" in view["notice"]["text"]
    assert view["stories"] == [] and view["waiting"] == []


def test_a_file_of_no_known_kind(room: Room) -> None:
    view = room.bring(b"#!/bin/sh", "run.sh")
    assert view["page"] == "home" and view["notice"]["kind"] == "error"


def test_only_what_was_uploaded_is_read(room: Room, tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.fromarray(PHOTO).save(secret)
    for path in (str(secret), f"{room.uploads}/../secret.png", "", None, 7, ["x"]):
        view = room.act("begin_upload", path=path, name="x.png")
        assert view["notice"]["kind"] == "error" and view["here"]["reading"] is None
    assert secret.exists()


def test_an_example_brings_its_own_words(room: Room) -> None:
    view = room.settle(room.act("begin_example", name="a-ball"))
    assert view["path"][0]["words"] == "My own words." and view["story"]["title"] == "A ball!"
    drawn = room.settle(room.act("begin_example", name="rain"))
    assert drawn["path"][0]["words"] == "It rains." and drawn["path"][0]["clip"]
    assert room.act("begin_example", name="gone")["notice"]["kind"] == "error"


# going on -------------------------------------------------------------------------------------------------------


def test_three_alternatives_one_is_drawn_and_the_rest_is_gone(room: Room) -> None:
    thought = room.think(room.begin())
    assert len(thought["draft"]["alternatives"]) == 3
    view = room.draw(thought, 1)
    assert [one["words"] for one in view["path"]][1] == thought["draft"]["alternatives"][1]
    first = room.desk.look({**view["here"], "scene": view["path"][0]["id"]})
    assert first["draft"] is None and len(first["path"]) == 2  # going back still shows where the story goes


def test_who_wrote_the_words_is_remembered(room: Room) -> None:
    first = room.begin()
    sources = []
    for words in (None, "It rains a little.", None):
        view = room.draw(room.think(first), 0, words)
        sources.append(room.desk.stories.scene(view["here"]["scene"]).words_source)
    assert sources == ["model", "edited", "model"]


def test_a_second_way_is_a_branch(room: Room) -> None:
    first = room.begin()
    one = room.draw(room.think(first), 0)
    two = room.draw(room.think(first), 1)
    assert two["path"][1]["ways"] == [one["here"]["scene"], two["here"]["scene"]]
    back = room.act("open", two, scene=one["here"]["scene"])
    assert back["path"][1]["id"] == one["here"]["scene"]
    assert room.desk.look({"story": back["here"]["story"]})["here"]["scene"] == one["here"]["scene"]


def test_a_wish_that_cannot_come_true_says_what_could(room: Room) -> None:
    view = room.think(room.begin(), steer="a comet falls")
    assert view["trouble"]["here"] and view["trouble"]["known"] == list(NEXT) and view["steer"] == "a comet falls"
    assert not room.think(view, steer="a dragon comes")["trouble"]["here"]


def test_a_wish_outside_the_language_says_what_is_known(room: Room) -> None:
    view = room.think(room.begin(), steer="a dragon comes")
    assert "dragon" in view["trouble"]["text"] and view["trouble"]["known"] and view["steer"] == "a dragon comes"
    assert view["draft"] is None and len(view["path"]) == 1
    assert room.think(view, steer="make it rain")["trouble"] is None


def test_words_outside_the_language_are_kept_to_be_mended(room: Room) -> None:
    view = room.draw(room.think(room.begin()), 0, "A robot dances.")
    assert view["path"][1]["clip"] is None and "robot" in view["trouble"]["text"]
    mended = room.settle(room.act("redraw", view, words="It rains."))
    assert mended["path"][1]["words"] == "It rains." and mended["path"][1]["clip"] and mended["trouble"] is None


def test_cancelling_keeps_the_words(room: Room) -> None:
    thought = room.think(room.begin())
    asked = room.act("draw", thought, words="It rains.", job=thought["draft"]["job"], alternative=0)
    view = room.act("cancel", asked, job=asked["job"]["id"])
    assert view["job"] is None and view["path"][1]["words"] == "It rains." and view["trouble"] is None
    gone = room.act("trash_scene", view)
    assert len(gone["path"]) == 1 and gone["here"]["scene"] == view["path"][0]["id"]


def test_a_job_elsewhere_does_not_hide_the_scene(room: Room) -> None:
    thought = room.think(room.begin())
    asked = room.act("draw", thought, words="It rains.", job=thought["draft"]["job"], alternative=0)
    first = room.desk.look({**asked["here"], "scene": asked["path"][0]["id"]})
    assert first["job"] is None and first["elsewhere"] == 1 and first["path"][1]["drawing"]


def test_a_drawing_that_ends_while_the_page_looks_is_not_shown_as_undrawn(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    thought = room.think(room.begin())
    asked = room.act("draw", thought, words="It rains.", job=thought["draft"]["job"], alternative=0)
    views, recent = room.desk.views, room.director.store.jobs.recent

    def recent_then_done(**wanted: Any) -> tuple[Job, ...]:
        found = recent(**wanted)
        room.director.run_here(asked["job"]["id"])
        return found

    monkeypatch.setattr(views.store.jobs, "recent", recent_then_done)
    view = room.desk.look(asked["here"])
    assert view["job"] is not None  # the page asks once more, and then sees all of it
    monkeypatch.undo()
    assert room.desk.look(asked["here"])["path"][1]["clip"]


def test_the_same_view_after_a_restart(room: Room, tmp_path: Path) -> None:
    view = room.think(room.draw(room.think(room.begin())))
    again = Desk(room.director, room.desk.owner_id, room.desk.examples, uploads=tmp_path).look(view["here"])
    assert again == view


# the shelf ------------------------------------------------------------------------------------------------------


def test_rename_trash_and_bring_back(room: Room) -> None:
    story = room.begin()["here"]["story"]
    assert room.act("rename", story=story, title=" The  ball ")["stories"][0]["title"] == "The ball"
    gone = room.act("trash", story=story)
    assert gone["stories"] == [] and gone["trash"][0]["title"] == "The ball"
    assert gone["notice"]["action"]["do"] == "restore"
    assert room.desk.look({"story": story})["page"] == "home"
    assert room.act("restore", story=story)["stories"][0]["id"] == story
    assert room.act("rename", story=story, title=" ")["notice"]["kind"] == "error"


def test_renaming_in_the_room_stays_there(room: Room) -> None:
    view = room.begin()
    assert room.act("rename", view, title="New", **{"from": "room"})["story"]["title"] == "New"


def test_somebody_elses_story_does_not_exist(room: Room, tmp_path: Path) -> None:
    view = room.begin()
    other = room.director.store.owner("account", new_id())
    desk = Desk(room.director, other, room.desk.examples, uploads=tmp_path)
    assert desk.look(view["here"])["page"] == "home" and desk.look({})["stories"] == []
    for what in ("think", "trash", "rename", "trash_scene", "redraw", "open"):
        answer = desk.act({**view["here"], "do": what, "title": "Mine", "words": "x"})
        assert answer["notice"]["kind"] == "error", what
    assert room.desk.look(view["here"])["story"]["title"] == view["story"]["title"]


@pytest.mark.parametrize(
    "message",
    [
        None, 7, "x", [], {}, {"do": None}, {"do": "__init__"}, {"do": ["think"]}, {"do": "think"},
        {"do": "draw", "words": 3},
        {"do": "open", "story": {"a": 1}}, {"do": "cancel", "job": None}, {"do": "rename", "story": "x" * 5000},
        {"do": "begin_words", "words": "long " * 1000}, {"do": "open", "story": "nope", "scene": "nope"},
    ],
)  # fmt: skip
def test_nonsense_is_answered_with_a_sentence(room: Room, message: Any) -> None:
    view = room.desk.act(message)
    assert view["page"] == "home" and view["notice"]["text"] and view["notice"]["text"] != say("desk.broken")
    assert room.desk.look(message)["page"] == "home"


# small things ---------------------------------------------------------------------------------------------------


def scene(id: str, parent: str | None = None, depth: int = 0, position: int = 0) -> Scene:
    return Scene(id, "s", parent, "next", "cut", depth, position, id, "model", "", "", None, None, now())


def test_the_path_goes_on_where_the_story_grew_last() -> None:
    tree = Tree([scene("1"), scene("2", "1", 1), scene("3", "1", 1, 1), scene("4", "3", 2), scene("5", "2", 2)])
    assert [one.id for one in shown_path(tree, "1")] == ["1", "2", "5"]
    assert [one.id for one in shown_path(tree, "3")] == ["1", "3", "4"]
    view = strip_view(tree, shown_path(tree, "3"), {"4"})
    assert [one["ways"] for one in view] == [["1"], ["2", "3"], ["4"]]
    assert [one["drawing"] for one in view] == [False, False, True]


def test_a_job_says_where_it_is() -> None:
    def job(**values: Any) -> Job:
        plain: dict[str, Any] = dict(
            id="j", owner_id="o", kind="draw", status="running", story_id=None, scene_id=None, group_id=None,
            payload={}, result={}, words=(), phase="drawing", step=3, total=8, eta_s=4.2, preview=None, cancel=0,
            attempts=1,
            worker_id=None, error=None, error_kind=None, created_at=now(), started_at=now(), finished_at=None,
        )  # fmt: skip
        return Job(**{**plain, **values})

    assert job_text(job()) == "Drawing, step 3 of 8 · about 5 s left"
    assert job_text(job(eta_s=None)) == "Drawing, step 3 of 8 · 1 s"
    assert "Waking" in job_text(job(phase="loading model"))
    assert job_text(job(cancel=1)) == "Stopping …"
    assert job_text(job(status="pending", ahead=2)) == "Waiting its turn …"
    assert seconds(0.1) == "1 s" and seconds(200) == "3 min"


def test_examples_are_read_with_care(tmp_path: Path) -> None:
    assert read_examples(tmp_path).all == ()
    manifest = tmp_path / "examples.json"
    manifest.write_text("{")
    assert read_examples(tmp_path).all == ()
    entries: list[Any] = [{"title": f"T {n}", "words": "W"} for n in range(9)]
    manifest.write_text(
        json.dumps([{"title": "no words"}, {"title": "X", "words": "Y", "image": "../../x.png"}, *entries])
    )
    found = read_examples(tmp_path)
    assert len(found.all) == 6 and found.all[0] == Example("x", "X", "Y", None)


def test_the_shipped_examples_are_whole(root: Path) -> None:
    folder = root / "assets" / "examples"
    if not (folder / "examples.json").is_file():
        pytest.skip("no examples are shipped yet")
    found = read_examples(folder)
    assert len(found.all) == 6 and all(one.image for one in found.all)


def test_the_scripts_never_make_markup_of_words() -> None:
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert forbidden not in script()
    assert "${" not in FRAME and "{{" not in FRAME  # what Gradio would fill in


def test_the_style_asks_for_nothing_from_outside(root: Path) -> None:
    for path in (root / "app" / "pages" / "client").iterdir():
        addresses = re.findall(r"https?://[^\s\"'`)]+", path.read_text(encoding="utf-8"))
        assert all(one.startswith("http://www.w3.org/") for one in addresses), path.name


# a model that is not there ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "sentence"), [("nowhere", "There is no model folder"), ("empty", "has no model_index.json")]
)
def test_a_missing_model_is_one_sentence_on_the_page(tmp_path: Path, spec: str, sentence: str) -> None:
    (tmp_path / "empty").mkdir()
    settings = Settings(data_dir=tmp_path / "data", in_process=True, model=str(tmp_path / spec))
    director = Director(open_store(settings))
    director.start()
    desk = Desk(director, director.store.local_owner(), Examples(tmp_path), uploads=tmp_path)
    try:
        asked = desk.act({"do": "begin_words", "words": BALL})
        director.run_here(asked["job"]["id"])
        said = desk.look(asked["here"])["trouble"]["text"]
    finally:
        director.shutdown()
        director.store.close()
    assert sentence in said and str(tmp_path / spec) in said
