"""One stochastic step of the sampler, in three forms, and the steps of a rollout that are stochastic.

`dance` is the paper's equation with a constant sigma_t (DanceGRPO): dx = [v + eta^2/(2s) (x + (1-s) v)] dt + eta dw.
`flow` is the same with Flow-GRPO's sigma_t = a sqrt(s / (1 - s)) (sd3_sde_with_logprob.py; at s = 1 the next sigma
stands in for s in the denominator). `cps` keeps the noise level exact, so that the last picture has no grain
(Flow-GRPO's sde_type "cps"). What sigma_t the paper used is not reported.

Knows nothing of models or rewards. Letters: B rows, s the noise level, which runs from 1 to 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nsp_core import flow
from nsp_core.flow import SdeStep

Form = Literal["flow", "dance", "cps"]


@dataclass(frozen=True)
class Sde:
    form: Form = "flow"
    level: float = 0.7  # Flow-GRPO's a, DanceGRPO's eta, CPS's a in [0, 1]


def sde_step(
    sde: Sde,
    x: Tensor,
    velocity: Tensor,
    sigma: float,
    sigma_next: float,
    *,
    noise: Tensor | None = None,
    sample: Tensor | None = None,
) -> SdeStep:
    """Take a step with `noise`, or score one that was taken (`sample`). All (B, ...), fp32.

    The log-probability is a mean over dimensions; that of `cps` is -(sample - mean)^2 without the constants, as in its
    source. At level 0 and at the last step (sigma_next 0) the step is Euler's and the log-probability zero.
    """
    if sde.level == 0 or sigma_next <= 0:
        mean = flow.euler_step(x.float(), velocity.float(), sigma, sigma_next)
        return SdeStep(mean, x.new_zeros(len(x), dtype=torch.float32), mean, 0.0)
    if sde.form != "cps":
        return flow.sde_step(
            x, velocity, sigma, sigma_next, deviation(sde, sigma, sigma_next), noise=noise, sample=sample
        )
    x, velocity = x.float(), velocity.float()
    std = sigma_next * math.sin(sde.level * math.pi / 2)
    clean, pure = flow.predict_clean(x, velocity, sigma), x + (1 - sigma) * velocity
    mean = (1 - sigma_next) * clean + math.sqrt(sigma_next**2 - std**2) * pure
    if sample is None:
        if noise is None:
            raise ValueError("sde_step needs `noise` to draw a sample or `sample` to score one.")
        sample = mean + std * noise.float()
    return SdeStep(sample, -(sample.detach() - mean).square().flatten(1).mean(1), mean, std)


def deviation(sde: Sde, sigma: float, sigma_next: float) -> float:
    """sigma_t of the paper's equation: the noise of a step is this times sqrt(-dt)."""
    if sde.form == "dance":
        return sde.level
    return sde.level * math.sqrt(sigma / (1 - (sigma_next if sigma >= 1 else sigma)))


def stochastic_steps(total: int, window: int, every: int, update: int) -> tuple[int, ...]:
    """Which of `total` steps have noise at `update`. Never the last: its noise would be seen as grain.

    `window` 0: all the others. Else MixGRPO's sliding window: `window` steps in a row, which move by one towards the
    clean end every `every` updates and begin again at the noisy end.
    """
    if not window:
        return tuple(range(total - 1))
    places = total - window
    if places < 1:
        raise ValueError(f"A window of {window} steps needs more than {window} steps, got {total}.")
    start = update // every % places
    return tuple(range(start, start + window))
