"""The policy's loss for one step of some candidates: likelihood ratio, clipped surrogate, KL to a reference.

Knows nothing of models or rewards. All arguments are (B,) or (B, ...) fp32; means are over a row's dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nsp_core.flow import SdeStep


@dataclass(frozen=True)
class PolicyConfig:
    clip: float = 1e-4  # DanceGRPO's and Flow-GRPO's; not reported in the paper
    guard: bool = True  # GRPO-Guard's correction of the ratio
    kl: float = 0.0  # weight of the divergence from the model that RL began with
    moves: tuple[str, ...] = ("transformer",)  # and "bridge": the connector without its queries


@dataclass(frozen=True)
class Piece:
    loss: Tensor  # (B,)
    ratio: Tensor  # (B,)
    clipped: Tensor  # (B,) bool
    kl: Tensor  # (B,)


def policy_loss(
    now: SdeStep, before: SdeStep, advantages: Tensor, config: PolicyConfig, reference: Tensor | None = None
) -> Piece:
    """max(-A r, -A clip(r, 1-c, 1+c)) + kl * KL, a row. `before` is the step as it was taken; `reference` a mean."""
    ratio = likelihood_ratio(now, before, config.guard)
    bounded = ratio.clamp(1 - config.clip, 1 + config.clip)
    plain, held = -advantages * ratio, -advantages * bounded
    kl = torch.zeros_like(ratio)
    if reference is not None:
        kl = gaussian_kl(now.mean, reference, now.std)
    loss = torch.maximum(plain, held) + config.kl * kl
    return Piece(loss, ratio.detach(), (held > plain).detach(), kl.detach())


def likelihood_ratio(now: SdeStep, before: SdeStep, guard: bool) -> Tensor:
    """exp of the difference of mean log-probabilities.

    That difference is -mean(d^2)/(2 k^2) + mean(d e)/k, with d how far the mean moved, k the step's deviation and e its
    noise: always below zero on average, so that good candidates are never clipped, and steeper where k is small.
    GRPO-Guard (2025, as in Flow-Factory) takes the bias away and the scale out: exp(k * difference + mean(d^2)/(2 k)).
    """
    difference = now.log_prob - before.log_prob
    if not guard:
        return difference.exp()
    moved = (now.mean - before.mean).square().flatten(1).mean(1)
    return (now.std * difference + moved / (2 * now.std)).exp()


def gaussian_kl(mean: Tensor, reference: Tensor, std: float) -> Tensor:
    """KL of two normal laws of the same deviation, mean over dimensions: (B,)."""
    return (mean - reference).square().flatten(1).mean(1) / (2 * std**2)
