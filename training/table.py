"""Every stage by its name: its config class and the function that runs it."""

from __future__ import annotations

from typing import Any

from training.grpo.stage import GrpoConfig, train_grpo
from training.stages import STAGES as STARTER_STAGES

STAGES: dict[str, tuple[Any, Any]] = {**STARTER_STAGES, "grpo": (GrpoConfig, train_grpo)}
