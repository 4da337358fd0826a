"""`train tiny` with its long part left out: a few steps of every stage, on the shipped parts, and what it reports."""

from __future__ import annotations

import json

import pytest
import torch

from training import tiny
from training.evaluate import told
from training.main import main
from training.models import ROOT


def test_every_stage_of_tiny_runs_and_is_measured(tmp_path, capsys, monkeypatch):
    if not (ROOT / "assets" / "starter" / "model_index.json").is_file():
        pytest.skip("no starter in this checkout")
    monkeypatch.chdir(tmp_path)
    # the same files with less in them: what is looked at is that they fit together
    small = [
        *("pt2.examples.images=4", "pt2.examples.videos=16", "pt2.examples.held_out=2"),
        *("sft.examples.pairs=16", "sft.examples.held_out=2"),
        *("grpo.group.candidates=4", "grpo.group.top=1", "grpo.group.bottom=1", "grpo.asks.held_out=1"),
        *("threads=1", "loop.log_every=1"),
    ]
    threads = torch.get_num_threads()
    try:
        code = main(["tiny", "--limit", "1", "--out", str(tmp_path / "run"), "--json", *small])
    finally:
        torch.set_num_threads(threads)
    assert code == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result == json.loads((tmp_path / "run" / "result.json").read_text())
    assert set(result["figures"]) == set(result["better_than"]) == set(tiny.STAGES)
    for stage in tiny.STAGES:
        assert {"exact", "nearest", "adherence", "motion", *told.BASELINES} <= result["figures"][stage].keys()
        assert (tmp_path / "run" / stage / "model" / "model_index.json").is_file()
    assert result["cpu_seconds"] > 0
