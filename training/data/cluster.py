"""Workers on many machines: actors of Ray, behind the same interface as the processes of one machine.

Paths travel, frames do not: every machine sees the films and the run's folder at the same place (a shared disk), and
outcomes are plain values. Which batch goes where, what is tried again and in which order outcomes come is decided by
`engine.run_stage`, as for local workers, so that the output is the same to the byte; an actor that dies, or a machine
with its actors, is one that lost its batch. Writes of stages are whole files under names of their content, so a batch
that is done twice changes nothing. Only this module knows Ray (extra `cluster`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nsp_core.errors import ConfigError
from training.data.engine import Reply, Stage, Worker
from training.data.local import answer
from training.data.rows import Row

ROOT = Path(__file__).resolve().parents[2]
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class Actor:
    """What runs on the other side."""

    def prepare(self, stage: Stage) -> None:
        """That it arrived means that what the stage imports is there."""

    def run(self, stage: Stage, rows: tuple[Row, ...]) -> Reply:
        return answer(stage, rows)


@dataclass(eq=False)
class RayWorker:
    actor: Any
    gpus: float
    waiting: list[Any] = field(default_factory=list)  # references: that it has begun, and its reply

    def send(self, stage: Stage, rows: Sequence[Row]) -> None:
        self.waiting = [self.actor.prepare.remote(stage), self.actor.run.remote(stage, tuple(rows))]

    def kill(self) -> None:
        import ray

        ray.kill(self.actor, no_restart=True)


class Cluster:
    """`address`: of a running cluster ("auto" finds this machine's own); "": one is started here. `count`: how many
    workers, 0 for as many as there are processors. Raises ConfigError without Ray, and where no cluster answers."""

    def __init__(self, address: str = "", count: int = 0) -> None:
        os.environ.update({name: os.environ.get(name, value) for name, value in QUIET.items()})
        try:
            import ray
        except ImportError:
            raise ConfigError("run.executor=ray needs Ray: pip install 'what-happens-next[cluster]'.") from None
        self._ours = not ray.is_initialized()
        if self._ours:
            path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
            environment = {"env_vars": {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}}
            options: dict[str, Any] = {"log_to_driver": False, "runtime_env": environment}
            if not address:
                options |= {"include_dashboard": False, "num_cpus": count or None}
            try:
                ray.init(address=address or None, **options)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise ConfigError(f"No Ray cluster answers at '{address}' ({error}).") from None
        self._count = count
        self._workers: list[RayWorker] = []

    def workers(self, stage: Stage) -> Sequence[Worker]:
        import ray

        there = ray.cluster_resources()
        if stage.gpus:
            wanted = int(there.get("GPU", 0) / stage.gpus)
            if not wanted:
                raise ConfigError(f"Stage {stage.name} needs {stage.gpus:g} GPUs, and the cluster has none free.")
        else:
            wanted = max(1, int((self._count or there.get("CPU", 1)) / max(stage.cpus, 1e-3)))
        mine = [worker for worker in self._workers if worker.gpus == stage.gpus]
        while len(mine) < wanted:
            mine.append(self._new(stage.gpus))
            self._workers.append(mine[-1])
        return mine[:wanted]

    def wait(self, busy: Sequence[Worker], seconds: float) -> list[tuple[Worker, Reply]]:
        import ray
        from ray.exceptions import RayError

        first = {w.waiting[0]: w for w in busy if isinstance(w, RayWorker)}
        ready, _ = ray.wait(list(first), num_returns=len(first), timeout=0)
        if not ready:
            ready, _ = ray.wait(list(first), num_returns=1, timeout=seconds)
        found: list[tuple[Worker, Reply]] = []
        for reference in ready:
            worker = first[reference]
            worker.waiting.pop(0)
            try:
                reply = ray.get(reference)
                found.append((worker, Reply(None, begun=True) if worker.waiting else reply))
            except RayError as error:  # of all that it can raise, each means that this actor is of no use any more
                found.append((worker, Reply(None, f"its worker was lost ({type(error).__name__})", lost=True)))
        return found

    def replace(self, worker: Worker) -> Worker:
        assert isinstance(worker, RayWorker)
        with contextlib.suppress(Exception):  # it may be gone with its machine
            worker.kill()
        new = self._new(worker.gpus)
        self._workers[self._workers.index(worker)] = new
        return new

    def close(self) -> None:
        import ray

        for worker in self._workers:
            with contextlib.suppress(Exception):
                worker.kill()
        self._workers.clear()
        if self._ours:
            ray.shutdown()

    def _new(self, gpus: float) -> RayWorker:
        import ray

        # processors are counted here, not by Ray: what replaces an actor of a machine that is gone has to start at once
        # on those that are left
        options = {"num_cpus": 0, "num_gpus": gpus, "scheduling_strategy": "SPREAD", "max_restarts": 0}
        return RayWorker(ray.remote(Actor).options(**options).remote(), gpus)
