"""Pure mathematics of rectified flow: x_s = (1 - s) x_0 + s * noise, velocity v = noise - x_0, s runs 1 -> 0.

Knows nothing of models or files. Traps that others fell into and that the code below avoids: noise is drawn in fp32
and cast later; timesteps are floats (sigma * 1000, never truncated); 1/sigma near zero is never formed (the last SDE
step is deterministic).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

TRAIN_TIMESTEPS = 1000  # the transformer's timestep is sigma times this


def shift_sigmas(u: Tensor, shift: float) -> Tensor:
    """Move mass to high noise: shift*u / (1 + (shift-1)*u) (Esser et al. 2024, eq. 23)."""
    return shift * u / (1 + (shift - 1) * u)


def sigma_schedule(steps: int, shift: float) -> Tensor:
    """(steps+1,) from 1 to 0. Raises ValueError when steps < 1."""
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}.")
    return shift_sigmas(torch.linspace(1, 0, steps + 1), shift)


def add_noise(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """`sigma` is (B,) or broadcastable to `clean`."""
    s = sigma.view(-1, *[1] * (clean.ndim - 1)) if sigma.ndim == 1 else sigma
    return (1 - s) * clean + s * noise


def velocity_target(clean: Tensor, noise: Tensor) -> Tensor:
    return noise - clean


def predict_clean(x: Tensor, velocity: Tensor, sigma: Tensor | float) -> Tensor:
    """x_0 as the model sees it now: the preview, and the last step of a stochastic rollout."""
    return x - sigma * velocity


def euler_step(x: Tensor, velocity: Tensor, sigma: Tensor | float, sigma_next: Tensor | float) -> Tensor:
    return x + (sigma_next - sigma) * velocity


class SdeStep(NamedTuple):
    sample: Tensor
    log_prob: Tensor  # (B,), mean over dimensions as in Flow-GRPO and DanceGRPO
    mean: Tensor
    std: float


def sde_step(
    x: Tensor,
    velocity: Tensor,
    sigma: float,
    sigma_next: float,
    eta: float,
    *,
    noise: Tensor | None = None,
    sample: Tensor | None = None,
) -> SdeStep:
    """One step of the SDE with the same marginals (paper, RL section; Flow-GRPO with std_t := eta, i.e. DanceGRPO).

    dx = [v + eta^2/(2s) (x + (1-s) v)] dt + eta sqrt(-dt) w. Give `noise` to sample, or `sample` to score one that was
    taken before. At sigma_next == 0 the step is deterministic and its log-probability zero. All in fp32.
    """
    x, velocity = x.float(), velocity.float()
    dt = sigma_next - sigma
    if sigma_next <= 0 or eta == 0:
        mean = x + dt * velocity
        return SdeStep(mean, x.new_zeros(len(x)), mean, 0.0)
    mean = x + (velocity + eta**2 / (2 * sigma) * (x + (1 - sigma) * velocity)) * dt
    std = eta * math.sqrt(-dt)
    if sample is None:
        if noise is None:
            raise ValueError("sde_step needs `noise` to draw a sample or `sample` to score one.")
        sample = mean + std * noise.float()
    per_dim = -((sample.detach() - mean) ** 2) / (2 * std**2) - math.log(std) - 0.5 * math.log(2 * math.pi)
    return SdeStep(sample, per_dim.flatten(1).mean(1), mean, std)


def guide(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance in fp32 (Ho and Salimans 2022)."""
    return unconditional.float() + scale * (conditional.float() - unconditional.float())
