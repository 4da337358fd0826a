"""What a reader writes in answer to a prompt, token by token, and how likely it finds an answer that is given.

Knows nothing of stories.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nsp_core.errors import Cancelled
from nsp_core.model.vision_language import Begin, Begun, Inputs, Prompt, positions, prepare
from nsp_core.types import ShouldStop


@dataclass(frozen=True)
class Written:
    """The text of one sample so far; `score` is the mean log-probability of its tokens, the end included. `cut`: it
    ended because there were `max_tokens`, not because the model had said it."""

    text: str
    done: bool
    score: float
    cut: bool = False


@torch.no_grad()
def write(
    model: Any,
    processor: Any,
    prompt: Prompt,
    *,
    max_tokens: int = 48,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    should_stop: ShouldStop | None = None,
    begun: str = "",
    begin: Begin | None = None,
    unlike: str = "",
) -> Iterator[Written]:
    """Stream the answer to `prompt`, token by token, after the words `begun` that it is made to begin with; it does not
    begin with the first token of `unlike`. Raises Cancelled within one token of should_stop(). `begin` gives what was
    read already (nsp_core.model.beginnings)."""
    tokenizer = processor.tokenizer
    inputs = {k: v.to(model.device) for k, v in prepare(processor, [prompt], begun=begun).items()}
    position_ids = positions(model, inputs)
    place = int(position_ids.max()) + 1
    generator = torch.Generator().manual_seed(seed)
    end = {tokenizer.eos_token_id, tokenizer.pad_token_id}
    out = go_on(model, inputs, position_ids, begin(model, processor, prompt, inputs) if begin else None)
    tokens: list[int] = []
    total, weighed, cut = 0.0, 0, True
    for weighed in range(1, max_tokens + 1):
        if should_stop and should_stop():
            raise Cancelled("Stopped while the words were being written.")
        log_probs = out.logits[0, -1].float().log_softmax(-1).cpu()
        allowed = log_probs.clone()
        if unlike and weighed == 1:
            allowed[tokenizer(unlike)["input_ids"][0]] = -torch.inf
        token = pick(allowed, temperature, top_p, generator)
        total += float(log_probs[token])
        if token in end:
            cut = False
            break
        tokens.append(token)
        yield Written(tokenizer.decode(tokens, skip_special_tokens=True), False, total / weighed)
        step = torch.tensor([[token]], device=model.device)
        out = model(
            input_ids=step,
            position_ids=torch.full((3, 1, 1), place, device=model.device),
            past_key_values=out.past_key_values,
            use_cache=True,
        )
        place += 1
    yield Written(tokenizer.decode(tokens, skip_special_tokens=True).strip(), True, total / max(1, weighed), cut)


@dataclass(frozen=True)
class Manner:
    """How one answer is drawn: the likeliest tokens at temperature 0."""

    seed: int = 0
    temperature: float = 0.0
    top_p: float = 1.0


@torch.no_grad()
def write_several(
    model: Any,
    processor: Any,
    prompt: Prompt,
    manners: Sequence[Manner],
    *,
    max_tokens: int = 48,
    should_stop: ShouldStop | None = None,
    begun: str = "",
    begin: Begin | None = None,
    enough: Callable[[str], bool] = lambda _: False,
) -> list[Written]:
    """An answer in each of `manners`, token by token side by side: several take hardly longer than one, which waits for
    the weights at every token. As `write` otherwise; an answer also ends where `enough` says so of its text."""
    tokenizer = processor.tokenizer
    inputs = {k: v.to(model.device) for k, v in prepare(processor, [prompt], begun=begun).items()}
    position_ids = positions(model, inputs)
    place = int(position_ids.max()) + 1
    end = {tokenizer.eos_token_id, tokenizer.pad_token_id}
    out = go_on(model, inputs, position_ids, begin(model, processor, prompt, inputs) if begin else None)
    cache, logits = out.past_key_values, out.logits[:, -1].expand(len(manners), -1)
    cache.batch_repeat_interleave(len(manners))
    generators = [torch.Generator().manual_seed(one.seed) for one in manners]
    tokens: list[list[int]] = [[] for _ in manners]
    totals, found = [0.0] * len(manners), [Written("", True, 0.0)] * len(manners)
    writing = list(range(len(manners)))  # a row of the batch each
    for weighed in range(1, max_tokens + 1):
        if should_stop and should_stop():
            raise Cancelled("Stopped while the words were being written.")
        log_probs = logits.float().log_softmax(-1).cpu()
        rows = []
        for row, one in enumerate(writing):
            token = pick(log_probs[row], manners[one].temperature, manners[one].top_p, generators[one])
            totals[one] += float(log_probs[row, token])
            over = token in end
            if not over:
                tokens[one].append(token)
            text = tokenizer.decode(tokens[one], skip_special_tokens=True).strip()
            over = over or enough(text)
            found[one] = Written(text, True, totals[one] / weighed, cut=not over)
            if not over:
                rows.append(row)
        if not rows:
            break
        if len(rows) < len(writing):
            cache.batch_select_indices(torch.tensor(rows, device=model.device))
            writing = [writing[row] for row in rows]
        step = torch.tensor([tokens[one][-1:] for one in writing], device=model.device)
        where = torch.full((3, len(writing), 1), place, device=model.device)
        out = model(input_ids=step, position_ids=where, past_key_values=cache, use_cache=True)
        logits, place = out.logits[:, -1], place + 1
    return found


def go_on(model: Any, inputs: Inputs, position_ids: Tensor, read: Begun | None) -> Any:
    """The model's output at the prompt's last token, with what it keeps of all of them."""
    if read is None:
        seen = {k: inputs[k] for k in ("pixel_values_videos", "video_grid_thw") if k in inputs}
        return model(input_ids=inputs["input_ids"], position_ids=position_ids, use_cache=True, logits_to_keep=1, **seen)
    return model(
        input_ids=inputs["input_ids"][:, read.length :],
        position_ids=position_ids[..., read.length :],
        past_key_values=read.cache,
        use_cache=True,
        logits_to_keep=1,
    )


def pick(log_probs: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> int:
    """Greedy at temperature 0, else nucleus sampling (Holtzman et al. 2020)."""
    if temperature == 0:
        return int(log_probs.argmax())
    probs, order = (log_probs / temperature).softmax(-1).sort(descending=True)
    probs = probs * ((probs.cumsum(-1) - probs) < top_p)
    return int(order[torch.multinomial(probs / probs.sum(), 1, generator=generator)])


@torch.no_grad()
def score(model: Any, processor: Any, prompt: Prompt, answers: Sequence[str]) -> list[float]:
    """Mean log-probability a token of each answer (with its end) after `prompt`."""
    tokenizer = processor.tokenizer
    inputs = {k: v.to(model.device) for k, v in prepare(processor, [prompt]).items()}
    position_ids = positions(model, inputs)
    read = go_on(model, inputs, position_ids, None)
    results = []
    for answer in answers:
        ids = tokenizer(answer + tokenizer.eos_token, return_tensors="pt")["input_ids"].to(model.device)
        logits = read.logits[0, -1:]
        if ids.shape[1] > 1:
            more = position_ids.max() + 1 + torch.arange(ids.shape[1] - 1, device=ids.device)
            out = model(
                input_ids=ids[:, :-1],
                position_ids=more.expand(3, 1, -1),
                past_key_values=copy.deepcopy(read.past_key_values),  # each answer adds to it
                use_cache=True,
            )
            logits = torch.cat([logits, out.logits[0]])
        taken = logits.float().log_softmax(-1).gather(1, ids[0][:, None])
        results.append(float(taken.mean()))
    return results
