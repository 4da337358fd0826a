"""The paper's test for real checkpoints: what is asked, what is counted, what is kept and refused.

The model of most tests is a stand-in at the Predictor's seam; one test takes the real classes at test size and a server
on this machine as captioner and judge.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nsp_core.errors import ConfigError, UserError
from nsp_core.judges import Verdict
from nsp_core.model import build
from nsp_core.types import Description, Frames, NextScene, SamplingOptions, Scene, SceneRequest, StoryContext, Thought
from tests import hub_layout
from tests.core.judge_server import Running, Service
from training.calibrate.pairs import judges_of, read_pairs
from training.evaluate import nsp, sentences
from training.evaluate.captioner import Caption, ReaderCaptioner, captioner_called
from training.evaluate.main import main
from training.models import open_to_measure

EVERY = sentences.read_sentences()
ASKED = nsp.Asked("abc", "off", 0, None, "v")


class Painter:
    """Draws a plain grey; says what it was asked, and stops after `most` scenes as a kill would."""

    fingerprint = "abc"
    language = None

    def __init__(self, most: int = 1000, mute: str = "", refuses: bool = False) -> None:
        self.asked: list[SceneRequest] = []
        self.most, self.mute, self.refuses = most, mute, refuses

    def describe(self, frames: Frames) -> Description:
        return Description(f"brightness {frames.mean():.0f}", True, 1.0)

    def think(self, context: StoryContext, *, seed: int = 0, **_: Any) -> Iterator[Thought]:
        if self.mute and self.mute in context.scenes[-1].words:
            raise UserError("The reader did not answer with a scene.")
        yield Thought(0, "Then")
        yield Thought(0, f"Then {seed} came.", True, 0.0)

    def act(self, request: SceneRequest, **_: Any) -> Iterator[NextScene]:
        if self.refuses and not request.words:
            raise UserError("There are no words yet: say in one sentence what happens.")
        if len(self.asked) >= self.most:
            raise KeyboardInterrupt
        self.asked.append(request)
        frames = np.full((9, 32, 48, 3), 20 * request.options.seed % 200, np.uint8)
        frames[1:] += 40
        yield NextScene(
            request.words, frames, np.zeros((1, 1, 1, 1), np.float32), 8, "cut", request.options, 0.1, "abc"
        )


class Looker:
    """A captioner that can be blind for some clips, by their place."""

    name, how = "looker", "brightness v1"

    def __init__(self, blind: Sequence[int] = ()) -> None:
        self.blind, self.seen = blind, 0

    def captions(self, clips: Sequence[Frames]) -> list[Caption]:
        found = []
        for frames in clips:
            blind = self.seen in self.blind
            found.append(Caption(None, "too dark") if blind else Caption(f"It is {frames.mean():.0f}.", cost_usd=0.5))
            self.seen += 1
        return found


class Counting:
    """A judge that passes all captions but those named, and does not know of some."""

    name, template = "counting", "10.1 v1"

    def __init__(self, fails: Sequence[int] = (), silent: Sequence[int] = ()) -> None:
        self.fails, self.silent, self.asked = fails, silent, list[tuple[str, str]]()

    def judge(self, context: StoryContext, scene: Scene) -> Verdict:
        number = len(self.asked)
        assert scene.frames is None  # it judges the words
        self.asked.append((context.scenes[-1].words, scene.words))
        if number in self.silent:
            return Verdict("missing", "no answer", self.name, self.template)
        return Verdict("fail" if number in self.fails else "pass", "so", self.name, self.template, cost_usd=0.25)


def measured(folder: Path, painter: Any, looker: Any, judge: Any, n: int, asked: nsp.Asked = ASKED) -> Any:
    outcome = nsp.run(painter, nsp.Clips(folder, asked), sentences.first(n, EVERY), looker, judge)
    return nsp.result_of(outcome, asked, looker, judge)


# --- what is asked --------------------------------------------------------------------------------------------------
def test_each_way_asks_for_a_cut_from_words_alone(tmp_path: Path) -> None:
    one = EVERY[7]
    painter = Painter()
    for way in ("off", "own", "text"):
        scene, undrawn = nsp.ask(painter, one, way, SamplingOptions(), 2)
        assert scene is not None and not undrawn
    off, own, text = painter.asked
    assert {request.mode for request in painter.asked} == {"cut"}
    assert {request.options.seed for request in painter.asked} == {2 * sentences.MOST + 7}
    assert off.context == own.context == StoryContext((Scene(one.text),)) and off.words == ""
    assert own.words == "Then 2007 came."
    assert text.context == StoryContext() and text.words == one.text


def test_without_words_the_real_classes_are_asked_what_comes_next(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = build.tiny_pipeline()
    pipeline.register_to_config(dialect="paper")
    read: list[str] = []
    monkeypatch.setattr(pipeline, "read", lambda prompt: read.append(prompt.text) or torch.zeros(1, 8, 32))
    context = StoryContext((Scene("A cup falls."),))
    pipeline.encode_condition(context, "")
    pipeline.encode_condition(context, "It breaks.")
    assert read[0] == f"Scene 1: A cup falls.\n{pipeline.dialect.next}"
    assert read[-1].endswith("scene: It breaks.")


def test_a_drawer_that_needs_words_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"give --think, .* or --text"):
        measured(tmp_path, Painter(refuses=True), Looker(), Counting(), 2)
    result, _ = measured(tmp_path / "own", Painter(refuses=True), Looker(), Counting(), 2, replace(ASKED, way="own"))
    assert result["pass"]["mean"] == 1


# --- what is counted ------------------------------------------------------------------------------------------------
def test_missing_stays_missing_and_nothing_drawn_has_failed(tmp_path: Path) -> None:
    """Of eight: the 1st has no caption, the 3rd no verdict, the 4th fails, of the 6th the reader has nothing to say."""
    some = sentences.first(8, EVERY)
    painter = Painter(mute=some[5].text)
    judge = Counting(fails=[2], silent=[1])  # counts what it is asked: the first one never comes to it
    result, cases = measured(tmp_path, painter, Looker(blind=[0]), judge, 8, replace(ASKED, way="own"))
    assert result["n"] == 8 and result["missing"] == 2 and result["undrawn"] == 1
    assert result["reasons"] == {"no caption: too dark": 1, "no answer": 1}
    assert result["pass"]["n"] == 6 and result["pass"]["mean"] == pytest.approx(4 / 6, abs=1e-4)
    assert 0 < result["pass"]["low"] < result["pass"]["mean"] < result["pass"]["high"] <= 1
    assert cases["pass"][some[3].id] == cases["pass"][some[5].id] == [0.0]
    assert not {some[0].id, some[2].id} & cases["pass"].keys() and len(cases["motion"]) == 7
    assert result["cost_usd"] == pytest.approx(6 * 0.5 + 5 * 0.25)  # captions, verdicts
    assert (result["captioner"], result["judge"], result["mode"]) == ("looker", "counting", "own")
    assert "10.1 v1" in result["template"] and "brightness v1" in result["template"]
    assert set(result["categories"]) == {one.category for one in some}
    assert result["categories"][some[0].category] is None
    text = nsp.table(result | {"floors": {"repeat": None}})
    assert "missing verdicts 2, scenes not drawn 1" in text and "not measured" in text


def test_the_judge_gets_the_sentence_and_the_caption_and_nothing_else(tmp_path: Path) -> None:
    judge = Counting()
    measured(tmp_path, Painter(), Looker(), judge, 2)
    assert [before for before, _ in judge.asked] == [one.text for one in sentences.first(2, EVERY)]
    assert all(caption.startswith("It is ") for _, caption in judge.asked)


def test_nothing_more_is_drawn_for_a_judge_that_does_not_answer(tmp_path: Path) -> None:
    painter = Painter()
    with pytest.raises(UserError, match=r"None of the first 8 clips .* \(no answer\)"):
        measured(tmp_path, painter, Looker(), Counting(silent=range(99)), 20)
    assert len(painter.asked) == nsp.AT_ONCE


def test_floors_are_the_same_moment_and_other_stories() -> None:
    some = sentences.first(4, EVERY)
    judge = Counting(fails=[0, 1, 2, 3, 4])
    found = nsp.floors(judge, some)
    assert found["repeat"]["mean"] == 0 and found["unrelated"]["mean"] == 0.75
    assert all(before == after for before, after in judge.asked[:4])
    assert all(before != after for before, after in judge.asked[4:])
    with pytest.raises(UserError, match="larger --n"):
        nsp.floors(judge, some[:1])


# --- what is kept ---------------------------------------------------------------------------------------------------
def test_a_killed_run_goes_on_and_ends_as_one_that_was_not(tmp_path: Path) -> None:
    straight = measured(tmp_path / "a", Painter(), Looker(), Counting(fails=[3]), 12)
    with pytest.raises(KeyboardInterrupt):
        measured(tmp_path / "b", Painter(most=10), Looker(), Counting(fails=[3]), 12)
    (tmp_path / "b" / "clips" / f"{sentences.first(11, EVERY)[10].id}.mp4").write_bytes(b"half")
    rest, judge = Painter(), Counting()
    again = measured(tmp_path / "b", rest, Looker(), judge, 12)
    assert len(rest.asked) == 2 and len(judge.asked) == 4  # the second eight were drawn in part and never judged
    assert again == straight
    idle, silent = Painter(most=0), Counting()
    assert measured(tmp_path / "b", idle, Looker(), silent, 12) == straight and not silent.asked
    assert measured(tmp_path / "b", Painter(), Looker(), Counting(), 13)[0]["n"] == 13


def test_missing_verdicts_are_asked_for_again_with_the_caption_that_was_kept(tmp_path: Path) -> None:
    measured(tmp_path, Painter(), Looker(), Counting(silent=[1]), 3)
    blind = Looker(blind=range(9))
    result, _ = measured(tmp_path, Painter(most=0), blind, judge := Counting(), 3)
    assert result["missing"] == 0 and len(judge.asked) == 1 and blind.seen == 0
    assert result["cost_usd"] == pytest.approx(3 * 0.5 + 3 * 0.25)  # the caption of the first, missing attempt as well


def test_a_folder_has_the_clips_of_one_model_asked_in_one_way(tmp_path: Path) -> None:
    measured(tmp_path, Painter(), Looker(), Counting(), 1)
    for other in (replace(ASKED, checkpoint="x"), replace(ASKED, way="own"), replace(ASKED, seed=1)):
        with pytest.raises(UserError, match="--clips a new folder"):
            nsp.Clips(tmp_path, other)
        assert nsp.default_folder(other) != nsp.default_folder(ASKED)


def test_verdicts_of_other_eyes_are_others_and_the_folder_is_a_set(tmp_path: Path) -> None:
    measured(tmp_path, Painter(), Looker(), Counting(), 3)
    other = Looker()
    other.name = "other"
    measured(tmp_path, Painter(most=0), other, judge := Counting(), 3)
    assert len(judge.asked) == 3
    assert judges_of(tmp_path) == ["counting reading looker", "counting reading other"]
    pairs = read_pairs(tmp_path)
    assert [pair.before_words for pair in pairs] == [one.text for one in sentences.first(3, EVERY)]
    frames = pairs[0].scene.frames
    assert frames is not None and frames.ndim == 4


# --- captioners -----------------------------------------------------------------------------------------------------
def test_the_reader_sees_clips_of_any_size_and_says_whose_it_is() -> None:
    pipeline = build.tiny_pipeline()
    pipeline.fingerprint = "f00"
    (found,) = ReaderCaptioner(pipeline, "own").captions([np.zeros((3, 50, 70, 3), np.uint8)])
    assert found.text or found.reason
    assert captioner_called("own", "server", pipeline).name == "own:f00"
    pipeline.language = object()
    with pytest.raises(UserError, match="picture-book world only"):
        ReaderCaptioner(pipeline, "own")


def test_a_key_goes_to_its_own_server_only(tmp_path: Path) -> None:
    judge = {"WHATNEXT_JUDGE_URL": "https://one.example/v1", "WHATNEXT_JUDGE_MODEL": "m", "WHATNEXT_JUDGE_KEY": "k"}
    judge["WHATNEXT_JUDGE_FILE"] = str(tmp_path / "a.db")

    def made(env: dict[str, str], beside: str = "server") -> Any:
        return captioner_called("server", beside, None, env)._judge.asker.service  # type: ignore[attr-defined]

    assert made(judge)._secret.reveal() == "k"
    other = judge | {"WHATNEXT_CAPTIONER_URL": "https://two.example/v1"}
    assert made(other)._secret is None and made(other).config.url == "https://two.example/v1"
    assert made(other | {"WHATNEXT_CAPTIONER_KEY": "c"})._secret.reveal() == "c"
    with pytest.raises(ConfigError, match="WHATNEXT_CAPTIONER_URL"):
        made(judge, beside="claude")  # another service's settings are not its own
    with pytest.raises(UserError, match="no captioner 'nobody'"):
        captioner_called("nobody", "server", None, {})


# --- the command ----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real classes at test size, as a folder."""
    folder = tmp_path_factory.mktemp("nsp") / "model"
    pipeline = build.tiny_pipeline()
    pipeline.register_to_config(dialect="paper")
    pipeline.to(torch.bfloat16).save_pretrained(folder)
    return folder


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Service]:
    with Running(Service()) as service:
        for name, value in {"URL": f"{service.url}/v1", "MODEL": "m", "FILE": str(tmp_path / "judge.db")}.items():
            monkeypatch.setenv(f"WHATNEXT_JUDGE_{name}", value)
        for name in ("WHATNEXT_JUDGE_KEY", "WHATNEXT_CAPTIONER_URL"):
            monkeypatch.delenv(name, raising=False)
        yield service


