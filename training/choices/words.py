"""A person's taste in words, learnt by the reader: what they kept becomes likelier than what lay beside it.

One loss over what was offered together (DPO for the best of several, arXiv 2305.18290, appendix A.3): with r the
log-probability of words against the untaught reader's, -log softmax(beta * r) at what was kept, which is the law by
which people choose (multinomial logit), with the reader itself as the reward. Beside it supervised learning on all
words of the choice: what was offered the untaught reader had told itself, so this holds the taught one to it (its mean
is the cross-entropy of the two), and a person's own words are learnt with it. Words that were only thrown away become
unlikelier (KTO's term for what is not wanted, arXiv 2402.01306, its reference point at 0).

beta says how far words must move to mean something: at .1 a liking of 2 is 20 nats of a sentence, and a language that
moves so far breaks (measured: DECISIONS.md); at .5 it is 4.

What moves are small matrices beside the language layers of a *copy* of the reader (nsp_core.taste): the queries' states
are another module's and do not move at all. Stops when choices of stories that it does not learn from get no likelier.
Knows nothing of worlds.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nsp_core.errors import GeometryError, UserError
from nsp_core.model.vision_language import Prompt
from training.choices import packing
from training.choices.file import Choice, context_of

log = logging.getLogger(__name__)
SLOT = "taste"
MOST_OFFERED = 4  # words of one choice: what was kept and so many others less one


@dataclass(frozen=True)
class WordsConfig:
    rank: int = 8
    alpha: float = 8.0
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    steps: int = 120
    batch: int = 8  # choices a step
    lr: float = 1e-3
    beta: float = 0.5
    hold: float = 0.2  # weight of supervised learning on all words of a choice
    held_out: float = 0.15  # of the stories
    look_every: int = 10
    patience: int = 4  # looks without a better one
    seed: int = 0
    minutes: float = math.inf


PLAIN = WordsConfig()


@dataclass(frozen=True)
class Offer:
    """What lay before the person. `kept` is the place of what they took among `answers`, -1 when they took nothing."""

    story: str
    prompt: Prompt
    answers: tuple[str, ...]
    kept: int


@dataclass
class Left:
    """Choices that were not used, by why."""

    reasons: dict[str, int] = field(default_factory=dict)

    def add(self, why: str) -> None:
        self.reasons[why] = self.reasons.get(why, 0) + 1


def offers(pipeline: Any, path: Path, choices: Sequence[Choice]) -> tuple[list[Offer], Left]:
    """Choices of words that this reader can learn from. What it has no words for is left out and counted."""
    found: list[Offer] = []
    left = Left()
    for one in choices:
        if one.about != "words":
            continue
        if one.steer:
            left.add("a wish was given")  # what was told followed the wish, not a taste
            continue
        spoken = [text for text in (one.better, *one.worse) if isinstance(text, str) and text.strip()]
        known = [text for text in spoken if not (pipeline.language and pipeline.language.unknown(text))]
        if isinstance(one.better, str) and one.better not in known:
            left.add("the model has not learnt these words")
            continue
        kept = 0 if isinstance(one.better, str) else -1
        if not known or (kept < 0 and len(known) > 1):
            left.add("nothing to learn from")
            continue
        try:
            prompt = pipeline.prompt(context_of(path, one), pipeline.dialect.next)
        except (UserError, GeometryError):
            left.add("its pictures are not of this model's size")
            continue
        found.append(Offer(one.story, prompt, tuple(dict.fromkeys(known))[:MOST_OFFERED], kept))
    return found, left


@dataclass(frozen=True)
class Learnt:
    """`layers`: module name -> A and B, as nsp_core.taste writes them; empty when nothing better was found than what
    was there. Figures are of choices of stories that were not learnt from: the share in which the kept words are the
    likeliest of those offered, and the loss."""

    layers: dict[str, tuple[Tensor, Tensor]]
    steps: int
    used: int
    held_out: int
    before: float | None
    after: float | None
    loss_before: float | None
    loss_after: float | None
    seconds: float


@torch.enable_grad()
def learn(
    pipeline: Any,
    found: Sequence[Offer],
    config: WordsConfig = PLAIN,
    told: Callable[[dict[str, Any]], None] = lambda _row: None,
) -> Learnt:
    """Teach a copy of the reader; `pipeline` stays as it is. Raises UserError for fewer than two choices."""
    started = time.monotonic()
    if len(found) < 2:
        raise UserError(f"{len(found)} choices of words can be learnt from, and two are the least: keep some first.")
    train, held_out = split(found, config)
    module = _Taught(pipeline, config)
    rng = Random(config.seed)
    base = {id(one): module.weigh([one], taught=False)[0].tolist() for one in found}
    optimiser = torch.optim.AdamW(module.moves, lr=config.lr, weight_decay=0.0)
    first = module.look(held_out, base, config)
    best, best_layers, best_step, waited = first, module.layers(), 0, 0
    for step in range(1, config.steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = config.lr * min(1.0, step / 10) * 0.5 * (1 + math.cos(math.pi * step / (config.steps + 1)))
        batch = rng.sample(train, min(config.batch, len(train)))
        loss = module.loss(batch, base, config)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(module.moves, 1.0)
        optimiser.step()
        late = time.monotonic() - started > 60 * config.minutes
        if step % config.look_every and step < config.steps and not late:
            continue
        now = module.look(held_out, base, config)
        row = {"step": step, "steps": config.steps, "loss": float(loss.detach()), "held_out": now.loss}
        told({**row, "seconds": time.monotonic() - started})
        log.info("step %d: loss %.3f, held-out %.3f, kept words first in %.2f", step, row["loss"], now.loss, now.right)
        waited += 1
        if now.loss < best.loss:
            best, best_layers, best_step, waited = now, module.layers(), step, 0
        if waited >= config.patience or late:
            break
    return Learnt(
        best_layers if best_step else {},
        best_step,
        len(train),
        len(held_out),
        *(_known(first.right), _known(best.right), first.loss, best.loss),
        time.monotonic() - started,
    )


def split(found: Sequence[Offer], config: WordsConfig) -> tuple[list[Offer], list[Offer]]:
    """By story, so that no held-out choice has its own story among those that are learnt from. A person with a single
    story holds out some of its choices."""
    stories = sorted({one.story for one in found})
    Random(f"choices {config.seed}").shuffle(stories)
    count = max(1, round(config.held_out * len(stories)))
    if len(stories) < 3:
        every = max(2, round(1 / config.held_out))
        return [o for i, o in enumerate(found) if i % every], [o for i, o in enumerate(found) if not i % every]
    aside = set(stories[:count])
    return [one for one in found if one.story not in aside], [one for one in found if one.story in aside]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


@dataclass(frozen=True)
class Look:
    loss: float
    right: float


class _Taught(torch.nn.Module):
    """A copy of the reader with layers that move."""

    def __init__(self, pipeline: Any, config: WordsConfig) -> None:
        super().__init__()
        from peft import LoraConfig, inject_adapter_in_model

        self.processor = pipeline.processor
        self.reader = copy.deepcopy(pipeline.vision_language).float()
        self.reader.requires_grad_(False)
        names = [n for n, _ in self.reader.named_modules() if "visual" not in n and n.endswith(config.targets)]
        torch.manual_seed(config.seed)
        lora = LoraConfig(r=config.rank, lora_alpha=config.alpha, target_modules=names)
        inject_adapter_in_model(lora, self.reader, adapter_name=SLOT)
        self.read: dict[int, packing.Packed] = {}  # what no layer that learns has touched yet
        self.moves = [p for p in self.reader.parameters() if p.requires_grad]

    def layers(self) -> dict[str, tuple[Tensor, Tensor]]:
        found = {}
        for name, layer in self.reader.named_modules():
            if hasattr(layer, "lora_A") and SLOT in layer.lora_A:
                found[name] = tuple(getattr(layer, side)[SLOT].weight.detach().clone() for side in ("lora_A", "lora_B"))
        return found  # type: ignore[return-value]

    def weigh(self, batch: Sequence[Offer], *, taught: bool = True) -> list[Tensor]:
        """Log-probability of each answer of each offer, its end included."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        for layer in self.reader.modules():
            if isinstance(layer, BaseTunerLayer):
                layer.enable_adapters(taught)
        for one in batch:
            if id(one) not in self.read:
                self.read[id(one)] = packing.encode(self.reader, self.processor, one.prompt, one.answers)
        with torch.set_grad_enabled(taught and torch.is_grad_enabled()):
            return packing.log_probabilities(self.reader, [self.read[id(one)] for one in batch])

    def loss(self, batch: Sequence[Offer], base: dict[int, list[float]], config: WordsConfig) -> Tensor:
        return torch.stack(
            [
                loss_of(values, values.new_tensor(base[id(one)]), one, config)
                for one, values in zip(batch, self.weigh(batch), strict=True)
            ]
        ).mean()

    @torch.no_grad()
    def look(self, batch: Sequence[Offer], base: dict[int, list[float]], config: WordsConfig) -> Look:
        losses, right = [], []
        for at in range(0, len(batch), config.batch):
            part = batch[at : at + config.batch]
            for one, values in zip(part, self.weigh(part), strict=True):
                losses.append(float(loss_of(values, values.new_tensor(base[id(one)]), one, config)))
                if one.kept >= 0 and len(one.answers) > 1:
                    right.append(float(int(values.argmax()) == one.kept))
        return Look(sum(losses) / len(losses), sum(right) / len(right) if right else math.nan)


def loss_of(values: Tensor, base: Tensor, one: Offer, config: WordsConfig) -> Tensor:
    """Of one offer: `values` and `base` (answers,) are log-probabilities by the taught and the untaught reader."""
    gained = config.beta * (values - base)
    if one.kept < 0:
        return -functional.logsigmoid(-gained).mean()
    sizes = values.new_tensor([len(words.split()) + 1 for words in one.answers])
    return -gained.log_softmax(0)[one.kept] - config.hold * (values / sizes).mean()
