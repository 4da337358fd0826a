"""GRPO as it runs: a whole pipeline of random weights, a judge that looks at pixels, and the training loop."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nsp_core.errors import ConfigError
from nsp_core.judges import Verdict
from nsp_core.model import build
from tests.training.test_loop import assert_same_run
from tests.training.tiny_parts import StoppedAt, loop_config
from training import checkpoint, loop
from training.grpo.advantages import GroupConfig
from training.grpo.asks import HELD_OUT, AskConfig, story_of
from training.grpo.objective import RewardConfig
from training.grpo.rewards import Weights
from training.grpo.rollout import RolloutConfig, free_shape, roll_out
from training.grpo.sde import Sde
from training.grpo.stage import GrpoConfig, check, new_objective
from training.grpo.surrogate import PolicyConfig
from training.objective import Remembering, StopTraining
from training.picturebook.words import corpus


class PixelJudge:
    """Passes what is redder at its end than `level`; `silent` says how many of its answers are missing."""

    def __init__(self, name: str = "red", level: float | None = None, silent: int = 0) -> None:
        self.name, self.level, self.silent, self.asked = name, level, silent, 0

    def judge(self, context, scene):  # noqa: ARG002
        self.asked += 1
        if self.asked <= self.silent:
            return Verdict("missing", "no answer", self.name)
        red = float(scene.frames[-1, ..., 0].mean())
        passed = True if self.level is None else red > self.level
        return Verdict("pass" if passed else "fail", f"{red:.1f}", self.name, score=red / 255)


@pytest.fixture(scope="module")
def tiny():
    from random import Random

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield build.tiny_pipeline(corpus(Random(0), 200))
    torch.set_num_threads(before)


def grpo_config(**settings) -> GrpoConfig:
    values = {
        "asks": AskConfig(count=3, held_out=1, scenes=2),
        "rollout": RolloutConfig(steps=4, sde=Sde("flow", 0.7), micro_batch=3),
        "group": GroupConfig(candidates=6, top=2, bottom=2, least=4),
        "reward": RewardConfig(graded=True, held_out_candidates=1),
        "policy": PolicyConfig(clip=0.2),
        **settings,
    }
    run = loop_config(4, optimiser="adamw", adam_lr=1e-3, warmup=1, autocast=False, eval_every=100, spike=math.inf)
    return GrpoConfig(values.pop("loop", run), Path("unused"), Path("unused"), **values)


def objective_of(tiny, config, judge=None, **changes):
    """A fresh objective on the same weights: what another test has trained does not count."""
    torch.manual_seed(1)
    from training.grpo import stage

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "judge_called", lambda name: judge or PixelJudge(name))
        made = new_objective(config, tiny)
    made.module.zero_grad()
    with torch.no_grad():
        for name, p in made.module.named_parameters():
            if name != "connector.scale":
                p.normal_(std=0.1, generator=torch.Generator().manual_seed(p.numel()))
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def once(objective, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return objective.loss(objective.batch(np.random.default_rng(seed)), generator)


def gradients(objective):
    return {n: p.grad for n, p in objective.module.named_parameters() if p.grad is not None}


# -- proofs -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sde", [Sde("flow", 0.7), Sde("dance", 0.3), Sde("cps", 0.6)], ids=lambda s: s.form)
@pytest.mark.parametrize("autocast", [False, True])
def test_the_ratio_is_exactly_one_before_the_first_update(tiny, sde, autocast):
    """Old log-probabilities come from the rollout, of other candidates in a pass than the update's: the same bits.

    Passes are of one size in both (2 divides 6 and 4), so that both take the same kernels.
    """
    rollout = RolloutConfig(steps=4, sde=sde, micro_batch=2, guidance=2.0)
    config = grpo_config(rollout=rollout, policy=PolicyConfig(guard=sde.form != "cps"))
    objective = objective_of(tiny, config)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        _, figures = once(objective)
    assert figures["trained"] == 4 * 3
    assert figures["ratio"] == 1.0 and figures["ratio_off"] == 0.0 and figures["clipped"] == 0.0
    assert sum(float(g.abs().sum()) for g in gradients(objective).values()) > 0


@pytest.mark.parametrize("mode", ["continue", "cut"])
def test_passes_of_another_size_may_differ_in_the_last_bit_only(tiny, mode):
    """Six candidates in one pass, the chosen four in another: a product of fewer rows may be another kernel, which
    adds up in another order. In fp32 that is far below any clip."""
    asks = AskConfig(count=2, held_out=1, scenes=2, mode=mode)
    objective = objective_of(tiny, grpo_config(asks=asks, rollout=RolloutConfig(steps=4, micro_batch=8)))
    _, figures = once(objective)
    assert figures["trained"] == 4 * 3 and figures["ratio_off"] < 1e-5 and figures["clipped"] == 0


def test_a_constant_reward_gives_no_gradient_and_leaves_every_bit(tiny, tmp_path):
    objective = objective_of(tiny, grpo_config(reward=RewardConfig()))  # every verdict is a pass
    before = {n: t.clone() for n, t in objective.module.state_dict().items()}
    loss, figures = once(objective)
    assert float(loss) == 0 and figures["flat"] == 1 and figures["trained"] == 0
    assert gradients(objective) == {}
    assert loop.train(objective, grpo_config().loop, tmp_path) == 0
    after = objective.module.state_dict()
    assert all(torch.equal(before[n], after[n]) for n in before)


def test_the_gradient_does_not_depend_on_the_size_of_a_micro_batch(tiny):
    found = []
    for micro in (1, 2, 6):
        objective = objective_of(tiny, grpo_config(rollout=RolloutConfig(steps=3, micro_batch=micro)))
        once(objective)
        found.append(gradients(objective))
    for other in found[1:]:
        assert all(torch.allclose(found[0][n], other[n], rtol=1e-3, atol=1e-8) for n in found[0])


def test_what_is_rewarded_becomes_more_likely(tiny, tmp_path):
    """Redder pictures are praised: after some updates the same noise gives redder pictures."""
    config = grpo_config(asks=AskConfig(count=1, held_out=1, scenes=2))
    config = replace(config, loop=replace(config.loop, steps=12, adam_lr=3e-3, clip=10.0))
    objective = objective_of(tiny, config)

    def redness():
        ask, generator = objective.asks[0], torch.Generator().manual_seed(5)
        clean, _ = roll_out(
            *(objective.drawer, ask.condition, 4, objective.shape, objective.sigmas, config.rollout, generator, 0),
            stochastic=False,
        )
        return np.mean([f[-1, ..., 0].mean() for f in objective.decode(clean, ask)])

    before = redness()
    assert loop.train(objective, config.loop, tmp_path) == 0
    assert redness() > before


def recorded(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "rollouts.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("at", [2, 3])
def test_a_run_cut_and_resumed_is_the_run_that_was_not_rewards_included(tiny, tmp_path, at):
    """Two updates a rollout: cut between them, the candidates come from the checkpoint."""
    config = grpo_config(updates=2, policy=PolicyConfig(clip=0.2, kl=0.1))

    def run(out, stop=None):
        out.mkdir(exist_ok=True)
        objective = objective_of(tiny, config, note=out / "rollouts.jsonl")
        objective.reference.load_state_dict(objective_of(tiny, config).module.state_dict())
        if stop is not None:
            return loop.train(StoppedAndRemembering(objective, stop), config.loop, out)
        steps = checkpoint.list_steps(out / "checkpoints")
        loop.forget_after(checkpoint.load(steps[-1]).step if steps else 0, out / "rollouts.jsonl")
        return loop.train(objective, config.loop, out)

    assert run(tmp_path / "whole") == 0
    assert run(tmp_path / "cut", at) == loop.PREEMPTED
    (tmp_path / "cut" / "rollouts.jsonl").open("a").write('{"step": 99, "rewards": []}\n{"st')  # a kill's leavings
    assert run(tmp_path / "cut") == 0
    assert_same_run(tmp_path / "cut", tmp_path / "whole")
    rows = recorded(tmp_path / "whole")
    assert rows == recorded(tmp_path / "cut") and [r["step"] for r in rows] == [1, 3]
    assert len(rows[0]["rewards"]) == 6 and len(rows[0]["rows"]) == 4
    figures = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert figures[0]["ratio_off"] == 0 and figures[1]["ratio_off"] > 0  # the second update has moved away
    assert figures[0]["kl"] == 0 and figures[1]["kl"] > 0


class StoppedAndRemembering(StoppedAt):
    def state(self):
        return self.inner.state()

    def resume(self, step, state):
        self.inner.resume(step, state)


# -- verdicts that are missing ------------------------------------------------------------------------------------
def test_missing_verdicts_are_left_out_and_counted(tiny):
    config = grpo_config(reward=RewardConfig(graded=True, held_out_candidates=0, missing_limit=0.5))
    _, figures = once(objective_of(tiny, config, PixelJudge(silent=2)))
    assert figures["missing"] == pytest.approx(2 / 6) and figures["dropped"] == 0 and figures["trained"] == 12
    _, figures = once(objective_of(tiny, config, PixelJudge(silent=3)))  # three are fewer than `least`
    assert figures["dropped"] == 1 and figures["trained"] == 0


def test_a_reward_that_lacks_another_part_is_unrated_not_a_missing_verdict(tiny):
    """Nothing can be told from nothing where the words' rendering is the last picture: no reason to stop the run."""
    objective = objective_of(tiny, grpo_config(reward=RewardConfig(weights=Weights(1.0, 0.0, 1.0))))
    for number in range(objective.asks.config.count):
        objective.asks.made[number] = replace(objective.asks[number], told=objective.asks[number].still)
    _, figures = once(objective)
    assert (figures["missing"], figures["unrated"], figures["dropped"]) == (0, 1, 1)


