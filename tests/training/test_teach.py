"""`teach`: a person's clips become an adapter; what is bad input, and what a kill, a full disk or a pause leave."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from nsp_core import adapters
from nsp_core.errors import CheckpointMismatch, ModelUnavailable, UserError
from nsp_core.locks import borrow_device
from nsp_core.model import build
from training import checkpoint
from training.data.rows import Row
from training.data.run import Curated, Ended
from training.models import open_model
from training.picturebook.parse import parse
from training.picturebook.words import corpus
from training.teach import course, learn, material, plan
from training.teach.base import base_of
from training.teach.course import Course
from training.teach.events import quiet
from training.teach.learn import How
from training.teach.lesson import Lesson, Name
from training.teach.main import main
from training.teach.names import with_names
from training.teach.prepare import words_that_came
from training.teach.proof import SUBJECTS, case_of, write_clips

RECIPE = {
    "init": "x",
    "out": "x",
    "cache": "x",
    "prior": {"pairs": 2, "held_out": 1, "scenes": 2},
    "prior_share": 0.3,
    "lora": {"rank": 4, "alpha": 8},
    "flow": {"batch": 2, "cut_share": 0.2},
    "loop": {"steps": 6, "optimiser": "adamw", "adam_lr": 5e-2, "autocast": False},
    "threads": 1,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A whole model of random weights, five clips with words, and a lesson that was prepared from them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("teach")
    pipeline = build.tiny_pipeline(corpus(Random(0), 200)).to(torch.bfloat16)
    quick = {"steps": 2, "guidance": 2.0, "shift": 2.0}
    pipeline.register_to_config(sampling={"continue": quick, "cut": quick})
    pipeline.save_pretrained(path / "model")
    write_clips(path / "clips", 5)
    (path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch, path)
        assert main(prepare_of(path)) == 0
    yield path
    torch.set_num_threads(before)


def prepare_of(home: Path, *more: str) -> list[str]:
    where = ["--out", str(home / "lesson"), "--model", str(home / "model"), "--name", "dunes"]
    return ["prepare", str(home / "clips"), *where, *more]


def shrink(patch: pytest.MonkeyPatch, home: Path) -> None:
    patch.setattr(material, "RECIPE", home / "recipe.yaml")
    patch.setattr(plan, "STEPS", 6)
    patch.setattr(plan, "SHOWN", 1)
    patch.setattr(course, "LOOKS", 2)


@pytest.fixture
def lesson(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lesson:
    """The prepared lesson, to be spoilt."""
    shrink(monkeypatch, home)
    shutil.copytree(home / "lesson", tmp_path / "lesson")
    return Lesson(tmp_path / "lesson")


@pytest.fixture(scope="module")
def learnt(home: Path) -> Lesson:
    """The lesson, learnt in one go."""
    shutil.copytree(home / "lesson", home / "learnt")
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch, home)
        assert learn.learn(Lesson(home / "learnt"), How(), quiet) == 0
    return Lesson(home / "learnt")


def test_names_are_put_where_a_caption_says_so_and_nowhere_else() -> None:
    bruno, mia = Name("Bruno", "my dog"), Name("Mia", "our old dog")
    assert with_names("A dog runs.", [bruno]) == "Bruno, my dog, runs."
    assert with_names("The cat looks at the dog.", [bruno]) == "The cat looks at Bruno, my dog."
    assert with_names("Bruno sleeps.", [bruno]) == "Bruno, my dog, sleeps."
    for kept in ("My dog Bruno barks.", "Two dogs play.", "A hotdog.", "A cat."):
        assert with_names(kept, [bruno]) == kept
    assert with_names("A dog runs.", [bruno, mia]) == "A dog runs.", "which of the two is nobody's guess"


def test_clips_are_prepared_with_their_words_and_some_are_kept_apart(home: Path) -> None:
    lesson = Lesson(home / "lesson")
    clips, told = lesson.clips(), lesson.told()
    assert (told.state, told.name, told.steps, told.adapter) == ("prepared", "dunes", 6, None)
    assert len(clips) == 5 and all(c.keep and c.caption_by == "file" and c.seconds > 1 for c in clips)
    assert all((lesson.folder / str(file)).is_file() for c in clips for file in (c.clip, c.still))
    apart = [c for c in clips if c.held_out]
    assert 1 <= len(apart) < 5
    made = json.loads((lesson.folder / "plan.json").read_text())
    assert made["pairs"] == 5 - len(apart) and made["held_out_pairs"] == len(apart)
    assert made["minutes"] > 0 and made["memory_gb"] > 0 and len(made["sentences"]) >= 4


def test_the_persons_words_win_and_new_ones_are_taught(lesson: Lesson) -> None:
    first = next(c for c in lesson.clips() if not c.held_out)
    lesson.write("corrections.json", {first.id: {"caption": "Bruno digs."}, "unknown": {"keep": False}})
    lesson.write("names.json", [{"who": "Bruno", "is": "my dog"}])
    found = material.gather(lesson, base_of(Path(lesson.told().model)))
    lines = [json.loads(line) for line in (lesson.data / "pack" / "index.jsonl").read_text().splitlines()]
    assert next(one["caption"] for one in lines if one["key"] == first.id) == "Bruno, my dog, digs."
    base = base_of(Path(lesson.told().model))
    assert base.language is None or "bruno" in found.words
    lesson.write("corrections.json", {first.id: {"keep": False}})
    assert material.gather(lesson, base).pairs == found.pairs - 1
    assert next(c for c in lesson.clips() if c.id == first.id).reason == "taken out by hand"


def test_a_lesson_leaves_an_adapter_that_the_shipped_pipeline_draws_with(learnt: Lesson, home: Path) -> None:
    told = learnt.told()
    assert (told.state, told.adapter, told.step) == ("done", "adapter", 6)
    adapter = adapters.read(learnt.adapter)
    pipeline = open_model(home / "model")
    assert adapter.base == pipeline.fingerprint and adapter.name == "dunes"
    adapters.attach(pipeline, [(adapter, 1.0)])
    kinds = [one["kind"] for one in learnt.read("previews.json")]
    assert kinds == ["before", "after"]
    for one in learnt.read("previews.json"):
        assert (learnt.folder / one["file"]).is_file()
    rows = learnt.progress_rows()
    assert rows[0]["step"] == 0 and rows[0]["held_out"] is not None and rows[-1]["step"] == 6
    assert {"step", "steps", "loss", "held_out", "seconds", "seconds_left"} == set(rows[0])
    report = learnt.report.read_text(encoding="utf-8")
    assert report.count("data:image/webp") == 3 and "http:" not in report and "https:" not in report


def test_paused_it_goes_on_with_its_own_model_alone_and_ends_as_if_it_never_was(
    learnt: Lesson, lesson: Lesson, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping_at(monkeypatch, 3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert learn.learn(lesson, How(), quiet) == 75
    told = lesson.told()
    assert (told.state, told.step, told.adapter) == ("paused", 3, None) and not lesson.adapter.exists()
    assert main(["plan", str(lesson.folder)]) == 2, "a plan of what is being learnt would change it"
    shutil.copytree(home / "model", tmp_path / "other")
    index = json.loads((tmp_path / "other" / "model_index.json").read_text())
    (tmp_path / "other" / "model_index.json").write_text(json.dumps({**index, "fps": 9}))
    lesson.tell(model=str(tmp_path / "other"))
    with pytest.raises(CheckpointMismatch, match="begun with another model"):
        learn.learn(lesson, How(), quiet)
    lesson.tell(model=told.model)
    assert learn.learn(lesson, How(), quiet) == 0
    assert adapters.read(lesson.adapter).hash == adapters.read(learnt.adapter).hash


@pytest.mark.full
def test_killed_in_the_middle_nothing_looks_whole_and_it_goes_on(
    learnt: Lesson, lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill() -> None:
        raise Killed

    stopping_at(monkeypatch, 4, kill)
    with pytest.raises(Killed):
        learn.learn(lesson, How(), quiet)
    assert lesson.told().state == "learning" and not lesson.adapter.exists() and not lesson.report.exists()
    assert learn.learn(lesson, How(), quiet) == 0
    assert adapters.read(lesson.adapter).hash == adapters.read(learnt.adapter).hash
    assert [row["step"] for row in lesson.progress_rows()] == [row["step"] for row in learnt.progress_rows()]


def test_a_full_disk_is_one_sentence_and_loses_nothing(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as full:
        full.setattr(learn, "begin", raising(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(ModelUnavailable, match="is full: make room"):
            learn.learn(lesson, How(), quiet)
    assert lesson.told().state == "failed" and "is full" in lesson.told().message
    assert len(lesson.clips()) == 5 and not lesson.adapter.exists()
    monkeypatch.setattr(learn, "ROOM", 10**18)
    with pytest.raises(UserError, match="MB free"):
        learn.learn(lesson, How(), quiet)


@pytest.mark.full
def test_after_a_full_disk_the_same_command_goes_on(
    learnt: Lesson, lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(checkpoint, "save", raising(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(ModelUnavailable, match="is full: make room"):
            learn.learn(lesson, How(), quiet)
    assert learn.learn(lesson, How(), quiet) == 0
    assert adapters.read(lesson.adapter).hash == adapters.read(learnt.adapter).hash


def test_stopping_keeps_the_clips_and_nothing_else(learnt: Lesson, tmp_path: Path) -> None:
    shutil.copytree(learnt.folder, tmp_path / "lesson")
    lesson = Lesson(tmp_path / "lesson")
    lesson.write("corrections.json", {})
    assert main(["stop", str(lesson.folder)]) == 0
    assert lesson.told().state == "stopped" and len(lesson.clips()) == 5
    assert not any(path.exists() for path in (lesson.run, lesson.previews, lesson.progress, lesson.adapter))
    assert (lesson.folder / "corrections.json").is_file()


def test_drawing_and_teaching_do_not_have_the_device_at_once(
    lesson: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learn, "PATIENCE", 0.05)
    with borrow_device(tmp_path / "locks", "cpu", "predicting"), pytest.raises(UserError, match="stop it there"):
        learn.learn(lesson, How(locks=tmp_path / "locks"), quiet)
    with lesson.to_oneself(), pytest.raises(UserError, match="another `teach`"):
        learn.learn(lesson, How(), quiet)


def test_every_line_is_an_event_and_the_last_one_is_the_lesson(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lesson = Lesson(tmp_path / "lesson")
    shutil.copytree(home / "learnt" if (home / "learnt").is_dir() else home / "lesson", lesson.folder)
    assert main(["stop", str(lesson.folder), "--json"]) == 0
    *lines, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines and all(one["event"] in ("stage", "progress", "preview", "done", "problem") for one in lines)
    assert last == json.loads((lesson.folder / "lesson.json").read_text()) and last["state"] == "stopped"


def test_one_sentence_is_not_that_of_every_shot_of_a_long_film(tmp_path: Path) -> None:
    def film(name: str, shots: int) -> list[Ended]:
        (tmp_path / f"{name}.txt").write_text("Somebody walks.")
        values = [{"shot": shot, "path": str(tmp_path / f"{name}.mp4")} for shot in range(shots)]
        return [Ended(Row(f"{name}{v['shot']}", "clip", name, v), "caption", "missing") for v in values]

    found = Curated(clips=film("short", 2) + film("long", 9))
    assert set(words_that_came(found, tmp_path, None)) == {"short0", "short1"}
    (tmp_path / "table.csv").write_text("id,caption\nlong4,A fox runs.\n")
    assert words_that_came(found, tmp_path, tmp_path / "table.csv")["long4"] == "A fox runs."


# -- bad input --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("make", "said"),
    [
        ("nothing", "no clip and no photo"),
        ("two", "4 clips or photos with words are needed, and there are 2"),
        ("same", "the others look the same"),
        ("broken", "cannot be read"),
        ("silent", "have no words yet"),
    ],
)
def test_what_cannot_be_taught_is_said_in_one_sentence(
    make: str,
    said: str,
    home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shrink(monkeypatch, home)
    monkeypatch.setattr("training.teach.prepare.captioner_of", lambda _: "none")  # nobody else to ask
    given = tmp_path / "given"
    given.mkdir()
    blocks = np.ones((40, 40, 1), np.uint8)
    for number in range({"nothing": 0, "two": 2, "same": 5, "broken": 5, "silent": 5}[make]):
        path = given / f"photo{number}.png"
        rng = np.random.default_rng(0 if make == "same" else number)
        own = np.kron(rng.integers(0, 256, (5, 5, 3), np.uint8), blocks)
        own[0, 0] = number  # no two files are the same
        Image.fromarray(own).save(path)
        if make == "broken":
            path.write_bytes(path.read_bytes()[:60])
        if make != "silent":
            path.with_suffix(".txt").write_text("The sun is up.")
    code = main([str(given), "--out", str(tmp_path / "lesson"), "--model", str(home / "model"), "--yes"])
    told = capsys.readouterr().err.strip()
    assert code == 2 and said in told and told.count("\n") == 0, told
    assert not (tmp_path / "lesson" / "adapter").exists()


def test_models_and_lessons_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no lesson"):
        Lesson(tmp_path).told()
    with pytest.raises(UserError, match="There is no model"):
        base_of(tmp_path)
    (tmp_path / "bank.json").write_text("{}")
    with pytest.raises(UserError, match="big models"):
        base_of(tmp_path)
    assert main(["learn", str(tmp_path)]) == 2


def test_the_proof_asks_stories_that_nobody_was_taught() -> None:
    case = case_of(0, "beyond")
    again = case_of(0, "old")
    assert case.words == again.words and case.event == again.event
    one, other = case.context.scenes[-1].frames, again.context.scenes[-1].frames
    assert one is not None and other is not None and np.abs(one.astype(int) - other).mean() > 10


def test_the_proof_keeps_to_a_few_subjects(tmp_path: Path) -> None:
    write_clips(tmp_path, 9)
    words = [path.read_text(encoding="utf-8") for path in sorted(tmp_path.glob("*.txt"))]
    told = [parse(line) for line in words]
    assert len(told) == 9 and {event.rule for event in told if event} == set(SUBJECTS)
    assert all(case_of(number, "style").event.rule in SUBJECTS for number in range(6))


def stopping_at(monkeypatch: pytest.MonkeyPatch, step: int, what: Any) -> None:
    """`what` is called once, in the step that follows `step - 1` whole ones."""
    usual, done = Course.loss, []

    def loss(self: Course, *args: Any) -> Any:
        if self.step == step - 1 and not done:
            done.append(True)
            what()
        return usual(self, *args)

    monkeypatch.setattr(Course, "loss", loss)


def raising(error: Exception) -> Any:
    def instead(*_: Any, **__: Any) -> Any:
        raise error

    return instead
