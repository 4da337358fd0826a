"""The mathematics of rectified flow against its equations, and the loop that walks through it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nsp_core import flow
from nsp_core.sampler import denoise


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --- schedules ------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(steps=st.integers(1, 100), shift=st.floats(0.5, 12))
def test_a_schedule_falls_from_one_to_zero(steps: int, shift: float) -> None:
    sigmas = flow.sigma_schedule(steps, shift)
    assert sigmas.shape == (steps + 1,)
    assert float(sigmas[0]) == pytest.approx(1, abs=1e-6) and sigmas[-1] == 0
    assert (sigmas.diff() < 0).all()


def test_a_shift_moves_steps_to_high_noise() -> None:
    plain, shifted = flow.sigma_schedule(10, 1.0), flow.sigma_schedule(10, 4.0)
    torch.testing.assert_close(plain, torch.linspace(1, 0, 11))
    assert (shifted[1:-1] > plain[1:-1]).all()
    assert float(flow.shift_sigmas(torch.tensor(0.5), 3.0)) == pytest.approx(0.75)


def test_no_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        flow.sigma_schedule(0, 1.0)


# --- the straight path ----------------------------------------------------------------------------------------------


def test_noise_is_mixed_in_by_each_items_own_sigma() -> None:
    clean, noise = random(3, 4, 2, 5), random(3, 4, 2, 5, seed=1)
    mixed = flow.add_noise(clean, noise, torch.tensor([0.0, 0.25, 1.0]))
    torch.testing.assert_close(mixed[0], clean[0])
    torch.testing.assert_close(mixed[1], 0.75 * clean[1] + 0.25 * noise[1])
    torch.testing.assert_close(mixed[2], noise[2])


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_euler_is_exact_on_a_straight_path(steps: int) -> None:
    clean, noise = random(2, 8), random(2, 8, seed=1)
    velocity = flow.velocity_target(clean, noise)
    walked = list(denoise(lambda *_: velocity, noise, flow.sigma_schedule(steps, 2.0)))
    torch.testing.assert_close(walked[-1].x, clean, atol=1e-5, rtol=1e-5)
    for step in walked:
        torch.testing.assert_close(step.clean, clean, atol=1e-5, rtol=1e-5)  # a preview is right from the first step
        torch.testing.assert_close(step.x, flow.add_noise(clean, noise, torch.tensor(step.sigma)), atol=1e-5, rtol=1e-5)


def test_the_loop_counts_steps_and_asks_once_a_step() -> None:
    asked: list[float] = []

    def velocity(x: Tensor, sigma: float) -> Tensor:
        asked.append(sigma)
        return torch.zeros_like(x)

    sigmas = flow.sigma_schedule(4, 3.0)
    loop = denoise(velocity, random(1, 3), sigmas)
    first = next(loop)
    assert (first.index, first.total, len(asked)) == (1, 4, 1), "a step that nobody asked for was made"
    rest = list(loop)
    assert [step.index for step in rest] == [2, 3, 4]
    assert asked == pytest.approx(sigmas[:-1].tolist())
    assert rest[-1].sigma == 0


def test_guidance_goes_on_past_the_condition() -> None:
    with_words, without = torch.tensor([3.0], dtype=torch.bfloat16), torch.tensor([1.0], dtype=torch.bfloat16)
    assert flow.guide(with_words, without, 1.0).tolist() == [3.0]
    assert flow.guide(with_words, without, 2.5).tolist() == [6.0]
    assert flow.guide(with_words, without, 2.5).dtype == torch.float32


# --- the stochastic step --------------------------------------------------------------------------------------------


def written_out(x: float, v: float, sigma: float, sigma_next: float, eta: float) -> tuple[float, float]:
    """Mean and deviation of one step, symbol by symbol: dx = [v + eta^2/(2s) (x + (1-s) v)] dt + eta sqrt(-dt) w."""
    dt = sigma_next - sigma
    drift = v + (eta * eta) / (2.0 * sigma) * (x + (1.0 - sigma) * v)
    return x + drift * dt, eta * math.sqrt(-dt)


@settings(deadline=None)
@given(
    sigma=st.floats(0.1, 1.0),
    share=st.floats(0.05, 0.95),
    eta=st.floats(0.05, 1.5),
    x=st.floats(-3, 3),
    v=st.floats(-3, 3),
)
def test_a_stochastic_step_is_the_equation(sigma: float, share: float, eta: float, x: float, v: float) -> None:
    sigma_next = sigma * share
    mean, deviation = written_out(x, v, sigma, sigma_next, eta)
    noise = torch.tensor([[0.7]])
    step = flow.sde_step(torch.tensor([[x]]), torch.tensor([[v]]), sigma, sigma_next, eta, noise=noise)
    assert float(step.mean) == pytest.approx(mean, abs=1e-4, rel=1e-4)
    assert step.std == pytest.approx(deviation, rel=1e-6)
    assert float(step.sample) == pytest.approx(mean + deviation * 0.7, abs=1e-4, rel=1e-4)


def test_log_probability_is_the_normal_density_of_ones_own_sample() -> None:
    x, velocity, noise = random(3, 4, 2), random(3, 4, 2, seed=1), random(3, 4, 2, seed=2)
    taken = flow.sde_step(x, velocity, 0.8, 0.7, 0.5, noise=noise)
    normal = torch.distributions.Normal(taken.mean, taken.std)
    torch.testing.assert_close(taken.log_prob, normal.log_prob(taken.sample).flatten(1).mean(1))
    again = flow.sde_step(x, velocity, 0.8, 0.7, 0.5, sample=taken.sample)
    torch.testing.assert_close(again.log_prob, taken.log_prob)
    other = flow.sde_step(x, velocity + 0.3, 0.8, 0.7, 0.5, sample=taken.sample)
    expected = torch.distributions.Normal(other.mean, other.std).log_prob(taken.sample).flatten(1).mean(1)
    torch.testing.assert_close(other.log_prob, expected)
    assert not torch.allclose(other.log_prob, taken.log_prob)


def test_a_score_moves_the_velocity_and_not_the_sample() -> None:
    x, velocity = random(2, 6), random(2, 6, seed=1).requires_grad_(True)
    step = flow.sde_step(x, velocity, 0.6, 0.5, 0.4, noise=random(2, 6, seed=2))
    step.log_prob.sum().backward()
    assert velocity.grad is not None
    # d log N / d mean = (sample - mean) / std^2, d mean / d velocity = (1 + eta^2/(2s) (1-s)) dt, a mean over 6
    by_hand = (step.sample - step.mean) / step.std**2 * (1 + 0.4**2 / 1.2 * 0.4) * -0.1 / 6
    torch.testing.assert_close(velocity.grad, by_hand.detach(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("sigma_next", "eta"), [(0.0, 0.7), (0.3, 0.0)])
def test_the_last_step_and_a_step_without_noise_are_eulers(sigma_next: float, eta: float) -> None:
    x, velocity = random(2, 6), random(2, 6, seed=1)
    step = flow.sde_step(x, velocity, 0.4, sigma_next, eta)
    torch.testing.assert_close(step.sample, flow.euler_step(x, velocity, 0.4, sigma_next))
    assert step.log_prob.tolist() == [0, 0] and step.std == 0


def test_a_stochastic_step_needs_noise_or_a_sample() -> None:
    with pytest.raises(ValueError, match="needs `noise`"):
        flow.sde_step(random(1, 2), random(1, 2), 0.5, 0.4, 0.3)


@pytest.mark.parametrize("eta", [0.0, 0.4, 0.9])
def test_noise_on_the_way_leaves_the_distribution_as_it_is(eta: float) -> None:
    """Data N(1.5, 0.5^2): its velocity is known in closed form, and so is the distribution at every sigma."""
    mean, deviation, steps, count = 1.5, 0.5, 400, 40_000
    generator = torch.Generator().manual_seed(3)

    def at(sigma: float) -> tuple[float, float]:
        return (1 - sigma) * mean, math.sqrt(((1 - sigma) * deviation) ** 2 + sigma**2)

    def velocity(x: Tensor, sigma: float) -> Tensor:
        centre, spread = at(sigma)
        slope = (sigma - (1 - sigma) * deviation**2) / spread**2  # regression of noise - data on x
        return -mean + slope * (x - centre)

    def stepper(x: Tensor, v: Tensor, sigma: float, sigma_next: float) -> Tensor:
        return flow.sde_step(x, v, sigma, sigma_next, eta, noise=torch.randn(x.shape, generator=generator)).sample

    x = torch.randn((count, 1), generator=generator)
    for step in denoise(velocity, x, flow.sigma_schedule(steps, 1.0), stepper):
        if step.index % 100 == 0:
            centre, spread = at(step.sigma)
            assert float(step.x.mean()) == pytest.approx(centre, abs=0.02), step.sigma
            assert float(step.x.std()) == pytest.approx(spread, rel=0.03), step.sigma