def test_too_many_missing_verdicts_stop_the_run_with_a_checkpoint(tiny, tmp_path):
    config = grpo_config(reward=RewardConfig(graded=True, held_out_candidates=0))
    judge = PixelJudge()
    objective = objective_of(tiny, config, judge, note=tmp_path / "rollouts.jsonl")
    loss = objective.loss

    def falls_silent(batch, generator):
        judge.silent = 10**9 if objective.step >= 2 else 0
        return loss(batch, generator)

    objective.loss = falls_silent
    with pytest.raises(StopTraining, match="100% of this step's verdicts are missing, and 25% are allowed"):
        loop.train(objective, config.loop, tmp_path)
    assert checkpoint.load(tmp_path / "checkpoints").step == 2
    assert [r["step"] for r in recorded(tmp_path)] == [1, 2, 3]  # what was asked for is on record
    assert recorded(tmp_path)[-1]["rewards"] == [None] * 6


# -- what it is made of -------------------------------------------------------------------------------------------
def test_one_initial_noise_for_the_group_or_one_each(tiny):
    def ends(same, level):
        rollout = RolloutConfig(steps=2, same_noise=same, sde=Sde("dance", level))
        objective = objective_of(tiny, grpo_config(rollout=rollout))
        generator = torch.Generator().manual_seed(0)
        args = (objective.drawer, objective.asks[0].condition, 3, objective.shape, objective.sigmas, rollout)
        return roll_out(*args, generator, 0)[0]

    same, each, noisy = ends(True, 0.0), ends(False, 0.0), ends(True, 0.5)
    assert torch.equal(same[0], same[1]) and not torch.equal(each[0], each[1])
    assert not torch.equal(noisy[0], noisy[1])  # the steps' noise is each candidate's own


