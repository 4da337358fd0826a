"""The command line: what it writes and prints, and how it refuses. The fake stands for the model, as in all of app."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import app.predictors
from app.predict import main, sound_part
from app.progress_bar import ProgressBar
from nsp_core.checkpoint import COMPONENTS
from nsp_core.errors import ModelUnavailable
from nsp_core.language import Language
from nsp_core.media import probe_clip
from nsp_core.types import Description, Frames, NextScene, Progress, SceneRequest, ShouldStop
from tests.app.fake_predictor import Fake
from tests.odd_files import MAKERS, make_odd_file

LANGUAGE = Language(frozenset(["a", "red", "ball", "rolls", "it", "rains"]), ("A red ball rolls.",))


@dataclass
class Reader(Fake):
    """Knows six words; says of every picture what it is told to say."""

    seen: str = "A red ball."
    in_world: bool = True
    stop_at: int = 0  # the take in which the person presses Ctrl-C
    takes: int = 0
    language: Language | None = LANGUAGE
    requests: tuple[SceneRequest, ...] = ()

    def describe(self, frames: Frames) -> Description:
        assert frames.shape == (17, 96, 160, 3)
        return Description(self.seen, self.in_world, 0.4)

    def act(self, request: SceneRequest, *, should_stop: ShouldStop | None = None) -> Iterator[Progress | NextScene]:
        self.takes += 1
        self.requests += (request,)
        for item in super().act(request, should_stop=should_stop):
            if self.takes == self.stop_at:
                raise KeyboardInterrupt
            yield item


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> Reader:
    reader = Reader()
    monkeypatch.setenv("WHATNEXT_PREDICTOR", "tests.app.fake_predictor:load")
    monkeypatch.setattr(app.predictors, "build", lambda *_: reader)
    return reader


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "my photo.png"
    Image.fromarray(np.full((120, 200, 3), (200, 60, 40), np.uint8)).save(path)
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: Any, code: int = 2) -> str:
    """The one sentence with which `arguments` are refused."""
    assert main([str(a) for a in arguments]) == code
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert len(said.err.strip().splitlines()) == 1, said.err
    assert not [line for line in said.out.splitlines() if line.startswith("{")]
    return said.err.strip()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- what it writes and prints --------------------------------------------------------------------------------------


def test_a_picture_becomes_scenes_and_a_reel(
    predictor: Reader, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "story"
    arguments = [str(picture), "--out", str(out), "--scenes", "2", "--seed", "5", "--steer", "it rains", "--json"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    answer = json.loads(said.out.splitlines()[-1])
    assert said.out.startswith("I understood: A red ball.\n1. ")
    assert answer["story"] == "A red ball."
    assert [set(scene) for scene in answer["scenes"]] == [{"words", "clip", "seconds", "verdict"}] * 2
    assert answer["scenes"][0]["words"].endswith("it rains.") and "it rains" not in answer["scenes"][1]["words"][-9:]
    assert [scene["verdict"] for scene in answer["scenes"]] == [None, None]
    clips = [f"scene-{n:02d}.{kind}" for n in range(3) for kind in ("mp4", "png")]
    assert names(out) == sorted([*clips, "reel.mp4", "words.txt"])
    for scene in answer["scenes"]:
        assert probe_clip(scene["clip"]).frames == 17 and scene["seconds"] >= 0
    reel = probe_clip(answer["reel"])
    assert reel.frames == 51 and len(reel.captions) == 3
    assert (out / "words.txt").read_text().splitlines()[0] == "0. A red ball."

    # The next scene starts where the last one ended, without a loss, and a PNG keeps that frame.
    first, second = predictor.requests
    assert first.context.scenes[0].frames is not None
    assert (first.context.scenes[0].frames[-1] == (200, 60, 40)).all()
    last = second.context.scenes[-1]
    assert last.frames is not None and last.tail_latents is not None
    assert np.array_equal(np.asarray(Image.open(out / "scene-01.png")), last.frames[-1])
    assert [request.mode for request in predictor.requests] == ["continue", "continue"]
    assert [request.options.seed for request in predictor.requests] == [5, 6]


def test_a_sentence_is_drawn_as_the_beginning(
    predictor: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["A red ball rolls.", "--out", str(tmp_path), "--scenes", "1", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    begin, after = predictor.requests
    assert (begin.mode, begin.context.scenes, begin.words) == ("cut", (), "A red ball rolls.")
    assert (after.mode, len(after.context.scenes)) == ("continue", 1)
    assert answer["story"] == "A red ball rolls." and len(answer["scenes"]) == 1
    assert (tmp_path / "scene-00.mp4").exists()


def test_without_json_no_object_is_printed(
    predictor: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["a ball", "--out", str(tmp_path), "--scenes", "1"]) == 0
    assert "{" not in capsys.readouterr().out


def test_a_second_run_leaves_nothing_of_the_first(predictor: Reader, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    assert main(["a ball", "--out", str(tmp_path), "--scenes", "3"]) == 0
    assert main(["a ball", "--out", str(tmp_path), "--scenes", "1"]) == 0
    clips = [f"scene-{n:02d}.{kind}" for n in range(2) for kind in ("mp4", "png")]
    assert names(tmp_path) == sorted([*clips, "mine.txt", "reel.mp4", "words.txt"])


def test_ctrl_c_keeps_whole_scenes_and_leaves_no_reel(
    predictor: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["a ball", "--out", str(tmp_path), "--scenes", "1"]) == 0
    capsys.readouterr()
    predictor.takes, predictor.stop_at = 0, 3
    assert refused(capsys, "a ball", "--out", tmp_path, "--scenes", 3, "--json", code=130) == "Stopped."
    assert names(tmp_path) == ["scene-00.mp4", "scene-00.png", "scene-01.mp4", "scene-01.png", "words.txt"]
    assert len((tmp_path / "words.txt").read_text().splitlines()) == 2


def test_real_classes_draw_the_same_scenes_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the sentence to the reel through a folder of weights, twice."""
    from nsp_core.model.build import tiny_pipeline

    tiny_pipeline().save_pretrained(tmp_path / "model")
    for out in ("a", "b"):
        options = ["--out", str(tmp_path / out), "--scenes", "1", "--starter", str(tmp_path / "model")]
        assert main(["A red ball rolls.", *options]) == 0, capsys.readouterr().err
    for name in ("scene-00.png", "scene-01.png", "scene-01.mp4", "words.txt", "reel.mp4"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


# --- pictures from outside its world --------------------------------------------------------------------------------


def test_a_photo_is_told_to_be_one_and_retold_in_its_world(
    predictor: Reader, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictor.in_world = False
    assert main([str(picture), "--out", str(tmp_path / "out"), "--scenes", "1", "--json"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "my photo.png is not from the picture-book world, the only one that this model knows."
    assert said[1] == "I understood: A red ball."
    assert "guess" in said[2]
    begin = predictor.requests[0]
    assert begin.mode == "cut" and not begin.context.scenes, "a photo was continued as if it had been understood"
    assert json.loads(said[-1])["story"] == "A red ball."


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("A ball. It rains.", "A ball. It rains."),
        ("A ball. A bear bear bear. It rains.", "A ball."),
        ("A ball. It rains. A ball. It rains. A ball.", "A ball. It rains. A ball. It rains."),
        ("A ball. It rains and rai", "A ball."),
        ("bear bear bear.", ""),
        ("", ""),
    ],
)
def test_a_guess_is_kept_until_it_stammers(words: str, kept: str) -> None:
    assert sound_part(words) == kept


@pytest.mark.parametrize("seen", ["", "A purple dragon.", "I do not know that yet.", "ball ball ball."])
def test_a_photo_without_usable_words_asks_for_a_sentence(
    predictor: Reader, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], seen: str
) -> None:
    predictor.in_world, predictor.seen = False, seen
    predictor.language = Language(LANGUAGE.words | {"i", "do", "not", "know", "that", "yet"}, LANGUAGE.examples)
    said = refused(capsys, picture, "--out", tmp_path / "out")
    assert "my photo.png is not from the picture-book world" in said
    assert 'predict "A red ball rolls."' in said
    assert not (tmp_path / "out").exists()


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "about"),
    [
        ([], "required: FILE_OR_TEXT, --out"),
        (["a ball"], "required: --out"),
        (["a ball", "--out", "OUT", "--scenes", "0"], "--scenes must be from 1 to 99, got 0"),
        (["a ball", "--out", "OUT", "--scenes", "many"], "invalid int value: 'many'"),
        (["a ball", "--out", "OUT", "--seed", "-1"], "--seed must be a whole number"),
        (
            ["a ball", "--out", "OUT", "--scenes", "1", "--steer", "it rains", "--steer", "it rains"],
            "--steer was given 2",
        ),
        (["a ball", "--out", "OUT", "--styr", "x"], "nrecognized arguments: --styr"),
        (["", "--out", "OUT"], "no words yet"),
        (["?!", "--out", "OUT"], "no words yet"),
        (["A purple dragon.", "--out", "OUT"], "I don't know that yet: 'purple', 'dragon'"),
        (["a ball", "--out", "OUT", "--steer", "a dragon"], "I don't know that yet: 'dragon'"),
        (["missing.png", "--out", "OUT"], "There is no file missing.png"),
        (["no/such/thing", "--out", "OUT"], "There is no file no/such/thing"),
        (["my lost holiday.mov", "--out", "OUT"], "There is no file my lost holiday.mov"),
        ([".", "--out", "OUT"], "is a folder"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    predictor: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], about: str
) -> None:
    out = tmp_path / "out"
    said = refused(capsys, *[str(out) if a == "OUT" else a for a in arguments])
    assert about in said
    assert not out.exists(), "something was written for refused input"


