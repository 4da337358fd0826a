"""The bridge to VBench, with a stand-in for its environment: a python that finds another `vbench` and `torch`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from nsp_core.errors import ModelUnavailable, UserError
from nsp_core.model import build
from nsp_core.types import SamplingOptions
from tests.training.test_nsp import Painter
from training.evaluate import vbench
from training.evaluate.main import main

ROWS = [
    {"prompt_en": "a person is eating", "dimension": ["human_action"]},
    {"prompt_en": "a red car", "dimension": ["color", "imaging_quality"], "auxiliary_info": {"color": "red"}},
    {"prompt_en": "a beach, zoom in", "dimension": ["imaging_quality"]},
]
# counts the videos that it finds for each dimension, as VBench names them
STAND_IN = """
import json, os
class VBench:
    def __init__(self, device, full_info_dir, output_path):
        assert device == "cpu"
        self.info, self.out = full_info_dir, output_path
    def evaluate(self, videos_path, name, dimension_list):
        found = {}
        for dimension in dimension_list:
            prompts = [row["prompt_en"] for row in json.load(open(self.info)) if dimension in row["dimension"]]
            there = [os.path.join(videos_path, f"{p}-{i}.mp4") for p in prompts for i in range(5)]
            there = [path for path in there if os.path.exists(path)]
            found[dimension] = [len(there) / 10, there]
        if os.environ.get("FAILS"):
            raise RuntimeError("no weights of RAFT")
        if os.environ.get("LAZY"):
            found.pop(dimension_list[0])
        json.dump(found, open(os.path.join(self.out, name + "_eval_results.json"), "w"))
"""


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A python in whose environment a VBench lies."""
    package = tmp_path / "environment" / "vbench"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(STAND_IN)
    (package / "VBench_full_info.json").write_text(json.dumps(ROWS))
    (package.parent / "torch.py").write_text("device = str\n")
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{package.parent}" exec "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    monkeypatch.delenv(vbench.SETTING, raising=False)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vbench") / "model"
    pipeline = build.tiny_pipeline()
    pipeline.register_to_config(dialect="paper")
    pipeline.to(torch.bfloat16).save_pretrained(folder)
    return folder


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_videos_are_drawn_and_scored_in_the_other_environment(
    python: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["vbench", "--checkpoint", str(model), "--out", str(tmp_path / "out"), "--json", "--steps", "1"]
    call += ["--n", "2", "--samples", "2"]
    monkeypatch.setenv(vbench.SETTING, str(python))
    assert main(call) == 0
    result = said(capsys)
    assert result["dimensions"] == {"color": 0.2, "human_action": 0.2, "imaging_quality": 0.2}
    assert (result["prompts"], result["of"], result["samples"]) == (2, 3, 2)
    names = sorted(path.name for path in (tmp_path / "out" / "videos").iterdir())
    assert names == [f"{row['prompt_en']}-{i}.mp4" for row in ROWS[:2] for i in range(2)]
    kept = json.loads((tmp_path / "out" / "scores" / "prompts.json").read_text())
    assert kept == ROWS[:2]  # VBench's own rows, with what else is in them


def test_without_an_environment_one_sentence_says_how_to_make_it(
    python: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["vbench", "--checkpoint", str(model), "--out", str(tmp_path / "out")]
    assert main(call) == 2
    assert "WHATNEXT_VBENCH_PYTHON" in (message := capsys.readouterr().err) and message.count("\n") == 1
    prompts = python.parent / "environment" / "vbench" / "VBench_full_info.json"
    call += ["--prompts", str(prompts), "--n", "1", "--samples", "1", "--steps", "1", "--json"]
    assert main(call) == 0  # the videos can be made without it
    assert said(capsys)["dimensions"] is None and (tmp_path / "out" / "videos" / "a person is eating-0.mp4").exists()
    for wrong in (str(tmp_path / "no-such-python"), sys.executable):  # the latter has no VBench
        assert main(["vbench", "--checkpoint", str(model), "--out", str(tmp_path), "--python", wrong]) == 2
        assert "vbench-env" in capsys.readouterr().err


def test_the_starter_is_sent_to_its_own_questions(
    python: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    starter = str(root / "assets" / "starter")
    assert main(["vbench", "--checkpoint", starter, "--out", str(tmp_path / "out"), "--python", str(python)]) == 2
    assert "`eval composition`" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_failure_is_no_score(python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = vbench.read_prompts(vbench.installed_prompts(python))
    videos = vbench.write_videos(Painter(), prompts, tmp_path / "out", 1, SamplingOptions())
    assert vbench.evaluate(python, prompts, videos, ["color"], "cpu") == {"color": 0.1}
    monkeypatch.setenv("LAZY", "1")
    with pytest.raises(ModelUnavailable, match="no score for color"):
        vbench.evaluate(python, prompts, videos, ["color", "human_action"], "cpu")
    monkeypatch.setenv("FAILS", "1")
    with pytest.raises(ModelUnavailable, match=r"did not finish \(RuntimeError: no weights of RAFT\)"):
        vbench.evaluate(python, prompts, videos, ["color"], "cpu")


def test_videos_are_kept_and_belong_to_one_model(python: Path, tmp_path: Path) -> None:
    prompts = vbench.read_prompts(vbench.installed_prompts(python))
    first = Painter(most=2)
    with pytest.raises(KeyboardInterrupt):
        vbench.write_videos(first, prompts, tmp_path, 1, SamplingOptions())
    rest = Painter()
    vbench.write_videos(rest, prompts, tmp_path, 1, SamplingOptions())
    assert [r.words for r in first.asked + rest.asked] == [row["prompt_en"] for row in ROWS]
    assert len({r.options.seed for r in first.asked + rest.asked}) == 3
    with pytest.raises(UserError, match="--out a new folder"):
        vbench.write_videos(Painter(), prompts, tmp_path, 1, SamplingOptions(seed=1))


def test_prompts_and_dimensions_are_checked(python: Path, tmp_path: Path) -> None:
    prompts = vbench.read_prompts(vbench.installed_prompts(python))
    assert [one.text for one in vbench.chosen(prompts, ["imaging_quality"], None)] == ["a red car", "a beach, zoom in"]
    with pytest.raises(UserError, match="no dimension 'colour'; the prompts have color, human_action"):
        vbench.chosen(prompts, ["colour"], None)
    for wrong in ('{"a": 1}', "[1]", "[]", '[{"prompt_en": "a/b", "dimension": ["color"]}]', "not json"):
        (tmp_path / "some.json").write_text(wrong)
        with pytest.raises(UserError):
            vbench.read_prompts(tmp_path / "some.json")
