"""Programs that die at a named place, each in a process of its own, and what must be true afterwards.

Processes are forked from a server that has loaded everything (multiprocessing's forkserver), so that one takes a tenth
of a second instead of seconds; they are killed and started like any other. What runs in them is the program itself: the
worker is app.worker.main, the page is the store and the director as the page uses them.
"""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import app.worker
import nsp_core.media  # noqa: F401  here once, not in every process
from app import doctor, killpoints
from app.director import Director
from app.settings import Settings
from app.store import open_store
from tests.app import fake_predictor  # noqa: F401

PROCESSES = multiprocessing.get_context("forkserver" if sys.platform != "win32" else "spawn")
PROCESSES.set_forkserver_preload(["tests.app.dying"])
DEAD = -9 if sys.platform != "win32" else 137
PATIENCE = 250.0  # seconds; a busy machine
KEPT_TABLES = ("owner", "story", "scene", "take", "recipe", "media", "media_link", "op", "preference")


@dataclass(frozen=True)
class Death:
    """Where a process dies, and the file that says that it did. Nobody dies there twice."""

    at: str
    mark: Path

    @property
    def happened(self) -> bool:
        return self.mark.exists()

    def prepare(self) -> None:
        os.environ[killpoints.AT], os.environ[killpoints.MARK] = self.at, str(self.mark)


def run(program: Callable[..., None], *arguments: Any, log: Path) -> int:
    """Run it to its end in a process of its own; returns the exit code."""
    process = PROCESSES.Process(target=_in_process, args=(program, arguments, log))
    process.start()
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"{program.__name__} did not end: {log.read_text()}")
    return process.exitcode


def _in_process(program: Callable[..., None], arguments: tuple[Any, ...], log: Path) -> None:
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    program(*arguments)
    sys.stdout.flush()


# the worker ---------------------------------------------------------------------------------------------------------


class Nursery:
    """Stands in for `subprocess` in app.worker_process: `python -m app.worker` becomes a fork that runs its main()."""

    DEVNULL, STDOUT, TimeoutExpired = subprocess.DEVNULL, subprocess.STDOUT, subprocess.TimeoutExpired

    def __init__(self, death: Death | None, log: Path) -> None:
        self.death = death
        self.log = log
        self.born: list[Worker] = []

    def Popen(self, command: list[str], **_options: Any) -> Worker:  # noqa: N802
        assert command[1:3] == ["-m", "app.worker"]
        self.born.append(Worker(command[-1], self.death, self.log))
        return self.born[-1]


class Worker:
    """Answers what app.worker_process asks a subprocess.Popen."""

    def __init__(self, settings: str, death: Death | None, log: Path) -> None:
        self._process = PROCESSES.Process(target=_in_process, args=(work, (settings, death), log))
        self._process.start()
        self._guard = threading.Lock()  # the exit code can be fetched only once
        self.pid = self._process.pid or 0
        self.args = settings

    def poll(self) -> int | None:
        with self._guard:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()


def work(settings: str, death: Death | None) -> None:
    if death is not None:
        death.prepare()
    os._exit(app.worker.main(["--settings", settings]))


# the page -----------------------------------------------------------------------------------------------------------


def page(settings: Settings, death: Death, do: Callable[..., None], *arguments: Any) -> None:
    """A page that does one thing and dies of it. Workers come later: nobody is there to start one."""
    store = open_store(settings)
    director = Director(store)
    director.ensure_worker = lambda: None  # type: ignore[method-assign]
    death.prepare()
    do(director, *arguments)


# what must be true --------------------------------------------------------------------------------------------------

Rows = dict[str, dict[str, tuple[Any, ...]]]


def rows_of(settings: Settings) -> Rows:
    """Everything that people would miss, as it is committed now."""
    found: Rows = {}
    with contextlib.closing(sqlite3.connect(settings.database)) as connection:
        for table in KEPT_TABLES:
            rows = connection.execute(f"SELECT * FROM {table}")
            found[table] = {str(row[0]): row for row in rows}
    return found


@dataclass
class Soundness:
    """What is wrong with a data folder, as sentences. `loose`: what lies about, which nobody misses."""

    wrong: list[str] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)


def soundness(settings: Settings) -> Soundness:
    found = Soundness()
    with contextlib.closing(sqlite3.connect(settings.database)) as connection:
        told = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        found.wrong += [] if told == ["ok"] else told
        found.wrong += [f"lost reference {row}" for row in connection.execute("PRAGMA foreign_key_check")]
        names = {f"{sha}.{ext}" for sha, ext in connection.execute("SELECT sha256, ext FROM media")}
    on_disk = set()
    for path in settings.media_dir.glob("[0-9a-f][0-9a-f]/*"):
        on_disk.add(path.name)
        if hashlib.sha256(path.read_bytes()).hexdigest() != path.name.partition(".")[0]:
            found.wrong.append(f"half a file: {path.name}")
    found.wrong += [f"a row without a file: {name}" for name in names - on_disk]
    for path in settings.backups_dir.glob("*.db"):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                found.wrong.append(f"half a backup: {path.name}")
    for finding in doctor.look_at_data(settings, older_than=-1.0):
        if finding.level == "wrong":
            found.wrong.append(f"{finding.text} {finding.details}")
        elif finding.level == "note":
            (found.loose if finding.subject in ("orphans", "leftovers") else found.wrong).append(finding.text)
    return found


def assert_sound(settings: Settings) -> None:
    """Sound as it is; and after the doctor swept, nothing lies about either."""
    found = soundness(settings)
    assert not found.wrong, found.wrong
    young = [each.text for each in doctor.look_at_data(settings) if each.level != "fine"]
    assert not young, f"what is younger than an hour is not even named: {young}"
    if found.loose:
        mended = [each.level for each in doctor.look_at_data(settings, fix=True, older_than=-1.0)]
        assert "wrong" not in mended and "mended" in mended
    assert soundness(settings) == Soundness()


def assert_kept(before: Rows, after: Rows, *, but: tuple[str, ...] = ()) -> None:
    """Every row that was committed is still there and the same. `but`: ids of rows that were being changed."""
    for table, rows in before.items():
        for row_id, row in rows.items():
            if row_id in but:
                continue
            assert row_id in after[table], f"{table} {row_id} is lost"
            if table != "story":
                assert after[table][row_id] == row, f"{table} {row_id} is not as it was"


def names(entries: list[Any]) -> list[str]:
    return [f"{entry[0]}-{getattr(entry[1], '__name__', entry[1])}" for entry in entries]
