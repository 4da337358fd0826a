"""An unsharp mask: a blurred drawing comes nearer to the drawing, and what is flat stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from nsp_core.pipeline import NextScenePipeline
from nsp_core.sharpen import blurred, unsharp
from training.evaluate.pictures import sharpness
from training.models import ROOT
from training.picturebook.reader import idle
from training.picturebook.world import Thing, World

STARTER = ROOT / "assets" / "starter"
WORLD = World("meadow", "day", "clear", (Thing(0, "ball", "resting", "red"), Thing(2, "cat", "awake")))


def drawing() -> Tensor:
    return torch.from_numpy(np.array(idle(WORLD))[:2]).float().permute(0, 3, 1, 2)


def picture(frames: Tensor) -> np.ndarray:
    return frames[0].clamp(0, 255).round().byte().permute(1, 2, 0).numpy()


def test_a_blurred_drawing_comes_nearer() -> None:
    true, soft = drawing(), blurred(drawing())
    sharper = unsharp(soft, 0.5)
    assert (sharper - true).square().mean() < 0.8 * (soft - true).square().mean()
    assert sharpness(picture(soft)) < sharpness(picture(sharper)) < 1.1 * sharpness(picture(true))


def test_what_is_flat_stays_and_nothing_is_brighter_on_the_whole() -> None:
    flat = torch.full((1, 3, 8, 9), 77.0)
    torch.testing.assert_close(unsharp(flat, 0.7), flat)
    assert torch.equal(unsharp(drawing(), 0.0), drawing())
    torch.testing.assert_close(unsharp(drawing(), 0.7).mean(), drawing().mean(), rtol=1e-3, atol=0)


@pytest.mark.skipif(not STARTER.is_dir(), reason="no starter in this checkout")
@torch.no_grad()
def test_the_starter_draws_sharper_with_it_and_no_further_from_the_truth() -> None:
    pipeline = NextScenePipeline.from_pretrained(STARTER)
    assert pipeline.config.sharpen > 0
    true = np.array(idle(WORLD))
    latents = pipeline.encode(true)
    sharp = pipeline.decode(latents)
    pipeline.register_to_config(sharpen=0.0)
    plain = pipeline.decode(latents)
    errors = [np.square(one.astype(float) - true).mean() for one in (sharp, plain)]
    assert errors[0] < 1.05 * errors[1]
    assert sharpness(sharp[-1]) > 1.3 * sharpness(plain[-1])
