"""One denoising loop as a generator: progress, previews, cancelling and reinforcement learning all read the same one.

Knows nothing of models, prompts or geometry: the velocity is a function that is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from nsp_core.flow import euler_step, predict_clean

Velocity = Callable[[Tensor, float], Tensor]  # (x, sigma) -> velocity, both shaped like x
Stepper = Callable[[Tensor, Tensor, float, float], Tensor]  # (x, velocity, sigma, sigma_next) -> x


@dataclass(frozen=True)
class Step:
    """After step `index` (1 .. total): `x` at `sigma`, and the clean sample as it was estimated."""

    index: int
    total: int
    sigma: float
    x: Tensor
    clean: Tensor


def denoise(velocity: Velocity, x: Tensor, sigmas: Tensor, stepper: Stepper = euler_step) -> Iterator[Step]:
    """Walk `x` from sigmas[0] to sigmas[-1]; stop by closing the generator between steps."""
    total = len(sigmas) - 1
    for index in range(total):
        sigma, sigma_next = float(sigmas[index]), float(sigmas[index + 1])
        v = velocity(x, sigma)
        clean = predict_clean(x, v, sigma)
        x = stepper(x, v, sigma, sigma_next)
        yield Step(index + 1, total, sigma_next, x, clean)