def test_only_what_has_to_be_invented_is_stepped(tiny):
    assert free_shape(tiny, "continue") == (16, 4, 6, 10) and free_shape(tiny, "cut") == (16, 5, 6, 10)
    objective = objective_of(tiny, grpo_config())
    ask = objective.asks[0]
    clean, taken = roll_out(
        *(objective.drawer, ask.condition, 2, objective.shape, objective.sigmas, objective.rollout),
        *(torch.Generator().manual_seed(0), 0),
    )
    assert [t.sigma_next > 0 for t in taken] == [True] * 3  # of four steps, the last has no noise
    assert clean.shape == (2, 16, 4, 6, 10)
    tiny_velocity = tiny.velocity(
        torch.cat([ask.condition.reference[None][:, :, :1], taken[0].x[:1]], 2),
        *(1.0, (tiny.connector(ask.condition.states[None]),) * 2, ask.condition.reference[None], 1.0),
    )
    ours = objective.drawer.velocity(taken[0].x[:1], 1.0, ask.condition)
    assert torch.allclose(tiny_velocity[:, :, 1:], ours, atol=1e-5)  # the shipped sampler's


def test_what_moves_is_what_was_named(tiny):
    for moves in (("transformer",), ("bridge",), ("transformer", "bridge")):
        objective = objective_of(tiny, grpo_config(policy=PolicyConfig(moves=moves)))
        once(objective)
        moved = {"transformer" if n.startswith("transformer") else "bridge" for n in gradients(objective)}
        assert moved == set(moves)
        assert "connector.queries" not in gradients(objective)


