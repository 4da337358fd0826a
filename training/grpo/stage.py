"""Stage `grpo`: reinforcement of a model by a judge of its own next scenes.

python launch.py train grpo --config training/configs/lab/grpo.yaml init=MODEL_OR_RUN out=FOLDER

The loop is DanceGRPO's, which the paper's settings are taken from (24 candidates, the best and worst four, one update
a group): candidates -> verdicts -> advantages within the group -> clipped surrogate. A run ends with `out`/model.
"""

from __future__ import annotations

import copy
import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nsp_core.errors import ConfigError
from training import checkpoint, loop
from training.flow_matching import Generator
from training.grpo.advantages import GroupConfig
from training.grpo.asks import AskConfig, Asks
from training.grpo.objective import GrpoObjective, RewardConfig
from training.grpo.rollout import RolloutConfig
from training.grpo.surrogate import PolicyConfig
from training.judges import judge_called
from training.loop import LoopConfig
from training.models import leave_model, open_model
from training.plan.machine import PlanConfig
from training.stages import learn_to_draw

log = logging.getLogger(__name__)

MOVES = {"transformer": "transformer.", "bridge": "connector."}


@dataclass(frozen=True)
class GrpoConfig:
    loop: LoopConfig
    init: Path  # a model folder, or a run folder of a stage that left one
    out: Path
    asks: AskConfig = AskConfig()
    rollout: RolloutConfig = RolloutConfig()
    group: GroupConfig = GroupConfig()
    reward: RewardConfig = RewardConfig()
    policy: PolicyConfig = PolicyConfig()
    groups: int = 1  # scenes of one rollout
    updates: int = 1  # updates with the same candidates
    recompute: bool = False  # gradient checkpointing: less memory, a forward pass more
    half: bool = False  # what does not move is held in bfloat16 (masters of what does are fp32 always)
    plan: PlanConfig = PlanConfig()
    threads: int = 2
    device: str = "cpu"
    minutes: float = math.inf


def train_grpo(config: GrpoConfig, resume: bool) -> int:
    check(config)
    pipeline: Any = open_model(config.init)
    pipeline.to(config.device)
    objective = new_objective(config, pipeline)
    note, steps = config.out / "rollouts.jsonl", checkpoint.list_steps(config.out / "checkpoints")
    loop.forget_after(checkpoint.load(steps[-1]).step if steps else 0, note)
    objective.note = note
    # the loss is around zero by construction: a jump against its mean says nothing
    settings = replace(config.loop, spike=math.inf)
    code = learn_to_draw(objective, settings, config, resume)
    if code == 0:
        log.info("model: %s", leave_model(pipeline, objective.module, config.out))
    return code


def new_objective(config: GrpoConfig, pipeline: Any) -> GrpoObjective:
    for name, part in pipeline.components.items():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
            if config.half and name not in ("connector", *config.policy.moves):
                part.to(torch.bfloat16)
    module = Generator(pipeline.connector, pipeline.transformer)
    reference = copy.deepcopy(module) if config.policy.kl else None
    for name, parameter in module.named_parameters():
        moves = any(name.startswith(MOVES[part]) for part in config.policy.moves)
        parameter.requires_grad_(moves and name != "connector.queries")
    return GrpoObjective(
        *(module, pipeline, Asks(pipeline, config.asks), config.rollout, config.group, config.reward, config.policy),
        *(judge_called(config.reward.judge), judge_called(config.reward.held_out_judge)),
        *(config.groups, config.updates, reference),
    )


def check(config: GrpoConfig) -> None:
    """Refuse settings that contradict each other before anything is loaded."""
    c, policy, sde = config, config.policy, config.rollout.sde
    total = c.group.top + c.group.bottom
    wrong = [
        (
            c.reward.judge == c.reward.held_out_judge,
            "reward.held_out_judge must be another judge than reward.judge: one judge can't show that it is deceived.",
        ),
        (
            policy.guard and sde.form == "cps",
            "policy.guard corrects the ratio of the forms flow and dance only: set policy.guard=false with cps.",
        ),
        (sde.level <= 0, f"rollout.sde.level must be above 0, got {sde.level}: without noise nothing is compared."),
        (sde.form == "cps" and sde.level > 1, f"rollout.sde.level of cps is from 0 to 1, got {sde.level}."),
        (total > c.group.candidates, f"group.top + group.bottom is {total}, of {c.group.candidates} candidates."),
        (
            c.rollout.steps < 2 or c.rollout.window >= c.rollout.steps,
            f"rollout.window must be below rollout.steps ({c.rollout.steps}), and steps at least 2: the last has no "
            "noise.",
        ),
        (not 0 < c.rollout.fraction <= 1, f"rollout.fraction is above 0 and at most 1, got {c.rollout.fraction}."),
        (
            not policy.moves or not set(policy.moves) <= set(MOVES),
            f"policy.moves names some of {', '.join(MOVES)}, got {policy.moves}.",
        ),
        (
            c.asks.mode == "cut" and c.reward.judge == "picturebook",
            "reward.judge 'picturebook' expects a clip that continues: for asks.mode=cut name 'picturebook-cut'.",
        ),
        (
            # one row a candidate in the time embedding there: another number of rows is another kernel, 1e-7 away
            c.asks.mode == "cut" and any(n % c.rollout.micro_batch for n in (c.group.candidates, total)),
            "In mode cut rollout.micro_batch must divide group.candidates and group.top + group.bottom, so that the "
            "ratio begins at exactly 1.",
        ),
        (
            c.reward.weights.adherence > 0 and not c.asks.told,
            "reward.weights.adherence needs words to adhere to: set asks.told=true, or the weight to 0.",
        ),
        (min(c.updates, c.groups, c.asks.held_out) < 1, "groups, updates and asks.held_out must be 1 or more."),
    ]
    for is_wrong, sentence in wrong:
        if is_wrong:
            raise ConfigError(sentence)
