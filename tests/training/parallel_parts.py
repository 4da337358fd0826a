"""Runs of the loop for the tests of several processes: torchrun ... -m tests.training.parallel_parts JOBS.json

Each job is one run; all are taken in one start, because starting two processes takes longer than the runs.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from tests.training.tiny_parts import StoppedAt, flow_objective, loop_config
from training import parallel
from training.loop import train


def run(job: dict[str, Any]) -> int:
    """A flow run of `steps`; `stop`: its last process alone is sent SIGTERM at that step."""
    ranks = parallel.ranks()
    objective: Any = flow_objective(**job.get("flow", {}))
    if job.get("recompute"):
        objective.module.transformer.enable_gradient_checkpointing()
    config = loop_config(job["steps"], autocast=job.get("autocast", False), **job.get("loop", {}))
    if "stop" in job and ranks.rank == ranks.size - 1:
        objective = Told(objective, job["stop"])
    if job.get("lone_figure"):
        objective = Lone(objective)
    code = train(objective, config, Path(job["out"]))
    note = {
        "code": code,
        "held": sum(parallel.local(p).numel() for p in objective.module.parameters()),
        "total": sum(p.numel() for p in objective.module.parameters()),
        "average": sum(parallel.local(p).numel() for p in [*_shadows(objective)]),
    }
    (Path(job["out"]) / f"rank{ranks.rank}of{ranks.size}.json").write_text(json.dumps(note))
    return code


def _shadows(objective: Any) -> list[torch.Tensor]:
    from training.ema import Ema

    return list(Ema(objective.module, 0.9).shadow.values())


class Passing:
    """Passes the part of the batch on to the objective inside."""

    inner: Any

    @property
    def share(self) -> parallel.Share:
        found: parallel.Share = self.inner.share
        return found

    @share.setter
    def share(self, value: parallel.Share) -> None:
        self.inner.share = value


class Lone(Passing, StoppedAt):
    """The last process alone has one figure more, as where its rows alone were of some kind."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner, -1)

    def loss(self, batch: Any, generator: torch.Generator) -> Any:
        loss, figures = self.inner.loss(batch, generator)
        ranks = parallel.ranks()
        return loss, {**figures, "all": float(ranks.rank), **({"lone": 7.0} if ranks.rank else {})}


class Told(Passing, StoppedAt):
    """StoppedAt that passes its part of the batch on."""


if __name__ == "__main__":
    torch.set_num_threads(1)
    for one in json.loads(Path(sys.argv[1]).read_text()):
        run(one)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        torch.distributed.destroy_process_group()
