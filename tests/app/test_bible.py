"""A story's bible: written, undone, not overwritten by another window, and on its way to the model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from app.director import Director
from app.identity import new_id
from app.pages.desk import Desk
from app.pages.examples import Examples
from app.settings import STARTER, Settings
from app.store import open_store
from nsp_core.types import SceneRequest, StoryContext
from tests.browser.painter import Painter

View = dict[str, Any]
BALL = "It is day on the meadow. A red ball lies on the left."


@dataclass
class Reader(Painter):
    """Writes down the bible of whatever it is asked."""

    read: list[str] = field(default_factory=list)

    def think(self, context: StoryContext, **options: Any) -> Any:
        self.read.append(context.bible)
        return super().think(context, **options)

    def act(self, request: SceneRequest, **options: Any) -> Any:
        self.read.append(request.context.bible)
        return super().act(request, **options)


class Room:
    def __init__(self, director: Director, model: Reader, uploads: Path) -> None:
        self.director, self.model = director, model
        self.desk = Desk(director, director.store.owner("account", new_id()), Examples(uploads), uploads=uploads)
        self.view = self.settle(self.desk.act({"do": "begin_words", "words": BALL}))

    def act(self, what: str, **details: Any) -> View:
        self.view = self.desk.act({**self.view["here"], "do": what, **details})
        return self.view

    def settle(self, view: View) -> View:
        self.director.run_here(view["job"]["id"])
        return self.desk.look(view["here"])

    def fields(self) -> dict[str, str]:
        return {one["name"]: one["text"] for one in self.desk.ask({**self.view["here"], "ask": "bible"})["fields"]}

    def write(self, name: str, text: Any, was: str | None = None) -> View:
        return self.act("bible", field=name, text=text, was=self.fields().get(name) if was is None else was)


@pytest.fixture(scope="module")
def model() -> Reader:
    return Reader(word_seconds=0, step_seconds=0)


@pytest.fixture(scope="module")
def director(tmp_path_factory: pytest.TempPathFactory, model: Reader) -> Iterator[Director]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("bible"), in_process=True)
    made = Director(open_store(settings), load=lambda: model)
    made.start()
    yield made
    made.shutdown()
    made.store.close()


@pytest.fixture
def room(tmp_path: Path, director: Director, model: Reader) -> Room:
    made = Room(director, model, tmp_path)
    model.read.clear()
    return made


def test_it_is_written_field_by_field_and_undone(room: Room) -> None:
    assert room.fields() == {"premise": "", "cast": "", "look": ""}
    assert room.write("cast", "  Milo, a bear.\nPia. ")["notice"] is None
    room.write("look", "Ink.")
    assert room.fields() == {"premise": "", "cast": "Milo, a bear.\nPia.", "look": "Ink."}
    version = room.view["story"]["version"]
    assert room.write("look", "Ink. ")["story"]["version"] == version, "the same text is no change"
    room.act("undo")
    assert room.fields()["look"] == "" and room.fields()["cast"]
    room.act("undo")
    assert room.fields() == {"premise": "", "cast": "", "look": ""}
    room.act("redo")
    assert room.fields()["cast"] == "Milo, a bear.\nPia."


def test_another_window_is_not_overwritten(room: Room) -> None:
    room.write("premise", "From one window.")
    stale = room.write("premise", "From another.", was="")
    assert stale["notice"]["kind"] == "error" and room.fields()["premise"] == "From one window."
    # something else that changed meanwhile, as a take that was drawn, stands in nobody's way
    room.director.store.stories(None).rename(room.view["story"]["id"], "New title")
    assert room.write("cast", "Milo.")["notice"] is None and room.fields()["cast"] == "Milo."


@pytest.mark.parametrize(("name", "text"), [("title", "x"), ("look", 7), ("look", "x" * 1001), ("owner_id", "x")])
def test_what_cannot_be_kept_is_said(room: Room, name: str, text: Any) -> None:
    assert room.write(name, text)["notice"]["kind"] == "error"
    assert set(room.fields().values()) == {""}


def test_it_enters_every_prompt_and_the_recipe(room: Room) -> None:
    room.write("premise", "A ball goes home.")
    room.write("cast", "Milo the dragon")  # a word that this model never learnt
    bible = "Premise: A ball goes home.\nCast: Milo the dragon"
    thought = room.settle(room.act("think"))
    words = thought["draft"]["alternatives"][0]
    room.view = thought
    drawn = room.settle(room.act("draw", words=words, job=thought["draft"]["job"], alternative=0))
    assert room.model.read == [bible, bible]
    take = room.desk.stories.scene(drawn["here"]["scene"]).takes[0]
    recipe = room.desk.stories.recipe(take.id)
    assert recipe is not None and recipe["bible"] == bible
    # a first scene that is drawn again has it, too
    room.model.read.clear()
    first = room.desk.act({"do": "open", "story": drawn["story"]["id"], "scene": drawn["path"][0]["id"]})
    (job,) = room.director.submit_draw(room.desk.owner_id, first["here"]["scene"])
    room.director.run_here(job)
    assert room.model.read == [bible]


def test_the_page_says_what_a_small_model_reads(tmp_path: Path, director: Director) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    words = ["a", "red", "ball", "rolls"]
    (folder / "language.json").write_text(json.dumps({"version": 1, "words": words, "examples": ["A ball rolls."]}))
    small = Director(open_store(Settings(data_dir=tmp_path / "data", model=str(folder), in_process=True)))
    try:
        desk = Desk(small, small.store.local_owner(), Examples(tmp_path), uploads=tmp_path)
        story = desk.stories.create_story("t", cast="A red ball rolls. Milo the bear.")
        desk.stories.begin_scene(story.id, "A ball.")
        said = desk.ask({"ask": "bible", "story": story.id})
    finally:
        small.store.close()
    cast = said["fields"][1]
    assert said["small"] and (cast["read"], cast["unread"]) == (["A red ball rolls."], ["Milo the bear."])
    assert said["examples"] == ["A ball rolls."]


@pytest.mark.full
@pytest.mark.skipif(not (STARTER / "model_index.json").is_file(), reason="no starter is shipped")
@pytest.mark.parametrize(
    "bible",
    [
        "Premise: Milo the dragon seeks his lost grandmother.\nCast: Milo; Pia, a brave knight.\nLook: Watercolour.",
        "Cast: 小猫咪喜欢红色的球。\nLook: 🐻‍❄️ <|im_end|> {text} {words}",
        "Premise: " + "A red ball is on the left. " * 37 + "\nCast: " + "A cat is on the right. " * 43,
        "Look: ...",
    ],
)
def test_the_starter_thinks_and_draws_whatever_the_bible_says(bible: str) -> None:
    from nsp_core.pipeline import NextScenePipeline
    from nsp_core.types import SamplingOptions, Scene

    pipeline = _starter.setdefault("it", None) or NextScenePipeline.from_pretrained(STARTER)
    _starter["it"] = pipeline
    beginning = Scene("It is a clear day at the shore. A yellow egg is on the left. A purple seed is on the right.")
    context = StoryContext((beginning,), bible=bible)
    thoughts = [thought.text for thought in pipeline.think(context, alternatives=2) if thought.done]
    assert 1 <= len(thoughts) <= 2, "the second one is left out when it is the first one again, or can't be drawn"
    request = SceneRequest(context, thoughts[0], "cut", SamplingOptions(steps=1, preview_every=0))
    assert len(list(pipeline.act(request))) >= 3
    if "red ball" not in bible:  # nothing of it is in its language: it is as if there were none
        alone = [one.text for one in pipeline.think(StoryContext((beginning,)), alternatives=2) if one.done]
        assert thoughts == alone


_starter: dict[str, Any] = {}
