"""Muon and its companion: what is orthogonalised, who updates what, and that a stored state goes on exactly."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from training.optim import Muon, Optimiser, is_matrix, orthogonalise


@pytest.mark.parametrize("shape", [(32, 32), (16, 96), (96, 16)])
def test_orthogonalise_gives_a_nearly_semi_orthogonal_matrix(shape):
    out = orthogonalise(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    assert out.shape == shape and out.dtype == torch.float32
    # five quintic steps bring every singular value near 1, not to 1 (Muon's coefficients trade that for speed)
    values = torch.linalg.svdvals(out)
    assert values.min() > 0.4 and values.max() < 1.3


def test_orthogonalise_keeps_the_directions_of_a_low_rank_update_and_survives_nothing():
    generator = torch.Generator().manual_seed(0)
    update = torch.randn(24, 2, generator=generator) @ torch.randn(2, 40, generator=generator)
    out = orthogonalise(update)
    left, _, right = torch.linalg.svd(update)
    # what the gradient says is kept and brought to size 1; of the rest only bf16's rounding is seen
    inside = left[:, :2].T @ out @ right[:2].T
    assert torch.allclose(inside, torch.eye(2), atol=0.4)
    assert torch.isfinite(orthogonalise(torch.zeros(8, 8))).all()


def test_matrices_go_to_muon_and_the_rest_to_adam():
    module = nn.ModuleDict(
        {
            "proj_in": nn.Linear(16, 32),
            "hidden": nn.Linear(32, 32),
            "kernel": nn.Conv3d(16, 16, 3),
            "narrow": nn.Linear(32, 4),
            "norm": nn.LayerNorm(32),
            "frozen": nn.Linear(32, 32),
        }
    )
    module["frozen"].requires_grad_(False)
    optimiser = Optimiser(module.named_parameters(), muon_lr=1.0, adam_lr=1.0, adam_names=("proj_in",))
    names = {id(p): n for n, p in module.named_parameters()}

    def owned(inner: torch.optim.Optimizer | None) -> set[str]:
        assert inner is not None
        return {names[id(p)] for g in inner.param_groups for p in g["params"]}

    assert owned(optimiser.parts["muon"][0]) == {"hidden.weight", "kernel.weight"}
    assert owned(optimiser.parts["adam"][0]) == {
        *("proj_in.weight", "proj_in.bias", "hidden.bias", "kernel.bias"),
        *("narrow.weight", "narrow.bias", "norm.weight", "norm.bias"),
    }
    assert not is_matrix("bias", torch.zeros(64), ())


def test_a_muon_step_has_the_size_that_it_promises():
    weight = nn.Parameter(torch.zeros(32, 64))
    weight.grad = torch.randn(32, 64, generator=torch.Generator().manual_seed(0)) * 1e-4
    Muon([weight], lr=0.1).step()
    # singular values near 1, 32 of them, times 0.2 sqrt(64): a root mean square near 0.2 whatever the gradient's size
    assert 0.1 * 0.2 * 0.6 < weight.detach().square().mean().sqrt() < 0.1 * 0.2 * 1.2


def test_muon_moves_against_the_gradient_and_both_descend():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 16))
    optimiser = Optimiser(net.named_parameters(), muon_lr=0.02, adam_lr=0.01)
    x = torch.randn(64, 16)
    y = torch.sin(2 * x)
    first = last = 0.0
    for step in range(60):
        loss = (net(x) - y).square().mean()
        last = float(loss.detach())
        first = last if step == 0 else first
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert last < 0.4 * first


def test_a_rate_scales_both_and_a_stored_state_goes_on_bit_by_bit():
    torch.manual_seed(0)
    one = nn.Linear(16, 16)
    two = copy.deepcopy(one)
    first, second = (Optimiser(m.named_parameters(), muon_lr=0.1, adam_lr=0.2) for m in (one, two))

    def step(module: nn.Module, optimiser: Optimiser, seed: int) -> None:
        for p in module.parameters():
            p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(seed))
        optimiser.set_lr(0.5)
        optimiser.step()

    step(one, first, 1)
    two.load_state_dict(one.state_dict())
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    step(one, first, 2)
    step(two, second, 2)
    muon, adam = (first.parts[name][0] for name in ("muon", "adam"))
    assert muon.param_groups[0]["lr"] == 0.05 and adam.param_groups[0]["lr"] == 0.1
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_momentum_without_state_would_step_elsewhere():
    """The exactness above is not vacuous: momentum matters to the second step."""
    weights = [nn.Parameter(torch.zeros(16, 16)) for _ in range(2)]
    for keep, weight in zip((True, False), weights, strict=True):
        optimiser = Muon([weight], lr=0.1)
        for seed in (1, 2):
            weight.grad = torch.randn(16, 16, generator=torch.Generator().manual_seed(seed))
            if not keep:
                optimiser.state.clear()
            optimiser.step()
    assert not torch.equal(*weights)


def test_adamw_alone_leaves_nothing_to_muon():
    optimiser = Optimiser(nn.Linear(32, 32).named_parameters(), muon_lr=1.0, adam_lr=0.5, kind="adamw")
    assert set(optimiser.parts) == {"adam"}
    assert len(optimiser.parts["adam"][0].param_groups[0]["params"]) == 2


def test_prodigy_finds_a_rate_for_each_part():
    """A quadratic bowl that is ten thousand times wider for one part: with one shared rate, one of them would stand
    still or fly."""
    torch.manual_seed(0)
    module = nn.ModuleDict({"near": nn.Linear(4, 1, bias=False), "far": nn.Linear(4, 1, bias=False)})
    goals = {"near": 1e-2, "far": 1e2}
    for part in module.values():
        nn.init.zeros_(part.weight)
    optimiser = Optimiser(module.named_parameters(), muon_lr=1.0, adam_lr=1.0, kind="prodigy")
    assert set(optimiser.parts) == {"prodigy near", "prodigy far"}
    for _ in range(300):
        optimiser.zero_grad()
        sum((module[n].weight - goal).square().sum() for n, goal in goals.items()).backward()
        optimiser.set_lr(1.0)
        optimiser.step()
    rates = {n: optimiser.parts[f"prodigy {n}"][0].param_groups[0]["d"] for n in goals}
    assert rates["far"] > 100 * rates["near"]
    for name, goal in goals.items():
        assert torch.allclose(module[name].weight, torch.full((1, 4), goal), rtol=0.2), name
