"""Every stage by its name: its config class and the function that runs it."""

from __future__ import annotations

from functools import partial
from typing import Any

from training.adapt.stage import AdaptConfig, train_adapter
from training.distil.stage import DistilConfig, TeacherConfig, train_distil, train_teacher
from training.grpo.stage import GrpoConfig, train_grpo
from training.pretrain.stage import TABLE, StageConfig, train_row
from training.stages import STAGES as STARTER_STAGES

STAGES: dict[str, tuple[Any, Any]] = {
    **STARTER_STAGES,
    **{name: (StageConfig, partial(train_row, name)) for name in TABLE},
    "teacher": (TeacherConfig, train_teacher),
    "distil": (DistilConfig, train_distil),
    "grpo": (GrpoConfig, train_grpo),
    "adapt": (AdaptConfig, train_adapter),
}
