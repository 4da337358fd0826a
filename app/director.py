"""What happens next: turns what a person asks for into jobs, and sees to it that somebody does them.

    director = Director(open_store(settings))
    director.start()
    job_id = director.submit_think(owner_id, scene_id)
    director.status(job_id)            # a snapshot, as often as the page likes
    director.shutdown()                # ends the worker, too

Knows nothing of pages. Never imports the model: that is the worker's affair.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from sqlalchemy.exc import OperationalError

from app.asking import Asking
from app.engine import Engine
from app.killpoints import reached
from app.loads import Loads
from app.predictors import build
from app.runner import Runner
from app.settings import INLINE, Settings
from app.store import Store
from app.store.erasing import finish_erasing
from app.store.jobs import Job
from app.store.processes import Process
from app.worker_process import WorkerProcess
from nsp_core.types import Predictor

log = logging.getLogger(__name__)

_TICK = 0.2
_EARLY = 10.0  # a worker that ends sooner, without having done anything, could not start
_MAX_EARLY = 3


class Director(Asking):
    def __init__(self, store: Store, *, load: Callable[[], Predictor] | None = None) -> None:
        """`load` builds the predictor in in-process mode (ZeroGPU); otherwise the worker does as the settings say."""
        super().__init__(store)
        self.worker = WorkerProcess(store)
        self.engine = Engine(self.settings, self.worker)
        self.page_id = ""
        self.trouble = ""  # one sentence for the page while no worker can be had
        self._load = load or self._build
        self._guard = threading.RLock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._runner: Runner | None = None
        self._drawing = threading.Lock()  # in-process mode does one job at a time
        self._inline: list[threading.Thread] = []
        self._busy = True  # jobs are open, or the watch has not looked yet
        self._beaten = 0.0
        self._active = True
        self._cancelled: dict[str, float] = {}
        self._watching = False  # a worker is there that we answer for
        self._ends_worker = False  # it is no other page's
        self._early = 0
        self._not_before = 0.0

    # life -------------------------------------------------------------------------------------------------------

    def _build(self) -> Predictor:
        settings = self.engine.settings
        return build(settings.predictor, settings.model, settings.adapter)

    def start(self) -> None:
        """Say that a page is here, pick up what an earlier one left, and keep watch from now on."""
        self.page_id = self.store.processes.register("page", os.getpid(), model_key=self.settings.model_key)
        reached("page.registered")
        finish_erasing(self.store.media, self.store.database)
        self.store.media.clear_scratch()
        if self.settings.in_process:
            living = [page.id for page in self._pages(within=30)]
            self.store.jobs.take_over(living, max_attempts=self.settings.max_attempts, device=INLINE)
        else:
            self.worker.take_over()
            self._dismiss_other_models()
            self._thread = threading.Thread(target=self._watch, name="director", daemon=True)
            self._thread.start()
        atexit.register(self.shutdown)

    def shutdown(self) -> None:
        """The program is being closed: what runs goes back to the queue, and the worker ends (unless another page
        uses it)."""
        if not self.page_id or self._over.is_set():
            return
        self._over.set()
        atexit.unregister(self.shutdown)
        for thread in (self._thread, *self._inline):
            if thread is not None:
                thread.join(timeout=5)
        self.store.processes.goodbye(self.page_id, "closed")
        reached("page.closing")
        if not self.settings.in_process and not self._other_pages():
            self._ends_worker = True
            self.worker.stop(self.settings.stop_grace)
            self.worker.take_over()

    def abandon(self) -> None:
        """From a signal's handler, while shutdown() waits: the worker ends now. Takes no lock and writes no row; the
        next start finds out what was unfinished."""
        if self._ends_worker:
            self.worker.kill_now()

    def heartbeat(self, *, active: bool = True) -> None:
        """A sign of life to the worker, which the watch gives, too; `active`: a person did something just now."""
        self._active = self._active or active
        if time.monotonic() - self._beaten >= self.settings.heartbeat_every:
            self._beaten = time.monotonic()
            self.store.processes.beat(self.page_id, active=self._active)
            self._active = False

    def ensure_worker(self) -> None:
        """See that a worker of our model lives or is on its way. Returns at once."""
        if self.settings.in_process:
            return
        with self._guard:
            if not self.worker.alive() and time.monotonic() < self._not_before:
                return  # the watch has counted this death; the next look comes when the time is over
            self._watching = True
            if self.worker.alive():
                self._dismiss_other_models()
                return
            self.worker.settings = self.engine.settings  # whose device it is that may be lent
            if self.engine.holder() is not None:
                return  # the watch looks again
            self.worker.take_over()
            if broken := self.engine.broken():
                self.trouble = broken
                self._fail_waiting(broken)
            else:
                self.worker.start()

    def cancel(self, job_id: str, owner_id: str | None = None, *, keep_finished: bool = False) -> Job:
        """Stop within one step. `keep_finished`: words that are whole stay."""
        job = self.store.jobs.cancel(job_id, keep_finished=keep_finished, owner_id=owner_id)
        self.heartbeat()
        return job

    def cancel_group(self, group_id: str, owner_id: str | None = None) -> None:
        """Stop all takes that were asked for together; those that are finished stay."""
        for job in self.store.jobs.recent(owner_id=owner_id, open_only=True, limit=100):
            if job.group_id == group_id:
                self.cancel(job.id, owner_id)

    def status(self, job_id: str, owner_id: str | None = None) -> Job:
        """How far a job is: a snapshot of its row."""
        return self.store.jobs.status(job_id, owner_id)

    def active(self, owner_id: str, story_id: str | None = None) -> tuple[Job, ...]:
        """What is waiting or running, newest first: what a page shows after a refresh."""
        return self.store.jobs.recent(owner_id=owner_id, story_id=story_id, open_only=True)

    def preview_path(self, job: Job) -> Path | None:
        """The picture of what is being drawn, when there is one."""
        path = self.settings.previews_dir / Path(job.preview).name if job.preview else None
        return path if path is not None and path.exists() else None

    def try_again(self, owner_id: str) -> None:
        """A person says that the model that could not be loaded may be tried once more."""
        self.engine.reset()
        self.trouble, self._not_before = "", 0.0
        self.worker.settings = self.engine.settings
        if self.settings.in_process:
            self._runner = None
        else:
            self._dismiss_other_models()
            self.submit_load(owner_id)

    def change_model(self, settings: Settings, owner_id: str) -> None:
        """From now on another model is asked for; a worker that has the old one ends after what it is doing."""
        with self._guard:
            self.engine.asked_for = settings
        self.try_again(owner_id)

    def worker_state(self) -> Process | None:
        """What the worker last said of itself; None when there is none."""
        return None if self.settings.in_process or not self.worker.alive() else self.worker.row()

    def run_here(self, job_id: str) -> Job:
        """In-process mode: do a job inside the caller, with the same rows as ever. Returns when it has ended."""
        with self._drawing:
            if self._runner is None or self._runner.settings.model_key != self.engine.settings.model_key:
                store = replace(self.store, settings=self.engine.settings)  # as they are now, not as at the start
                self._runner = Runner(store, self.page_id, self._load_here, closing=self._over.is_set)
            closed = self._over.is_set()
            job = None if closed else self.store.jobs.claim(self.page_id, os.getpid(), INLINE, only=job_id)
            if job is not None:
                self._runner.run(job)
        return self.status(job_id)

    def run_soon(self, job_ids: Iterable[str]) -> None:
        """`run_here`, in the order of the queue and with all that follows, in a thread that keeps the caller's context:
        ZeroGPU finds the request (and with it the person whose time it is) there, and the page sees progress."""
        wanted = set(job_ids)

        def work() -> None:
            while (job_id := self.store.jobs.first_of(wanted, INLINE)) is not None and not self._over.is_set():
                wanted.discard(job_id)
                try:
                    self.run_here(job_id)
                    wanted.update(self.store.jobs.after(job_id))
                except Exception:
                    log.exception("job %s could not be run here", job_id)

        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name="inline", daemon=True)
        self._inline = [*(one for one in self._inline if one.is_alive()), thread]
        thread.start()

    # inside -----------------------------------------------------------------------------------------------------

    def _load_here(self) -> Predictor:
        with Loads(self.engine.settings).attempt():
            return self._load()

    def _other_pages(self) -> bool:
        """Whether another page of this data folder lives: the worker is its worker, too."""
        return bool(self._pages(within=max(5.0, 5 * self.settings.heartbeat_every)))

    def _pages(self, *, within: float) -> list[Process]:
        """Other pages that live. One with our own number is an earlier one, whose number we were given."""
        import psutil

        pages = self.store.processes.living("page", within=within)
        return [page for page in pages if page.pid != os.getpid() and psutil.pid_exists(page.pid)]

    def _dismiss_other_models(self) -> None:
        """A worker with another model is asked to end, and claims nothing from that moment on."""
        for row in self.worker.with_other_models():
            if not row.stop:
                log.info("a worker with another model is here; asking it to end")
                self.store.processes.ask_to_stop(row.id)

    def expect(self) -> None:
        """Before a job is written: a worker of our model is here or on its way, and no other one will take it."""
        self._active = self._busy = True
        self.heartbeat()
        self.ensure_worker()

    def _watch(self) -> None:
        # asking starts the worker by itself: only what goes wrong with open jobs has to be seen quickly
        while not self._over.wait(_TICK if self._busy else max(_TICK, self.settings.heartbeat_every)):
            try:
                self.heartbeat(active=False)
                self._look_after_worker()
            except OperationalError:
                log.warning("the database is busy or cannot be written", exc_info=True)
            except Exception:
                log.exception("the director stumbled")

    def _look_after_worker(self) -> None:
        with self._guard:
            alive = self.worker.alive()
            self._busy = bool(self.store.jobs.recent(open_only=True, limit=1))
            if self._watching and not alive:
                self._watching = False
                self._after_death()
            if self.store.jobs.has_pending(self.worker.settings.device):
                self.ensure_worker()
            elif alive:
                self._watching = True
            if alive and (row := self.worker.row()) is not None:
                self.trouble = ""
                self._end_if_stuck(row)

    def _after_death(self) -> None:
        """The worker is gone. What it was doing waits again; if it could not even start, say so and try more slowly."""
        child = self.worker.child
        code = None if child is None else child.poll()
        lost = self.worker.take_over()
        log.info("the worker ended (exit code %s), %d job(s) interrupted", code, len(lost))
        if code in (0, 3) or lost or child is None or time.monotonic() - self.worker.started_at > _EARLY:
            self._early, self.trouble = 0, ""
            return
        self._early += 1
        self._not_before = time.monotonic() + 0.5 * 2**self._early
        if self._early >= _MAX_EARLY:
            self.trouble = f"The model's process cannot start; {self.worker.log_path} says why."
            self._fail_waiting(self.trouble)
            self._early = 0

    def _fail_waiting(self, sentence: str) -> None:
        while (job := self.store.jobs.claim(self.page_id, os.getpid(), self.worker.settings.device)) is not None:
            with contextlib.suppress(Exception):
                self.store.jobs.finish(job.id, self.page_id, "failed", error=sentence, error_kind="WorkerLost")

    def _end_if_stuck(self, row: Process) -> None:
        """A worker that is silent, or does not let go of a cancelled job, is killed; the next tick starts another."""
        stuck = row.silent_for() > self.settings.worker_lost_after
        running = [job for job in self.store.jobs.recent(open_only=True, limit=50) if job.worker_id == row.id]
        waiting = {job.id for job in running if job.cancel}
        self._cancelled = {job: self._cancelled.get(job, time.monotonic()) for job in waiting}
        late = [
            job for job, since in self._cancelled.items() if time.monotonic() - since > self.settings.cancel_kill_after
        ]
        if stuck or late:
            log.warning("the worker is %s and is killed", "silent" if stuck else "not letting go of a cancelled job")
            self.worker.kill()
