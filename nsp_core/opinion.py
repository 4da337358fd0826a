"""What the reader itself says of a scene: does it follow from the story, does it repeat, or does it not follow?

The reader was trained on this question (task "judge"), so the answer costs three short readings and no judge from
outside. It is an opinion of the very model that drew the scene: whoever shows it has to say so. A reader that was not
taught it (the big Qwen-VL) is asked the paper's template instead. Knows nothing of how scenes are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nsp_core import prompts
from nsp_core.judges import Outcome, Verdict
from nsp_core.judges.weighing import judge_locally
from nsp_core.memory import ends
from nsp_core.model.following import lean, shares
from nsp_core.model.vision_language import Prompt
from nsp_core.model.writing import score
from nsp_core.types import Frames, Scene, StoryContext

TEMPLATE = f"own {prompts.PROMPT_VERSION}"
OWN = "own:"  # how the judge id of a model's own opinion begins
LEAST_MASS = 0.5  # below it the reader would rather say something else than give a verdict
SURE = 1e-3  # no verdict is surer than that
_REASONS = ("it follows from the story", "it repeats what was there", "it does not follow from the story")


def opinion(pipeline: Any, context: StoryContext, scene: Scene) -> Verdict:
    """Asked as in training: the story so far, the two ends of its last clip and of the scene's, and the words.

    `score` is the share that "It follows." has among the three verdicts. What cannot be asked, and an answer that is
    none of the three, is missing.
    """
    judge = f"{OWN}{pipeline.fingerprint}"
    if pipeline.config.dialect != "starter":  # a big reader was not taught the task, but reads the paper's template
        return judge_locally(pipeline, context, scene, judge)
    if not scene.words.strip() or scene.frames is None or not len(scene.frames):
        return Verdict("missing", "there is no scene with words and pictures to look at", judge, TEMPLATE)
    if pipeline.language and pipeline.language.unknown(scene.words):
        return Verdict("missing", "the words are outside what the model knows", judge, TEMPLATE)
    shown: Frames = ends(pipeline.check_frames(scene.frames))
    asked = pipeline.prompt(context, pipeline.dialect.judge.format(words=pipeline.plain(scene.words)))
    chances = verdict_chances(pipeline, Prompt(asked.text, (*asked.clips, shown)))
    mass = sum(chances)
    if not math.isfinite(mass) or mass < LEAST_MASS:
        return Verdict("missing", "the answer was not a verdict", judge, TEMPLATE)
    portions = [chance / mass for chance in chances]
    best = portions.index(max(portions))
    outcome: Outcome = "pass" if best == 0 else "fail"
    detail = prompts.VERDICTS[best].rstrip(".").removeprefix("It ")
    return Verdict(outcome, _REASONS[best], judge, TEMPLATE, detail, score=round(portions[0], 4), cost_usd=0.0)


class Beliefs:
    """How far the reader itself believes words that tell what follows on `context`, before anything is drawn; each is
    asked for once, several side by side."""

    def __init__(self, pipeline: Any, context: StoryContext) -> None:
        self._pipeline, self._context = pipeline, context
        self._known: dict[str, float] = {}

    def of(self, words: Sequence[str]) -> list[float]:
        new = [one for one in dict.fromkeys(words) if one not in self._known]
        self._known |= dict(zip(new, beliefs(self._pipeline, self._context, new), strict=True))
        return [self._known[one] for one in words]


def believer(pipeline: Any, context: StoryContext) -> Beliefs | None:
    """None for a reader that was not taught to judge words alone: its config has no `doubt`."""
    return None if pipeline.config.doubt is None else Beliefs(pipeline, context)


def beliefs(pipeline: Any, context: StoryContext, words: Sequence[str]) -> list[float]:
    """Two witnesses for each, added up as log-odds: the verdict on it alone, and how much rather the reader would tell
    it, were it wished for, than decline the wish. Each errs in places of its own (DECISIONS.md)."""
    parts, begin = (pipeline.vision_language, pipeline.processor), pipeline.beginnings.of

    def asked(task: str) -> list[Prompt]:
        return [pipeline.prompt(context, task.format(words=pipeline.plain(one))) for one in words]

    verdicts = shares(*parts, asked(pipeline.dialect.judge), prompts.VERDICTS, begin)
    wished = list(zip(asked(pipeline.dialect.steer), words, strict=True))
    leanings = lean(*parts, wished, prompts.UNKNOWN, begin)
    odds = [math.log(max(follows, SURE) / max(1 - follows, SURE)) for follows, *_ in verdicts]
    return [one + other for one, other in zip(odds, leanings, strict=True)]


def verdict_chances(pipeline: Any, prompt: Prompt) -> list[float]:
    """The probability of each of prompts.VERDICTS as the whole answer."""
    tokenizer = pipeline.processor.tokenizer
    means = score(pipeline.vision_language, pipeline.processor, prompt, prompts.VERDICTS)
    lengths = [len(tokenizer(answer + tokenizer.eos_token)["input_ids"]) for answer in prompts.VERDICTS]
    return [math.exp(mean * length) for mean, length in zip(means, lengths, strict=True)]
