"""How far a picture has drifted: the four measures, what is kept with a take, the card, the cures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from app.director import Director
from app.drift import beyond
from app.pages.desk import Desk
from app.pages.examples import Examples
from app.store import open_store
from app.story import Take
from nsp_core import drift
from nsp_core.drift import Picture
from tests.browser.painter import Painter, paint

View = dict[str, Any]
DAY = "It is day on the meadow. A red ball lies on the left."


def last(words: str, number: int = 0) -> Picture:
    return paint(words, number)[-1]


def changed(picture: Picture, how: str) -> Picture:
    values = picture.astype(np.float32)
    if how == "blurred":
        return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(3)))
    if how == "pale":
        return (values * 0.35 + 110).astype(np.uint8)
    if how == "upside down":
        return np.ascontiguousarray(picture[::-1])
    patches = np.random.default_rng(0).integers(-70, 70, (12, 20, 3)).repeat(8, 0).repeat(8, 1)
    return np.clip(values + patches, 0, 255).astype(np.uint8)  # "blotched"


# the measures ---------------------------------------------------------------------------------------------------------


def test_the_same_picture_has_not_moved() -> None:
    same = drift.compare(last(DAY), last(DAY))
    assert same == drift.Drift(
        pytest.approx(0, abs=1e-3), pytest.approx(1), pytest.approx(1), pytest.approx(1, abs=1e-3)
    )  # type: ignore[arg-type]
    assert drift.drifted(same) == ()


@pytest.mark.parametrize(
    ("how", "names"),
    [("blurred", "sharpness"), ("pale", "contrast"), ("upside down", "identity"), ("blotched", "colour")],
)
def test_each_measure_sees_its_own_harm(how: str, names: str) -> None:
    assert names in drift.drifted(drift.compare(last(DAY), changed(last(DAY), how)))


@pytest.mark.parametrize("words", ["The sun sets and it is night.", "It rains on the meadow.", "A blue ball rolls by."])
def test_what_a_story_tells_is_not_drift(words: str) -> None:
    assert drift.drifted(drift.compare(last(DAY), last(words, 1))) == ()


def test_light_for_the_whole_picture_is_no_change_of_colour_or_outlines() -> None:
    darker = (last(DAY).astype(np.float32) * 0.6).astype(np.uint8)
    seen = drift.compare(last(DAY), darker)
    assert seen.colour < 4 and seen.identity > 0.9


def test_large_pictures_are_measured_as_small_ones() -> None:
    small, worn = last(DAY), changed(last(DAY), "blotched")
    large = drift.compare(small.repeat(4, 0).repeat(4, 1), worn.repeat(4, 0).repeat(4, 1))
    assert large == drift.compare(small, worn)


def test_white_and_black_in_lab() -> None:
    values = drift.lab(np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0]]], dtype=np.uint8))[0]
    assert np.allclose(values, [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20]], atol=0.1)


def test_two_sizes_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="one size"):
        drift.compare(last(DAY), last(DAY)[:50])


# in a story -----------------------------------------------------------------------------------------------------------


class Room:
    """A desk and a painter that draws in this process."""

    def __init__(self, director: Director, uploads: Path) -> None:
        self.director = director
        self.store = director.store
        self.desk = Desk(director, self.store.local_owner(), Examples(uploads, ()), uploads=uploads)
        self.stories = self.desk.stories

    def act(self, what: str, at: View | None = None, **details: Any) -> View:
        return self.work(self.desk.act({**(at["here"] if at else {}), "do": what, **details}))

    def work(self, view: View) -> View:
        for job in reversed(self.director.active(self.desk.owner_id)):
            assert self.director.run_here(job.id).status == "done"
        return self.desk.look(view["here"])

    def next(self, at: View, words: str, **details: Any) -> View:
        thought = self.act("think", at)
        return self.act("draw", thought, words=words, job=thought["draft"]["job"], alternative=0, **details)

    def card(self, view: View) -> View:
        return next(one["drift"] for one in view["path"] if one["id"] == view["here"]["scene"])

    def takes(self, view: View) -> tuple[Take, ...]:
        return self.stories.scene(view["here"]["scene"]).takes

    def recipe(self, take: Take) -> dict[str, Any]:
        found = self.stories.recipe(take.id)
        assert found is not None
        return found


@pytest.fixture
def room(tmp_path: Path, make_settings: Callable[..., Any]) -> Any:
    director = Director(
        open_store(make_settings(in_process=True)), load=lambda: Painter(word_seconds=0, step_seconds=0)
    )
    director.start()
    yield Room(director, tmp_path)
    director.shutdown()
    director.store.close()


def test_a_take_is_measured_when_it_is_kept(room: Room) -> None:
    first = room.act("begin_words", words=DAY)
    assert room.card(first) is None, "the first picture is the anchor"
    rain = room.next(first, "It rains on the meadow.")
    card = room.card(rain)
    assert not card["asks"] and card["beyond"] == [] and card["number"] == 1
    worn = room.next(rain, "It rains on a worn page.")
    assert room.card(worn)["beyond"], "soft and upside down"
    kept = json.loads(room.takes(worn)[0].drift or "")
    assert kept["anchor"] == first["here"]["scene"] and beyond(kept) == tuple(room.card(worn)["beyond"])


@pytest.mark.full
def test_an_older_take_is_measured_when_it_is_looked_at(room: Room) -> None:
    rain = room.next(room.act("begin_words", words=DAY), "It rains on the meadow.")
    (take,) = room.takes(rain)
    before, version = room.card(rain), rain["story"]["version"]
    with room.store.database.transaction() as session:
        from app.store.models import TakeRow

        session.get_one(TakeRow, take.id).drift_json = None
    assert room.card(room.desk.look(rain["here"]))["asks"]
    assert room.desk.ask({"ask": "drift", "take": take.id})["drift"] == before
    after = room.desk.look(rain["here"])
    assert room.card(after) == before and after["story"]["version"] == version


@pytest.mark.full
def test_another_anchor_asks_for_another_measurement(room: Room) -> None:
    first = room.act("begin_words", words=DAY)
    rain = room.next(first, "It rains on the meadow.")
    again = room.act("draw_more", room.desk.look(first["here"]))
    room.stories.choose_take(room.takes(again)[1].id)
    assert room.card(room.desk.look(rain["here"]))["asks"]


@pytest.mark.full
def test_the_cures_draw_the_scene_afresh(room: Room) -> None:
    first = room.act("begin_words", words=DAY)
    worn = room.next(room.next(first, "It rains on a worn page."), "It rains on the meadow.")
    cured = room.act("reanchor", worn)
    scene = room.stories.scene(worn["here"]["scene"])
    assert scene.mode == "cut" and scene.anchor_scene_id == first["here"]["scene"]
    old, new = scene.takes
    assert old.chosen and not new.chosen, "the person chooses"
    recipe = room.recipe(new)
    seen = {
        parent["scene"]: (parent["frames"] is not None, parent.get("anchor"))
        for parent in json.loads(recipe["parents_json"])
    }
    assert recipe["mode"] == "cut" and len(seen) == 2
    assert seen.pop(first["here"]["scene"]) == (True, True) and list(seen.values()) == [(False, None)]
    assert room.card(room.desk.look(cured["here"]))["named"]

    replay = room.director.run_here(room.director.submit_replay(room.desk.owner_id, new.id))
    assert replay.result["verdict"] == "equal"
    assert room.desk.ask({"ask": "recipe", "take": new.id})["anchor"] == DAY

    room.act("cut", cured)
    scene = room.stories.scene(scene.id)
    assert scene.mode == "cut" and scene.anchor_scene_id is None
    plain = json.loads(room.recipe(scene.takes[2])["parents_json"])
    assert all(parent["frames"] for parent in plain) and not any("anchor" in parent for parent in plain)
    room.stories.undo(scene.story_id)
    room.stories.undo(scene.story_id)
    assert room.stories.scene(scene.id).mode == "continue"


def test_the_next_scene_may_take_up_the_look_of_the_first(room: Room) -> None:
    first = room.act("begin_words", words=DAY)
    worn = room.next(first, "It rains on a worn page.")
    after = room.next(worn, "It rains on the meadow.", anchor=True)
    scene = room.stories.scene(after["here"]["scene"])
    assert scene.anchor_scene_id == first["here"]["scene"] and scene.mode == "cut"
    (take,) = scene.takes
    assert [bool(parent["frames"]) for parent in json.loads(room.recipe(take)["parents_json"])] == [True, False]


def test_only_a_scene_before_can_be_the_anchor(room: Room) -> None:
    first = room.act("begin_words", words=DAY)
    rain = room.next(first, "It rains on the meadow.")
    assert "no earlier picture" in room.desk.act({**first["here"], "do": "reanchor"})["notice"]["text"]
    with pytest.raises(Exception, match="before this one"):
        room.stories.set_anchor(first["here"]["scene"], rain["here"]["scene"])


def test_a_picture_that_is_gone_costs_no_drawing(room: Room) -> None:
    first = room.act("begin_words", words=DAY)
    rain = room.next(first, "It rains on the meadow.")
    room.store.media.path(room.takes(first)[0].media["last_frame"]).write_bytes(b"no picture")
    more = room.act("cut", rain)  # continuing would write that very picture again
    assert room.takes(more)[1].drift is None
