"""Batches made ahead in other processes: on a machine with a fast accelerator, drawing pictures is the slow part.

Knows nothing of what a batch is. A batch depends on (seed, step) alone, so a run takes the same steps with or without.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from training.objective import Objective
from training.worker import begin

_made_for: Objective | None = None  # set before the workers are forked: they share its stories and pictures


def make(seed: int, step: int) -> Any:
    assert _made_for is not None
    return _made_for.batch(np.random.default_rng((seed, step)))


@contextmanager
def batches(objective: Objective, seed: int, first: int, last: int, workers: int) -> Iterator[Callable[[], Any]]:
    """A function that gives the batches of steps `first` to `last` - 1 in turn; `workers` 0 makes them here."""
    steps = iter(range(first, last))
    if not workers:
        yield lambda: objective.batch(np.random.default_rng((seed, next(steps))))
        return
    global _made_for
    _made_for = objective
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=begin) as pool:
        waiting: deque[Future[Any]] = deque()

        def give() -> Any:
            while len(waiting) < 2 * workers and (step := next(steps, None)) is not None:
                waiting.append(pool.submit(make, seed, step))
            return waiting.popleft().result()

        try:
            yield give
        finally:
            pool.shutdown(cancel_futures=True)
            _made_for = None
