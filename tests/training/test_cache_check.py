"""Caches made again: a whole one passes, one with a changed number does not, and what has none says so."""

from __future__ import annotations

from random import Random

import pytest
import torch
from safetensors.torch import load_file, save_file

from nsp_core.model import build
from training import cache_check
from training.main import main
from training.picturebook.words import corpus

SIZES = "examples={images: 3, videos: 3, held_out: 2, scenes: 3}"


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """The arguments of a stage that was run for one step, and its cache."""
    threads = torch.get_num_threads()
    folder = tmp_path_factory.mktemp("checked")
    build.tiny_pipeline(corpus(Random(0), 200)).to(torch.bfloat16).save_pretrained(folder / "start")
    places = [f"init={folder / 'start'}", f"out={folder / 'out'}", f"cache={folder / 'cache'}"]
    asked = ["pt2", *places, SIZES, "flow.batch=2", "threads=1"]
    assert main([*asked, "--limit", "1"]) == 0
    yield asked, folder / "cache"
    torch.set_num_threads(threads)


def test_a_cache_is_what_it_says(stage, monkeypatch):
    asked, _ = stage
    said = []
    monkeypatch.setattr(cache_check.log, "info", lambda text, *values: said.append(text % values))
    assert main([*asked, "--check"]) == 0
    assert "6 examples made again, all as they were" in said[-1]


@pytest.mark.parametrize("part", ["latents", "tails", "conditions", "labels"])
def test_one_changed_number_is_found(stage, capsys, part):
    asked, cache = stage
    file = next(cache.glob("video-train-*/*.safetensors"))
    whole = file.read_bytes()
    rows = load_file(file)
    rows[part][1] = rows[part][1] + (rows[part].float().std().to(rows[part].dtype) if part != "labels" else 1) + 1
    save_file(rows, file)
    try:
        assert main([*asked, "--check"]) == 2
    finally:
        file.write_bytes(whole)
    assert "1 of 6 examples" in capsys.readouterr().err


def test_what_is_no_number_is_found(stage, capsys):
    asked, cache = stage
    file = next(cache.glob("video-train-*/*.safetensors"))
    whole = file.read_bytes()
    rows = load_file(file)
    rows["latents"][1] = float("nan")
    save_file(rows, file)
    try:
        assert main([*asked, "--check"]) == 2
    finally:
        file.write_bytes(whole)
    assert "1 of 6 examples" in capsys.readouterr().err


def test_without_a_cache_there_is_a_sentence(stage, tmp_path, capsys):
    asked, _ = stage
    assert main([*asked, f"cache={tmp_path}", "--check"]) == 2
    assert "no cache" in capsys.readouterr().err
    assert main(["vae", "--check"]) == 2
    assert "keeps no cache" in capsys.readouterr().err
    for stage_ in ("distil", "tiny"):
        assert main([stage_, "--check"]) == 2
        assert "--check" in capsys.readouterr().err
