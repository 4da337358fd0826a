"""The words of the next scene from a reader that was taught the task: streamed, each alternative once, only words that
`act` draws.

Knows nothing of pictures. Big readers, which were taught nothing of ours, answer in a form of their own
(`nsp_core.banks.answers`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from nsp_core import prompts
from nsp_core.errors import OutsideLanguage
from nsp_core.model.vision_language import write
from nsp_core.types import ShouldStop, StoryContext, Thought


def tell(
    pipeline: Any,
    context: StoryContext,
    *,
    steer: str | None = None,
    alternatives: int = 1,
    seed: int = 0,
    should_stop: ShouldStop | None = None,
) -> Iterator[Thought]:
    """See `NextScenePipeline.think`. The first alternative is the likeliest, the others are sampled, each warmer."""
    language = pipeline.language
    if steer is not None and language:
        language.check(steer)
    dialect = pipeline.dialect
    task = dialect.next if steer is None else dialect.steer.format(words=pipeline.plain(steer))
    prompt = pipeline.prompt(context, task)
    told: set[str] = set()
    number, tries = 0, 0
    while number < alternatives and tries < 4 * alternatives:
        warm = {} if tries == 0 else {"temperature": 1.0 + 0.1 * tries, "top_p": 0.95}
        text = ""
        for piece in write(
            pipeline.vision_language, pipeline.processor, prompt, seed=seed + tries, should_stop=should_stop, **warm
        ):
            text = piece.text
            fresh = not any(t.startswith(text) for t in told)
            if text.startswith(prompts.UNKNOWN[:12]):
                if tries == 0:
                    decline(pipeline, steer)
                break
            if piece.done and text and text not in told:
                if language and language.unknown(text):
                    break  # garbled: `act` would refuse it
                told.add(text)
                yield Thought(number, text, True, piece.score)
                number += 1
            elif fresh and not piece.done:
                yield Thought(number, text)
        tries += 1
    if not number and language:
        decline(pipeline, steer)


def decline(pipeline: Any, steer: str | None) -> NoReturn:
    language = pipeline.language
    examples = language.examples if language else ()
    known = f" I know the picture-book world, for example: {examples[0]}" if examples else ""
    what = "how this goes on" if steer is None else f"'{steer}'"
    raise OutsideLanguage(f"I don't know that yet: {what}.{known}", examples)
