"""What a reader made of a prompt's beginning is kept, and gone on from.

Several ideas of what comes answer one prompt; and all prompts of one moment (words, what an idea means, the picture)
begin with the same story and the same frames. Their keys and values are worked out once.

A prompt says itself how far others may begin like it (`Prompt.shared`), and what lies before is always read in one
piece and what follows in another: so the answer has the same bits whether the beginning was kept or not.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nsp_core.model.vision_language import Begun, Inputs, Prompt, chat, positions
from nsp_core.model.writing import go_on

LEAST = 16  # tokens that are worth it


@dataclass
class _Kept:
    reader: Any
    version: int  # changes when somebody teaches the reader
    ids: Tensor
    pictures: Tensor | None
    cache: Any


class Beginnings:
    """The latest beginning of each reader: with a taste (nsp_core.taste), two tell of one story."""

    def __init__(self, readers: int = 2) -> None:
        self._readers = readers
        self._kept: list[_Kept] = []

    def of(self, model: Any, processor: Any, prompt: Prompt, inputs: Inputs) -> Begun | None:
        """The beginning of `prompt`, whose tokens are `inputs` (of one prompt alone). None: too short."""
        length = beginning(processor, prompt, inputs)
        if length < LEAST or torch.is_grad_enabled():
            return None
        ids, pictures = inputs["input_ids"][:, :length], inputs.get("pixel_values_videos")
        version = sum(parameter._version for parameter in model.parameters())
        known = next((one for one in self._kept if one.reader is model), None)
        if known is None or known.version != version or not (same(known.ids, ids) and same(known.pictures, pictures)):
            if known is not None:
                self._kept.remove(known)
            out = go_on(model, {**inputs, "input_ids": ids}, positions(model, inputs)[..., :length], None)
            known = _Kept(model, version, ids, pictures, out.past_key_values)
            self._kept = [*self._kept, known][-self._readers :]
        return Begun(copy.deepcopy(known.cache), length)  # whoever goes on adds to it


def beginning(processor: Any, prompt: Prompt, inputs: Inputs) -> int:
    """How many tokens every prompt has in front that begins with the same clips and `shared` characters."""
    if not prompt.shared and not prompt.clips:
        return 0
    # a clip is one token in the chat and many in the prompt; all of them come first
    return int(inputs["input_ids"].shape[1]) - len(parted(processor, prompt)[1])


def parted(processor: Any, prompt: Prompt) -> tuple[list[int], list[int]]:
    """The chat's tokens that every prompt has in front that begins like this one, and those after them."""
    whole, short = (
        processor.tokenizer(chat(processor, Prompt(text, prompt.clips)))["input_ids"]
        for text in (prompt.text, prompt.text[: prompt.shared])
    )
    alike = next(
        (at for at, (a, b) in enumerate(zip(whole, short, strict=False)) if a != b), min(map(len, (whole, short)))
    )
    return whole[:alike], whole[alike:]


def same(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and one.device == other.device and torch.equal(one, other)
