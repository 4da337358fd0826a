"""A model's own errors: measured on its clips, added to what it continues from, and what it is then asked for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nsp_core.errors import ConfigError
from nsp_core.model import build
from nsp_core.pipeline import NextScenePipeline
from nsp_core.types import NextScene, SamplingOptions
from tests.training.test_flow_matching import calls  # noqa: F401 (a fixture)
from tests.training.tiny_parts import CHANNELS, LATENT, flow_objective
from training import own_errors, recycling
from training.flow_matching import with_own_errors
from training.picturebook.draw import clip
from training.recycling import OwnErrors, OwnRows
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
    made = own_errors.make(starter, [story], depth=2, steps=4)
    still = starter.encode(clip(story.worlds[0], story.events[0], story.worlds[1]))
    assert made.heads.shape == made.tails.shape == (2, *still.shape[1:2], *still.shape[3:])
    assert 0.005 < made.tails.abs().mean() < own_errors.DIRT
    rows = made.rows
    assert rows.of.tolist() == [0, 0, 0, 1, 1, 1]  # two events and nothing at all, after each clip
    assert not torch.equal(rows.latents[0], rows.latents[1])
    after = starter.encode(clip(story.worlds[1], story.events[1], story.worlds[2]))[0]
    alike = torch.isclose(rows.latents[0].float(), after, rtol=1e-2, atol=1e-4)  # bfloat16, encoded beside others
    assert alike.all(), "the story's own event comes first"
    assert not torch.isclose(rows.latents[1].float(), after, rtol=1e-2, atol=1e-4).all()
    save_file(own_errors.tensors_of(made), tmp_path / "made.safetensors")
    again = recycling.read(tmp_path / "made.safetensors")
    assert torch.equal(again.tails, made.tails) and torch.equal(again.rows.conditions, rows.conditions)
    with pytest.raises(ConfigError, match="no errors of a model"):
        recycling.read(tmp_path / "none.safetensors")


def own_rows(count=3):
    """Known clips of the model's own: everything of row i is i."""
    number = torch.arange(1.0, count + 1)
    base = flow_objective().cache
    latents = number[:, None, None, None, None].expand(count, *base.latents.shape[1:]).clone()
    conditions = number[:, None, None].expand(count, *base.conditions.shape[2:]).clone()
    tails = number[:, None, None, None].expand(count, *base.tails.shape[1:]).clone()
    errors_ = torch.full((1, *CELLS), 0.5), torch.full((1, *CELLS), -0.25)
    return OwnErrors(*errors_, OwnRows(latents, tails, conditions, torch.zeros(count), torch.zeros(count).long()))


def test_a_clip_of_its_own_is_continued_with_its_own_errors_and_no_others(calls):  # noqa: F811
    objective = flow_objective(own_share=1.0, error_share=1.0, error_scale=9.0, drop=0.0)
    objective.errors = own_rows()
    batch = objective.batch(np.random.default_rng(0))
    assert batch["own"].all()
    objective.loss(batch, torch.Generator().manual_seed(0))
    wanted = batch["own_index"].float() + 1
    seen = calls[0]["x"]
    assert torch.allclose(seen[:, :, 0].mean((1, 2, 3)), wanted + 0.5), "shown: the last frame with its error"
    sigma = calls[0]["sigma"]
    # the clip stays as it was, so that what is asked for is to be rid of the tail's error
    clean = 0.25 / objective.cache.residual_scale.mean()
    away = (seen[:, :, 1:].mean((1, 2, 3, 4)) - (1 - sigma) * clean) / sigma
    assert away.abs().max() < 0.2


def test_own_clips_come_in_the_share_that_was_asked_for_and_change_nothing_else():
    plain, mixed = flow_objective(), flow_objective(own_share=0.25)
    mixed.errors = own_rows()
    one, other = (o.batch(np.random.default_rng(3)) for o in (plain, mixed))
    assert "own" not in one and all(torch.equal(one[k], other[k]) for k in one)
    many = [mixed.batch(np.random.default_rng(i))["own"].float().mean() for i in range(200)]
    assert float(np.mean(many)) == pytest.approx(0.25, abs=0.05)


def test_a_share_without_a_file_is_refused(tiny_runs, tmp_path):
    config = tiny_runs.generator
    config = dataclasses.replace(config, out=tmp_path, flow=dataclasses.replace(config.flow, error_share=0.5))
    with pytest.raises(ConfigError, match=r"training\.own_errors"):
        train_generator(config, True)


@pytest.fixture(scope="module")
def starter():
    return NextScenePipeline.from_pretrained("assets/starter")
