"""Workers on this machine: processes that live for the whole run, each with its limit of memory.

A worker that a file kills (a segfault in a decoder, a loop without end, memory) takes nothing with it but its batch.
`Inline` does the same work in this process, without any protection: for looking into a stage with a debugger, and for
parts that cannot be pickled.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from training.data.engine import Reply, Stage, Worker
from training.data.rows import Row


class LocalWorker:
    def __init__(self) -> None:
        context: Any = multiprocessing.get_context("spawn")  # a fork would copy the threads of libraries half
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs,), daemon=True, name="data-worker")
        self._process.start()
        theirs.close()

    def send(self, stage: Stage, rows: Sequence[Row]) -> None:
        with contextlib.suppress(OSError):  # it is dead: `receive` says so
            self.pipe.send((stage, tuple(rows)))

    def receive(self) -> Reply:
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            self._process.join(10)
            return Reply(None, died(self._process.exitcode), lost=True)

    def kill(self) -> None:
        self._process.kill()
        self._process.join(10)
        self.pipe.close()

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(10)
        self.pipe.close()


class Local:
    """`cpus` worker processes at most; a stage that keeps two cores busy gets half as many. The same rows give the same
    outcomes for any number of them."""

    def __init__(self, cpus: int = 0) -> None:
        self.cpus = cpus or os.cpu_count() or 1
        self._workers: list[LocalWorker] = []

    def workers(self, stage: Stage) -> Sequence[Worker]:
        wanted = max(1, int(self.cpus / max(stage.cpus, 1e-3)))
        wanted = min(wanted, self.cpus)
        while len(self._workers) < wanted:
            self._workers.append(LocalWorker())
        return self._workers[:wanted]

    def wait(self, busy: Sequence[Worker], seconds: float) -> list[tuple[Worker, Reply]]:
        pipes = {worker.pipe: worker for worker in busy if isinstance(worker, LocalWorker)}
        ready = multiprocessing.connection.wait(list(pipes), seconds)
        return [(pipes[pipe], pipes[pipe].receive()) for pipe in pipes if pipe in ready]

    def replace(self, worker: Worker) -> Worker:
        assert isinstance(worker, LocalWorker)
        with contextlib.suppress(OSError):
            worker.pipe.close()
        self._workers[self._workers.index(worker)] = new = LocalWorker()
        return new

    def close(self) -> None:
        for worker in self._workers:
            worker.stop()
        self._workers.clear()


class InlineWorker:
    def send(self, stage: Stage, rows: Sequence[Row]) -> None:
        self.reply = answer(replace(stage, memory=0), tuple(rows))

    def kill(self) -> None:
        """There is nobody to kill: a row that takes too long here is waited for."""


class Inline:
    def __init__(self) -> None:
        self._worker = InlineWorker()

    def workers(self, stage: Stage) -> Sequence[Worker]:  # noqa: ARG002 - one for all
        return [self._worker]

    def wait(self, busy: Sequence[Worker], seconds: float) -> list[tuple[Worker, Reply]]:  # noqa: ARG002
        return [(worker, self._worker.reply) for worker in busy]

    def replace(self, worker: Worker) -> Worker:
        return worker

    def close(self) -> None:
        pass


# -- inside a worker --------------------------------------------------------------------------------------------------
def work(pipe: Any) -> None:
    """Until it is told to stop, or whoever started it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who shares out
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # there are as many workers as processors
    logging.getLogger("libav").setLevel(logging.ERROR)  # a hostile file would fill the terminal
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        if task is None:
            return
        pipe.send(Reply(None, begun=True))  # what the stage imports is here: from now on it is the row's time
        pipe.send(answer(*task))


def answer(stage: Stage, rows: tuple[Row, ...]) -> Reply:
    """What a stage raises is an answer, too: it is about these rows, not about the run."""
    try:
        with limited(stage.memory):
            return Reply(tuple(stage.process_batch(rows)))
    except MemoryError:
        return Reply(None, f"stage {stage.name} needs more memory for it than {stage.memory / 1e9:g} GB")
    except Exception as error:  # the border between a stage and the run
        logging.getLogger(__name__).info("stage %s: %r", stage.name, error, exc_info=True)
        return Reply(None, f"stage {stage.name}: {type(error).__name__}: {error}"[:400])


@contextlib.contextmanager
def limited(memory: int) -> Any:
    """At most so many bytes of memory more than now (Linux and macOS; elsewhere there is no limit)."""
    if not memory or sys.platform == "win32":
        yield
        return
    import resource

    import psutil

    before = resource.getrlimit(resource.RLIMIT_AS)
    now = psutil.Process().memory_info().vms
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (now + memory, before[1]))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, before)


def died(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"the worker was ended by {signal.Signals(-code).name} while it was at this row"
    return f"the worker ended by itself (exit code {code}) while it was at this row"
