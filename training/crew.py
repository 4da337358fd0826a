"""Several processes that work through one list of jobs: each takes the first that nobody has and that can begin.

Whose a job is, a lock of the operating system says, and what is done, empty files in one folder: so what a killed
process had is taken by another. Knows nothing of what a job does.
"""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from nsp_core.errors import UserError, WhatNextError
from nsp_core.locks import FileLock
from training.loop import PREEMPTED


@dataclass(frozen=True)
class Job:
    name: str
    needs: tuple[str, ...]  # jobs that must be done before
    work: Callable[[], int]  # 0: done; 75: the piece ended before


def work_through(jobs: Sequence[Job], folder: Path, pause: float = 1.0) -> int:
    """Do what is left of `jobs`, together with all others that share `folder`; 0 when all is done.

    Otherwise the code of our job that did not come to its end, or 75 when somebody else's did not: then nobody begins
    another one.
    """
    while left := [job for job in jobs if not (folder / f"{job.name}.done").exists()]:
        if (folder / "ended").exists():
            return PREEMPTED
        for job in left:
            if all((folder / f"{name}.done").exists() for name in job.needs):
                code = attempt(job, folder)
                if code is not None:
                    break
        else:
            time.sleep(pause)  # all that could begin is somebody's
            continue
        if code:
            return code
    return 0


def attempt(job: Job, folder: Path) -> int | None:
    """The job's code; None when somebody else has it."""
    lock, done = FileLock(folder / f"{job.name}.lock"), folder / f"{job.name}.done"
    if not lock.acquire():
        return None
    mark = folder / "ended"
    try:
        code = 0 if done.exists() else job.work()
        if code == 0:
            mark = done
        return code
    finally:
        mark.touch()
        lock.release()


def together(size: int, folder: Path, work: Callable[..., int], given: tuple[Any, ...]) -> int:
    """`work(*given, folder)` in `size` processes (one: here), with a `folder` of their own that begins empty.

    Several: 0 when one of them ended so, else 75 when nothing else went wrong, else 1; SIGTERM is handed on. Raises
    UserError when others are at work in `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_suffix(".lock"))
    if not lock.acquire():
        raise UserError(f"Another command is at work in {folder.parent}; wait for it, or name another folder.")
    try:
        shutil.rmtree(folder)
        folder.mkdir()
        return work(*given, folder) if size == 1 else processes(size, work, (*given, folder))
    finally:
        lock.release()


def processes(size: int, work: Callable[..., int], given: tuple[Any, ...]) -> int:
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    crew = [context.Process(target=at_work, args=(work, given), daemon=True) for _ in range(size)]

    def stop(*_: int | FrameType | None) -> None:
        for one in crew:
            if one.pid is not None:
                one.terminate()

    before = signal.signal(signal.SIGTERM, stop)
    try:
        for one in crew:
            one.start()
        for one in crew:
            one.join()
    finally:
        stop()
        signal.signal(signal.SIGTERM, before)
    codes = {one.exitcode for one in crew}
    if 0 in codes:  # whoever ended so found everything done
        return 0
    return PREEMPTED if codes <= {PREEMPTED, -signal.SIGTERM} else 1


def at_work(work: Callable[..., int], given: tuple[Any, ...]) -> NoReturn:
    try:
        code = work(*given)
    except WhatNextError as error:
        sys.stderr.write(f"{error}\n")  # at once, or two workers' sentences mix
        code = 1
    raise SystemExit(code)
