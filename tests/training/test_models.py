"""Where a stage may begin: a model folder, what a stage has left, or a run of stage generator."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from nsp_core.errors import ConfigError
from training.models import ROOT, open_model
from training.run import provenance
from training.stages import train_generator


def test_a_run_of_stage_generator_is_put_together(tiny_runs, tmp_path):
    config = dataclasses.replace(tiny_runs.generator, out=tmp_path / "run", cache=tmp_path / "cache", minutes=0.0)
    config.out.mkdir()
    (config.out / "run.json").write_text(json.dumps(provenance(config)))
    assert train_generator(config, True) == 75
    pipeline = open_model(config.out)
    assert pipeline.transformer.config.num_layers == config.layers
    assert pipeline.language is not None and len(pipeline.config.residual_scale) == 64
    assert all(torch.isfinite(p).all() for p in pipeline.transformer.parameters())


def test_what_ships_is_found_from_anywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    if not (ROOT / "assets" / "starter" / "model_index.json").is_file():
        pytest.skip("no starter in this checkout")
    from pathlib import Path

    assert open_model(Path("assets/starter")).language is not None


def test_nothing_is_no_model(tmp_path):
    with pytest.raises(ConfigError, match="no model in"):
        open_model(tmp_path)
