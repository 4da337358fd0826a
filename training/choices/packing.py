"""Several answers to one prompt in one pass of the language model: the prompt is read once, and no answer sees another.

prompt | answer | answer | ...: under a 4-D mask every answer attends to the prompt and to itself, and its positions
begin where the prompt's end, so that each is weighed as if it were alone (a test says so). The vision tower does not
learn, and neither do embeddings: what they make of a prompt is made once. Knows nothing of preferences.

Letters: B prompts, L prompt tokens, A tokens of all answers of one prompt, D hidden width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nsp_core.model.vision_language import Prompt, positions, prepare


@dataclass(frozen=True)
class Packed:
    embedded: Tensor  # (L + A, D)
    places: Tensor  # (3, L + A) rotary positions
    segment: Tensor  # (L + A,): 0 the prompt, 1 the first answer, ...
    length: int  # L
    ids: Tensor  # (A,)
    before: Tensor  # (A,) where the token before each is: of an answer's first one, the prompt's last
    sizes: tuple[int, ...]  # tokens of each answer, its end included


@torch.no_grad()
def encode(model: Any, processor: Any, prompt: Prompt, answers: Sequence[str]) -> Packed:
    """What the layers of the language model are given."""
    tokenizer = processor.tokenizer
    inputs = {k: v.to(model.device) for k, v in prepare(processor, [prompt]).items()}
    embed = model.get_input_embeddings()
    asked = embed(inputs["input_ids"])
    if "pixel_values_videos" in inputs:
        seen = model.model.get_video_features(inputs["pixel_values_videos"], inputs["video_grid_thw"])
        seen = torch.cat(list(seen.pooler_output)).to(asked)
        here = (inputs["input_ids"] == model.config.video_token_id)[..., None].expand_as(asked)
        asked = asked.masked_scatter(here, seen)
    rows = [torch.tensor(tokenizer(text + tokenizer.eos_token)["input_ids"], device=asked.device) for text in answers]
    length, asked_at = asked.shape[1], positions(model, inputs)[:, 0]
    ids = torch.cat(rows)
    starts, before, at = int(asked_at.max()) + 1, [], length
    for row in rows:
        before += [length - 1, *range(at, at + len(row) - 1)]
        at += len(row)
    more = torch.cat([starts + torch.arange(len(row), device=ids.device) for row in rows])
    segment = [torch.full((len(row),), n, device=ids.device) for n, row in enumerate(rows, start=1)]
    return Packed(
        torch.cat([asked[0], embed(ids)]),
        torch.cat([asked_at, more[None].expand(3, -1)], 1),
        torch.cat([torch.zeros(length, dtype=torch.long, device=ids.device), *segment]),
        length,
        ids,
        torch.tensor(before, device=ids.device),
        tuple(len(row) for row in rows),
    )


def log_probabilities(model: Any, batch: Sequence[Packed]) -> list[Tensor]:
    """Of every answer of every prompt, its end included: a tensor (answers,) each."""
    width = -(-max(len(one.embedded) for one in batch) // 32) * 32  # kernels like few shapes
    embedded = torch.stack([_padded(one.embedded, width) for one in batch])
    places = torch.stack([_padded(one.places.T, width).T for one in batch], 1)
    segment = torch.stack([_padded(one.segment, width, -1) for one in batch])
    own = segment[:, None, :] == segment[:, :, None]
    order = torch.ones(width, width, dtype=torch.bool, device=segment.device).tril()[None]
    allowed = order & (own | (segment == 0)[:, None, :]) & (segment >= 0)[:, None, :]
    allowed = allowed | torch.eye(width, dtype=torch.bool, device=segment.device)
    hidden = model.model.language_model(
        inputs_embeds=embedded, attention_mask=allowed[:, None], position_ids=places, use_cache=False
    ).last_hidden_state
    found = []
    for row, one in zip(hidden, batch, strict=True):
        logits = model.lm_head(row[one.before]).float()
        taken = logits.log_softmax(-1).gather(1, one.ids[:, None])[:, 0]
        found.append(torch.stack([part.sum() for part in taken.split(list(one.sizes))]))
    return found


def _padded(rows: Tensor, width: int, value: int = 0) -> Tensor:
    """(n, ...) -> (width, ...), filled at the end."""
    fill = rows.new_full((width - len(rows), *rows.shape[1:]), value)
    return torch.cat([rows, fill])
