"""Reinforcement by a person's taste in takes: GRPO (training/grpo) with that taste as the reward, on small matrices.

The asks are the person's own: the scenes whose takes they compared, each up to that scene, in their words. Candidates
are drawn, and each is worth what its win rate in the group would be by the taste (training.choices.takes); LoRA beside
the transformer moves to the better ones, held near the model it began with (`policy.kl`). The reader's own opinion, by
which nothing is rewarded, is written down beside. Afterwards scenes that were not drawn for learning are drawn before
and after, with the same noise: unless the taste prefers what comes after, nothing is kept. Only *continue* is learnt
from.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from nsp_core import adapters
from nsp_core.errors import UserError
from nsp_core.judges import Verdict
from nsp_core.media.geometry import to_model_frames
from nsp_core.media.read import read_media
from nsp_core.model.vision_language import Prompt
from nsp_core.types import Frames, Scene, StoryContext
from training import checkpoint
from training.adapt.stage import SLOT, Adapted, LoraSizes, add_layers
from training.choices.file import Choice, Take, context_of, picture
from training.choices.takes import Pair, TakeTaste, measures, win_rates
from training.grpo.advantages import GroupConfig
from training.grpo.asks import HELD_OUT, Ask, AskConfig, Asks
from training.grpo.objective import GrpoObjective, Judged, RewardConfig
from training.grpo.rewards import motion
from training.grpo.rollout import Condition, RolloutConfig, roll_out
from training.grpo.surrogate import PolicyConfig
from training.loop import LoopConfig
from training.stages import learn_to_draw

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TakesConfig:
    out: Path
    loop: LoopConfig = LoopConfig(
        steps=30, optimiser="adamw", adam_lr=2e-4, warmup=2, decay_from=1.0, ema=0.9, log_every=1, eval_every=15
    )
    lora: LoraSizes = LoraSizes(rank=8, alpha=8.0)
    rollout: RolloutConfig = RolloutConfig(steps=8, fraction=0.5, micro_batch=4)
    group: GroupConfig = GroupConfig(candidates=8, top=2, bottom=2, least=4, least_spread=1e-3)
    policy: PolicyConfig = PolicyConfig(clip=1e-2, kl=0.1)
    held_out: int = 8  # asks
    recompute: bool = False
    device: str = "cpu"
    minutes: float = math.inf


def pairs_of(path: Path, choices: Sequence[Choice], size: tuple[int, int, int, int]) -> list[Pair]:
    """Every take that was preferred, against every one that it was preferred to; `size`: frames, height, width, fps."""
    seen: dict[str, Any] = {}

    def told(take: Take) -> Any:
        file = picture(path, take.clip)
        if file is None:
            return None
        if str(file) not in seen:
            seen[str(file)] = measures(frames_of(file, size))
        return seen[str(file)]

    found = []
    for one in choices:
        better = told(one.better) if isinstance(one.better, Take) else None
        for worse in one.worse if better is not None else []:
            other = told(worse) if isinstance(worse, Take) else None
            if other is not None:
                found.append(Pair(one.story, better, other))
    return found


def frames_of(file: Path, size: tuple[int, int, int, int]) -> Frames:
    """A clip as the model draws them (T, H, W, 3)."""
    count, height, width, fps = size
    clip = read_media(file, start=None, max_seconds=count / fps + 1, fps=float(fps), side=4096)
    return to_model_frames(clip, width, height, count, fps)


def size_of(pipeline: Any) -> tuple[int, int, int, int]:
    c = pipeline.config
    return int(c.num_frames), int(c.height), int(c.width), int(c.fps)


class ChoiceAsks(Asks):
    """The scenes whose takes were compared, in the place of made-up stories."""

    def __init__(self, pipeline: Any, path: Path, choices: Sequence[Choice], held_out: int, seed: int) -> None:
        self.path = path
        rows = list({(c.story, c.words): c for c in choices if usable(pipeline, path, c)}.values())
        Random(f"asks {seed}").shuffle(rows)
        if len(rows) < 2:
            raise UserError("Takes of fewer than two scenes that go on from a picture were compared: choose some more.")
        aside = min(held_out, len(rows) // 2)
        self.aside, self.rows = rows[:aside], rows[aside:]
        super().__init__(pipeline, AskConfig(count=len(self.rows), held_out=aside))

    @torch.no_grad()
    def make(self, number: int) -> Ask:
        choice = self.aside[number - HELD_OUT] if number >= HELD_OUT else self.rows[number]
        context = context_of(self.path, choice)
        last = context.scenes[-1]
        file = picture(self.path, choice.context[-1].clip)
        assert last.frames is not None and file is not None
        frames = frames_of(file, size_of(self.pipeline)).copy()
        frames[0], frames[-1] = last.frames[0], last.frames[-1]  # those are kept without loss
        context = StoryContext((*context.scenes[:-1], Scene(last.words, frames)), context.bible)
        condition = Condition(
            self.states(self.prompt(context, choice.words)),
            self.states(Prompt("")),
            self.pipeline.encode_reference(context)[0],
        )
        return Ask(number, context, choice.words, condition, None, np.repeat(frames[-1:], len(frames), 0))


def usable(pipeline: Any, path: Path, one: Choice) -> bool:
    if one.about != "take" or one.mode != "continue" or not one.context or not one.words.strip():
        return False
    if pipeline.language and pipeline.language.unknown(one.words):
        return False
    last = one.context[-1]
    if picture(path, last.clip) is None:
        return False
    frames = context_of(path, one).scenes[-1].frames
    return frames is not None and frames.shape[1:3] == (pipeline.config.height, pipeline.config.width)


@dataclass(frozen=True)
class OwnOpinion:
    """What the model's own reader says, by which nothing is rewarded."""

    pipeline: Any
    name: str = "own opinion"

    def judge(self, context: StoryContext, scene: Scene) -> Verdict:
        return self.pipeline.judge(context, scene)  # type: ignore[no-any-return]


