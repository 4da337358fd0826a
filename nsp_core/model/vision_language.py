"""Qwen2.5-VL as the story's reader: prompts in, words out, and learnable queries filled with what was understood.

Knows nothing of diffusion. The model is transformers' own; we append query embeddings behind the prompt (paper,
architecture section; MetaQuery's order: last, so that under the causal mask they see everything) and read their last
hidden states.

Letters: B batch, L prompt tokens, Q queries, S suffix tokens, D hidden width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nsp_core.types import Frames

Inputs = dict[str, Tensor]


@dataclass(frozen=True)
class Prompt:
    """One user message: clips first (each (T, H, W, 3), already sampled in time), then text. Its first `shared`
    characters are a story that other prompts may begin with, too (nsp_core.model.beginnings)."""

    text: str
    clips: tuple[Frames, ...] = ()
    shared: int = 0


@dataclass
class Begun:
    """The first `length` tokens of a prompt as they were read: `cache` holds their keys and values, to be gone on."""

    cache: Any
    length: int


Begin = Callable[[Any, Any, Prompt, Inputs], Begun | None]  # of a model, its processor, a prompt and its tokens


def chat(processor: Any, prompt: Prompt, begun: str = "") -> str:
    """The prompt in the processor's chat template; `begun` is what the answer begins with."""
    content = [{"type": "video"} for _ in prompt.clips] + [{"type": "text", "text": prompt.text}]
    messages = [{"role": "user", "content": content}]
    text: str = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return text + begun


def prepare(processor: Any, prompts: Sequence[Prompt], multiple: int = 1, begun: str = "") -> Inputs:
    """Tokens and vision patches of a left-padded batch, through the processor's own chat template.

    `multiple` rounds the padded length up: kernels are prepared once a shape, so training wants few shapes. `begun` is
    what the answer begins with. A big model's processor says by `reading(clips)` how large frames may be.
    """
    texts = [chat(processor, prompt, begun) for prompt in prompts]
    clips = [clip for prompt in prompts for clip in prompt.clips]
    if clips:
        out = processor(
            text=texts,
            videos=clips,
            padding=True,
            pad_to_multiple_of=multiple,
            return_tensors="pt",
            return_mm_token_type_ids=True,
            **(reading(clips) if (reading := getattr(processor, "reading", None)) else {}),
        )
    else:
        out = processor.tokenizer(texts, padding=True, pad_to_multiple_of=multiple, return_tensors="pt")
    keep = ("input_ids", "attention_mask", "mm_token_type_ids", "pixel_values_videos", "video_grid_thw")
    return {k: out[k] for k in keep if k in out}


def positions(model: Any, inputs: Inputs) -> Tensor:
    """(3, B, L) rotary positions: t, h, w of vision tokens, counting on in text. Never read from a stale cache."""
    mask = inputs["attention_mask"]
    if "video_grid_thw" in inputs:
        ids, _ = model.model.get_rope_index(
            inputs["input_ids"],
            mm_token_type_ids=inputs["mm_token_type_ids"],
            video_grid_thw=inputs["video_grid_thw"],
            attention_mask=mask,
        )
        return ids
    return (mask.long().cumsum(-1) - 1).clamp(min=0)[None].expand(3, -1, -1)


def query_states(
    model: Any, inputs: Inputs, queries: Tensor, suffix: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Fill the queries: -> their states (B, Q, D) and the suffix's (B, S, D; S may be 0), after the final norm.

    `queries` (Q, D). `suffix` = (ids (B, S), mask (B, S)) are words that may attend to the queries and to themselves
    only: a language loss on them teaches the queries and cannot be met by reading past them (training only).
    """
    batch, length = inputs["input_ids"].shape
    count, width = len(queries), 0 if suffix is None else suffix[0].shape[1]
    device = queries.device
    fill = inputs["input_ids"].new_zeros(batch, count)
    ids = torch.cat([inputs["input_ids"], fill, *([suffix[0]] if suffix else [])], 1)
    ones = inputs["attention_mask"].new_ones(batch, count)
    mask = torch.cat([inputs["attention_mask"], ones, *([suffix[1]] if suffix else [])], 1).bool()
    prompt_positions = positions(model, inputs)
    start = prompt_positions.amax((0, 2), keepdim=True) + 1  # (1, B, 1)
    more = start + torch.arange(count + width, device=device)
    position_ids = torch.cat([prompt_positions, more.expand(3, -1, -1)], 2)

    total = length + count + width
    allowed = torch.ones(total, total, dtype=torch.bool, device=device).tril()[None] & mask[:, None]
    if width:
        allowed = allowed.expand(batch, -1, -1).clone()
        allowed[:, length + count :, :length] = False
    allowed = allowed | torch.eye(total, dtype=torch.bool, device=device)  # a padded row must attend to something

    def insert(_module: Any, _args: Any, out: Tensor) -> Tensor:
        middle = queries.to(out.dtype)[None].expand(batch, -1, -1)
        return torch.cat([out[:, :length], middle, out[:, length + count :]], 1)

    hook = model.get_input_embeddings().register_forward_hook(insert)
    try:
        extra = {k: inputs[k] for k in ("pixel_values_videos", "video_grid_thw") if k in inputs}
        out = model.model(
            input_ids=ids, attention_mask=allowed[:, None], position_ids=position_ids, use_cache=False, **extra
        ).last_hidden_state
    finally:
        hook.remove()
    return out[:, length : length + count], out[:, length + count :]


def query_states_after(model: Any, inputs: Inputs, queries: Tensor, begun: Begun) -> Tensor:
    """The queries' states (1, Q, D) of a prompt that was begun to be read: those of `query_states`, rounded apart."""
    count, start = len(queries), begun.length
    prompt_positions = positions(model, inputs)
    more = int(prompt_positions.max()) + 1 + torch.arange(count, device=queries.device)
    position_ids = torch.cat([prompt_positions[..., start:], more.expand(3, 1, -1)], 2)
    words = model.get_input_embeddings()(inputs["input_ids"][:, start:])
    out = model.model(
        inputs_embeds=torch.cat([words, queries.to(words.dtype)[None]], 1),
        position_ids=position_ids,
        past_key_values=begun.cache,
        use_cache=True,
    ).last_hidden_state
    found: Tensor = out[:, -count:]
    return found