def test_the_papers_setting_nothing_but_the_story_and_all_latents_invented(tiny):
    asks = AskConfig(count=2, held_out=1, scenes=3, mode="cut", told=False)
    objective = objective_of(
        tiny, grpo_config(asks=asks, rollout=RolloutConfig(steps=3, guidance=3.0, same_noise=True, micro_batch=2))
    )
    ask, context = objective.asks[0], objective.asks[0].context
    assert ask.words == "" and ask.told is None and ask.condition.reference is None
    assert objective.asks.prompt(context, "").text.endswith("What happens next?")
    assert all(s.words for s in context.scenes) and context.scenes[-1].frames is not None
    _, figures = once(objective)
    assert figures["trained"] == 4 * 2 and figures["ratio_off"] == 0 and "adherence" not in figures
    assert objective.kept[0].steps[0].x.shape == (4, 16, 5, 6, 10)


def test_several_groups_are_one_update(tiny):
    config = grpo_config(groups=2)
    objective = objective_of(tiny, config)
    batch = objective.batch(np.random.default_rng(0))
    assert len(set(batch)) == 2
    _, figures = objective.loss(batch, torch.Generator().manual_seed(0))
    assert figures["trained"] == 2 * 4 * 3 and len(objective.kept) == 2


def test_asks_are_the_same_everywhere_and_training_never_sees_held_out_ones():
    config = AskConfig(scenes=3, rules=("balloon_pops", "lamp_lights"))
    assert story_of(config, 5)[0] == story_of(config, 5)[0] != story_of(config, 6)[0]
    assert {e.rule for n in range(8) for e in story_of(config, n)[0].events} == {"balloon_pops", "lamp_lights"}
    from training.picturebook.splits import split_of_story

    kinds = [split_of_story(story_of(AskConfig(), n)[0]) for n in range(20)]
    assert set(kinds) == {"train"}
    assert "held_out" in {split_of_story(story_of(AskConfig(), HELD_OUT + n)[0]) for n in range(30)}


def test_the_objective_remembers():
    from training.grpo.objective import GrpoObjective

    assert issubclass(GrpoObjective, Remembering)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"reward": RewardConfig(held_out_judge="picturebook")}, "held_out_judge must be another"),
        ({"rollout": RolloutConfig(sde=Sde("cps", 0.5))}, "guard=false"),
        ({"rollout": RolloutConfig(sde=Sde("flow", 0.0))}, "level must be above 0"),
        ({"rollout": RolloutConfig(steps=4, window=4)}, "window must be below"),
        ({"group": GroupConfig(candidates=6)}, "8, of 6 candidates"),
        ({"policy": PolicyConfig(moves=("vae",))}, "policy.moves"),
        ({"asks": AskConfig(mode="cut")}, "picturebook-cut"),
        ({"asks": AskConfig(mode="cut"), "reward": RewardConfig(judge="picturebook-cut")}, "micro_batch must divide"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(change, sentence):
    check(grpo_config())
    with pytest.raises(ConfigError, match=sentence):
        check(replace(grpo_config(), **change))
