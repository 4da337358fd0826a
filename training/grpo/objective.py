"""Objective `grpo`: candidates are drawn, judged and compared within their group, and the model moves to the better.

Knows nothing of files other than the one that it writes what was judged to. One step of the loop is one update; with
`updates` above 1 several use the same candidates, which are therefore kept in checkpoints.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nsp_core.judges import CausalJudge, Verdict
from nsp_core.types import Frames, Scene
from training.flow_matching import Generator
from training.grpo.advantages import Chosen, GroupConfig, choose
from training.grpo.asks import HELD_OUT, Ask, Asks
from training.grpo.rewards import Weights, adherence, causal, combine, motion, motion_floor
from training.grpo.rollout import (
    Policy,
    RolloutConfig,
    Taken,
    free_shape,
    roll_out,
    sigmas_of,
    to_frames,
    trained_steps,
)
from training.grpo.sde import sde_step
from training.grpo.surrogate import PolicyConfig, policy_loss
from training.objective import StopTraining


@dataclass(frozen=True)
class RewardConfig:
    weights: Weights = Weights()
    judge: str = "picturebook"
    graded: bool = False  # the judge's own score instead of pass and fail
    floor: float = 0.5  # of the motion, see rewards.motion
    held_out_judge: str = "picturebook-nearest"  # never in the reward; another judge than the reward's
    held_out_candidates: int = 2  # of each group
    missing_limit: float = 0.25  # a larger share of missing verdicts in one step stops the run
    threads: int = 1  # verdicts asked for at once: judges of other machines answer late


@dataclass(frozen=True)
class Judged:
    """A candidate's parts of the reward and what is logged beside them."""

    parts: dict[str, float | None]
    reward: float | None
    outcome: str
    motion: float


@dataclass
class Kept:
    """What an update needs of one group."""

    ask: int
    advantages: tuple[float, ...]
    steps: list[Taken]