class TasteObjective(GrpoObjective):
    """GRPO's, but for what a candidate is worth. A take alone has no worth: held-out asks are compared at the end."""

    taste: TakeTaste

    def ask_judge(self, ask: Ask, frames: Sequence[Frames]) -> list[Judged]:  # noqa: ARG002
        moved = [motion(one) for one in frames]
        if len(frames) < 2:
            return [Judged({"causal": None, "adherence": None}, None, "missing", one) for one in moved]
        worth = win_rates([self.taste.score(one) for one in frames])
        return [
            Judged({"causal": value, "adherence": None}, value, "pass" if value >= 0.5 else "fail", one)
            for value, one in zip(worth, moved, strict=True)
        ]


@dataclass(frozen=True)
class Reinforced:
    """`code`: the loop's, 0 or 75 when there is more to do. `preferred`: of `scenes` held-out scenes, how often by the
    taste the taught drawing is better than the untaught one with the same noise (the mean of its chances)."""

    code: int
    preferred: float | None = None
    scenes: int = 0


def reinforce(
    pipeline: Any, path: Path, choices: Sequence[Choice], taste: TakeTaste, config: TakesConfig
) -> Reinforced:
    """Draw, compare, move; the same call goes on after a stop. Afterwards `pipeline` has the layers of the last
    checkpoint's averages, under adapt's name for them."""
    asks = ChoiceAsks(pipeline, path, choices, config.held_out, config.loop.seed)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    reference = copy.deepcopy(Adapted(pipeline.connector, pipeline.transformer)) if config.policy.kl else None
    module = Adapted(pipeline.connector, pipeline.transformer)
    add_layers(pipeline.transformer, config)  # type: ignore[arg-type]  # reads lora and loop.seed only
    for name, parameter in module.named_parameters():
        parameter.requires_grad_("lora_" in name)
    objective = TasteObjective(
        *(module, pipeline, asks, config.rollout, config.group),
        *(RewardConfig(held_out_candidates=1, missing_limit=1.0), config.policy),
        *(OwnOpinion(pipeline), OwnOpinion(pipeline)),
        reference=reference,
    )
    objective.taste = taste
    config.out.mkdir(parents=True, exist_ok=True)
    objective.note = config.out / "rollouts.jsonl"
    code = learn_to_draw(objective, replace(config.loop, spike=math.inf), config, True)
    if code:
        return Reinforced(code)
    saved = checkpoint.load(config.out / "checkpoints")
    module.load_state_dict({**saved.model, **saved.ema})
    return Reinforced(0, preferred(objective, taste), asks.config.held_out)


@torch.no_grad()
def preferred(objective: TasteObjective, taste: TakeTaste) -> float:
    """The mean chance that the taste prefers the taught drawing of a held-out ask to the untaught one."""
    chances = []
    transformer: Any = objective.module.transformer
    for number in range(HELD_OUT, HELD_OUT + objective.asks.config.held_out):
        ask, scores = objective.asks[number], []
        for taught in (True, False):
            (transformer.enable_adapters if taught else transformer.disable_adapters)()
            generator = torch.Generator(objective.device).manual_seed(number)
            shape = (objective.drawer, ask.condition, 1, objective.shape, objective.sigmas, objective.rollout)
            clean, _ = roll_out(*shape, generator, 0, stochastic=False)
            scores.append(taste.score(objective.decode(clean, ask)[0]))
        chances.append(win_rates(scores)[0])
    transformer.enable_adapters()
    return float(np.mean(chances))


def save(pipeline: Any, folder: Path, facts: adapters.Facts, card: str) -> Path:
    """The layers as an adapter folder."""
    return adapters.save(pipeline.transformer, SLOT, folder, facts, card)
