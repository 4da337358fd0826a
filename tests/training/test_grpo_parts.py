"""GRPO in its parts: the stochastic step, who is trained on, what a candidate is worth, the policy's loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nsp_core import flow
from nsp_core.flow import SdeStep
from nsp_core.judges import Verdict
from training.grpo.advantages import GroupConfig, choose
from training.grpo.rewards import Weights, adherence, causal, combine, motion, motion_floor
from training.grpo.rollout import trained_steps
from training.grpo.sde import Sde, deviation, sde_step, stochastic_steps
from training.grpo.surrogate import PolicyConfig, gaussian_kl, likelihood_ratio, policy_loss

FORMS = [Sde("flow", 0.7), Sde("dance", 0.3), Sde("cps", 0.6)]


# -- the stochastic step ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("form", ["flow", "dance", "cps"])
def test_without_noise_a_step_is_eulers_to_the_bit(form):
    x, v = torch.randn(2, 3, 8, 4, 5)
    for sigma, sigma_next in ((1.0, 0.9), (0.5, 0.3), (0.2, 0.0)):
        made = sde_step(Sde(form, 0.0), x, v, sigma, sigma_next, noise=torch.randn_like(x))
        assert torch.equal(made.sample, flow.euler_step(x, v, sigma, sigma_next))
        assert made.std == 0 and torch.equal(made.log_prob, torch.zeros(3))


@pytest.mark.parametrize("sde", FORMS, ids=lambda s: s.form)
def test_the_last_step_is_what_the_model_takes_for_clean(sde):
    x, v = torch.randn(2, 3, 8, 4, 5)
    made = sde_step(sde, x, v, 0.3, 0.0, noise=torch.randn_like(x))
    assert torch.allclose(made.sample, flow.predict_clean(x, v, 0.3), atol=1e-6)
    assert torch.isfinite(made.log_prob).all() and made.std == 0


@pytest.mark.parametrize("sde", FORMS, ids=lambda s: s.form)
def test_the_law_of_the_samples_stays_what_it_was(sde):
    """Data of N(1.5, 0.5^2), whose exact velocity is known: with the noise the end has the same mean and spread."""
    mean, spread = 1.5, 0.5
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 1, generator=generator)
    sigmas = flow.sigma_schedule(100, 1.0).tolist()
    for sigma, sigma_next in zip(sigmas, sigmas[1:], strict=False):
        total = (1 - sigma) ** 2 * spread**2 + sigma**2
        off = x - (1 - sigma) * mean
        clean = mean + (1 - sigma) * spread**2 / total * off
        v = sigma / total * off - clean
        x = sde_step(sde, x, v, sigma, sigma_next, noise=torch.randn(x.shape, generator=generator)).sample
    assert float(x.mean()) == pytest.approx(mean, abs=0.05)
    # cps draws noise anew without the score's correction: it keeps each level's noise, not exactly the data's spread
    assert float(x.std()) == pytest.approx(spread, rel=0.35 if sde.form == "cps" else 0.06)


@pytest.mark.parametrize("sde", FORMS, ids=lambda s: s.form)
def test_scoring_a_step_that_was_taken_gives_its_own_log_probability(sde):
    x, v, noise = torch.randn(3, 3, 8, 4, 5)
    made = sde_step(sde, x, v, 0.8, 0.7, noise=noise)
    again = sde_step(sde, x, v, 0.8, 0.7, sample=made.sample)
    assert torch.equal(made.log_prob, again.log_prob)
    other = sde_step(sde, x, v + 5.0, 0.8, 0.7, sample=made.sample)
    assert (other.log_prob < made.log_prob).all()


def test_the_paper_form_with_flow_grpos_deviation_is_flow_grpos_code():
    """The mean as it stands in sd3_sde_with_logprob.py, against ours."""
    x, v = torch.randn(2, 2, 6)
    a, s, s_next = 0.7, 0.8, 0.65
    std, dt = math.sqrt(s / (1 - s)) * a, s_next - s
    theirs = x * (1 + std**2 / (2 * s) * dt) + v * (1 + std**2 * (1 - s) / (2 * s)) * dt
    made = sde_step(Sde("flow", a), x, v, s, s_next, noise=torch.zeros_like(x))
    assert torch.allclose(made.mean, theirs, atol=1e-5)
    assert made.std == pytest.approx(std * math.sqrt(-dt))
    assert deviation(Sde("flow", a), 1.0, 0.9) == pytest.approx(a * math.sqrt(1 / 0.1))


def test_the_window_slides_from_the_noisy_end_and_the_last_step_has_no_noise():
    assert stochastic_steps(5, 0, 1, 99) == (0, 1, 2, 3)
    seen = [stochastic_steps(5, 2, 2, update) for update in range(8)]
    assert seen == [(0, 1)] * 2 + [(1, 2)] * 2 + [(2, 3)] * 2 + [(0, 1)] * 2
    with pytest.raises(ValueError, match="window"):
        stochastic_steps(3, 3, 1, 0)


def test_a_share_of_the_steps_is_trained_on():
    generator = torch.Generator().manual_seed(0)
    drawn = [trained_steps(10, 0.6, generator) for _ in range(20)]
    assert all(len(set(d)) == 6 and d == sorted(d) for d in drawn)
    assert {i for d in drawn for i in d} == set(range(10))
    assert trained_steps(9, 1.0, generator) == list(range(9))


# -- advantages ---------------------------------------------------------------------------------------------------
ALL = GroupConfig(top=0, bottom=0, least=2, recentre=False)


def test_advantages_are_the_groups_own():
    found = choose([1.0, 0.0, 0.0, 1.0], ALL)
    assert found.rows == (0, 3, 1, 2)  # best first, equals in the order they were drawn
    assert found.advantages == pytest.approx((1, 1, -1, -1), rel=1e-3)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1])
def test_a_group_without_spread_teaches_nothing(value):
    found = choose([value] * 24, GroupConfig())
    assert found.rows == () and found.why == "flat"


def test_a_group_with_hardly_any_spread_can_be_left_out_too():
    rewards = [0.2, 0.21, 0.19, 0.2]
    assert max(choose(rewards, ALL).advantages) > 1  # a hundredth is as loud as a verdict
    quiet = GroupConfig(top=0, bottom=0, least=2, least_spread=0.1)
    assert choose(rewards, quiet).why == "flat"
    assert choose([0.2, 0.9, 0.2, 0.9], quiet).rows


def test_a_missing_reward_is_in_no_mean_and_not_trained_on():
    found = choose([1.0, None, 0.0, None, 0.0], ALL)
    same = choose([1.0, 0.0, 0.0], ALL)
    assert found.rows == (0, 2, 4)
    assert found.advantages == same.advantages  # as if those had never been drawn; a zero would have moved them
    assert choose([1.0, 0.0, 0.0, 0.0, 0.0], ALL).advantages != same.advantages


def test_a_group_with_too_few_verdicts_is_left_out():
    config = GroupConfig(candidates=8, least=4)
    assert choose([1.0, 0.0, 1.0] + [None] * 5, config).why == "missing"
    assert choose([1.0, 0.0, 1.0, 0.0] + [None] * 4, config).rows


def test_best_of_n_uses_the_full_groups_statistics_and_is_recentred():
    rewards = [1.0] * 18 + [0.0] * 6
    plain = choose(rewards, GroupConfig(recentre=False))
    assert plain.rows == (0, 1, 2, 3, 20, 21, 22, 23)
    # mean .75, deviation .433 of all 24, not of the eight: +.57 and -1.73
    assert plain.advantages == pytest.approx([0.577] * 4 + [-1.732] * 4, abs=2e-3)
    centred = choose(rewards, GroupConfig())
    assert sum(centred.advantages) == pytest.approx(0, abs=1e-9)
    assert centred.advantages == pytest.approx([1.155] * 4 + [-1.155] * 4, abs=2e-3)


def test_a_rare_success_is_bounded():
    found = choose([1.0] + [0.0] * 99, GroupConfig(candidates=100, top=1, bottom=1, recentre=False))
    assert found.advantages[0] == 5.0


def test_what_was_chosen_may_be_flat_though_the_group_is_not():
    """One missing the top: with 1 + 0 chosen there is nothing to compare."""
    assert choose([1.0, 0.0, 0.0], GroupConfig(top=1, bottom=0, least=2)).why == "flat"


# -- rewards: truth tables ----------------------------------------------------------------------------------------
def verdict(outcome, score=None):
    return Verdict(outcome, "because", "test", score=score)


@pytest.mark.parametrize(
    ("given", "graded", "worth"),
    [
        (verdict("pass"), False, 1.0),
        (verdict("fail"), False, 0.0),
        (verdict("missing"), False, None),
        (verdict("pass", 0.7), False, 1.0),
        (verdict("pass", 0.7), True, 0.7),
        (verdict("fail"), True, 0.0),
        (verdict("missing", 0.4), True, None),
    ],
)
def test_causal_consistency(given, graded, worth):
    assert causal(given, graded) == worth


def frames(*levels):
    return np.stack([np.full((4, 6, 3), level, np.uint8) for level in levels])


def test_motion_is_the_change_from_frame_to_frame():
    assert motion(frames(10, 10, 10)) == 0
    assert motion(frames(0, 250, 0)) == 250  # and no overflow of bytes
    assert motion(frames(7)) == 0
    table = {(10, 10): 0.0, (10, 11): 0.5, (10, 12): 1.0, (10, 90): 1.0}
    assert {k: motion_floor(frames(*k), 2.0) for k in table} == table
    assert motion_floor(frames(10, 10), 0.0) == 1.0


def test_adherence_is_the_way_from_nothing_to_what_was_told():
    still, told = frames(0, 0), frames(0, 100)
    table = {0: 0.0, 50: 0.5, 100: 1.0, 200: 1.0}
    assert {end: adherence(frames(0, end), told, still) for end in table} == table
    assert adherence(frames(0, 50), told, frames(0, 100)) is None  # nothing to see of what is told
    assert adherence(frames(0, 50), None, still) is None
    away = still.copy()
    told = still.copy()
    told[-1, :, :3], away[-1, :, 3:] = 100, 100
    assert adherence(away, told, still) == 0.0  # a change elsewhere is no adherence


def test_half_a_reward_is_missing():
    parts = {"causal": 1.0, "motion": 0.0, "adherence": None}
    assert combine(parts, Weights(1.0, 1.0, 0.0)) == 0.5
    assert combine(parts, Weights(1.0, 0.0, 0.0)) == 1.0
    assert combine(parts, Weights(1.0, 0.0, 0.1)) is None
    assert combine({**parts, "causal": None}, Weights(0.0, 1.0)) == 0.0  # logged only
    with pytest.raises(ValueError, match="weight"):
        combine(parts, Weights(0.0, 0.0, 0.0))


# -- the policy's loss --------------------------------------------------------------------------------------------
def steps(shift, std=0.3, rows=4, dims=2000, seed=0):
    """A step as it was taken, and the same scored by a model whose mean has moved."""
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(rows, dims, generator=generator)
    sample = mean + std * torch.randn(rows, dims, generator=generator)

    def scored(m):
        density = -((sample - m) ** 2) / (2 * std**2) - math.log(std) - 0.5 * math.log(2 * math.pi)
        return SdeStep(sample, density.mean(1), m, std)

    moved = mean + shift * torch.randn(rows, dims, generator=generator)
    return scored(mean), scored(moved)


def test_the_ratio_of_a_model_that_has_not_moved_is_one():
    before, _ = steps(0.0)
    for guard in (False, True):
        assert torch.equal(likelihood_ratio(before, before, guard), torch.ones(4))


def test_the_plain_ratio_is_biased_below_one_and_the_guarded_one_is_not():
    plain, guarded = [], []
    for seed in range(40):
        before, now = steps(0.06, seed=seed)
        plain.append(likelihood_ratio(now, before, False).mean())
        guarded.append(likelihood_ratio(now, before, True).mean())
    bias = 0.06**2 / (2 * 0.3**2)  # d^2 / (2 k^2)
    assert float(torch.stack(plain).mean()) == pytest.approx(1 - bias, abs=0.002)
    assert float(torch.stack(guarded).mean()) == pytest.approx(1, abs=0.0005)


def test_only_moves_that_go_on_in_the_good_direction_are_clipped():
    before, now = steps(0.02, dims=100_000)
    ratio = likelihood_ratio(now, before, False)  # below 1 - clip
    assert (ratio < 1 - 1e-4).all()
    config = PolicyConfig(clip=1e-4, guard=False)
    up = policy_loss(now, before, torch.ones(4), config)
    down = policy_loss(now, before, -torch.ones(4), config)
    assert not up.clipped.any() and down.clipped.all()
    assert torch.equal(up.loss, -ratio)
    assert torch.allclose(down.loss, torch.full((4,), 1 - 1e-4))


def test_kl_is_zero_at_the_reference_and_grows_with_the_distance():
    before, now = steps(0.1)
    assert torch.equal(gaussian_kl(before.mean, before.mean, 0.3), torch.zeros(4))
    assert float(gaussian_kl(now.mean, before.mean, 0.3).mean()) == pytest.approx(0.01 / 0.18, rel=0.1)
    config = PolicyConfig(kl=2.0, guard=False)
    with_kl = policy_loss(now, before, torch.ones(4), config, before.mean)
    without = policy_loss(now, before, torch.ones(4), config)
    assert torch.allclose(with_kl.loss - without.loss, 2 * with_kl.kl) and (with_kl.kl > 0).all()
