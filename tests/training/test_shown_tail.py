"""What a transformer is shown of the last clip: alike in training, in drawing and in reinforcement."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from nsp_core import pipeline as drawing
from nsp_core.latents import first_seen
from nsp_core.model import build
from tests.training.test_flow_matching import calls, run  # noqa: F401 (a fixture)
from tests.training.tiny_parts import flow_objective
from training import export
from training.flow_matching import Generator
from training.grpo.rollout import Condition, Policy
from training.run import provenance
from training.stages import train_generator


def reference_of(pipeline):
    """Latent 0 of a still, then another clip's tail."""
    torch.manual_seed(1)
    frames, height, width = pipeline.geometry.latent_shape
    channels = pipeline.vae.config.latent_channels
    head, tail = torch.randn(2, 1, channels, 1, height, width)
    return torch.cat([head, tail.expand(-1, -1, frames - 1, -1, -1)], 2)


def test_training_shows_the_tail_and_asks_for_the_same(calls):  # noqa: F811
    for shows_tail in (False, True):
        run(flow_objective(shows_tail=shows_tail), [False] * 4)
    frame, tail = calls
    cache = flow_objective().cache
    assert torch.equal(frame["x"][:, :, 0], cache.latents[:4, :, 0].float())
    assert torch.equal(tail["x"][:, :, 0], cache.tails[:4].float())
    assert torch.equal(frame["x"][:, :, 1:], tail["x"][:, :, 1:])


@pytest.mark.parametrize("kind", ["repeat_last", "repeat_tail"])
def test_drawing_shows_what_training_showed_and_reinforcement_too(kind, monkeypatch):
    pipeline = build.tiny_pipeline()
    pipeline.register_to_config(reference=kind)
    reference = reference_of(pipeline)
    states = torch.randn(2, 8, 64)
    x = torch.randn_like(reference)
    seen, real = [], drawing.predict_velocity
    monkeypatch.setattr(
        drawing, "predict_velocity", lambda t, x, *args, **kw: seen.append(x) or real(t, x, *args, **kw)
    )
    with torch.no_grad():
        conditions = tuple(pipeline.connector(s[None]) for s in states)
        drawn = pipeline.velocity(x, 0.7, conditions, reference, 2.0)
        module = Generator(pipeline.connector, pipeline.transformer)
        policy = Policy(module, 2.0, tuple(pipeline.config.rope_scale), pipeline.config.reference)
        taken = policy.velocity(x[:, :, 1:], 0.7, Condition(states[0], states[1], reference[0]))
    assert torch.equal(seen[0][:1, :, :1], reference[:, :, 1:2] if kind == "repeat_tail" else reference[:, :, :1])
    assert torch.allclose(drawn[:, :, 1:], taken, atol=1e-5)


def test_the_clip_begins_with_the_last_frame_whatever_was_shown():
    pipeline = build.tiny_pipeline()
    pipeline.register_to_config(reference="repeat_tail")
    reference = reference_of(pipeline)
    latents = pipeline.to_latents(torch.zeros_like(reference), reference)
    assert torch.equal(latents, reference)  # a residual of nothing
    assert not torch.equal(first_seen(reference, "repeat_tail"), latents[:, :, :1])


@pytest.mark.parametrize("shows_tail", [False, True])
def test_a_model_says_what_its_transformer_was_shown(tiny_runs, tmp_path, shows_tail):
    given = tiny_runs.generator
    flow = dataclasses.replace(given.flow, shows_tail=shows_tail)
    config = dataclasses.replace(given, out=tmp_path / "run", cache=tmp_path / "cache", flow=flow, minutes=0.0)
    config.out.mkdir()
    (config.out / "run.json").write_text(json.dumps(provenance(config)))
    assert train_generator(config, True) == 75
    made = export.assemble(tiny_runs.vae.out, tiny_runs.reader.out, config.out)
    assert made.config.reference == ("repeat_tail" if shows_tail else "repeat_last")
