"""What candidates are asked for, in the picture-book world: a story up to a moment, and the words of what comes.

Ask `number` is the same on every machine; it is made when it is first needed and kept in memory. With `told` the words
of the next scene are part of the prompt (think, then act); without, only the story is (the paper's setting), and any
possible event is right.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
import torch

from nsp_core.model.vision_language import Prompt, prepare, query_states
from nsp_core.types import Frames, Scene, StoryContext
from training.grpo.rollout import Condition, Mode
from training.picturebook.rules import step
from training.picturebook.scenes import Story, story
from training.picturebook.splits import is_train
from training.picturebook.words import HELD_OUT_VARIANTS, TRAIN_VARIANTS, describe, tell

KEPT = 128  # asks in memory; each has three clips
HELD_OUT = 10**6  # asks from this number on are the ones that are never trained on


@dataclass(frozen=True)
class AskConfig:
    mode: Mode = "continue"
    told: bool = True
    count: int = 256  # different asks
    held_out: int = 8  # asks of the evaluation
    scenes: int = 4  # longest story, the next scene included
    rules: tuple[str, ...] = ()  # only these may happen; () is all
    seed: int = 0


@dataclass(frozen=True)
class Ask:
    number: int
    context: StoryContext
    words: str  # "" when the model is not told
    condition: Condition
    told: Frames | None  # the rendering of what the words tell
    still: Frames  # the last picture, as often


@dataclass
class Asks:
    """Makes asks with the frozen parts of `pipeline`: reader, queries, autoencoder."""

    pipeline: Any
    config: AskConfig
    made: dict[int, Ask] = field(default_factory=dict)

    def __getitem__(self, number: int) -> Ask:
        if number not in self.made:
            while len(self.made) >= KEPT:
                del self.made[next(iter(self.made))]  # the one that was made first
            self.made[number] = self.make(number)
        return self.made[number]

    @torch.no_grad()
    def make(self, number: int) -> Ask:
        from training.picturebook.draw import clip

        one, rng = story_of(self.config, number)
        choose = HELD_OUT_VARIANTS if number >= HELD_OUT else TRAIN_VARIANTS
        now, event = one.worlds[-2], one.events[-1]
        context = context_of(one, choose, rng)
        words = tell(event, now, rng.choice(choose)) if self.config.told else ""
        last = context.scenes[-1].frames
        assert last is not None
        told = clip(now, event, step(now, event)) if words else None
        device = self.pipeline.connector.device
        with torch.autocast(device.type, enabled=False):  # the same whether it is made inside a step or before
            condition = Condition(
                self.states(self.prompt(context, words)),
                self.states(Prompt("")),
                self.pipeline.encode_reference(context)[0] if self.config.mode == "continue" else None,
            )
        return Ask(number, context, words, condition, told, np.repeat(last[-1:], len(last), 0))

    def prompt(self, context: StoryContext, words: str) -> Prompt:
        dialect = self.pipeline.dialect
        return self.pipeline.prompt(context, dialect.draw.format(words=words) if words else dialect.next)

    def states(self, prompt: Prompt) -> torch.Tensor:
        """(Q, D)"""
        queries = self.pipeline.connector.queries
        inputs = {k: v.to(queries.device) for k, v in prepare(self.pipeline.processor, [prompt]).items()}
        found, _ = query_states(self.pipeline.vision_language, inputs, queries)
        return found[0].float()


def story_of(config: AskConfig, number: int) -> tuple[Story, Random]:
    """A story with an event at its end; held-out ones may be of compositions that are never trained on."""
    for attempt in range(100):
        rng = Random(f"ask {config.seed}/{number}/{attempt}")
        allowed = None if number >= HELD_OUT else is_train
        one = story(rng, rng.randint(2, config.scenes), config.rules or None, allowed=allowed)
        if one.events:
            return one, rng
    raise ValueError(f"No story was found in which one of {config.rules} happens; name other rules.")


def context_of(one: Story, variants: tuple[int, ...], rng: Random, style: str = "house") -> StoryContext:
    """All scenes but the last event's, in words; the last of them in pictures too."""
    from training.picturebook.draw import clip
    from training.picturebook.reader import idle

    words = [describe(one.worlds[0], rng.choice(variants))]
    for world, event in zip(one.worlds, one.events[:-1], strict=False):
        words.append(tell(event, world, rng.choice(variants)))
    now = one.worlds[-2]
    if len(one.events) > 1:
        seen = clip(one.worlds[-3], one.events[-2], now, style=style)
    else:
        seen = np.array(idle(now.seen(), style=style))
    return StoryContext((*(Scene(w) for w in words[:-1]), Scene(words[-1], seen)))
