"""Ways of asking a model for the next scene, and the clip that comes of each: in this the rows of the table differ.

told     the story, and the true words of what comes ("think, then act", with perfect thinking)
own      the story, and the words that the reader itself writes first (thinking on)
off      the story alone: reader and drawer must find out together what comes (the paper's setting)
text     no story: the drawer is given the preceding words as if they were what to draw (the paper's row of LTX alone)
cascade  no story: the reader describes the last picture and writes what comes, the drawer draws these words

Where no true words were given any possible event is right. Knows nothing of judges.
"""

from __future__ import annotations

from typing import Any, Literal

import torch

from nsp_core import flow
from nsp_core.memory import words_of
from nsp_core.model.vision_language import Prompt
from nsp_core.sampler import denoise
from nsp_core.types import Frames, Mode, SamplingOptions
from training.grpo.asks import Ask

Way = Literal["told", "own", "off", "text", "cascade"]
WAYS: tuple[Way, ...] = ("told", "own", "off", "text", "cascade")
ALONE: tuple[Way, ...] = ("text", "cascade")  # in which the drawer never sees the story, so that only a cut is possible


def prompt_of(pipeline: Any, ask: Ask, way: Way) -> Prompt:
    """What the reader is asked, whose queries then condition the drawer."""
    draw = pipeline.dialect.draw
    if way == "told":
        return pipeline.prompt(ask.context, draw.format(words=ask.words))
    if way == "off":
        return pipeline.prompt(ask.context, pipeline.dialect.next)
    if way == "text":
        return Prompt(draw.format(words=" ".join(words_of(ask.context))))
    own = pipeline._last(pipeline.think(ask.context, alternatives=1)).text
    if way == "own":
        return pipeline.prompt(ask.context, draw.format(words=own))
    seen = pipeline.describe(ask.context.scenes[-1].frames).words
    return Prompt(draw.format(words=f"{seen} {own}"))


@torch.no_grad()
def clip_of(pipeline: Any, ask: Ask, way: Way, mode: Mode, options: SamplingOptions) -> Frames:
    """One clip as the shipped sampler draws it, (T, H, W, 3) uint8; the ask's number is the seed of its noise."""
    kept = ask.condition.reference
    reference = None if mode == "cut" else kept[None] if kept is not None else pipeline.encode_reference(ask.context)
    return drawn(pipeline, prompt_of(pipeline, ask, way), reference, ask.number, pipeline.resolve(mode, options))


@torch.no_grad()
def drawn(pipeline: Any, prompt: Prompt, reference: torch.Tensor | None, seed: int, options: SamplingOptions) -> Frames:
    """What `pipeline.act` draws, of any prompt. `options` are resolved: none of them is None."""
    assert options.steps and options.guidance and options.shift
    conditions = (pipeline.read(prompt), pipeline.null_condition())
    with pipeline.one_run(conditions, reference, options) as velocity:
        *_, last = denoise(
            velocity, pipeline.prepare_noise(seed), flow.sigma_schedule(options.steps, float(options.shift))
        )
    frames: Frames = pipeline.decode(pipeline.to_latents(last.x, reference))
    return frames
