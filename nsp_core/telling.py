"""The words of the next scene from a reader that was taught the task: streamed, each alternative once, only words that
`act` draws.

Knows nothing of pictures. Big readers, which were taught nothing of ours, answer in a form of their own
(`nsp_core.banks.answers`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NoReturn

import torch
from torch import Tensor

from nsp_core import prompts
from nsp_core.errors import NotHere, OutsideLanguage
from nsp_core.language import Language
from nsp_core.model.following import lean
from nsp_core.model.vision_language import Prompt
from nsp_core.model.writing import Manner, Written, write, write_several
from nsp_core.opinion import believer
from nsp_core.taste import storyteller
from nsp_core.types import ShouldStop, StoryContext, Thought

# Of two meanings, see `apart`: in the starter two wordings of one event are at most .06 apart, two events .16 or more
SAME = 0.1
# Measured on stories of training compositions (DECISIONS.md)
SECOND_THOUGHTS = 10
LIKELIHOOD = 30.0  # what the mean log-probability a token counts beside a belief, in log-odds
HAIR, BELIEVED = -2.5, 3.0  # log-odds: a wish that is declined by less is granted; more belief does not help it
AGREEMENT = 5.0  # what it counts, in log-odds, if all ideas mean the same
WARMER = 0.01  # each further sample than the one before


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
    warmer, several side by side, and come when they are whole: one that only says in other words what was said is kept
    back, and told at the end if too little else came to mind. A reader that can doubt its ideas does so before it tells
    them: then the first is the best of several (`best_of`) and comes whole, and others that it does not believe don't.
    A wish that it declines by a hair it grants (`after_all`).
    """
    language = pipeline.language
    if steer is not None and language:
        language.check(steer)
    dialect = pipeline.dialect
    task = dialect.next if steer is None else dialect.steer.format(words=pipeline.plain(steer))
    prompt = pipeline.prompt(context, task)
    teller = storyteller(pipeline) if steer is None else pipeline.vision_language  # a wish is no matter of taste
    how = {"should_stop": should_stop, "begin": pipeline.beginnings.of}

    def write_some(manners: list[Manner]) -> list[Written]:
        return write_several(teller, pipeline.processor, prompt, manners, **how) if manners else []

    # a wish is the person's to believe
    belief = None if steer is not None else believer(pipeline, context)
    told: dict[str, Tensor | None] = {}
    spare: list[Written] = []
    piece = Written("", False, 0.0)
    for piece in write(teller, pipeline.processor, prompt, seed=seed, **how):
        if not piece.done and belief is None and not prompts.UNKNOWN.startswith(piece.text[:12]):
            yield Thought(0, piece.text)
    if piece.text.startswith(prompts.UNKNOWN[:12]):
        other = None if steer is None else after_all(pipeline, context, prompt, how)
        piece = other or decline(pipeline, steer)
    if belief is not None:
        doubt = pipeline.config.doubt
        piece = best_of(
            *(piece, doubt, write_some, lambda one: sayable(language, one.text), belief.of),
            partial(agreeing, pipeline, context),
        )
    first, pieces, tries = piece, [piece], 1
    while pieces:
        if belief is not None:  # side by side; below they are known
            belief.of([one.text for one in pieces if sayable(language, one.text)])
        for piece in pieces:
            text = piece.text
            if len(told) == alternatives or text in told or not sayable(language, text):
                continue
            if belief is not None and piece is not first and belief.of([text])[0] < pipeline.config.doubt:
                continue
            # nothing to compare where one is asked for; and all that fulfils a wish means the same
            said = meaning(pipeline, context, text) if alternatives > 1 and steer is None else None
            if said is not None and any(other is not None and apart(said, other) < SAME for other in told.values()):
                spare += [piece] if all(text != one.text for one in spare) else []
                continue
            yield Thought(len(told), text, True, piece.score)
            told[text] = said
        more = range(tries, tries if len(told) == alternatives else min(tries + alternatives, 4 * alternatives))
        pieces = write_some([Manner(seed + n, 1.0 + WARMER * n, 0.95) for n in more])
        tries += len(pieces)
    for number, piece in enumerate(spare[: alternatives - len(told)], len(told)):
        yield Thought(number, piece.text, True, piece.score)
    if not told and language:
        decline(pipeline, steer)


