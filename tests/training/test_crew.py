"""Several processes, one list of jobs: everything is done once, in order, whoever ends or is killed on the way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from functools import partial

import pytest

from nsp_core.errors import UserError, WhatNextError
from training.crew import Job, attempt, together, work_through
from training.loop import PREEMPTED


def note(out, name, seconds=0.0, code=0):
    with (out / "log").open("a") as log:
        log.write(f"{name} {os.getpid()}\n")
    time.sleep(seconds)
    return code


def noted(out):
    return [line.split() for line in (out / "log").read_text().splitlines()]


def eight(out, folder):
    """One first, six that need it and take a while, one last that needs them."""
    several = [Job(f"job{n}", ("first",), partial(note, out, f"job{n}", 0.5)) for n in range(6)]
    last = Job("last", tuple(job.name for job in several), partial(note, out, "last"))
    return work_through([last, *several, Job("first", (), partial(note, out, "first"))], folder, pause=0.02)


@pytest.mark.parametrize("size", [1, 2])
def test_each_job_is_done_once_and_after_what_it_needs(tmp_path, size):
    assert together(size, tmp_path / "crew", eight, (tmp_path,)) == 0
    names = [name for name, _ in noted(tmp_path)]
    assert names[0] == "first" and names[-1] == "last" and sorted(names[1:-1]) == [f"job{n}" for n in range(6)]
    assert len({pid for _, pid in noted(tmp_path)}) == size
    assert together(1, tmp_path / "crew", eight, (tmp_path,)) == 0  # what is done is of one crew, not for ever
    assert len(noted(tmp_path)) == 16


def test_a_job_that_ends_badly_ends_the_crew_with_its_code(tmp_path):
    two = [Job("bad", (), partial(note, tmp_path, "bad", code=2)), Job("other", (), partial(note, tmp_path, "other"))]
    assert work_through(two, tmp_path) == 2
    assert work_through(two, tmp_path) == PREEMPTED
    assert [name for name, _ in noted(tmp_path)] == ["bad"]


def test_an_error_ends_the_crew_too(tmp_path):
    def fails():
        raise WhatNextError("no")

    with pytest.raises(WhatNextError):
        work_through([Job("bad", (), fails)], tmp_path)
    assert work_through([Job("other", (), partial(note, tmp_path, "other"))], tmp_path) == PREEMPTED


def held(out, folder):
    attempt(Job("job", (), partial(note, out, "job", 60)), folder)


def test_what_a_killed_process_had_is_taken_by_another(tmp_path):
    one = multiprocessing.get_context("spawn").Process(target=held, args=(tmp_path, tmp_path))
    one.start()
    while not (tmp_path / "log").exists():
        time.sleep(0.02)
    job = Job("job", (), partial(note, tmp_path, "job"))
    assert attempt(job, tmp_path) is None  # somebody has it
    os.kill(one.pid, signal.SIGKILL)
    one.join()
    assert work_through([job], tmp_path) == 0
    assert len(noted(tmp_path)) == 2


def stops(out, folder):
    note(out, "stops")
    raise WhatNextError("There is no starter.")


def test_a_worker_says_its_error_in_a_sentence(tmp_path, capfd):
    assert together(2, tmp_path / "crew", stops, (tmp_path,)) == 1
    assert capfd.readouterr().err.splitlines() == ["There is no starter."] * 2


def test_one_crew_a_folder(tmp_path):
    from nsp_core.locks import FileLock

    with FileLock(tmp_path / "crew.lock"), pytest.raises(UserError, match="at work"):
        together(1, tmp_path / "crew", eight, (tmp_path,))
