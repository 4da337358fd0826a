"""Where a run is planned for: what a processor of each kind does in a second and how much memory it has.

`PlanConfig` is the section `plan:` of a stage's config; training itself never looks at it. Knows nothing of stages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Machine:
    peak: float  # FLOP a second, bfloat16 without sparsity, as its maker says
    memory: float  # GiB of one
    utilisation: float  # share of the peak that a run is expected to reach


MACHINES = {
    "a100-80g": Machine(312e12, 80, 0.4),  # .36 to .40 is what the paper's 13 s a scene come to
    "h100": Machine(989e12, 80, 0.4),
    "h200": Machine(989e12, 141, 0.4),
    # what the starter's generator reached on the two shared cores that it was trained on
    "two-cores": Machine(0.16e12, 16, 1.0),
}


@dataclass(frozen=True)
class PlanConfig:
    """What `train plan` takes for granted and the rest of a config does not say."""

    parts: Literal["init", "paper"] = "init"  # paper: Qwen2.5-VL-7B and LTX 0.9.0, whatever `init` holds
    machine: Literal["a100-80g", "h100", "h200", "two-cores"] = "two-cores"
    processes: int = 1  # that share flow.batch; stages teacher and grpo run on one
    utilisation: float | None = None  # None: the machine's
    prompt: int = 64  # tokens of a story, without queries
    examples: int = 0  # of the real data set, for epochs and the cache; 0: as many as the config has
    hours: float = 0.0  # above 0: the most that the run may take; `train plan` exits with 1 beyond it