@pytest.mark.parametrize("source", ["A ball.", "a red/red ball", "a ball. It rains", "A " + "red " * 2000 + "ball"])
def test_sentences_are_not_taken_for_files(predictor: Reader, tmp_path: Path, source: str) -> None:
    assert main([source, "--out", str(tmp_path), "--scenes", "1"]) == 0


def test_a_folder_that_cannot_be_written_is_refused(
    predictor: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert "is a file; name a folder" in refused(capsys, "a ball", "--out", tmp_path / "file")
    assert "Nothing can be written to" in refused(capsys, "a ball", "--out", tmp_path / "file" / "inside")


def test_a_model_that_cannot_be_loaded_is_no_fault_of_the_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: str) -> None:
        raise ModelUnavailable("The model needs more memory than there is; close other programs.")

    monkeypatch.setenv("WHATNEXT_PREDICTOR", "tests.app.fake_predictor:load")
    monkeypatch.setattr(app.predictors, "build", fail)
    assert "more memory" in refused(capsys, "a ball", "--out", tmp_path, code=1)


def test_a_folder_without_a_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "a ball", "--out", tmp_path / "out", "--starter", tmp_path)
    assert "is not a model folder" in said


def test_damaged_weights_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMPONENTS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(b"cut off")
    (tmp_path / "model_index.json").write_text('{"_class_name": "NextScenePipeline"}')
    said = refused(capsys, "a ball", "--out", tmp_path / "out", "--starter", tmp_path)
    assert "is damaged or of another version" in said


