"""Flow matching on a synthetic cache: what is noisy, what is scored, what learns, and what the condition is worth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from nsp_core import flow
from tests.training.tiny_parts import CHANNELS, LATENT, QUERIES, flow_cache, flow_objective
from training import flow_matching
from training.flow_matching import changed_cells
from training.optim import Optimiser


@pytest.fixture
def calls(monkeypatch):
    """What is handed to the transformer, which answers zero velocity."""
    seen = []

    def zero(transformer, x, sigma, condition, *, clean_frames, rope_scale):
        seen.append({"x": x, "sigma": sigma, "condition": condition, "clean": clean_frames})
        return torch.zeros_like(x)

    monkeypatch.setattr(flow_matching, "predict_velocity", zero)
    return seen


def run(objective, cut):
    index = torch.arange(len(cut))
    states = objective.cache.conditions[index, 0].float()
    generator = torch.Generator().manual_seed(0)
    return objective.flow_loss(objective.cache, index, states, torch.tensor(cut), generator)


def test_continue_hands_over_a_clean_first_latent_and_noisy_others(calls):
    objective = flow_objective()
    run(objective, [False] * 4)
    (call,) = calls
    cache = objective.cache
    assert call["clean"] == 1
    assert torch.equal(call["x"][:, :, 0], cache.latents[:4, :, 0].float())
    residual = cache.latents[:4, :, 1:].float() - cache.tails[:4, :, None].float()
    away = (call["x"][:, :, 1:] - (1 - call["sigma"])[:, None, None, None, None] * residual).flatten(1).std(1)
    assert torch.allclose(away, call["sigma"], rtol=0.5)  # what is left is noise of the size of sigma


def test_cut_rows_are_noisy_everywhere_and_have_no_reference(calls):
    objective = flow_objective()
    run(objective, [True] * 4)
    (call,) = calls
    latents = objective.cache.latents[:4].float()
    assert call["clean"] == 0
    away = (call["x"] - (1 - call["sigma"])[:, None, None, None, None] * latents).std((1, 3, 4))
    assert torch.allclose(away, call["sigma"][:, None].expand_as(away), rtol=0.6)


def test_a_mixed_batch_is_one_pass_a_mode_with_each_row_in_its_own(calls):
    objective = flow_objective()
    loss, parts = run(objective, [False, True, False, True])
    assert [(c["clean"], len(c["x"])) for c in calls] == [(1, 2), (0, 2)]
    tokens = objective.module.connector(objective.cache.conditions[:4, 0].float())
    assert torch.allclose(calls[1]["condition"], tokens[[1, 3]], atol=1e-5)
    assert float(loss) == pytest.approx((parts["continue"] + parts["cut"]) / 2)


def test_the_clean_frame_is_not_scored(calls, monkeypatch):
    """A zero velocity there would be far from the target (noise - clean); the loss is that of the other frames."""
    objective = flow_objective(changed_weight=0.0)
    targets = []
    monkeypatch.setattr(flow, "velocity_target", lambda clean, noise: targets.append(noise - clean) or noise - clean)
    loss, _ = run(objective, [False] * 4)
    assert float(loss) == pytest.approx(float(targets[0][:, :, 1:].square().mean()), rel=1e-4)


def test_changed_cells_weigh_more(calls):
    plain, heavy = (float(run(flow_objective(changed_weight=w), [False] * 4)[0]) for w in (0.0, 50.0))
    assert heavy != pytest.approx(plain, rel=1e-3)
    reference = torch.zeros(1, CHANNELS, *LATENT)
    latents = reference.clone()
    latents[0, :, 1, 0, 2] = 0.3
    latents[0, 0, 2, 1, 1] = 1.0  # one channel of twelve: below the threshold on average
    assert changed_cells(latents, reference, 0.25).nonzero().tolist() == [[0, 0, 1, 0, 2]]


def test_batches_follow_the_shares_and_beginnings_are_always_cut():
    objective = flow_objective(pairs=30, batch=3000, cut_share=0.2, drop=0.1)
    labels = objective.cache.labels.clone()
    labels[:10] = -1
    objective.cache = dataclasses.replace(objective.cache, labels=labels)
    batch = objective.batch(np.random.default_rng(0))
    begins = labels[batch["index"]] < 0
    assert batch["cut"][begins].all()
    assert batch["cut"][~begins].float().mean() == pytest.approx(0.2, abs=0.05)
    assert batch["drop"].float().mean() == pytest.approx(0.1, abs=0.03)
    assert set(batch["wording"].tolist()) == {0, 1}
    again = objective.batch(np.random.default_rng(0))
    assert all(torch.equal(batch[k], again[k]) for k in batch)


def test_dropped_conditions_are_the_null_prompt(calls):
    objective = flow_objective()
    objective.cache = dataclasses.replace(objective.cache, null=torch.full((QUERIES, 24), 0.5))
    batch = {
        "index": torch.arange(2),
        "wording": torch.zeros(2, dtype=torch.long),
        "cut": torch.tensor([False, False]),
        "drop": torch.tensor([True, False]),
    }
    objective.loss(batch, torch.Generator().manual_seed(0))
    expected = objective.module.connector(torch.full((1, QUERIES, 24), 0.5))[0]
    assert torch.allclose(calls[0]["condition"][0], expected, atol=1e-6)
    assert not torch.allclose(calls[0]["condition"][1], expected, atol=1e-2)


def test_the_gradient_reaches_connector_and_transformer_but_not_the_queries():
    objective = flow_objective()
    loss, _ = objective.loss(objective.batch(np.random.default_rng(0)), torch.Generator().manual_seed(0))
    loss.backward()
    module = objective.module
    assert module.connector.queries.grad is None and not module.connector.queries.requires_grad
    for name in ("input.weight", "output.weight", "norm.weight", "scale"):
        assert module.connector.get_parameter(name).grad.abs().sum() > 0, name
    missing = [n for n, p in module.transformer.named_parameters() if p.grad is None or not p.grad.any()]
    assert missing == []


def learn(objective, steps: int, rate: float = 0.02) -> list[float]:
    optimiser = Optimiser(objective.module.named_parameters(), muon_lr=rate, adam_lr=rate / 2)
    losses = []
    for step in range(steps):
        batch = objective.batch(np.random.default_rng((0, step)))
        loss, _ = objective.loss(batch, torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def test_four_pairs_are_learnt_by_heart():
    objective = flow_objective(pairs=4, batch=16, cut_share=0.0, drop=0.0)
    losses = learn(objective, 100)
    assert np.mean(losses[-20:]) < 0.4 * np.mean(losses[:5])


def test_held_out_words_are_worth_something_only_after_learning():
    objective = flow_objective(pairs=64, batch=32, cut_share=0.0, drop=0.0)
    objective.held_out = flow_cache(64, 7)
    before = objective.evaluate()
    learn(objective, 120)
    after = objective.evaluate()
    assert abs(before["continue_words_worth"]) < 0.05
    assert after["continue_words_worth"] > 0.1
    assert after["continue"] < before["continue"]


def test_evaluation_copes_with_chunks_of_beginnings_alone():
    objective = flow_objective()
    objective.held_out = dataclasses.replace(flow_cache(8, 3), labels=torch.full((8,), -1))
    figures = objective.evaluate()
    assert set(figures) == {"cut", "cut_words_worth"}
