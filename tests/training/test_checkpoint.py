"""Checkpoints are whole or absent, whatever moment a process is killed at."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import save_file

from nsp_core.errors import CheckpointMismatch
from training import checkpoint


class Killed(BaseException):
    pass


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"w": torch.full((3, 2), value), "b": torch.full((2,), value)}


def save(folder, step, value=None, **kwargs):
    value = float(step if value is None else value)
    return checkpoint.save(
        folder, step, weights(value), weights(-value), {"n": torch.tensor(step)}, {"note": "x"}, **kwargs
    )


def test_what_is_saved_comes_back(tmp_path):
    path = save(tmp_path, 3)
    for given in (path, tmp_path):
        saved = checkpoint.load(given)
        assert saved.step == 3 and saved.manifest["note"] == "x"
        assert torch.equal(saved.model["w"], torch.full((3, 2), 3.0))
        assert torch.equal(saved.ema["b"], torch.full((2,), -3.0))
        assert saved.optimiser == {"n": torch.tensor(3)}


def test_tied_weights_are_saved_and_a_light_checkpoint_has_no_optimiser(tmp_path):
    shared = torch.ones(2, 2)
    checkpoint.save(tmp_path, 1, {"a": shared, "b": shared}, {}, None, {})
    saved = checkpoint.load(tmp_path)
    assert saved.optimiser is None and torch.equal(saved.model["b"], shared)


def test_the_newest_are_kept_by_number_not_by_name(tmp_path):
    for step in (5, 999_999, 1_000_000):
        save(tmp_path, step)
    assert [p.name for p in checkpoint.list_steps(tmp_path)] == ["step_999999", "step_1000000"]
    assert checkpoint.load(tmp_path).step == 1_000_000
    save(tmp_path, 1_000_001, keep=1)
    assert [p.name for p in tmp_path.iterdir()] == ["step_1000001"]


def test_the_same_step_is_replaced_whole(tmp_path):
    save(tmp_path, 4, value=1)
    save(tmp_path, 4, value=2)
    assert torch.equal(checkpoint.load(tmp_path).model["b"], torch.full((2,), 2.0))
    assert [p.name for p in tmp_path.iterdir()] == ["step_000004"]


@pytest.mark.parametrize("fatal", range(12))
def test_killed_anywhere_the_folder_loads_an_old_or_the_new_checkpoint_whole(tmp_path, monkeypatch, fatal):
    """Every file operation of a save in turn is the one at which the process dies (before it, or half-way through)."""
    save(tmp_path, 1)
    save(tmp_path, 2)
    count = 0

    def mortal(operation):
        def run(*args, **kwargs):
            nonlocal count
            count += 1
            if count == fatal:
                raise Killed
            return operation(*args, **kwargs)

        return run

    def half_removed(path, *args, **kwargs):
        nonlocal count
        count += 1
        if count == fatal:
            (path / "model.safetensors").unlink(missing_ok=True)
            raise Killed
        return removed(path, *args, **kwargs)

    removed = shutil.rmtree
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.shutil, "rmtree", half_removed)
        patch.setattr(checkpoint, "save_file", mortal(save_file))
        patch.setattr(torch, "save", mortal(torch.save))
        patch.setattr(checkpoint.os, "replace", mortal(os.replace))
        patch.setattr(type(tmp_path), "write_text", mortal(type(tmp_path).write_text))
        try:
            save(tmp_path, 2, value=20)  # a step that is there already
            save(tmp_path, 3)
            finished = True
        except Killed:
            finished = False
    assert finished == (count < fatal) or fatal == 0
    found = checkpoint.load(tmp_path)
    assert found.model["b"][0] in (1.0, 2.0, 20.0, 3.0)
    assert torch.equal(found.ema["w"], -torch.full((3, 2), float(found.model["b"][0])))
    for path in checkpoint.list_steps(tmp_path):
        assert checkpoint.load(path).step == int(path.name[5:])
    save(tmp_path, 4)  # leftovers are in nobody's way
    assert checkpoint.load(tmp_path).step == 4


def test_other_formats_and_empty_folders_are_refused_in_words(tmp_path):
    path = save(tmp_path / "run", 1)
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(CheckpointMismatch, match="format 99"):
        checkpoint.load(path)
    with pytest.raises(CheckpointMismatch, match="No checkpoint"):
        checkpoint.load(tmp_path / "nowhere")
    (tmp_path / "half" / "step_000002").mkdir(parents=True)
    with pytest.raises(CheckpointMismatch, match="No checkpoint"):
        checkpoint.load(tmp_path / "half")
