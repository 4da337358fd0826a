"""Labels by eye: sheets without verdicts, labels read strictly, and agreement with the exact judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from nsp_core.errors import UserError
from tests.training.test_evaluate import Copying, Perfect
from training.evaluate import labels


def test_clips_are_kept_with_sheets_and_without_verdicts(tmp_path: Path) -> None:
    labels.make(Perfect(), tmp_path / "a", 9, seed=3)
    about = json.loads((tmp_path / "a" / "clips.json").read_text())
    assert [entry["clip"] for entry in about["clips"]] == list(range(9))
    assert {entry["mode"] for entry in about["clips"]} == {"continue", "cut"}
    assert not {"verdict", "event"} & set(about["clips"][0])
    sheets = sorted((tmp_path / "a").glob("sheet-*.png"))
    assert len(sheets) == 2 and Image.open(sheets[0]).width > 7 * 160
    with pytest.raises(UserError, match="new folder"):
        labels.make(Perfect(), tmp_path / "a", 1, seed=0)

    eye = {number: "pass" for number in range(9)}
    found = labels.agreement(tmp_path / "a", eye)
    assert found.pairs == [("pass", "pass")] * 9
    found = labels.agreement(tmp_path / "a", {0: "missing", 1: "fail"})
    assert found.missing == 1 and found.pairs == [("fail", "pass")]


def test_an_eye_that_sees_the_same_agrees(tmp_path: Path) -> None:
    labels.make(Copying(), tmp_path / "b", 3, seed=5)
    found = labels.agreement(tmp_path / "b", {0: "fail", 1: "fail", 2: "fail"})
    assert found.pairs == [("fail", "fail")] * 3


def test_hard_clips_are_shown_with_words_that_they_were_not_drawn_for(tmp_path: Path) -> None:
    labels.make(Perfect(), tmp_path / "c", 12, seed=1, hard=1.0)
    about = json.loads((tmp_path / "c" / "clips.json").read_text())
    ways = {entry["clip"]: entry["way"] for entry in about["clips"]}
    assert set(ways.values()) == {"steps", "words"}
    found = labels.agreement(tmp_path / "c", {n: "pass" if way == "steps" else "fail" for n, way in ways.items()})
    assert found.kappa == 1


def test_labels_as_they_are_written() -> None:
    assert labels.read_labels("# sheet 0\n0 y\n1: n\n\n12,?\n 3 Y ") == {0: "pass", 1: "fail", 12: "missing", 3: "pass"}
    for wrong in ("0 yes", "y 0", "0 y\n0 n", "0"):
        with pytest.raises(UserError, match="no label"):
            labels.read_labels(wrong)