def test_the_command_from_a_folder_to_files_that_compare_reads(
    model: Path, service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(tmp_path / name) for name in ("a.json", "b.json")]
    call = ["nsp", "--checkpoint", str(model), "--captioner", "server", "--judge", "server", "--n", "2", "--json"]
    call += ["--clips", str(tmp_path / "clips"), "--steps", "1", "--floors"]
    assert main([*call, "--out", files[0]]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["captioner"] == result["judge"] == "server:m" and result["seed"] == 0 and result["n"] == 2
    assert result["template"] == "10.1 v1, words, 1 votes; caption v1, 6 pictures of 512"
    assert result["pass"] == {"mean": 1.0, "low": 0.1581, "high": 1.0, "n": 2}  # the stand-in passes what it sees
    assert result["floors"]["repeat"]["mean"] == 0
    asked = len(service.asked)
    assert asked == 2 + 2 + 4
    assert main([*call, "--out", files[1]]) == 0
    assert len(service.asked) == asked  # everything was kept
    capsys.readouterr()
    assert main(["compare", *files, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert figures["pass"]["difference"] == 0 and set(figures) == {"pass", "motion"}
    plain = json.loads(Path(files[1]).read_text())
    plain["result"]["captioner"] = "claude:other"
    Path(files[1]).write_text(json.dumps(plain))
    assert main(["compare", *files]) == 2 and "captioner" in capsys.readouterr().err


def test_what_cannot_be_measured_is_said_in_one_sentence(
    model: Path, service: Service, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*more: str) -> str:
        assert main(["nsp", "--clips", str(tmp_path / "none"), *more]) == 2
        said = capsys.readouterr().err.strip()
        assert said.count("\n") == 0
        return said

    ask = ("--captioner", "server", "--judge", "server")
    said = refused("--checkpoint", str(root / "assets" / "starter"), *ask)
    assert "never learnt" in said and "`eval picturebook`" in said
    said = refused("--checkpoint", str(model), "--captioner", "server", "--judge", "picturebook")
    assert "no judge 'picturebook' of scenes of the real world" in said
    assert "no captioner 'x'" in refused("--checkpoint", str(model), "--captioner", "x", "--judge", "server")
    assert "--n must be" in refused("--checkpoint", str(model), *ask, "--n", "0")
    assert "There is no model in" in refused("--checkpoint", str(tmp_path), *ask)
    assert "larger --n" in refused("--checkpoint", str(model), *ask, "--n", "1", "--floors")
    assert not service.asked and not (tmp_path / "none").exists()


# --- published weights ----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def banks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Qwen2.5-VL, LTX-Video and a connector in the hub's files, named by two bank files: with a connector, without."""
    root = tmp_path_factory.mktemp("banks")
    hub_layout.write_qwen(root / "qwen")
    hub_layout.write_ltx(root / "ltx")
    hub_layout.write_connector(root / "connector")
    cascade = {"reader": "qwen", "drawer": "ltx", "dtype": "float32", "width": 96, "height": 64, "frames": 17}
    (root / "cascade-bank.json").write_text(json.dumps(cascade))
    (root / "unified-bank.json").write_text(json.dumps(cascade | {"connector": "connector"}))
    return root


def test_published_weights_are_asked_in_the_papers_words(banks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline: Any = open_to_measure(banks / "unified-bank.json", "cpu")
    read: list[str] = []
    whole = pipeline.read
    monkeypatch.setattr(pipeline, "read", lambda prompt: read.append(prompt.text) or whole(prompt))
    scene, _ = nsp.ask(pipeline, EVERY[0], "off", SamplingOptions(steps=1), 0)
    assert scene is not None and scene.frames.shape == (17, 64, 96, 3)
    assert read[0] == f"Please generate a video showing what happens after this scene: {EVERY[0].text}"
    nsp.ask(pipeline, EVERY[0], "text", SamplingOptions(steps=1), 0)
    assert EVERY[0].text in read[1:]


def test_weights_without_a_connector_draw_words_only(
    banks: Path, service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["nsp", "--checkpoint", str(banks / "cascade-bank.json"), "--captioner", "own", "--judge", "server"]
    call += ["--n", "2", "--steps", "1", "--json", "--device", "cpu"]
    assert main([*call, "--clips", str(tmp_path / "off")]) == 2
    assert "--think" in capsys.readouterr().err
    assert main([*call, "--clips", str(tmp_path / "own"), "--think"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["mode"] == "own" and result["captioner"] == f"own:{result['checkpoint']}"
    assert result["undrawn"] == 0 and result["pass"]["n"] + result["missing"] == 2
    assert all(pair.words and pair.words != pair.before_words for pair in read_pairs(tmp_path / "own"))
    scene, _ = nsp.ask(open_to_measure(banks / "cascade-bank.json", "cpu"), EVERY[0], "text", SamplingOptions(1), 0)
    assert scene is not None and scene.words == EVERY[0].text
