"""The words of the next scene from a reader that was taught the task: streamed, each alternative once, only words that
`act` draws.

Knows nothing of pictures. Big readers, which were taught nothing of ours, answer in a form of their own
(`nsp_core.banks.answers`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import torch
from torch import Tensor

from nsp_core import prompts
from nsp_core.errors import OutsideLanguage
from nsp_core.model.vision_language import Written, write
from nsp_core.taste import storyteller
from nsp_core.types import ShouldStop, StoryContext, Thought

# Of two meanings, see `apart`: in the starter two wordings of one event are at most .06 apart, two events .16 or more
SAME = 0.1


def tell(
    pipeline: Any,
    context: StoryContext,
    *,
    steer: str | None = None,
    alternatives: int = 1,
    seed: int = 0,
    should_stop: ShouldStop | None = None,
) -> Iterator[Thought]:
    """See `NextScenePipeline.think`. The first alternative is the likeliest and streams; the others are sampled, each
    warmer, and come when they are whole: one that only says in other words what was said is kept back, and told at the
    end if too little else came to mind."""
    language = pipeline.language
    if steer is not None and language:
        language.check(steer)
    dialect = pipeline.dialect
    task = dialect.next if steer is None else dialect.steer.format(words=pipeline.plain(steer))
    prompt = pipeline.prompt(context, task)
    teller = storyteller(pipeline) if steer is None else pipeline.vision_language  # a wish is no matter of taste
    told: dict[str, Tensor | None] = {}
    spare: list[Written] = []
    for tries in range(4 * alternatives):
        warm = {} if tries == 0 else {"temperature": 1.0 + 0.1 * tries, "top_p": 0.95}
        piece = Written("", False, 0.0)
        how = {"seed": seed + tries, "should_stop": should_stop, "begin": pipeline.beginnings.of, **warm}
        for piece in write(teller, pipeline.processor, prompt, **how):
            if tries == 0 and not piece.done and not piece.text.startswith(prompts.UNKNOWN[:12]):
                yield Thought(0, piece.text)
        text = piece.text
        if text.startswith(prompts.UNKNOWN[:12]):
            if tries == 0:
                decline(pipeline, steer)
            continue
        if not text or text in told or (language and language.unknown(text)):
            continue  # the last is garbled: `act` would refuse it
        # nothing to compare where one is asked for; and all that fulfils a wish means the same
        said = meaning(pipeline, context, text) if alternatives > 1 and steer is None else None
        if said is not None and any(other is not None and apart(said, other) < SAME for other in told.values()):
            spare += [piece] if all(text != one.text for one in spare) else []
            continue
        yield Thought(len(told), text, True, piece.score)
        told[text] = said
        if len(told) == alternatives:
            break
    for number, piece in enumerate(spare[: alternatives - len(told)], len(told)):
        yield Thought(number, piece.text, True, piece.score)
    if not told and language:
        decline(pipeline, steer)


@torch.no_grad()
def meaning(pipeline: Any, context: StoryContext, words: str) -> Tensor:
    """(Q, C): what the transformer would be given to draw `words`."""
    return pipeline.read(pipeline.prompt_to_draw(context, words))[0].float()


def apart(one: Tensor, other: Tensor) -> float:
    """Mean squared difference of two meanings, as a share of their mean square: 0 for the same one."""
    return float((one - other).square().mean() / ((one.square().mean() + other.square().mean()) / 2))


def decline(pipeline: Any, steer: str | None) -> NoReturn:
    language = pipeline.language
    examples = language.examples if language else ()
    known = f" I know the picture-book world, for example: {examples[0]}" if examples else ""
    what = "how this goes on" if steer is None else f"'{steer}'"
    raise OutsideLanguage(f"I don't know that yet: {what}.{known}", examples)
