"""The geometry law, packing, and what a continued scene is relative to."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nsp_core.errors import GeometryError
from nsp_core.latents import (
    Geometry,
    check_geometry,
    denormalise,
    from_target,
    normalise,
    pack,
    to_target,
    unpack,
)
from nsp_core.model import build

STARTER = Geometry(160, 96, 17, 16, 4)
CHANNELS, SHAPE = 3, (5, 2, 4)


def random(seed: int = 0, batch: int = 2) -> Tensor:
    return torch.randn((batch, CHANNELS, *SHAPE), generator=torch.Generator().manual_seed(seed))


def still(seed: int = 1) -> Tensor:
    """Latent 0 of a still, then the tail of the last clip repeated."""
    made = random(seed)
    return torch.cat([made[:, :, :1], made[:, :, 1:2].expand(-1, -1, SHAPE[0] - 1, -1, -1)], 2)


def test_the_starters_geometry() -> None:
    assert check_geometry(STARTER).latent_shape == (5, 6, 10)
    assert (build.WIDTH, build.HEIGHT, build.FRAMES, build.FPS) == (160, 96, 17, 8)
    assert (build.LATENT_CHANNELS, build.SPATIAL_RATIO, build.TEMPORAL_RATIO) == (64, 16, 4)


@settings(deadline=None)
@given(
    width=st.integers(-1, 200),
    height=st.integers(-1, 200),
    frames=st.integers(-1, 60),
    spatial=st.sampled_from([8, 16, 32]),
    temporal=st.sampled_from([2, 4, 8]),
)
def test_the_law_allows_what_divides_and_names_a_size_that_does(
    width: int, height: int, frames: int, spatial: int, temporal: int
) -> None:
    asked = Geometry(width, height, frames, spatial, temporal)
    lawful = frames >= 1 and (frames - 1) % temporal == 0
    lawful = lawful and min(width, height) >= spatial and width % spatial == 0 and height % spatial == 0
    if lawful:
        assert check_geometry(asked) is asked
        return
    with pytest.raises(GeometryError) as refused:
        check_geometry(asked)
    said = str(refused.value)
    example = said.split("for example ")[1].split(")")[0]
    if "x" in example:
        near = Geometry(*map(int, example.split("x")), 1, spatial, temporal)
    else:
        near = Geometry(spatial, spatial, int(example), spatial, temporal)
    check_geometry(near)


def test_the_autoencoder_keeps_the_law() -> None:
    vae = build.autoencoder(width=8, latent_channels=16)
    assert (vae.spatial_compression_ratio, vae.temporal_compression_ratio) == (16, 4)
    with torch.no_grad():
        latents = vae.encode(torch.zeros(1, 3, 9, 32, 48)).latent_dist.mode()
        assert latents.shape[2:] == Geometry(48, 32, 9, 16, 4).latent_shape
        assert vae.decode(latents).sample.shape == (1, 3, 9, 32, 48)


def test_packing_is_the_token_order_of_diffusers() -> None:
    from diffusers import LTXPipeline

    latents = random()
    tokens = pack(latents)
    assert torch.equal(tokens, LTXPipeline._pack_latents(latents, 1, 1))
    assert torch.equal(unpack(tokens, SHAPE), latents)
    assert torch.equal(unpack(tokens, SHAPE), LTXPipeline._unpack_latents(tokens, *SHAPE, 1, 1))


def test_normalising_gives_each_channel_its_own_scale() -> None:
    mean, std = torch.tensor([1.0, -2.0, 0.0]), torch.tensor([2.0, 0.5, 1.0])
    latents = random() * std.view(1, -1, 1, 1, 1) + mean.view(1, -1, 1, 1, 1)
    torch.testing.assert_close(normalise(latents, mean, std), random())
    torch.testing.assert_close(denormalise(normalise(latents, mean, std), mean, std), latents)


@pytest.mark.parametrize("reference", ["repeat_last", "repeat_tail", "none"])
def test_what_is_predicted_can_be_turned_back(reference: str) -> None:
    latents, before, scale = random(), still(), torch.tensor([0.5, 2.0, 1.0])
    latents[:, :, 0] = before[:, :, 0]
    target = to_target(latents, before, reference, scale)
    torch.testing.assert_close(from_target(target, before, reference, scale), latents)
    if reference == "none":
        assert target is latents


def test_a_scene_in_which_nothing_moves_is_zero() -> None:
    before, scale = still(), torch.tensor([0.5, 2.0, 1.0])
    target = to_target(before, before, "repeat_last", scale)
    assert target[:, :, 1:].abs().max() == 0
    assert torch.equal(target[:, :, 0], before[:, :, 0])


def test_the_first_latent_is_the_clean_one_of_the_last_frame() -> None:
    """Whatever was predicted for it: frame 0 of a continued scene is where the last scene ended."""
    before, scale = still(), torch.ones(CHANNELS)
    assert torch.equal(to_target(random(7), before, "repeat_last", scale)[:, :, 0], before[:, :, 0])


def test_a_residual_is_measured_in_the_scale_of_its_channel() -> None:
    before, scale = still(), torch.tensor([0.5, 2.0, 4.0])
    latents = before.clone()
    latents[:, :, 1:] += scale.view(1, -1, 1, 1, 1)
    torch.testing.assert_close(
        to_target(latents, before, "repeat_last", scale)[:, :, 1:], torch.ones_like(latents[:, :, 1:])
    )