@pytest.mark.parametrize("name", MAKERS)
def test_odd_files_give_a_story_and_broken_ones_a_sentence(
    predictor: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    readable = MAKERS[name][0]
    made = make_odd_file(tmp_path, name)
    out = tmp_path / "out"
    if readable:
        assert main([str(made.path), "--out", str(out), "--scenes", "1", "--json"]) == 0
        answer = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert probe_clip(answer["reel"]).frames == 34
    else:
        assert name in refused(capsys, made.path, "--out", out, "--json")
        assert not out.exists()


@pytest.mark.skipif(not os.environ.get("WHATNEXT_TEST_MEDIA"), reason="WHATNEXT_TEST_MEDIA names no folder")
def test_a_folder_of_ones_own_gives_stories_or_sentences(
    predictor: Reader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(path for path in Path(os.environ["WHATNEXT_TEST_MEDIA"]).iterdir() if path.is_file())
    assert files
    told = 0
    for path in files:
        code = main([str(path), "--out", str(tmp_path), "--scenes", "1"])
        said = capsys.readouterr().err
        assert code in (0, 2) and "Traceback" not in said, path
        assert code == 0 or len(said.strip().splitlines()) == 1, path
        told += code == 0
    assert told


def test_importing_it_loads_no_torch_and_a_broken_file_is_refused_without_it(tmp_path: Path) -> None:
    broken = make_odd_file(tmp_path, next(name for name, (readable, _, _) in MAKERS.items() if not readable))
    program = (
        "import sys\nfrom app.predict import main\n"
        f"code = main([{str(broken.path)!r}, '--out', {str(tmp_path / 'out')!r}])\n"
        "sys.exit(9 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1


# --- the bar --------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_steps_and_time_left_and_an_empty_line_at_the_end() -> None:
    clock = iter([0.0, 0.0, 2.0, 300.0])
    terminal = Terminal()
    with ProgressBar(terminal, "Scene 1", lambda: next(clock)) as bar:
        bar.show(0, 16)
        bar.show(4, 16)
        bar.show(8, 16)
    shown = [line for line in terminal.getvalue().split("\r") if line.strip()]
    assert shown[0].rstrip() == f"Scene 1 [{'.' * 24}] 0/16"
    assert shown[1].rstrip() == f"Scene 1 [{'#' * 6}{'.' * 18}] 4/16, 6 s left"
    assert shown[2].rstrip().endswith("8/16, 5 min left")
    assert terminal.getvalue().endswith(" \r")
    assert "\n" not in terminal.getvalue()


def test_a_log_gets_a_line_now_and_then() -> None:
    clock = iter([0.0, 1.0, 12.0, 13.0])
    log = io.StringIO()
    with ProgressBar(log, "Scene 1", lambda: next(clock)) as bar:
        for done in (1, 2, 3):
            bar.show(done, 4)
    assert log.getvalue() == "Scene 1: 2 of 4 steps, 12 s left\n"
