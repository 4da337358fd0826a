"""One long piece of work beside the page, in a process of its own: a download, a film. Both sides of it.

It lives as long as its lock is held, so that one that was killed is known to be dead; whichever page is open looks at
it and stops it; it ends with the page that started it. How far it is stands in a small file, of a frozen dataclass with
`what` ("running" | "done" | "stopped" | "failed") and `why`. Knows nothing of what the work is.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from app.locks import FileLock, holder_of, is_held
from app.settings import ROOT
from nsp_core.errors import Cancelled, WhatNextError

_LOOK_EVERY = 2.0  # seconds between looks for the page


class Background:
    """The page's side. `module` is run with the arguments that `start` is given; `holder` names it in its lock."""

    def __init__(self, module: str, lock: Path, log: Path, holder: str) -> None:
        self.module, self.lock, self.log, self.holder = module, lock, log, holder
        self.child: subprocess.Popen[bytes] | None = None

    @property
    def mine(self) -> bool:
        """This page has started it, and it runs."""
        return self.child is not None and self.child.poll() is None

    @property
    def running(self) -> bool:
        return self.mine or (self.lock.exists() and is_held(self.lock))

    def start(self, *arguments: str) -> None:
        group: dict[str, Any] = {"start_new_session": True}  # Ctrl-C in the terminal is for the page
        if sys.platform == "win32":
            group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        command = [sys.executable, "-m", self.module, *arguments]
        with self.log.open("wb") as output:
            self.child = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **group
            )

    def stop(self, grace: float = 5.0) -> None:
        """End it, whoever started it. Returns when it is over."""
        holder = holder_of(self.lock) if self.lock.exists() else None
        if self.child is not None and self.mine:
            self.child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(timeout=grace)
            if self.mine:
                self.child.kill()
                self.child.wait()
        elif holder is not None and holder.who == self.holder:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(holder.pid, signal.SIGTERM)
            deadline = time.monotonic() + grace
            while is_held(self.lock) and time.monotonic() < deadline:
                time.sleep(0.05)


class Teller:
    """The process's side: writes the report, and sees whether the page is still there."""

    def __init__(self, path: Path, report: Any, parent: int, *, every: float, **over: Any) -> None:
        """A report at most each `every` seconds. `over`: what fields are set to when it is over."""
        self.path, self.now, self.parent, self.every, self.over = path, report, parent, every, over
        self.told = self.looked = 0.0

    def say(self, at_once: bool = False, **new: Any) -> None:
        self.now = replace(self.now, **new)
        if at_once or time.monotonic() - self.told >= self.every:
            self.told = time.monotonic()
            write(self.path, asdict(self.now))

    def end(self, **how: Any) -> None:
        write(self.path, asdict(replace(self.now, **self.over, **how)))

    def orphaned(self) -> bool:
        if time.monotonic() - self.looked < _LOOK_EVERY:
            return False
        self.looked = time.monotonic()
        import psutil

        return not psutil.pid_exists(self.parent)


def carry_out(work: Callable[[], dict[str, Any]], teller: Teller, lock: Path, holder: str) -> int:
    """Do it under its lock and report how it ended; what `work` returns goes into the report. -> the exit code."""

    def end(_number: int, _frame: Any) -> None:
        raise Cancelled("Stopped.")  # also out of a wait for the network or a voice

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGTERM, end)
    held = FileLock(lock, timeout=2.0, holder=holder)
    try:
        if not held.acquire():
            return 0  # another one is at it, and reports itself
        teller.end(what="done", **work())
    except Cancelled:
        teller.end(what="stopped")
    except WhatNextError as error:
        teller.end(what="failed", why=str(error))
    except OSError as error:
        teller.end(what="failed", why=f"{error.filename or 'A file'} cannot be written ({error.strerror or error}).")
    except Exception as error:
        logging.exception("the work ended")
        teller.end(what="failed", why=f"Something went wrong inside the program ({type(error).__name__}).")
    finally:
        held.release()
    return 0


def leave(code: int) -> None:
    """End this process at once: threads of a library that still wait for something would keep it."""
    logging.shutdown()
    os._exit(code)


def write(path: Path, value: Any) -> None:
    """Whole or not at all."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    os.replace(partial, path)
