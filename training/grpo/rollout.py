"""Candidates of one scene: noise to clean latents by the model that is being taught, with what an update needs kept.

What is stepped are the latents that the model has to invent: of a continued clip the first latent frame is given, so it
has no noise and no part in a likelihood. Knows nothing of judges or losses.

Letters: N candidates, K stochastic steps, C, F, h, w latents (F without the given frame), Q queries, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from nsp_core import flow
from nsp_core.latents import Reference, first_seen
from nsp_core.model.velocity import predict_velocity
from training.flow_matching import Generator
from training.grpo.sde import Sde, sde_step, stochastic_steps


@dataclass(frozen=True)
class RolloutConfig:
    steps: int = 10
    guidance: float = 1.0  # above 1: guided in rollouts and in the update, the gradient through both branches
    shift: float | None = None  # None: what the model recommends for the mode
    sde: Sde = Sde()
    same_noise: bool = False  # one initial noise for the group; the steps' noise is always each candidate's own
    window: int = 0  # so many stochastic steps in a row, which slide (MixGRPO); 0: all but the last
    window_every: int = 25  # updates until the window moves on
    fraction: float = 1.0  # share of the stochastic steps that is trained on, drawn anew for each rollout
    micro_batch: int = 8  # candidates in one pass of the model


@dataclass(frozen=True)
class Condition:
    """What one scene is drawn from."""

    states: Tensor  # (Q, D), the reader's queries
    null: Tensor  # (Q, D), the same for the empty prompt
    reference: Tensor | None  # (C, F + 1, h, w) of *continue*; None is a cut


@dataclass(frozen=True)
class Taken:
    """One stochastic step of some candidates, as it was taken."""

    sigma: float
    sigma_next: float
    x: Tensor  # (N, C, F, h, w) before it
    after: Tensor
    mean: Tensor
    log_prob: Tensor  # (N,)
    std: float

    def rows(self, wanted: Sequence[int]) -> Taken:
        index = list(wanted)
        return Taken(
            *(self.sigma, self.sigma_next),
            *(t[index] for t in (self.x, self.after, self.mean, self.log_prob)),
            self.std,
        )

    @property
    def step(self) -> flow.SdeStep:
        return flow.SdeStep(self.after, self.log_prob, self.mean, self.std)


@dataclass
class Policy:
    module: Generator
    guidance: float = 1.0
    rope_scale: tuple[float, ...] = (2.0, 128.0, 128.0)
    reference: Reference = "repeat_last"

    def velocity(self, x: Tensor, sigma: float, condition: Condition) -> Tensor:
        """Guided velocity (N, C, F, h, w) in fp32; the given frame is put before `x` and its velocity left out."""
        size, given = len(x), 0
        if condition.reference is not None:
            first = first_seen(condition.reference[None], self.reference)
            x = torch.cat([first.to(x).expand(size, -1, -1, -1, -1), x], 2)
            given = 1
        tokens = self.module.connector(condition.states[None].float()).expand(size, -1, -1)
        if self.guidance != 1:
            null = self.module.connector(condition.null[None].float()).expand(size, -1, -1)
            tokens, x = torch.cat([tokens, null]), torch.cat([x, x])
        out = predict_velocity(
            self.module.transformer,
            x,
            torch.full((len(x),), sigma, device=x.device),
            tokens,
            clean_frames=given,
            rope_scale=self.rope_scale,
        ).float()
        v = flow.guide(out[:size], out[size:], self.guidance) if self.guidance != 1 else out
        return v[:, :, given:]


def sigmas_of(config: RolloutConfig, recommended: float) -> list[float]:
    """The noise levels of a rollout, 1 to 0."""
    return flow.sigma_schedule(config.steps, recommended if config.shift is None else config.shift).tolist()


@torch.no_grad()
def roll_out(
    policy: Policy,
    condition: Condition,
    count: int,
    shape: tuple[int, int, int, int],
    sigmas: Sequence[float],
    config: RolloutConfig,
    generator: torch.Generator,
    update: int,
    stochastic: bool = True,
) -> tuple[Tensor, list[Taken]]:
    """-> clean latents (count, C, F, h, w) as the model predicts them, and the stochastic steps in their order.

    All noise is drawn before the first pass, so it does not depend on the size of a micro-batch.
    """
    total, device = len(sigmas) - 1, generator.device
    steps = stochastic_steps(total, config.window, config.window_every, update) if stochastic else ()

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, device=device)

    first = normal(1, *shape).expand(count, -1, -1, -1, -1) if config.same_noise else normal(count, *shape)
    noise = {index: normal(count, *shape) for index in steps}
    ends: list[Tensor] = []
    taken: dict[int, list[Taken]] = {index: [] for index in steps}
    for start in range(0, count, config.micro_batch):
        rows = slice(start, min(start + config.micro_batch, count))
        x = first[rows].clone()
        for index in range(total):
            sigma, sigma_next = sigmas[index], sigmas[index + 1]
            v = policy.velocity(x, sigma, condition)
            if index in taken:
                made = sde_step(config.sde, x, v, sigma, sigma_next, noise=noise[index][rows])
                taken[index].append(Taken(sigma, sigma_next, x, made.sample, made.mean, made.log_prob, made.std))
                x = made.sample
            else:
                x = flow.euler_step(x, v, sigma, sigma_next)
        ends.append(x)
    return torch.cat(ends), [joined(parts) for parts in taken.values()]


def joined(parts: list[Taken]) -> Taken:
    one = parts[0]
    tensors = (torch.cat([getattr(p, name) for p in parts]) for name in ("x", "after", "mean", "log_prob"))
    return Taken(one.sigma, one.sigma_next, *tensors, one.std)


def trained_steps(count: int, fraction: float, generator: torch.Generator) -> list[int]:
    """Which of `count` stochastic steps a rollout is trained on (DanceGRPO draws them a candidate; we a rollout, so
    that the candidates of a pass are at one noise level, as they were when they were taken)."""
    wanted = max(1, round(count * fraction))
    drawn = torch.randperm(count, generator=generator, device=generator.device)[:wanted]
    return sorted(drawn.tolist())


Mode = Literal["continue", "cut"]


def free_shape(pipeline: Any, mode: Mode) -> tuple[int, int, int, int]:
    """(C, F, h, w) of what has to be invented."""
    frames, height, width = pipeline.geometry.latent_shape
    return pipeline.vae.config.latent_channels, frames - (mode == "continue"), height, width


def to_frames(pipeline: Any, clean: Tensor, condition: Condition) -> Any:
    """(C, F, h, w) of one candidate -> (T, H, W, 3) uint8."""
    if condition.reference is None:
        return pipeline.decode(pipeline.to_latents(clean[None], None))
    reference = condition.reference[None].to(clean)
    whole = torch.cat([reference[:, :, :1], clean[None]], 2)
    return pipeline.decode(pipeline.to_latents(whole, reference))
