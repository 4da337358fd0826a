"""What one stage teaches: the seam between the loop and the stages.

Knows nothing of files, schedules or devices. A later stage (flow matching, GRPO, language) is a new Objective.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn


class Objective(Protocol):
    """`module` holds every trainable parameter; `batch` must depend on its generator alone, so that resume is exact."""

    module: nn.Module

    def batch(self, rng: np.random.Generator) -> Any: ...

    def loss(self, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        """The loss to descend and the figures to log."""
        ...

    def evaluate(self) -> dict[str, float]:
        """Held-out figures, with the averaged weights in `module`."""
        ...
