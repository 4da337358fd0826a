"""A model's own errors: measured on its clips, added to what it continues from, and what it is then asked for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from nsp_core.errors import ConfigError
from nsp_core.model import build
from nsp_core.pipeline import NextScenePipeline
from nsp_core.types import NextScene, SamplingOptions
from tests.training.test_flow_matching import calls  # noqa: F401 (a fixture)
from tests.training.tiny_parts import CHANNELS, LATENT, flow_objective
from training import own_errors
from training.flow_matching import with_own_errors
from training.own_errors import OwnErrors
from training.picturebook.draw import clip
from training.stages import train_generator
from training.stories import make_story

CELLS = (CHANNELS, *LATENT[1:])


def errors(heads=2.0, tails=1.0):
    """Head and tail differ, so that one put in the other's place is noticed."""
    return OwnErrors(torch.full((1, *CELLS), heads), torch.full((1, *CELLS), tails))


def run(objective, given, cut=False):
    index = torch.arange(4)
    states = objective.cache.conditions[index, 0].float()
    flags = torch.full((4,), cut)
    return objective.flow_loss(objective.cache, index, states, flags, torch.Generator().manual_seed(0), errors=given)


def test_the_first_latent_shows_the_error_and_the_residual_takes_it_back(calls):  # noqa: F811
    """Where clip and error are known, what is asked for without noise is the truth minus the picture with the error."""
    objective = flow_objective(error_share=1.0, error_scale=1.0)
    cache = objective.cache
    run(objective, errors())
    seen = calls[0]["x"]
    much = (seen[:, :, 0] - cache.latents[:4, :, 0].float()) / 2.0
    assert (much.amax((1, 2, 3)) - much.amin((1, 2, 3))).max() < 1e-5  # the same everywhere in one sample
    assert much.min() > 0 and much.max() < 1 and much.std() > 0.05
    clean = (
        cache.latents[:4, :, 1:].float()
        - cache.tails[:4, :, None].float()
        - much.mean((1, 2, 3))[:, None, None, None, None] * torch.ones(4, CHANNELS, LATENT[0] - 1, *LATENT[1:])
    )
    sigma = calls[0]["sigma"][:, None, None, None, None]
    away = (seen[:, :, 1:] - (1 - sigma) * clean / cache.residual_scale[None, :, None, None, None]) / sigma
    assert abs(float(away.mean())) < 0.1 and float(away.std()) == pytest.approx(1, abs=0.1)


def test_a_cut_has_nothing_to_take_errors_from(calls):  # noqa: F811
    run(flow_objective(error_share=1.0), None, cut=True)
    run(flow_objective(error_share=1.0), errors(), cut=True)
    assert [call["clean"] for call in calls] == [0, 0]
    latents = flow_objective().cache.latents[:4].float()
    sigma = calls[1]["sigma"][:, None, None, None, None]
    assert abs(float(((calls[1]["x"] - (1 - sigma) * latents) / sigma).mean())) < 0.1


def test_the_share_of_samples_and_a_held_out_figure():
    objective = flow_objective(error_share=0.25)
    generator = torch.Generator().manual_seed(0)
    heads = torch.zeros(4000, *CELLS)
    left, _ = with_own_errors(heads, heads, errors(), objective.config, generator)
    assert (left.abs().amax((1, 2, 3)) > 0).float().mean() == pytest.approx(0.25, abs=0.03)
    assert "continue_after_errors" not in objective.evaluate()
    objective.errors = errors()
    figures = objective.evaluate()
    assert figures["continue_after_errors"] > figures["continue"]


def test_dirt_is_an_error_and_another_thing_is_not(tiny_pipeline):
    truth = np.zeros((17, 96, 160, 3), np.uint8)
    latents = tiny_pipeline.encode(truth)[0].detach()
    latents[:, -1, 0, 0] += 0.2
    latents[:, -1, 1, 1] += 5.0
    scene = NextScene("", truth, latents.numpy(), 8, "continue", SamplingOptions(), 0.0, "")
    head, tail = own_errors.error_of(tiny_pipeline, scene, truth)
    assert head.abs().max() < 1e-5
    assert tail[:, 0, 0] == pytest.approx(0.2, abs=1e-4)
    assert tail[:, 1, 1].abs().max() == 0


@pytest.fixture
def tiny_pipeline():
    return build.tiny_pipeline()


def test_errors_are_made_of_stories_and_read_again(starter, tmp_path):
    story = make_story(0, 1, 3, False)
    made = own_errors.make(starter, [story], depth=2)
    still = starter.encode(clip(story.worlds[0], story.events[0], story.worlds[1]))
    assert made.heads.shape == made.tails.shape == (2, *still.shape[1:2], *still.shape[3:])
    assert 0.005 < made.tails.abs().mean() < own_errors.DIRT
    with pytest.raises(ConfigError, match="no errors of a model"):
        own_errors.read(tmp_path / "none.safetensors")


def test_a_share_without_a_file_is_refused(tiny_runs, tmp_path):
    config = tiny_runs.generator
    config = dataclasses.replace(config, out=tmp_path, flow=dataclasses.replace(config.flow, error_share=0.5))
    with pytest.raises(ConfigError, match=r"training\.own_errors"):
        train_generator(config, True)


@pytest.fixture(scope="module")
def starter():
    return NextScenePipeline.from_pretrained("assets/starter")
