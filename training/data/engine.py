"""Stages and how their work is shared out: batches, time limits, workers that die.

An executor has workers, whoever they are (processes here, actors of a cluster elsewhere); what happens to a batch is
decided once, in `run_stage`. A batch whose worker dies or takes too long is taken apart, so that only the row that did
it is marked `failed`; that row is tried again max_retries times first. Each row gets exactly one outcome, the same for
any number of workers; in which order they come is of no account to who collects them by row. Knows nothing of what
stages do.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from training.data.rows import Kind, Outcome, Row

START = 600.0  # seconds in which a worker has to be up, with everything that a stage imports


@dataclass(frozen=True)
class Stage:
    """`process_batch` can be pickled; it answers with one Outcome a row. `version` names everything that an outcome
    depends on beside the row. `timeout`: seconds a row; `memory`: bytes a worker may take, 0 for no limit."""

    name: str
    kind: Kind
    process_batch: Callable[[Sequence[Row]], Sequence[Outcome]]
    version: str
    cpus: float = 1.0  # that one batch keeps busy
    gpus: float = 0.0
    batch_size: int = 1
    timeout: float = 300.0
    max_retries: int = 1
    memory: int = 0
    wants: Callable[[Row], bool] | None = None  # other rows pass as they are


@dataclass(frozen=True)
class Reply:
    """`outcomes` None: the batch went wrong as a whole, and `reason` says how. `lost`: so did the worker. `begun`: it
    is no answer yet; the worker has what it needs, and its time runs from now."""

    outcomes: tuple[Outcome, ...] | None
    reason: str = ""
    lost: bool = False
    begun: bool = False


class Worker(Protocol):
    def send(self, stage: Stage, rows: Sequence[Row]) -> None: ...

    def kill(self) -> None:
        """At once, with all that it began. The executor gives another one for it."""
        ...


class Executor(Protocol):
    def workers(self, stage: Stage) -> Sequence[Worker]:
        """Those that may work on `stage` at the same time, alive."""
        ...

    def wait(self, busy: Sequence[Worker], seconds: float) -> list[tuple[Worker, Reply]]:
        """Replies that have come within so many seconds."""
        ...

    def replace(self, worker: Worker) -> Worker:
        """A new one for one that was killed or lost."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Task:
    rows: tuple[Row, ...]
    tries: int = 0


@dataclass(frozen=True)
class Turn:
    task: Task
    since: float
    limit: float


def run_stage(executor: Executor, stage: Stage, rows: Sequence[Row]) -> Iterator[tuple[Row, Outcome, float]]:
    """(row, outcome, seconds of work) as they come: a slow row keeps no other's outcome back."""
    size = max(1, stage.batch_size)
    todo = deque(Task(tuple(rows[i : i + size])) for i in range(0, len(rows), size))
    idle: list[Worker] = list(executor.workers(stage)) if rows else []
    busy: dict[Worker, Turn] = {}

    def broken(task: Task, reason: str) -> list[tuple[Row, Outcome, float]]:
        """Again, by halves, until one row stands alone."""
        middle = len(task.rows) // 2
        if middle:
            todo.appendleft(Task(task.rows[middle:]))
            todo.appendleft(Task(task.rows[:middle]))
        elif task.tries < stage.max_retries:
            todo.appendleft(Task(task.rows, task.tries + 1))
        else:
            return [(task.rows[0], Outcome("failed", reason), 0.0)]
        return []

    while todo or busy:
        while todo and idle:
            task, worker = todo.popleft(), idle.pop()
            busy[worker] = Turn(task, time.monotonic(), START)
            worker.send(stage, task.rows)
        now = time.monotonic()
        nearest = min(turn.since + turn.limit - now for turn in busy.values())
        for worker, reply in executor.wait(list(busy), min(1.0, max(0.0, nearest))):
            task, now = busy[worker].task, time.monotonic()
            if reply.begun:
                busy[worker] = Turn(task, now, stage.timeout * len(task.rows))
                continue
            since = busy.pop(worker).since
            idle.append(executor.replace(worker) if reply.lost else worker)
            if reply.outcomes is not None and len(reply.outcomes) == len(task.rows):
                seconds = (now - since) / len(task.rows)
                yield from ((row, one, seconds) for row, one in zip(task.rows, reply.outcomes, strict=True))
            else:
                yield from broken(task, reply.reason or f"stage {stage.name} answered for another number of rows")
        for worker, turn in list(busy.items()):
            if time.monotonic() - turn.since > turn.limit:
                busy.pop(worker)
                worker.kill()
                idle.append(executor.replace(worker))
                yield from broken(turn.task, f"it took longer than {stage.timeout:g} s in stage {stage.name}")