def after_all(pipeline: Any, context: StoryContext, prompt: Prompt, how: dict[str, Any]) -> Written | None:
    """What else the reader would tell of a wish that it declines, if it declines by a hair and believes in that. A wish
    in words that were never heard is often declined although it was understood."""
    belief = believer(pipeline, context)
    if belief is None:
        return None
    parts = (pipeline.vision_language, pipeline.processor)
    *_, piece = write(*parts, prompt, unlike=prompts.UNKNOWN, **how)
    if not sayable(pipeline.language, piece.text):
        return None
    rather = lean(*parts, [(prompt, piece.text)], prompts.UNKNOWN, how["begin"])[0]
    return piece if rather + min(belief.of([piece.text])[0], BELIEVED) / 2 >= HAIR else None


def best_of(
    first: Written,
    doubt: float,
    write_some: Callable[[list[Manner]], list[Written]],
    is_right: Callable[[Written], bool],
    belief: Callable[[Sequence[str]], Sequence[float]],
    agreement: Callable[[Sequence[str]], Sequence[float]],
) -> Written:
    """The first idea if the reader does not doubt it; else, of that and some others, the one that is likely, believed
    and thought of most often, in whatever words. The same whatever the seed.

    Not the one believed most of all: that is mostly the sky, which can always change, whatever the story."""

    def worth(ideas: Sequence[Written]) -> list[float]:
        beliefs = belief([one.text for one in ideas])
        return [found + LIKELIHOOD * one.score for one, found in zip(ideas, beliefs, strict=True)]

    if is_right(first) and worth([first])[0] >= doubt:
        return first
    others = write_some([Manner(number, 1.0, 0.95) for number in range(SECOND_THOUGHTS)])
    possible = [one for one in (first, *others) if is_right(one)]
    if not possible:
        return first
    agreed = agreement([one.text for one in possible])
    worths = [found + AGREEMENT * share for found, share in zip(worth(possible), agreed, strict=True)]
    return possible[worths.index(max(worths))]


def agreeing(pipeline: Any, context: StoryContext, words: Sequence[str]) -> list[float]:
    """Of each, the share of `words` that mean the same, itself among them."""
    meanings = {text: meaning(pipeline, context, text) for text in dict.fromkeys(words)}
    alike = {
        one: {text for text, other in meanings.items() if apart(said, other) < SAME} for one, said in meanings.items()
    }
    return [sum(text in alike[one] for text in words) / len(words) for one in words]


def sayable(language: Language | None, text: str) -> bool:
    """`act` would refuse what is garbled."""
    known = not (language and language.unknown(text))
    return bool(text) and not text.startswith(prompts.UNKNOWN[:12]) and known


@torch.no_grad()
def meaning(pipeline: Any, context: StoryContext, words: str) -> Tensor:
    """(Q, C): what the transformer would be given to draw `words`."""
    return pipeline.read(pipeline.prompt_to_draw(context, words))[0].float()


def apart(one: Tensor, other: Tensor) -> float:
    """Mean squared difference of two meanings, as a share of their mean square: 0 for the same one."""
    return float((one - other).square().mean() / ((one.square().mean() + other.square().mean()) / 2))


def decline(pipeline: Any, steer: str | None) -> NoReturn:
    """Its words are known (`Language.check`): what a wish tells cannot come true here, or was not understood."""
    examples = pipeline.language.examples if pipeline.language else ()
    if steer is not None:
        needs = "What it needs may not be there, or not at this hour or in this weather"
        raise NotHere(f"I don't see how this can happen here: '{steer}'. {needs}.", examples)
    known = f" I know the picture-book world, for example: {examples[0]}" if examples else ""
    raise OutsideLanguage(f"I don't know that yet: how this goes on.{known}", examples)
