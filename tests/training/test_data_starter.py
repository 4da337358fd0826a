"""The shipped model as captioner, writer and judge: it answers about its own world, and about nothing else."""

from __future__ import annotations

import tarfile
from random import Random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nsp_core.media import write_clip
from tests.training.data_parts import small_config, write_film
from training.data.pack import pack
from training.data.run import curate
from training.data.starter import OUTSIDE, STARTER
from training.picturebook.draw import clip
from training.picturebook.rules import step
from training.picturebook.scenes import story

LOOSE = {"least_motion": 0.0, "most_still": 1.0, "least_sharpness": 0.0, "most_flat": 1.0, "duplicate_bits": -1}
SIZE = {"width": 160, "height": 96, "fps": 8, "frames": 17, "least_frames": 17, "least_width": 96, "least_height": 64}


@pytest.mark.full
def test_the_starter_speaks_of_its_world_and_is_silent_about_others(tmp_path):
    rng = Random(5)
    for number in range(3):
        one = story(rng, 3)
        world, event = one.worlds[-2], one.events[-1]
        write_clip(tmp_path / "films" / f"book{number}.mp4", clip(world, event, step(world, event)), 8)
    write_film(tmp_path / "films" / "other.mp4", ((200, 40, 40),), 60, 24, 640, 384)
    asked = dict.fromkeys(("captioner", "writer", "judge"), "starter") | {"rounds": 2}
    sections = {"quality": LOOSE, "split": {"detector": "none"}, "words": asked, "clip": SIZE}
    config = small_config(tmp_path / "films", **sections, latents={"model": str(STARTER)})
    found = curate(config, tmp_path / "out")
    ended = {e.row.values["name"]: e for e in found.clips}
    assert (ended["other.mp4"].stage, ended["other.mp4"].status, ended["other.mp4"].reason) == (
        "caption",
        "missing",
        OUTSIDE,
    )
    assert ended["other.mp4"].row.values["guess"] and "caption" not in ended["other.mp4"].row.values
    own = [ended[f"book{number}.mp4"] for number in range(3)]
    assert all(e.row.values.get("caption") for e in own), [(e.stage, e.reason) for e in own]
    assert all(e.row.values["captioned_by"].startswith("starter:") for e in own)
    assert any(e.row.values.get("preceding") for e in own), [(e.stage, e.reason) for e in own]
    assert {e.status for e in own} <= {"ok", "dropped", "missing"}
    passed = [e for e in own if e.row.values.get("verdict") == "pass"]
    assert len([e for e in found.pairs if e.row.values["origin"] == "written"]) == len(passed)
    pack(found.captioned(), [], config, tmp_path / "out")
    for one in own:
        latents = load_file(tmp_path / "out" / one.row.values["latents"])["latents"]
        assert latents.shape == (64, 5, 6, 10) and latents.dtype == torch.bfloat16
    with tarfile.open(tmp_path / "out" / "pack" / "train-000000.tar") as tar:
        assert any(name.endswith(".latents.safetensors") for name in tar.getnames())
    assert np.isfinite([e.row.values["score"] for e in own if "score" in e.row.values]).all()
