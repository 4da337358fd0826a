"""What a forked worker does first: one thread, signals left to the parent, and no life of its own after it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def begin() -> None:
    """`initializer` of a process pool that forks.

    The parent's threads are not in a fork, so torch computes on one. A parent that is killed closes its end of a
    pipe and nothing else: a worker that waits for work would wait for ever, and keep its memory.
    """
    import torch

    torch.set_num_threads(1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
