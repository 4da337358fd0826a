"""JSON and weights as they lie on the hub: one file of safetensors, or numbered shards and their index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def cast(model: torch.nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: value.to(dtype) for name, value in model.state_dict().items()}


def write_weights(folder: Path, stem: str, state: dict[str, Tensor], shards: int = 1) -> None:
    """`stem`.safetensors, or its numbered shards and their index."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {name: value.detach().contiguous().clone() for name, value in state.items()}
    if shards == 1:
        save_file(whole, folder / f"{stem}.safetensors", metadata={"format": "pt"})
        return
    places: dict[str, str] = {}
    for number in range(shards):
        file = f"{stem}-{number + 1:05d}-of-{shards:05d}.safetensors"
        some = {name: value for i, (name, value) in enumerate(whole.items()) if i * shards // len(whole) == number}
        save_file(some, folder / file, metadata={"format": "pt"})
        places.update(dict.fromkeys(some, file))
    size = sum(value.nbytes for value in whole.values())
    write_json(folder / f"{stem}.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": places})
