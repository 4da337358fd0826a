"""The model's own process: `python -m app.worker --settings FILE`. Started, adopted and ended by app.director.

It hears and speaks through the database and files only. It holds the lock of its device as long as it lives, loads the
model at its first job, and ends by itself when no page has given a sign of life for a while.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError

from app.heartbeat import Heartbeat
from app.keys import hide_keys
from app.killpoints import reached
from app.loads import Loads
from app.locks import PREDICTING, FileLock, device_lock, is_held, wanted_lock
from app.predictors import AdapterRefused, build
from app.runner import GivenBack, Runner
from app.settings import Settings
from app.store import Store, open_store
from app.tier_choice import lower
from nsp_core.types import Predictor

log = logging.getLogger("app.worker")

LOCK_BUSY = 3  # exit code: another process has the device
_LIVELY = 10.0  # seconds after a person did something in which the queue is watched closely


class Worker:
    def __init__(self, store: Store, *, lock_timeout: float = 5.0) -> None:
        self.store = store
        self.settings = store.settings
        path = device_lock(self.settings.locks_dir, self.settings.device)
        self.lock = FileLock(path, timeout=lock_timeout, holder=PREDICTING)
        self._wanted = (wanted_lock(path), 0.0)
        self.loads = Loads(self.settings)
        self.signalled = False

    def work(self) -> int:
        """Until asked to stop, or nobody is there any more. Returns the exit code."""
        if not self.lock.acquire():
            log.info("another process has the device %s", self.settings.device)
            return LOCK_BUSY
        reason = "crashed"
        process_id = self.store.processes.register(
            "worker", os.getpid(), device=self.settings.device, model_key=self.settings.model_key
        )
        self.pulse = Heartbeat(self.store, process_id)
        self.pulse.beat()
        self.pulse.start()
        try:
            reached("worker.registered")
            # we hold the device: whoever else had a job on it is dead
            self.store.jobs.take_over(
                [process_id], max_attempts=self.settings.max_attempts, device=self.settings.device
            )
            reason = self._loop(process_id)
        finally:
            self.pulse.finish(reason)
            self.lock.release()
        log.info("ended: %s", reason)
        return 0

    def _loop(self, process_id: str) -> str:
        runner = Runner(self.store, process_id, self._load, closing=self.closing, told=self.pulse.tell)
        while True:
            if self.closing():
                return "asked to stop"
            if time.monotonic() - self.pulse.page_seen > self.settings.worker_exit_after:
                return "no page is open any more"
            if self._wanted_elsewhere():
                return "the device is wanted for something else"
            try:
                waiting = self.store.jobs.has_pending(self.settings.device)
                job = self.store.jobs.claim(process_id, os.getpid(), self.settings.device) if waiting else None
            except OperationalError:
                log.exception("the queue could not be read")
                time.sleep(1.0)
                continue
            if job is None:
                lively = time.monotonic() - self.pulse.page_active < _LIVELY
                time.sleep(self.settings.worker_poll if lively else self.settings.worker_poll_idle)
                continue
            log.info("job %s: %s, attempt %d", job.id, job.kind, job.attempts)
            self.pulse.working_on(job.id)
            reached("job.claimed")
            started = time.monotonic()
            runner.run(job)
            self.pulse.working_on(None)
            if runner.predictor is None and self.loads.record().given_up:
                return "the model cannot be loaded"
            if self.settings.adapter and self.loads.record().left_out:
                return "the model does not take the adapter"  # the page starts another without it
            if self._smaller_one_goes_on():
                return "the memory is not enough for this tier"  # the page starts another with a smaller one
            log.info("job %s: ended after %.2f s", job.id, time.monotonic() - started)

    def _wanted_elsewhere(self) -> bool:
        """Asked once a second: between two jobs, never in the middle of one."""
        path, looked = self._wanted
        if time.monotonic() - looked < 1.0:
            return False
        self._wanted = (path, time.monotonic())
        return path.exists() and is_held(path)

    def closing(self) -> bool:
        return self.signalled or self.pulse.stop_asked.is_set()

    def _smaller_one_goes_on(self) -> bool:
        return self.settings.step_down and self.loads.record().too_big and lower(self.settings) is not None

    def _load(self) -> Predictor:
        """Raises GivenBack when it fails and another model may do the job, which waits for that."""
        try:
            with self.loads.attempt():
                predictor = build(self.settings.predictor, self.settings.model, self.settings.adapter)
        except AdapterRefused as error:
            log.warning("%s", error)
            raise GivenBack from None
        except Exception:
            if self.settings.is_safe or (self.settings.is_tier and not self._smaller_one_goes_on()):
                raise  # nobody stands in: whoever asked is told why
            log.exception("%s cannot be loaded", self.settings.model)
            time.sleep(self.settings.worker_poll_idle)
            raise GivenBack from None
        self.pulse.tell("busy", fingerprint=predictor.fingerprint)
        return predictor


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="app.worker", description="The model's process; started by the page.")
    parser.add_argument("--settings", type=Path, required=True)
    settings = Settings.from_json(parser.parse_args(argv).settings.read_text(encoding="utf-8"))
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(name)s %(levelname)s %(message)s")
    hide_keys()
    if settings.threads:
        os.environ["OMP_NUM_THREADS"] = str(settings.threads)  # before torch is imported
    store = open_store(settings, prepare=False)
    worker = Worker(store)

    def ask(_number: int, _frame: Any) -> None:
        worker.signalled = True

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    try:
        return worker.work()
    finally:
        store.close()


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)  # everything is written and the lock is free: taking torch apart would only keep people waiting
