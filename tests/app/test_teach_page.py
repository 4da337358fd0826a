"""Teaching on the page, without a browser and without learning: clips, corrections, pauses, scenes first, adapters."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.director import Director
from app.pages.desk import Desk
from app.pages.examples import Examples
from app.pages.teach_view import thinned
from app.settings import STARTER, Settings
from app.store import open_store
from app.teaching.adapters import kept, with_kept
from app.teaching.lesson import Lesson, Lessons
from app.teaching.teach_process import command_of
from app.teaching.teaching import Teaching
from nsp_core.errors import UserError
from tests.app import fake_teach

Eventually = Callable[..., Any]


@pytest.fixture
def desk(tmp_path: Path, make_settings: Callable[..., Settings]) -> Iterator[Desk]:
    settings = make_settings(teacher="tests.app.fake_teach", lesson_waits=0.3)
    settings.make_folders()
    director = Director(open_store(settings))
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    made = Desk(director, director.store.local_owner(), Examples(tmp_path), uploads=uploads, at_home=True)
    yield made
    made.teaching.close()
    director.shutdown()
    director.store.close()


def bring(desk: Desk, lesson: str, *names: str, title: str = "Bruno", size: int = 100) -> str:
    for name in names:
        path = desk.person.uploads / name
        path.write_bytes(b"x" * size)
        answer = desk.ask({"ask": "teach_bring", "lesson": lesson, "title": title, "path": str(path), "name": name})
        assert "error" not in answer, answer
        lesson = answer["lesson"]
        assert not path.exists(), "it is moved, not copied"
    return lesson


def shown(desk: Desk, lesson: str) -> dict[str, Any]:
    now = desk.ask({"ask": "teach", "lesson": lesson})
    json.dumps(now)
    assert now["lesson"] is not None, now
    return dict(now["lesson"])


def notice(view: dict[str, Any]) -> str:
    return str((view["notice"] or {}).get("text", ""))


def prepared(desk: Desk, eventually: Eventually, *names: str, title: str = "Bruno") -> str:
    lesson = bring(desk, "", *(names or ("a.mp4", "b.mp4", "c.jpg")), title=title)
    assert not notice(desk.act({"do": "teach_look", "lesson": lesson}))
    eventually(lambda: shown(desk, lesson)["state"] == "prepared", what="prepared")
    return lesson


def until(desk: Desk, lesson: str, eventually: Eventually, state: str) -> dict[str, Any]:
    found = eventually(lambda: (now := shown(desk, lesson))["state"] == state and now, what=state)
    assert isinstance(found, dict)
    return found


def test_clips_are_brought_looked_at_and_corrected(desk: Desk, eventually: Eventually) -> None:
    lesson = bring(desk, "", "a.mp4", "a.mp4", "broken.mp4", title="Bruno & I")
    assert lesson == "bruno-i"
    now = shown(desk, lesson)
    assert (now["state"], [one["name"] for one in now["files"]]) == ("gathering", ["a 2.mp4", "a.mp4", "broken.mp4"])
    (desk.settings.data_dir / "lessons" / lesson / "source" / "broken.mp4").write_bytes(b"?")
    desk.act({"do": "teach_look", "lesson": lesson})
    now = until(desk, lesson, eventually, "prepared")
    assert [(one["caption"], one["keep"]) for one in now["clips"]] == [
        ("Clip 0.", True),
        ("Clip 1.", True),
        ("", False),
    ]
    assert now["clips"][2]["reason"] == "it cannot be read" and not now["clips"][2]["there"]
    assert now["counts"] == "2 clips · 1 left out" and not now["plan_is_old"] and now["plan"]

    said = {"ask": "teach_clip", "lesson": lesson, "id": "c1"}
    desk.ask({**said, "caption": "Bruno jumps into the lake."})
    now = desk.ask({**said, "keep": False})["lesson"]
    assert (now["clips"][1]["caption"], now["clips"][1]["keep"]) == ("Bruno jumps into the lake.", False)
    assert desk.ask({**said, "caption": ""})["lesson"]["clips"][1]["caption"] == "Clip 1.", "what was found is back"
    desk.ask({**said, "caption": "Bruno jumps into the lake."})
    desk.ask({**said, "keep": True})
    folder = desk.settings.data_dir / "lessons" / lesson
    assert json.loads((folder / "corrections.json").read_text()) == {
        "c1": {"caption": "Bruno jumps into the lake.", "keep": True}
    }
    assert "no such clip" in desk.ask({**said, "id": "c9", "keep": True})["error"]
    desk.ask({"ask": "teach_names", "lesson": lesson, "names": [{"who": " Bruno ", "is": "my  dog"}, {"who": ""}]})
    assert json.loads((folder / "names.json").read_text()) == [{"who": "Bruno", "is": "my dog"}]
    os.utime(folder / "plan.json", (1, 1))
    assert shown(desk, lesson)["plan_is_old"]
    desk.act({"do": "teach_plan", "lesson": lesson})
    now = until(desk, lesson, eventually, "prepared")
    assert not now["plan_is_old"] and now["names"] == [{"who": "Bruno", "is": "my dog"}]


def test_a_lesson_is_learnt_drawn_with_and_forgotten(desk: Desk, eventually: Eventually) -> None:
    lesson = prepared(desk, eventually)
    assert not notice(desk.act({"do": "teach_learn", "lesson": lesson, "minutes": 5}))
    now = until(desk, lesson, eventually, "done")
    assert now["learning"]["step"] == fake_teach.STEPS == len(now["learning"]["loss"])
    assert [step for step, _ in now["learning"]["held_out"]] == [4, 8, 12] and not now["learning"]["left"]
    (row,) = now["previews"]
    assert [one["label"] for one in row["drawn"]] == ["Before", "Step 6", "After"] and row["true"]
    key, name = row["drawn"][0]["clip"].partition("?")[0].removeprefix("/lesson/").split("/", 1)
    assert desk.teach.file(key, name).read_bytes()[4:8] == b"ftyp"
    for outside in ("../bruno/lesson.json", "lesson.json", "../../whatnext.db"):
        with pytest.raises(UserError):
            desk.teach.file(key, outside)

    (offer,) = desk.ask({"ask": "adapters"})["adapters"]
    assert offer["fits"] and offer["strength"] == 0 and offer["key"] == now["adapter"] == "lesson:bruno"
    view = desk.act({"do": "adapter_use", "adapter": offer["key"], "strength": 0.75})
    assert notice(view) == "From now on stories are drawn with “Bruno”, strength 0.75."
    adapter = desk.settings.data_dir / "lessons" / lesson / "adapter"
    assert desk.director.engine.settings.adapter == f"{adapter}=0.75"
    assert with_kept(desk.settings).adapter == f"{adapter}=0.75", "and after the next start"
    assert shown(desk, lesson)["in_use"]
    for strength in (1.6, -0.1, True, "1", None):
        assert "0 to 1.5" in notice(desk.act({"do": "adapter_use", "adapter": offer["key"], "strength": strength}))
    assert "“Bruno” is forgotten" in notice(desk.act({"do": "teach_forget", "lesson": lesson}))
    assert not desk.director.engine.settings.adapter and not adapter.exists()
    assert kept(desk.settings) == (adapter, 0.0) and not with_kept(desk.settings).adapter
    assert desk.ask({"ask": "teach"})["lessons"] == [] and desk.ask({"ask": "adapters"})["adapters"] == []


@pytest.mark.full
def test_paused_gone_on_with_and_stopped(desk: Desk, eventually: Eventually) -> None:
    lesson = prepared(desk, eventually, title="slowly")
    desk.act({"do": "teach_learn", "lesson": lesson})
    eventually(lambda: (course := shown(desk, lesson)["learning"]) and course["step"] == 4)
    assert until(desk, lesson, eventually, "learning")["learning"]["left"] == "8 s left"
    assert "already" in notice(desk.act({"do": "teach_learn", "lesson": lesson}))
    assert "pause it first" in desk.ask({"ask": "teach_clip", "lesson": lesson, "id": "c0", "keep": False})["error"]
    other = Teaching(desk.settings)  # another page of this data folder, after a restart, say
    report = other.report()
    assert report is not None and report.what == "running" and report.lesson == lesson
    other.pause()
    now = until(desk, lesson, eventually, "paused")
    assert now["learning"]["step"] == 4 and not now["why"] and not now["running"]
    desk.act({"do": "teach_stop", "lesson": lesson})
    now = until(desk, lesson, eventually, "stopped")
    assert now["learning"] is None and len(now["clips"]) == 3 and not now["previews"]


def test_scenes_come_first(desk: Desk, eventually: Eventually) -> None:
    """A lesson makes way for a scene, and goes on by itself; it does not begin before a scene that is asked for."""
    desk.director.start()
    lesson = prepared(desk, eventually, title="slowly")
    stories = desk.stories
    scene = stories.begin_scene(stories.create_story().id, "A seed lies in the rain.")
    desk.act({"do": "teach_learn", "lesson": lesson})
    eventually(lambda: (course := shown(desk, lesson)["learning"]) and course["step"] == 4)
    assert "Scenes come first" in desk.look({})["engine"]["title"]
    (job,) = desk.director.submit_draw(desk.owner_id, scene.id)
    eventually(lambda: desk.director.status(job).status == "done", what="drawn while a lesson is learnt")
    eventually(lambda: shown(desk, lesson)["state"] == "learning", what="goes on by itself")
    desk.act({"do": "teach_pause"})
    until(desk, lesson, eventually, "paused")


def test_what_goes_wrong_is_one_sentence(desk: Desk, eventually: Eventually) -> None:
    lesson = bring(desk, "", "a.mp4", title="broken")
    desk.act({"do": "teach_look", "lesson": lesson})
    now = eventually(lambda: (now := shown(desk, lesson))["why"] and now)
    assert now["why"] == "There is no clip and no photo in it: put some there." and now["state"] == "gathering"
    assert [one["name"] for one in now["files"]] == ["a.mp4"], "nothing is lost"

    lesson = prepared(desk, eventually, title="dies")
    desk.act({"do": "teach_learn", "lesson": lesson})
    now = eventually(lambda: (now := shown(desk, lesson))["why"] and now)
    assert now["state"] == "paused" and "without saying why" in now["why"] and now["learning"]["step"] == 3


@pytest.mark.full
def test_the_page_was_killed(desk: Desk, eventually: Eventually) -> None:
    """Its process is gone without a word, and the lesson pauses; whoever looks later is told so."""
    lesson = prepared(desk, eventually, title="slowly")
    desk.act({"do": "teach_learn", "lesson": lesson})
    eventually(lambda: (course := shown(desk, lesson)["learning"]) and course["step"] == 4)
    assert desk.teaching.child is not None
    os.killpg(desk.teaching.child.pid, signal.SIGKILL)
    now = until(desk, lesson, eventually, "paused")
    assert not now["running"] and not now["why"]


@pytest.mark.full
def test_a_folder_of_this_machine(desk: Desk, tmp_path: Path, eventually: Eventually) -> None:
    folder = tmp_path / "Our street"
    folder.mkdir()
    (folder / "one.mp4").write_bytes(b"x" * 100)
    assert "give its whole path" in notice(desk.act({"do": "teach_folder", "folder": str(tmp_path / "none")}))
    desk.director.engine.asked_for = replace(desk.settings, predictor="app.tier_model:load", model="gpu-16")
    assert "cannot be taught yet" in notice(desk.act({"do": "teach_folder", "folder": str(folder)}))
    assert desk.ask({"ask": "teach"})["lessons"] == []
    desk.director.engine.asked_for = desk.settings
    desk.act({"do": "teach_folder", "folder": str(folder)})
    now = until(desk, "our-street", eventually, "prepared")
    assert now["name"] == "Our street" and now["folder"] == str(folder) and not now["files"]
    desk.act({"do": "teach_forget", "lesson": "our-street"})
    assert (folder / "one.mp4").is_file(), "it is read, never changed"


def test_only_at_the_computer_itself(desk: Desk, tmp_path: Path) -> None:
    visitor = Desk(desk.director, desk.owner_id, Examples(tmp_path), uploads=desk.person.uploads, beside=desk)
    lesson = bring(desk, "", "a.mp4")
    for wish in (*desk.teach.wishes, "adapter_use", "adapter_remove"):
        view = visitor.act({"do": wish, "lesson": lesson, "folder": str(tmp_path), "adapter": "x", "strength": 1})
        assert "Only whoever sits at the computer" in notice(view), wish
    for question in desk.teach.questions:
        assert "Only whoever" in visitor.ask({"ask": question, "lesson": lesson})["error"], question
    with pytest.raises(UserError, match="Only whoever"):
        visitor.teach.file(lesson, "source/a.mp4")
    assert desk.look({})["may_teach"] and not visitor.look({})["may_teach"]


def test_adapters_of_other_models_and_of_nobody(desk: Desk) -> None:
    folder = desk.settings.data_dir / "adapters"
    fake_teach.adapter(folder / "mine", "Mine")
    fake_teach.adapter(folder / "other", "Other", base="feedfeedfeedfeed")
    (folder / "damaged.safetensors").write_bytes(b"no")
    desk.director.engine.asked_for = replace(desk.settings, model=str(STARTER))
    now = {one["name"]: one for one in desk.ask({"ask": "adapters"})["adapters"]}
    assert now["Mine"]["fits"] and "cannot be read" in now["damaged"]["why"]
    assert now["Other"]["why"] == "“Other” was taught to another model: choose that one, or teach it again on this one."
    for name in ("Other", "damaged"):
        assert now[name]["why"] in notice(desk.act({"do": "adapter_use", "adapter": now[name]["key"], "strength": 1}))
    assert not desk.director.engine.asked_for.adapter
    desk.act({"do": "adapter_use", "adapter": now["Mine"]["key"], "strength": 1.5})
    assert desk.director.engine.asked_for.adapter.endswith("mine=1.5")
    desk.act({"do": "adapter_remove", "adapter": now["Mine"]["key"]})
    assert not desk.director.engine.asked_for.adapter and not (folder / "mine").exists()
    assert "no such adapter" in notice(desk.act({"do": "adapter_use", "adapter": now["Mine"]["key"], "strength": 1}))


@pytest.mark.full
def test_the_model_goes_on_without_an_adapter_that_it_does_not_take(desk: Desk, eventually: Eventually) -> None:
    """The fake takes none: it draws all the same, once, and the page says why and offers another try."""
    desk.director.start()
    fake_teach.adapter(desk.settings.data_dir / "adapters" / "mine", "Mine", base="")
    stories = desk.stories
    scene = stories.begin_scene(stories.create_story().id, "A seed lies in the rain.")
    desk.act({"do": "adapter_use", "adapter": "own:mine", "strength": 1})
    (job,) = desk.director.submit_draw(desk.owner_id, scene.id)
    eventually(lambda: desk.director.status(job).status == "done", what="drawn without")
    engine = desk.look({})["engine"]
    assert engine["note"].endswith("without it: This model takes no adapters: leave them out.") and engine["again"]
    recipe = stories.recipe(desk.director.status(job).result["take"])
    assert recipe is not None and recipe["adapter"] is None
    (one,) = desk.ask({"ask": "adapters"})["adapters"]
    assert one["strength"] == 1 and not one["fits"]
    desk.act({"do": "adapter_use", "adapter": "own:mine", "strength": 0})
    assert not desk.look({})["engine"]["note"]


def test_what_is_run(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    lesson = Lessons(tmp_path).begin("Bruno")
    command = command_of(settings, lesson, "prepare")
    assert command[1:4] == [str(STARTER.parents[1] / "launch.py"), "teach", "prepare"] and "--model" not in command
    assert command[4:] == [str(lesson.folder / "source"), "--out", str(lesson.folder), "--name", "Bruno", "--json"]
    lesson.ask(minutes=20)
    assert command_of(settings, lesson, "learn")[3:] == ["learn", str(lesson.folder), "--minutes", "20", "--json"]
    assert "gpu-16" in command_of(Settings(data_dir=tmp_path, predictor="app.tier_model:load", model="gpu-16"), lesson,
                                  "prepare")  # fmt: skip


def test_half_written_files_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    lesson = Lessons(tmp_path).begin("Été à la mer")
    assert lesson.key == "ete-a-la-mer" and lesson.state == "gathering" and lesson.name == "Été à la mer"
    assert Lessons(tmp_path).begin("Été à la mer").key == "ete-a-la-mer-2"
    rows = [
        {"step": 1, "loss": 1.0},
        {"step": 2, "loss": 0.9},
        {"step": 3, "loss": float("nan")},
        {"step": 4, "loss": 0.8},
    ]
    rows += [{"step": 2, "steps": 9, "loss": 0.85, "held_out": 0.7}]  # it was paused, and went on from step 1
    (lesson.folder / "progress.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"st')
    assert [(one.step, one.loss, one.held_out) for one in lesson.progress()] == [(1, 1.0, None), (2, 0.85, 0.7)]
    for name in ("lesson.json", "clips.jsonl", "corrections.json", "names.json", "plan.json"):
        (lesson.folder / name).write_text('{"id": ')
    broken = Lesson(lesson.folder)
    assert (broken.clips(), broken.names, broken.plan, broken.state) == ((), [], {}, "gathering")
    shutil.rmtree(lesson.folder)
    with pytest.raises(UserError, match="no such lesson"):
        Lessons(tmp_path).called("../adapters")


def test_a_long_line_keeps_its_ends_and_its_level() -> None:
    points = [(step, 1.0 if step % 2 else 3.0) for step in range(1, 2001)]
    line = thinned(points, 100)
    assert len(line) == 100 and line[0] == [1, 1.0] and line[-1] == [2000, 3.0]
    assert all(abs(value - 2.0) < 0.2 for _, value in line[1:-1]) and [p[0] for p in line] == sorted(p[0] for p in line)
    assert thinned(points[:3]) == [[1, 1.0], [2, 3.0], [3, 1.0]]
