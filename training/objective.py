"""What one stage teaches: the seam between the loop and the stages.

Knows nothing of files, schedules or devices. A later stage (flow matching, GRPO, language) is a new Objective.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from nsp_core.errors import WhatNextError


class StopTraining(WhatNextError):
    """An objective says that going on would teach the wrong thing: the loop saves what it has and passes this on."""


class Objective(Protocol):
    """`module` holds every trainable parameter; `batch` must depend on its generator alone, so that resume is exact."""

    module: nn.Module

    def batch(self, rng: np.random.Generator) -> Any: ...

    def loss(self, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """The loss to descend and the figures to log.

        A loss without a graph: the objective has called backward itself, a piece at a time (gradients are None before).
        """
        ...

    def evaluate(self) -> dict[str, float]:
        """Held-out figures, with the averaged weights in `module`."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """An objective with a state of its own between steps, which checkpoints keep beside the optimiser's."""

    def state(self) -> dict[str, Any]: ...

    def resume(self, step: int, state: dict[str, Any] | None) -> None:
        """`state` is None at the beginning of a run and in a light checkpoint."""
        ...
