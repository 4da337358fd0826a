"""The Qwen-VL that reads the story judges, too: P(Pass) from the probabilities of the next token.

As in the paper the clip is put into words first and Template 10.1 asks about the words; here the reader does both, and
its answer is not sampled but weighed: after "Verdict:" the share that Pass has of Pass and Fail. Knows nothing of how
scenes are drawn and of where the model comes from.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from nsp_core.errors import ConfigError, UserError
from nsp_core.judges import templates
from nsp_core.judges.verdict import Outcome, Verdict
from nsp_core.memory import ends
from nsp_core.model.vision_language import Inputs, Prompt, positions, prepare
from nsp_core.model.writing import write
from nsp_core.types import Scene, StoryContext

LEAST_MASS = 0.5  # below it the reader would rather say something else than give a verdict
ANSWER_BEGINS = "Verdict:"  # as the template ends
# every way in which the next token may be the one or the other word
SPELLINGS = {"pass": (" Pass", "Pass", " pass", "pass"), "fail": (" Fail", "Fail", " fail", "fail")}
CAPTION_TOKENS = 96
VERSION = 1


def template_of(template: templates.Template) -> str:
    return f"{template} v{templates.TEMPLATE_VERSION}, P(Pass) v{VERSION}"


def judge_locally(
    pipeline: Any, context: StoryContext, scene: Scene, judge: str, template: templates.Template = "10.1"
) -> Verdict:
    """The verdict of `pipeline`'s reader; `score` is P(Pass) among Pass and Fail. Missing when it cannot be asked, and
    when its answer would be neither."""
    version = template_of(template)
    before = context.scenes[-1].words.strip() if context.scenes else ""
    if not before:
        return Verdict("missing", "there are no words of the scene before", judge, version, cost_usd=0.0)
    try:
        caption = scene.words.strip() if scene.frames is None or not len(scene.frames) else caption_of(pipeline, scene)
        if not caption:
            return Verdict("missing", "there are no words or pictures to look at", judge, version, cost_usd=0.0)
        asked = Prompt(templates.fill(template, before, caption))
        passed, failed = chances(pipeline.vision_language, pipeline.processor, asked)
    except UserError as error:  # pictures of another size, a vocabulary without the two words
        return Verdict("missing", str(error), judge, version, cost_usd=0.0)
    mass = passed + failed
    if not math.isfinite(mass) or mass < LEAST_MASS:
        return Verdict("missing", "the answer was not a verdict", judge, version, cost_usd=0.0)
    share = passed / mass
    outcome: Outcome = "pass" if share > 0.5 else "fail"
    reason = f"Pass has {share:.0%} of the answer; what was seen: {caption}"
    return Verdict(outcome, reason, judge, version, score=round(share, 4), cost_usd=0.0)


def caption_of(pipeline: Any, scene: Scene) -> str:
    """What the reader sees in the clip's two ends, without knowing what should be there."""
    shown = ends(pipeline.check_frames(scene.frames))
    written = write(
        pipeline.vision_language, pipeline.processor, Prompt(templates.CAPTION, (shown,)), max_tokens=CAPTION_TOKENS
    )
    text = ""
    for piece in written:
        text = piece.text
    return text.strip()


@torch.no_grad()
def chances(model: Any, processor: Any, prompt: Prompt) -> tuple[float, float]:
    """(P(Pass), P(Fail)) of the token after "Verdict:", over all spellings that are one token. Raises ConfigError for a
    vocabulary in which one of the words is none, which leaves nothing to weigh."""
    tokenizer = processor.tokenizer
    first: dict[str, list[int]] = {}
    for side, words in SPELLINGS.items():
        tokens = [tokenizer(word)["input_ids"] for word in words]
        first[side] = sorted({ids[0] for ids in tokens if len(ids) == 1})
    if not first["pass"] or not first["fail"]:
        raise ConfigError("This model's vocabulary cannot tell Pass from Fail by one token: choose another judge.")
    inputs: Inputs = {name: value.to(model.device) for name, value in prepare(processor, [prompt]).items()}
    begun = tokenizer(ANSWER_BEGINS, return_tensors="pt")["input_ids"].to(model.device)
    place = positions(model, inputs)
    more = place.max() + 1 + torch.arange(begun.shape[1], device=begun.device)
    logits = model(
        input_ids=torch.cat([inputs["input_ids"], begun], 1),
        position_ids=torch.cat([place, more.expand(3, 1, -1)], 2),
        use_cache=False,
        logits_to_keep=1,
    ).logits[0, -1]
    probabilities = logits.float().softmax(-1)
    passed, failed = (float(probabilities[first[side]].sum()) for side in ("pass", "fail"))
    return passed, failed
