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
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from app import alone
from app.engine import Engine
from app.identity import new_id
from app.killpoints import reached
from app.loads import Loads
from app.predictors import build
from app.ranking import config_of
from app.runner import Runner
from app.store import Store
from app.store.jobs import Job, Kind
from app.store.media import Media
from app.store.models import SceneRow
from app.store.processes import Process
from app.story import Mode
from app.worker_process import WorkerProcess
from nsp_core.errors import UserError
from nsp_core.media.sniff import HEAD_BYTES, sniff
from nsp_core.types import Predictor

log = logging.getLogger(__name__)

MAX_TAKES = 8
MAX_ALTERNATIVES = 6
_TICK = 0.2
_EARLY = 10.0  # a worker that ends sooner, without having done anything, could not start
_MAX_EARLY = 3
_PRIORITY: dict[Kind, int] = {"load": 20, "describe": 10, "think": 10, "rank": 5, "draw": 0, "replay": 0, "export": 0}


class Director:
    def __init__(self, store: Store, *, load: Callable[[], Predictor] | None = None) -> None:
        """`load` builds the predictor in in-process mode (ZeroGPU); otherwise the worker does as the settings say."""
        self.store = store
        self.settings = store.settings
        self.worker = WorkerProcess(store)
        self.engine = Engine(self.settings, self.worker)
        self.page_id = ""
        self.allow: Callable[[], None] = lambda: None  # asked before a job is written; may raise UserError
        self.trouble = ""  # one sentence for the page while no worker can be had
        self._load = load or (lambda: build(self.engine.settings.predictor, self.engine.settings.model))
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

    def start(self) -> None:
        """Say that a page is here, pick up what an earlier one left, and keep watch from now on."""
        self.page_id = self.store.processes.register("page", os.getpid(), model_key=self.settings.model_key)
        reached("page.registered")
        self.store.media.clear_scratch()
        if self.settings.in_process:
            living = [page.id for page in self._pages(within=30)]
            self.store.jobs.take_over(living, max_attempts=self.settings.max_attempts, device=_INLINE)
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
            if self.engine.holder() is not None:
                return  # the device is lent; the watch looks again
            self.worker.settings = self.engine.settings
            self.worker.take_over()
            if broken := self.engine.broken():
                self.trouble = broken
                self._fail_waiting(broken)
            else:
                self.worker.start()

    # asking -----------------------------------------------------------------------------------------------------

    def submit_describe(
        self, owner_id: str, source: Path, *, name: str = "", start: float | None = None, seconds: float = 30.0
    ) -> str:
        """Read an uploaded picture or clip (`seconds` of it from `start`; None: its end). `name` is what the person
        called the file.

        When it is done, `stories.begin_scene(story, words, describe_job_id=...)` makes it the first scene.
        """
        self.allow()
        name = name or source.name
        with source.open("rb") as file:
            ext = sniff(file.read(HEAD_BYTES)).extension  # what it is, not what it is called
        ext = ext or Path(name).suffix.lstrip(".") or source.suffix.lstrip(".")
        media = self.store.media.put_file(source, ext)
        reached("upload.copied")
        payload = {"media": media.name, "name": name, "start": start, "seconds": seconds}
        self.expect()
        with self.store.database.transaction() as session:
            job_id = self.store.jobs.submit_in(session, owner_id, "describe", payload, priority=_PRIORITY["describe"])
            reached("upload.submitted")
            Media.link(session, media, "source", owner_id=owner_id, job_id=job_id, name=name)
        return job_id

    def submit_think(
        self, owner_id: str, scene_id: str, *, steer: str = "", alternatives: int = 1, seed: int | None = None
    ) -> str:
        """The words of what happens after `scene_id`, perhaps steered ("make it rain")."""
        if not 1 <= alternatives <= MAX_ALTERNATIVES:
            raise UserError(f"Ask for 1 to {MAX_ALTERNATIVES} alternatives, got {alternatives}.")
        scene = self.store.stories(owner_id).scene(scene_id)
        payload = {"steer": steer.strip(), "alternatives": alternatives, "seed": _seed(seed)}
        return self._submit(owner_id, "think", payload, story_id=scene.story_id, scene_id=scene.id)

    def submit_draw(
        self,
        owner_id: str,
        scene_id: str,
        *,
        takes: int = 1,
        mode: Mode | None = None,
        seed: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        shift: float | None = None,
    ) -> tuple[str, ...]:
        """Takes of a scene, one job each and each with a seed of its own (seed, seed + 1 ... when one is given)."""
        if not 1 <= takes <= MAX_TAKES:
            raise UserError(f"Ask for 1 to {MAX_TAKES} takes, got {takes}.")
        scene = self.store.stories(owner_id).scene(scene_id)
        if not scene.words.strip():
            raise UserError("This scene has no words yet: say in one sentence what happens, then draw it.")
        group = new_id()
        jobs = []
        for number in range(takes):
            options: dict[str, Any] = {"seed": _seed(None if seed is None else seed + number)}
            options.update(
                {k: v for k, v in (("steps", steps), ("guidance", guidance), ("shift", shift)) if v is not None}
            )
            payload = {"words": scene.words, "mode": mode or scene.mode, "options": options}
            jobs.append(
                self._submit(owner_id, "draw", payload, story_id=scene.story_id, scene_id=scene.id, group_id=group)
            )
        return tuple(jobs)

    def submit_chain(
        self, owner_id: str, find: Callable[[Session], Sequence[SceneRow]], *, steps: int | None = None
    ) -> tuple[str, ...]:
        """A take of each of these scenes, one after the other: each goes on from the picture before it. `find` gives
        the scenes, in that order, and may make them: they and their jobs are one transaction. Returns their ids."""
        self.allow()
        self.expect()
        group = new_id()
        with self.store.database.transaction() as session:
            scenes = find(session)
            before: str | None = None
            for number, scene in enumerate(scenes, start=1):
                options = {"seed": _seed(None)} | ({} if steps is None else {"steps": steps})
                before = self.store.jobs.submit_in(
                    session,
                    owner_id,
                    "draw",
                    # no words: what they are when their turn comes
                    {"options": options, "chain": {"at": number, "of": len(scenes)}},
                    story_id=scene.story_id,
                    scene_id=scene.id,
                    after_job_id=before,
                    group_id=group,
                    priority=_PRIORITY["draw"],
                )
            return tuple(scene.id for scene in scenes)

    def submit_alone(
        self, owner_id: str, scene_id: str, *, scenes: int, steer: str = "", options: dict[str, Any] | None = None
    ) -> str:
        """Think and draw `scenes` scenes after this one, one after the other, without asking. `options`: as submit_draw
        takes them. Returns the first job; see app.alone for the rest."""
        if not 1 <= scenes <= alone.MOST:
            raise UserError(f"A story goes on by itself for 1 to {alone.MOST} scenes, got {scenes}.")
        scene = self.store.stories(owner_id).scene(scene_id)
        payload = alone.first_payload(scenes, steer.strip(), options or {})
        self.allow()
        self.expect()
        return self.store.jobs.submit(
            owner_id, "think", payload, story_id=scene.story_id, scene_id=scene.id, priority=alone.PRIORITY
        )

    def submit_rank(self, owner_id: str, scene_id: str) -> str:
        """Ask a judge about all takes of a scene: the one that was set up, or the model itself."""
        scene = self.store.stories(owner_id).scene(scene_id)
        takes = [take.id for take in scene.takes if take.kind == "drawn"]
        if not takes:
            raise UserError("This scene has no drawn takes to be judged: draw one first.")
        for job in self.store.jobs.recent(owner_id=owner_id, scene_id=scene_id, kinds=("rank",), open_only=True):
            return job.id
        config = config_of(self.settings.judge, self.settings.data_dir)
        payload = {"takes": takes, "judge": self.settings.judge, "config": config}
        return self._submit(owner_id, "rank", payload, story_id=scene.story_id, scene_id=scene.id)

    def submit_replay(self, owner_id: str, take_id: str) -> str:
        """Draw a take again from its recipe, to see whether it comes out the same. The story does not change."""
        stories = self.store.stories(owner_id)
        take = stories.take(take_id)
        if stories.recipe(take_id) is None:
            raise UserError("These pictures were brought in, not drawn: there is nothing to draw again.")
        scene = stories.scene(take.scene_id)
        for job in self.store.jobs.recent(owner_id=owner_id, scene_id=scene.id, kinds=("replay",), open_only=True):
            if job.payload["take"] == take_id:
                return job.id
        return self._submit(owner_id, "replay", {"take": take_id}, story_id=scene.story_id, scene_id=scene.id)

    def submit_load(self, owner_id: str) -> str:
        """Load the model before it is needed. When one is on its way already, that is the answer."""
        for job in self.store.jobs.recent(owner_id=owner_id, kinds=("load",), open_only=True, limit=1):
            return job.id
        return self._submit(owner_id, "load", {})

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
        self.worker.settings = self.settings
        if self.settings.in_process:
            self._runner = None
        else:
            self._dismiss_other_models()
            self.submit_load(owner_id)

    def worker_state(self) -> Process | None:
        """What the worker last said of itself; None when there is none."""
        return None if self.settings.in_process or not self.worker.alive() else self.worker.row()

    def run_here(self, job_id: str) -> Job:
        """In-process mode: do a job inside the caller, with the same rows as ever. Returns when it has ended."""
        with self._drawing:
            if self._runner is None:
                self._runner = Runner(self.store, self.page_id, self._load_here, closing=self._over.is_set)
            closed = self._over.is_set()
            job = None if closed else self.store.jobs.claim(self.page_id, os.getpid(), _INLINE, only=job_id)
            if job is not None:
                self._runner.run(job)
        return self.status(job_id)

    def run_soon(self, job_ids: Iterable[str]) -> None:
        """`run_here`, in the order of the queue and with all that follows, in a thread that keeps the caller's context:
        ZeroGPU finds the request (and with it the person whose time it is) there, and the page sees progress."""
        wanted = set(job_ids)

        def work() -> None:
            while (job_id := self.store.jobs.first_of(wanted, _INLINE)) is not None and not self._over.is_set():
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
        row = self.worker.row()
        if row is not None and row.model_key != self.worker.settings.model_key and not row.stop:
            log.info("a worker with another model has the device; asking it to end")
            self.store.processes.ask_to_stop(row.id)

    def _submit(self, owner_id: str, kind: Kind, payload: dict[str, Any], **columns: Any) -> str:
        if kind != "load":
            self.allow()
        self.expect()
        return self.store.jobs.submit(owner_id, kind, payload, priority=_PRIORITY[kind], **columns)

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
            if self.store.jobs.has_pending(self.settings.device):
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
        while (job := self.store.jobs.claim(self.page_id, os.getpid(), self.settings.device)) is not None:
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


_INLINE = "inline"


def _seed(given: int | None) -> int:
    return random.SystemRandom().randrange(2**31) if given is None else given
