"""A taste for words: small matrices (LoRA, arXiv 2106.09685) beside the reader's own, used only where it tells what
happens next by itself.

What fills the queries, describes, judges and answers a wish is the reader as it was, the very same module: pictures of
the same words are the same bits with a taste and without one. The storyteller is a second reader that shares every
tensor with the first but those that were taught. Lies in an adapter's folder (nsp_core.adapters), with or without
layers for the transformer beside it. Knows nothing of training.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from nsp_core.errors import CheckpointMismatch

_HEADER = "whatnext"  # {"alpha", "rank"} as JSON in the file's header


class Taste:
    """What is added to the reader's weights: module name -> (out, in), strength included."""

    def __init__(self, added: Mapping[str, Tensor]) -> None:
        self.added = dict(added)
        self._of: tuple[Any, ...] = ()
        self._teller: nn.Module | None = None

    def over(self, reader: Any) -> Any:
        """`reader` with this taste; it stays as it is. Raises CheckpointMismatch when it is of another shape."""
        one = next(reader.parameters())
        key = (id(reader), one.device, one.dtype)
        if self._teller is None or self._of != key:
            self._teller, self._of = self._copy(reader), key
        return self._teller

    def _copy(self, reader: Any) -> nn.Module:
        shared = {id(tensor): tensor for tensor in chain(reader.parameters(), reader.buffers())}
        teller: nn.Module = copy.deepcopy(reader, shared)
        for name, added in self.added.items():
            try:
                layer = teller.get_submodule(name)
                old = layer.weight
                assert isinstance(old, Tensor)
                new = old.detach().float() + added.to(old.device)
            except (AttributeError, RuntimeError) as error:
                raise CheckpointMismatch(
                    f"The taste for words does not fit this model ({name}): it was learnt for another one."
                ) from error
            layer.weight = nn.Parameter(new.to(old.dtype), requires_grad=False)
        return teller


def storyteller(pipeline: Any) -> Any:
    """Who tells the words of the next scene: the reader, or the reader with a taste."""
    taste = getattr(pipeline, "taste", None)
    return pipeline.vision_language if taste is None else taste.over(pipeline.vision_language)


def joined(files: Sequence[tuple[Path, float]]) -> Taste | None:
    """Several tastes at their strengths add up. None when none says anything."""
    added: dict[str, Tensor] = {}
    for path, strength in files:
        for name, delta in read(path).items():
            added[name] = added[name] + strength * delta if name in added else strength * delta
    return Taste(added) if added else None


def read(path: Path) -> dict[str, Tensor]:
    """Module name -> what is added at strength 1. Raises CheckpointMismatch for what is no such file."""
    try:
        with safe_open(path, "pt") as opened:
            told = json.loads((opened.metadata() or {})[_HEADER])
            scale = float(told["alpha"]) / int(told["rank"])
            names = {key.rpartition(".lora_")[0] for key in opened.keys()}  # noqa: SIM118
            pairs = {
                n: (opened.get_tensor(f"{n}.lora_A.weight"), opened.get_tensor(f"{n}.lora_B.weight")) for n in names
            }
            return {name: scale * (b.float() @ a.float()) for name, (a, b) in sorted(pairs.items())}
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise CheckpointMismatch(f"{path} holds no taste for words; copy the adapter's folder again.") from error


def write(path: Path, layers: Mapping[str, tuple[Tensor, Tensor]], alpha: float) -> None:
    """`layers`: module name -> A (rank, in) and B (out, rank). Whole or not at all."""
    state = {}
    for name, (a, b) in layers.items():
        state[f"{name}.lora_A.weight"] = a.detach().float().cpu().contiguous()
        state[f"{name}.lora_B.weight"] = b.detach().float().cpu().contiguous()
    rank = len(next(iter(layers.values()))[0])
    part = path.with_name(f".{path.name}.partial")
    save_file(state, part, {_HEADER: json.dumps({"alpha": alpha, "rank": rank})})
    part.replace(path)
