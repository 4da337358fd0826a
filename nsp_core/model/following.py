"""How probable answers are that are given, after several prompts: read side by side where the prompts begin alike.

Knows nothing of stories.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nsp_core.model.beginnings import parted
from nsp_core.model.vision_language import Begin, Begun, Prompt, positions, prepare
from nsp_core.model.writing import go_on

Asked = tuple[Prompt, Sequence[int]]  # a prompt, and the tokens of an answer that begins so


@torch.no_grad()
def shares(
    model: Any, processor: Any, prompts: Sequence[Prompt], answers: Sequence[str], begin: Begin | None = None
) -> list[list[float]]:
    """How probable each answer is after each prompt if it is one of `answers`, told by the token at which they part:
    one reading, where `writing.score` takes one each. They must begin alike and all part at the same token."""
    tokenizer = processor.tokenizer
    ids = [tokenizer(answer)["input_ids"] for answer in answers]
    alike = next(at for at, tokens in enumerate(zip(*ids, strict=False)) if len(set(tokens)) > 1)
    parting = [one[alike] for one in ids]
    if len(set(parting)) < len(parting):
        raise ValueError(f"The answers {', '.join(answers)} do not all part at one token.")
    found = follow_on(model, processor, [(prompt, ids[0][:alike]) for prompt in prompts], begin)
    return [logits[-1, parting].softmax(-1).tolist() for logits in found]


@torch.no_grad()
def lean(
    model: Any, processor: Any, answered: Sequence[tuple[Prompt, str]], instead: str, begin: Begin | None = None
) -> list[float]:
    """How much rather each answer is written after its prompt than anything that begins like `instead`: the difference
    of their log-probabilities. Positive: rather the answer."""
    tokenizer = processor.tokenizer
    ids = [tokenizer(answer + tokenizer.eos_token)["input_ids"] for _, answer in answered]
    other = tokenizer(instead)["input_ids"][0]
    asked = [(prompt, one[:-1]) for (prompt, _), one in zip(answered, ids, strict=True)]
    found = []
    for one, logits in zip(ids, follow_on(model, processor, asked, begin), strict=True):
        likely = logits.log_softmax(-1)
        written = likely.gather(1, torch.tensor(one, device=logits.device)[:, None]).sum()
        found.append(float(written - likely[0, other]))
    return found


def follow_on(model: Any, processor: Any, asked: Sequence[Asked], begin: Begin | None) -> list[Tensor]:
    """Of each: what may stand after the prompt, and there after each of the tokens, (1 + their number, vocabulary)
    logits in fp32. With `begin`, prompts that begin alike are read on from there in one batch."""
    if not asked:
        return []
    first = asked[0][0]
    inputs = {k: v.to(model.device) for k, v in prepare(processor, [first]).items()}
    places = positions(model, inputs)
    read = begin(model, processor, first, inputs) if begin else None
    if len(asked) > 1 and (read is None or not all(begins_alike(processor, first, one) for one, _ in asked[1:])):
        return [follow_on(model, processor, [one], begin)[0] for one in asked]
    if read is None:
        length = places.shape[-1] - 1
        out = go_on(model, {**inputs, "input_ids": inputs["input_ids"][:, :length]}, places[..., :length], None)
        read = Begun(out.past_key_values, length)
    rests = [inputs["input_ids"][0, read.length :].tolist(), *(parted(processor, one)[1] for one, _ in asked[1:])]
    rows = [[*rest, *tokens] for rest, (_, tokens) in zip(rests, asked, strict=True)]
    width = max(map(len, rows))  # what stands behind a shorter one is seen by none of its tokens
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=model.device)
    where = int(places[0, 0, read.length]) + torch.arange(width, device=model.device)
    read.cache.batch_repeat_interleave(len(rows))
    out = model(input_ids=ids, position_ids=where.expand(3, len(rows), -1), past_key_values=read.cache, use_cache=True)
    ends = [(len(rest) - 1, len(row)) for rest, row in zip(rests, rows, strict=True)]
    return [logits[start:end].float() for logits, (start, end) in zip(out.logits, ends, strict=True)]


def begins_alike(processor: Any, one: Prompt, other: Prompt) -> bool:
    """Whether both go on from the same tokens and the same frames."""
    same_frames = len(one.clips) == len(other.clips) and all(map(np.array_equal, one.clips, other.clips))
    return same_frames and parted(processor, one)[0] == parted(processor, other)[0]
