"""Told what comes, is it drawn: the figures of perfect, idle and random drawers, the command, and the whole of tiny."""

from __future__ import annotations

import json
from random import Random

import pytest
import torch

from nsp_core.model import build
from nsp_core.types import Scene
from training.evaluate import told
from training.evaluate.main import main
from training.grpo.asks import AskConfig, Asks
from training.grpo.witness import CutJudge, NearestJudge
from training.judges import declared_judges, judge_called
from training.picturebook.words import corpus

FOUR = AskConfig(scenes=2, rules=("snowman_melts", "seed_sprouts", "balloon_pops", "lamp_lights"))


@pytest.fixture(scope="module")
def pipeline():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield build.tiny_pipeline(corpus(Random(0), 200))
    torch.set_num_threads(before)


def drawn_by(monkeypatch, drawer):
    monkeypatch.setattr(told, "draw", lambda _pipeline, ask, _mode, _options: drawer(ask))


def test_who_draws_what_was_told_is_right_and_who_copies_is_not(pipeline, monkeypatch):
    drawn_by(monkeypatch, lambda ask: ask.told)
    (found,) = told.measure({"perfect": pipeline}, FOUR, 3).values()
    means = {name: [v for vs in by.values() for v in vs] for name, by in found.items()}
    assert means["exact"] == means["nearest"] == means["adherence"] == [1, 1, 1]
    assert means["copy_last"] == [0, 0, 0] and set(means["most_frequent"]) <= {0, 1}
    drawn_by(monkeypatch, lambda ask: ask.still)
    (found,) = told.measure({"idle": pipeline}, FOUR, 2).values()
    assert all(v == [0] for name in ("exact", "nearest", "adherence", "motion") for v in found[name].values())


def test_all_models_get_the_same_stories_and_noise(pipeline):
    found = told.measure({"one": pipeline, "other": pipeline}, FOUR, 1)
    assert found["one"] == found["other"] and list(found["one"]["nearest"]) == [str(told.FIRST)]


def test_the_command_writes_cases_that_compare_reads(tmp_path, capsys):
    start = build.tiny_pipeline(corpus(Random(0), 200))
    start.to(torch.bfloat16).save_pretrained(tmp_path / "model")
    files = [str(tmp_path / name) for name in ("a.json", "b.json")]
    for file in files:
        assert main(["told", "--checkpoint", str(tmp_path / "model"), "--n", "1", "--out", file]) == 0
    assert main(["compare", *files, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert {"exact", "nearest", "adherence", "motion"} <= found.keys()
    assert all(f["difference"] == 0 for f in found.values())
    assert main(["told", "--n", "0"]) == 2


def test_the_witness_and_the_judge_of_cuts_speak_for_themselves(pipeline):
    assert {"picturebook", "picturebook-cut", "picturebook-nearest"} <= declared_judges().keys()
    nearest, cut = judge_called("picturebook-nearest"), judge_called("picturebook-cut")
    assert isinstance(nearest, NearestJudge) and isinstance(cut, CutJudge)
    one, other = (Asks(pipeline, FOUR).make(n) for n in (0, 1))

    def said(judge, ask, frames, words=None):
        return judge.judge(ask.context, Scene(ask.words if words is None else words, frames)).outcome

    for judge in (nearest, cut):
        assert said(judge, one, one.told) == "pass"
        assert said(judge, one, one.still) == "fail"
        assert said(judge, one, one.told, "") == "pass"  # without words any event is right
        assert said(judge, one, one.still, "") == "fail"  # and nothing is none
        assert said(judge, one, one.told, "The moon sings.") == "fail"
    assert said(nearest, one, None) == "missing"
    jumps = one.told.copy()
    jumps[:-1] = other.told[:1]  # begins elsewhere
    assert said(cut, one, jumps) == "pass" and said(judge_called("picturebook"), one, jumps) == "fail"


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_the_whole_recipe_in_minutes_beats_who_does_not_listen(tmp_path, capsys):
    from training.main import main as train

    assert train(["tiny", "--out", str(tmp_path), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    for stage in ("sft", "grpo"):
        for base in told.BASELINES:
            assert result["better_than"][stage][base]["low"] > 0, (stage, base, result["better_than"][stage][base])
