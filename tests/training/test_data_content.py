"""The content filter of curation: off unless asked for, refused before the run without weights, told on the card."""

from __future__ import annotations

import json
import tarfile

import numpy as np
import pytest

from nsp_core.content import Classifier
from nsp_core.errors import ConfigError, ModelUnavailable
from tests.training.data_parts import SHOTS, small_config, write_film
from training.data import content
from training.data import main as door
from training.data.run import curate

ASKED = dict.fromkeys(("captioner", "writer", "judge"), "tests.training.data_parts:Somebody")


class Redness(Classifier):
    """Red is not for everybody. `seen` counts clips."""

    def __init__(self) -> None:
        super().__init__(None)
        self.seen = 0

    def scores(self, frames, *, samples: int = 6):
        self.seen += 1
        red, green, _ = np.median(frames.reshape(-1, 3), axis=0)
        return [0.1, 0.912 if red > 2 * green else 0.25][:samples]


@pytest.fixture
def judge(monkeypatch):
    """As if weights and onnxruntime were there."""
    found = Redness()
    monkeypatch.setattr(content, "classifier", lambda _path: found)
    monkeypatch.setattr(content.content, "check", lambda *_: None)
    return found


def test_without_weights_nothing_begins(tmp_path, monkeypatch, capsys):
    write_film(tmp_path / "films" / "a.mp4", SHOTS[:1])
    monkeypatch.setenv("WHATNEXT_FILTER_MODEL", str(tmp_path / "nowhere.onnx"))
    out = tmp_path / "out"
    with pytest.raises(ModelUnavailable, match=r"--get-filter \(22 MB\), or set quality\.content=none\.$"):
        curate(small_config(tmp_path / "films", quality={"content": "frames"}), out)
    assert not out.exists()
    assert door.main(["run", str(tmp_path / "films"), "quality.content=frames", "--out", str(out)]) == 1
    assert "--get-filter" in capsys.readouterr().err and not out.exists()
    with pytest.raises(ConfigError, match="above 0"):
        small_config(tmp_path, quality={"content_threshold": 0.0})


def test_a_flagged_clip_goes_nowhere_and_the_card_says_so(tmp_path, judge, capsys):
    write_film(tmp_path / "films" / "a.mp4")
    (tmp_path / "c.yaml").write_text(
        f"sources: [{{path: {tmp_path / 'films'}}}]\n"
        "clip: {width: 64, height: 48, frames: 33, least_frames: 17, least_width: 64, least_height: 48}\n"
        "words: {captioner: none, writer: none, judge: none}\nrun: {executor: inline}\npack: {uncaptioned: true}\n"
        "quality: {content: frames}\n"
    )
    out = tmp_path / "out"
    assert door.main(["run", str(tmp_path / "c.yaml"), "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    dropped = [one for one in told["clips"] if one["stage"] == "content"]
    assert dropped == [
        {"stage": "content", "status": "dropped", "reason": "the content filter: 0.91 of 0.8", "n": dropped[0]["n"]}
    ]
    card = (out / "report.html").read_text(encoding="utf-8")
    assert "looked at up to 6 frames" in card and "never tested" in card and "the content filter: 0.91" in card
    index = [json.loads(line) for line in (out / "pack" / "index.jsonl").read_text().splitlines()]
    assert index and all(line["content"] == 0.25 for line in index), "not even with pack.uncaptioned"
    with tarfile.open(out / "pack" / "train-000000.tar") as tar:
        assert len([name for name in tar.getnames() if name.endswith(".mp4")]) == len(index)
    sheet = (out / "captions.csv").read_text(encoding="utf-8").splitlines()
    assert len(sheet) == 1 + len(index), "and nobody is asked to write what it shows"
    assert door.main(["run", str(tmp_path / "c.yaml"), "quality.content=none", "--out", str(out)]) == 0
    assert "It did not run" in (out / "report.html").read_text(encoding="utf-8")


def test_switching_it_on_costs_only_looking(tmp_path, judge):
    write_film(tmp_path / "films" / "a.mp4")

    def once(**quality):
        return curate(small_config(tmp_path / "films", words=ASKED, quality=quality), tmp_path / "out")

    first = once()
    missing = sum(e.status == "missing" for e in first.clips)
    clips = len(first.clips)
    assert judge.seen == 0 and missing == 1
    assert once(content="frames", content_threshold=1.0).done_now == 2 * clips + missing and judge.seen == clips
    tighter = once(content="frames")
    assert judge.seen == clips, "another threshold decodes nothing"
    assert tighter.done_now == clips + missing
    assert [e.stage for e in tighter.clips].count("content") == clips - len(tighter.captioned()) - missing > 0
    assert once().done_now == missing
