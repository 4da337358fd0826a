"""A model's own errors as stage `generator` is shown them: what the file holds that training.own_errors makes.

Knows nothing of models.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from nsp_core.errors import ConfigError


@dataclass(frozen=True)
class OwnRows:
    """What comes after clips with errors: `latents` (M, C, F, h, w) of the true next clip, `tails` (M, C, h, w) of the
    true last one, the reader's states `conditions` (M, Q, D), which saw what was drawn, `labels` (M,) as in a cache of
    stage generator, and `of` (M,), the number of the last clip's error."""

    latents: Tensor
    tails: Tensor
    conditions: Tensor
    labels: Tensor
    of: Tensor

    def to(self, device: str) -> OwnRows:
        return OwnRows(*(getattr(self, f.name).to(device) for f in fields(self)))


@dataclass(frozen=True)
class OwnErrors:
    """`heads` and `tails` (N, C, h, w), normalised latents, and what comes after them."""

    heads: Tensor
    tails: Tensor
    rows: OwnRows | None = None

    def to(self, device: str) -> OwnErrors:
        rows = None if self.rows is None else self.rows.to(device)
        return OwnErrors(self.heads.to(device), self.tails.to(device), rows)


def read(path: Path) -> OwnErrors:
    """Raises ConfigError when the file is not one of `make`'s."""
    try:
        found = load_file(path)
        own = {f.name: found[f"row_{f.name}"] for f in fields(OwnRows) if f"row_{f.name}" in found}
        return OwnErrors(found["heads"].float(), found["tails"].float(), OwnRows(**own) if own else None)
    except Exception as error:
        raise ConfigError(f"{path} holds no errors of a model: make it with python -m training.own_errors.") from error