@dataclass
class GrpoObjective:
    module: Generator
    pipeline: Any
    asks: Asks
    rollout: RolloutConfig
    group: GroupConfig
    reward: RewardConfig
    policy: PolicyConfig
    judge: CausalJudge
    held_out_judge: CausalJudge
    groups: int = 1
    updates: int = 1
    reference: Generator | None = None
    note: Path | None = None  # every group's rewards, one JSON line each
    step: int = 0
    kept: list[Kept] | None = field(default=None)

    def __post_init__(self) -> None:
        settings = (self.rollout.guidance, tuple(self.pipeline.config.rope_scale), self.pipeline.config.reference)
        self.drawer = Policy(self.module, *settings)
        self.anchor = None if self.reference is None else Policy(self.reference, *settings)
        mode = self.asks.config.mode
        self.shape = free_shape(self.pipeline, mode)
        self.sigmas = sigmas_of(self.rollout, float(self.pipeline.config.sampling[mode]["shift"]))

    # -- what the loop asks ---------------------------------------------------------------------------------------
    def batch(self, rng: np.random.Generator) -> list[int]:
        count = self.asks.config.count
        return [int(n) for n in rng.choice(count, size=self.groups, replace=self.groups > count)]

    def loss(self, batch: list[int], generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """Puts the gradient into the module itself, a micro-batch at a time; what is returned has none."""
        figures: dict[str, float] = {}
        if self.kept is None or self.step % self.updates == 0:
            self.kept, figures = self.sample(batch, generator)
        loss, moved = self.update(self.kept)
        self.step += 1
        return torch.tensor(loss), {**figures, **moved}

    def state(self) -> dict[str, Any]:
        """The candidates between two updates, for the checkpoint."""
        kept = self.kept if self.step % self.updates else None
        groups = [] if kept is None else [{**asdict(k), "advantages": list(k.advantages)} for k in kept]
        return {"groups": groups}

    def resume(self, step: int, state: dict[str, Any] | None) -> None:
        self.step = step
        groups = (state or {}).get("groups")
        self.kept = (
            [Kept(g["ask"], tuple(g["advantages"]), [Taken(**self.here(t)) for t in g["steps"]]) for g in groups]
            if groups or (state is not None and step % self.updates)
            else None
        )

    def here(self, values: dict[str, Any]) -> dict[str, Any]:
        return {k: v.to(self.device) if isinstance(v, Tensor) else v for k, v in values.items()}

    # -- sampling -------------------------------------------------------------------------------------------------
    def sample(self, batch: Sequence[int], generator: torch.Generator) -> tuple[list[Kept], dict[str, float]]:
        kept, judged, chosen, seen = [], [], [], []
        for number in batch:
            ask = self.asks[number]
            clean, steps = roll_out(
                *(self.drawer, ask.condition, self.group.candidates, self.shape, self.sigmas, self.rollout),
                *(generator, self.step),
            )
            used = trained_steps(len(steps), self.rollout.fraction, generator)
            frames = self.decode(clean, ask)
            found = self.ask_judge(ask, frames)
            one = choose([j.reward for j in found], self.group)
            judged.append(found)
            chosen.append(one)
            seen += self.witness(ask, frames[: self.reward.held_out_candidates])
            self.write(number, found, one)
            if one.rows:
                kept.append(Kept(number, one.advantages, [steps[i].rows(one.rows) for i in used]))
        figures = summary([j for some in judged for j in some], chosen, seen)
        figures["words"] = float(np.mean([len(self.asks[n].words.split()) for n in batch]))
        limit = self.reward.missing_limit
        if figures["missing"] > limit:
            raise StopTraining(
                f"{figures['missing']:.0%} of this step's verdicts are missing, and {limit:.0%} are allowed:"
                f" see that the judge '{self.judge.name}' answers, then run the same command again."
            )
        return kept, figures

    @torch.no_grad()
    def decode(self, clean: Tensor, ask: Ask) -> list[Frames]:
        with torch.autocast(clean.device.type, enabled=False):
            return [to_frames(self.pipeline, one.float(), ask.condition) for one in clean]

    def ask_judge(self, ask: Ask, frames: Sequence[Frames]) -> list[Judged]:
        c = self.reward
        return [judged(v, f, ask, c) for v, f in zip(self.verdicts(self.judge, ask, frames), frames, strict=True)]

    def witness(self, ask: Ask, frames: Sequence[Frames]) -> list[bool | None]:
        return [v.passed for v in self.verdicts(self.held_out_judge, ask, frames)]

    def verdicts(self, judge: CausalJudge, ask: Ask, frames: Sequence[Frames]) -> list[Verdict]:
        def one(clip: Frames) -> Verdict:
            return judge.judge(ask.context, Scene(ask.words, clip))

        if self.reward.threads <= 1:
            return [one(clip) for clip in frames]
        with ThreadPoolExecutor(self.reward.threads) as pool:
            return list(pool.map(one, frames))

    def write(self, number: int, found: Sequence[Judged], chosen: Chosen) -> None:
        if self.note is None:
            return
        row = {
            "step": self.step + 1,
            "ask": number,
            "rewards": [j.reward for j in found],
            "outcomes": [j.outcome for j in found],
            "rows": chosen.rows,
            "advantages": chosen.advantages,
            "left_out": chosen.why,
        }
        with self.note.open("a") as lines:
            lines.write(json.dumps(row) + "\n")

    # -- learning -------------------------------------------------------------------------------------------------
    def update(self, kept: Sequence[Kept]) -> tuple[float, dict[str, float]]:
        """Backward over every (candidate, step) of `kept`; the loss is their mean."""
        count = sum(len(k.advantages) * len(k.steps) for k in kept)
        ratios, clipped, kls, total = [], [], [], 0.0
        for group in kept:
            condition = self.asks[group.ask].condition
            advantages = torch.tensor(group.advantages, device=self.device)
            for taken in group.steps:
                for start in range(0, len(advantages), self.rollout.micro_batch):
                    rows = range(start, min(start + self.rollout.micro_batch, len(advantages)))
                    before = taken.rows(rows)
                    now = self.score(self.drawer, before, condition)
                    reference = None
                    if self.anchor is not None:
                        with torch.no_grad():
                            reference = self.score(self.anchor, before, condition).mean
                    piece = policy_loss(now, before.step, advantages[rows.start : rows.stop], self.policy, reference)
                    loss = piece.loss.sum() / count
                    loss.backward()
                    total += float(loss.detach())
                    ratios.append(piece.ratio)
                    clipped.append(piece.clipped)
                    kls.append(piece.kl)
        if not count:
            return 0.0, {"trained": 0.0}
        ratio = torch.cat(ratios)
        return total, {
            "trained": float(count),
            "ratio": float(ratio.mean()),
            "ratio_off": float((ratio - 1).abs().max()),
            "clipped": float(torch.cat(clipped).float().mean()),
            **({"kl": float(torch.cat(kls).mean())} if self.anchor is not None else {}),
        }

    def score(self, policy: Policy, taken: Taken, condition: Any) -> Any:
        v = policy.velocity(taken.x, taken.sigma, condition)
        return sde_step(self.rollout.sde, taken.x, v, taken.sigma, taken.sigma_next, sample=taken.after)

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Held-out asks, drawn without noise in the steps, one candidate each, by both judges."""
        found, seen = [], []
        for number in range(HELD_OUT, HELD_OUT + self.asks.config.held_out):
            ask = self.asks[number]
            generator = torch.Generator(self.device).manual_seed(number)
            clean, _ = roll_out(
                *(self.drawer, ask.condition, 1, self.shape, self.sigmas, self.rollout, generator, 0),
                stochastic=False,
            )
            frames = self.decode(clean, ask)
            found += self.ask_judge(ask, frames)
            seen += self.witness(ask, frames)
        return {k: v for k, v in summary(found, [], seen).items() if k not in ("flat", "dropped")}


def judged(verdict: Verdict, frames: Frames, ask: Ask, config: RewardConfig) -> Judged:
    parts = {
        "causal": causal(verdict, config.graded),
        "motion": motion_floor(frames, config.floor),
        "adherence": adherence(frames, ask.told, ask.still),
    }
    return Judged(parts, combine(parts, config.weights), verdict.outcome, motion(frames))


def summary(found: Sequence[Judged], chosen: Sequence[Chosen], seen: Sequence[bool | None]) -> dict[str, float]:
    """Figures of one step. A rate over nothing is left out, never zero."""
    figures = {
        "missing": float(np.mean([j.outcome == "missing" for j in found])),
        "unrated": float(np.mean([j.reward is None for j in found])),  # missing, or another part can't be said
        "motion": float(np.mean([j.motion for j in found])),
        "flat": float(np.mean([c.why == "flat" for c in chosen])) if chosen else 0.0,
        "dropped": float(np.mean([c.why == "missing" for c in chosen])) if chosen else 0.0,
    }
    rates: dict[str, list[float]] = {
        "pass": [float(j.outcome == "pass") for j in found if j.outcome != "missing"],
        "reward": [j.reward for j in found if j.reward is not None],
        "adherence": [a for j in found if (a := j.parts["adherence"]) is not None],
        "held_out_pass": [float(s) for s in seen if s is not None],
    }
    for name, values in rates.items():
        if values:
            figures[name] = float(np.mean(values))
    return figures
