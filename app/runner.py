"""Runs one job: asks the predictor, writes progress, and puts what came of it into the store in one transaction.

The same code in the worker's process and, under ZeroGPU, inside the page's event handler. Knows nothing of processes.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from app import alone
from app.decoder_process import Decoder
from app.drift import drift_of
from app.filter import ContentFilter, NotForEverybody, content_filter
from app.job_report import GivenBack, JobReport
from app.killpoints import reached
from app.loads import Loads
from app.offering import offering
from app.predictors import Canvas, canvas_of
from app.ranking import judge_for, judge_takes
from app.recipe import recipe_of, surroundings
from app.replay import replay
from app.shortage import is_out_of_memory
from app.store import Store
from app.store.jobs import LOADING, Gone, Job
from app.store.media import Media, MediaFile
from app.store.models import SceneRow
from app.store.takes import NewTake
from app.story import Role
from app.take_files import make_files
from app.tier_choice import lower
from nsp_core.errors import Cancelled, ConfigError, NotHere, OutsideLanguage, UserError, WhatNextError
from nsp_core.types import Frames, NextScene, Predictor, SamplingOptions, SceneRequest

log = logging.getLogger(__name__)


class Runner:
    """One at a time. `load` builds the predictor at the first job that needs it; `closing` says that the program ends;
    `told` hears what the runner is doing ("loading", "busy", "idle")."""

    def __init__(
        self,
        store: Store,
        worker_id: str,
        load: Callable[[], Predictor],
        *,
        closing: Callable[[], bool] = lambda: False,
        told: Callable[[str, str], None] = lambda _state, _message: None,
    ) -> None:
        self.store = store
        self.settings = store.settings
        self.worker_id = worker_id
        self.closing = closing
        self.told = told
        self.predictor: Predictor | None = None
        self.decoder = Decoder(self.settings.run_dir)
        self._load = load

    def run(self, job: Job) -> None:
        """Bring a claimed job to its end. Never raises for what goes wrong with the job itself."""
        run = JobRun(self, job)
        self.told("busy", job.kind)
        try:
            run.go()
        except GivenBack:
            self.store.jobs.give_back(job.id, self.worker_id)
        except Gone:
            log.info("job %s was erased or taken over", job.id)
        except Cancelled:
            if self.closing() and not run.flag():  # the model was stopped for the program's sake, not the person's
                self.store.jobs.give_back(job.id, self.worker_id)
            else:
                self._end(job, "cancelled")
        except OutsideLanguage as error:
            self._end(job, "failed", error, result={"known": list(error.known), "here": isinstance(error, NotHere)})
        except WhatNextError as error:
            self._end(job, "failed", error)
        except MemoryError as error:
            self._ran_short(job, error)
        except Exception as error:
            if is_out_of_memory(error):
                return self._ran_short(job, error)
            log.exception("job %s (%s) failed", job.id, job.kind)
            sentence = (
                f"Something went wrong inside the program ({type(error).__name__}); the log in {_logs(self)} has it."
            )
            self._end(job, "failed", error, sentence=sentence)
        finally:
            run.clear_previews()
            self.told("idle", "")

    @cached_property
    def filter(self) -> ContentFilter | None:
        return content_filter(self.settings)

    def ready(self, before: Callable[[], None]) -> Predictor:
        """The model; `before` is called when it has to be loaded first."""
        if self.predictor is None:
            before()
            self.decoder.warm()  # the next thing may well be somebody's picture
            self.told("loading", self.settings.model)
            started = time.monotonic()
            reached("model.loading")
            self.predictor = self._load()
            reached("model.loaded")
            log.info("loaded %s in %.1f s", self.settings.model, time.monotonic() - started)
            self.told("busy", "")
        return self.predictor

    def _ran_short(self, job: Job, error: BaseException) -> None:
        """The job waits for a smaller tier where there is one and that is allowed; else it is said what to do."""
        log.warning("job %s: the memory was not enough", job.id, exc_info=error)
        smaller = lower(self.settings)
        sentence = "There was not enough memory for this: close other programs or choose a smaller model."
        if smaller is None:
            return self._end(job, "failed", error, sentence=sentence)
        name = smaller.model.partition("+")[0]
        if not self.settings.step_down:
            return self._end(job, "failed", error, sentence=f"{sentence} {name} is the next smaller one here.")
        Loads(self.settings).ran_short(sentence)
        self.predictor = None
        if self.settings.in_process:  # nobody would look at the job again
            sentence = f"There was not enough memory for this: ask again, and the smaller {name} does it."
            return self._end(job, "failed", error, sentence=sentence)
        with contextlib.suppress(Gone):
            self.store.jobs.give_back(job.id, self.worker_id)

    def _end(
        self,
        job: Job,
        status: Any,
        error: BaseException | None = None,
        *,
        sentence: str | None = None,
        result: dict[str, Any] | None = None,
    ) -> None:
        words = sentence or (str(error) if error else None)
        kind = type(error).__name__ if error else None
        try:
            self.store.jobs.finish(job.id, self.worker_id, status, error=words, error_kind=kind, result=result)
        except Gone:
            log.info("job %s was erased or taken over", job.id)


class JobRun(JobReport):
    """One job from claim to end."""

    def __init__(self, runner: Runner, job: Job) -> None:
        super().__init__(runner.store, runner.worker_id, job, runner.closing)
        self.runner = runner

    def go(self) -> None:
        kinds = {"describe": self.describe, "think": self.think, "draw": self.draw, "rank": self.rank}
        kinds |= {"replay": self.replay, "load": self.load}
        work = kinds.get(self.job.kind)
        if work is None:
            raise ConfigError(f"This version of the program cannot do a {self.job.kind} job: update it and try again.")
        self.check()
        work()

    # the kinds --------------------------------------------------------------------------------------------------

    def load(self) -> None:
        predictor = self.predictor()
        self.finish({"fingerprint": predictor.fingerprint, **asdict(canvas_of(predictor))})

    def describe(self) -> None:
        """What is on an uploaded picture or clip, and its frames as the model reads them: a first take to be."""
        from nsp_core.media import MediaClip, to_model_frames

        payload = self.job.payload
        self.write(phase="reading", force=True)
        owner = self.job.owner_id
        with self.store.database.reading() as session:
            source = Media.known(session, payload["media"], owner)
        path = self.store.media.path(source.name)
        part = {"start": payload.get("start"), "seconds": float(payload.get("seconds", 30.0))}
        name = payload.get("name") or "The file"  # the person knows it by another name than we do

        def read(fps: int) -> MediaClip:
            return self.runner.decoder.read(path, name=name, fps=fps, should_stop=self.should_stop, **part)

        guess = canvas_of(self.runner.predictor) if self.runner.predictor else Canvas()
        clip = read(guess.fps)  # before the model is loaded: a broken file is said at once
        if self.runner.filter is not None:
            try:
                self.runner.filter.check_upload(clip.frames)
            except NotForEverybody:
                self._forget_source()
                raise
        reached("describe.read")
        canvas = canvas_of(self.predictor())
        if canvas.fps != guess.fps:
            clip = read(canvas.fps)
        frames = to_model_frames(clip, canvas.width, canvas.height, canvas.frames, canvas.fps)
        self.check()
        self.write(phase="describing", force=True)
        seen = self.predictor().describe(frames)
        self.check()
        self.write(phase="saving", force=True)
        files = self.keep(frames, canvas.fps)
        reached("describe.kept")
        pictures = {
            "kind": "still" if clip.kind == "picture" else "uploaded",
            "width": frames.shape[2],
            "height": frames.shape[1],
            "frame_count": frames.shape[0],
            "fps": canvas.fps,
        }
        result = {
            "words": seen.words,
            "in_world": seen.in_world,
            "confidence": seen.confidence,
            "note": clip.note,
            "pictures": pictures,
            "media": {role: file.name for role, file in files.items()},
        }
        with self.store.database.transaction() as session:
            for role, file in files.items():
                Media.link(session, file, role, owner_id=owner, job_id=self.job.id)
            reached("describe.linked")
            self.store.jobs.finish_in(session, self.job.id, self.worker_id, "done", result=result)

    def _forget_source(self) -> None:
        """Of a file that is not let in nothing stays here."""
        with self.store.database.transaction() as session:
            gone = self.store.media.unlink_job(session, self.job.id)
        for path in gone:
            path.unlink(missing_ok=True)

    def think(self) -> None:
        """The words of what happens next, as they come. `scene_id` is the scene that they follow."""
        payload = self.job.payload
        predictor = self.predictor()
        self.write(phase="reading", force=True)
        stories = self.store.stories(None)
        limits = {"scenes": self.settings.context_scenes, "frames": self.settings.context_frames}
        context = stories.context_to(self.job.scene_id, **limits)
        texts: list[dict[str, Any]] = []
        self.check()
        thoughts = predictor.think(
            context,
            steer=payload.get("steer") or None,
            alternatives=int(payload.get("alternatives", 1)),
            seed=int(payload.get("seed", 0)),
            should_stop=self.should_stop,
        )
        with contextlib.suppress(Cancelled), offering(predictor, context, self.should_stop):  # Cancelled: decided below
            for thought in thoughts:
                first = not texts
                while len(texts) <= thought.alternative:
                    texts.append({"text": "", "done": False, "score": None})
                texts[thought.alternative] = {"text": thought.text, "done": thought.done, "score": thought.score}
                self.write(phase="thinking", words_json=json.dumps(texts), force=first or thought.done)
                reached("think.word")
                if self.should_stop():
                    break
        whole = [text for text in texts if text["done"] and text["text"].strip()]
        if not (self.flag() == 2 and whole):
            self.check()
        if not whole:
            raise UserError("The model found no words for what happens next: try again, or say what should happen.")
        self.write(phase="thinking", words_json=json.dumps(whole), force=True)
        reached("think.worded")
        result = {"alternatives": whole, "fingerprint": predictor.fingerprint}
        with self.store.database.transaction() as session:
            self.store.jobs.finish_in(session, self.job.id, self.worker_id, "done", result=result)
            alone.after_thinking(session, stories, self.job, whole)

    def draw(self) -> None:
        """One take of a scene, from its words and the scenes before it."""
        payload = self.job.payload
        predictor = self.predictor()
        self.write(phase="reading", force=True)
        stories = self.store.stories(None)
        scene = stories.scene(self.job.scene_id or "")
        path = stories.path_to(scene.id)  # now: when the picture is there, the scene may be in the trash
        mode = payload.get("mode") or scene.mode
        context, parents = stories.context_and_parents(
            scene.parent_id,
            scenes=self.settings.context_scenes,
            frames=self.settings.context_frames,
            anchor=scene.anchor_scene_id if mode == "cut" else None,
        )
        if scene.parent_id is None:
            context = replace(context, bible=stories.story(scene.story_id).bible)
        drawn = any(before.frames is not None for before in context.scenes[-1:])
        request = SceneRequest(
            context,
            payload.get("words") or scene.words,
            mode if drawn else "cut",  # there is nothing to continue from before the scene before has pictures
            SamplingOptions(**{"faster": self.settings.faster} | payload.get("options", {})),
        )
        self.check()
        finished = self._act(predictor, request)
        reached("draw.decoded")
        self.check()
        if self.runner.filter is not None:
            self.runner.filter.check_take(finished.frames)
        self.write(phase="saving", eta_s=None, force=True)
        files = self.keep(finished.frames, finished.fps, finished)
        reached("draw.kept")
        new = NewTake(
            kind="drawn",
            width=finished.frames.shape[2],
            height=finished.frames.shape[1],
            frame_count=finished.frames.shape[0],
            fps=finished.fps,
            files=files,
            draw_seconds=finished.seconds,
            parent_take_id=parents[-1]["take"] if parents and request.mode == "continue" else None,
            job_id=self.job.id,
            recipe=self._recipe(predictor, request, finished, parents, scene.steer),
            drift=drift_of(self.store.media, path, finished.frames[-1]),
        )
        try:
            with self.store.database.transaction() as session:
                row = session.get(SceneRow, scene.id)
                if row is None:
                    raise Gone(self.job.id)
                take = stories.add_take_in(session, row, new)
                result = {"take": take.id, "scene": scene.id, "seconds": finished.seconds}
                self.store.jobs.finish_in(session, self.job.id, self.worker_id, "done", result=result)
                alone.after_drawing(session, stories, self.job)
        except Gone:  # erased for good meanwhile: these files must not outlive it
            with self.store.database.transaction() as session:
                self.store.media.discard(session, files.values())
            raise

    def replay(self) -> None:
        """A take once more from its recipe: an answer, and no change of the story."""
        predictor = self.predictor()
        self.write(phase="reading", force=True)

        def act(request: SceneRequest) -> NextScene:
            finished = self._act(predictor, request)
            self.check()
            return finished

        self.finish(replay(self.store, self.job.payload["take"], predictor, act))

    def rank(self) -> None:
        """What a judge says of the takes that the job names."""
        payload = self.job.payload
        takes = list(payload.get("takes", []))
        name, config = str(payload.get("judge") or ""), payload.get("config")
        judge, ask = judge_for(name, self.predictor, self.settings.model, config)

        def before_each(number: int) -> None:
            self.check()
            self.write(phase="judging", step=number, total=len(takes), force=True)

        outcomes = judge_takes(
            self.store.stories(None),
            self.job.scene_id or "",
            takes,
            judge,
            ask,
            before_each=before_each,
            scenes=self.settings.context_scenes,
            frames=self.settings.context_frames,
        )
        self.finish({"judge": judge, "outcomes": outcomes})

    def _act(self, predictor: Predictor, request: SceneRequest) -> NextScene:
        finished: NextScene | None = None
        began: float | None = None
        for item in predictor.act(request, should_stop=self.should_stop):
            if isinstance(item, NextScene):
                finished = item
                break
            eta = None
            if item.phase == "draw" and item.step:
                began = began or time.monotonic()
                done = max(1, item.step - 1)  # the first step's own time is not in it
                eta = (time.monotonic() - began) / done * (item.total - item.step) if item.step > 1 else None
            phase = {"read": "reading", "draw": "drawing", "decode": "finishing"}[item.phase]
            last = item.phase == "draw" and item.step == item.total
            due = self.due() or last
            shown = due and item.preview is not None and self._may_show(item.preview)
            preview = self.show(item.preview, item.step) if shown and item.preview is not None else None
            columns = {} if preview is None else {"preview_path": preview}
            self.write(phase=phase, step=item.step, total=item.total, eta_s=eta, force=last, **columns)
            reached("draw.step")
            if self.should_stop():
                break
        if finished is None:
            self.check()
            raise RuntimeError("The predictor ended without a scene.")
        return finished

    # files ------------------------------------------------------------------------------------------------------

    def keep(self, frames: Frames, fps: int, finished: NextScene | None = None) -> dict[Role, MediaFile]:
        """All files of a take, on disk before any row speaks of them."""
        media = self.store.media
        files = make_files(media, frames, fps)
        if finished is not None:
            from nsp_core.media import save_latents

            files["tail_latents"] = media.make("safetensors", lambda path: save_latents(path, finished.latents))
        return files

    def _may_show(self, preview: Frames) -> bool:
        return self.runner.filter is None or self.runner.filter.passes(preview)

    def _recipe(
        self, predictor: Predictor, request: SceneRequest, finished: NextScene, parents: Any, steer: str
    ) -> dict[str, Any]:
        settings = self.settings
        return {
            "model": settings.model,
            **surroundings(predictor, device=settings.device, threads=settings.threads),
            **recipe_of(request, finished, parents, steer),
        }

    # talking to the row -----------------------------------------------------------------------------------------

    def predictor(self) -> Predictor:
        made = self.runner.ready(before=lambda: self.write(phase=LOADING, force=True))
        self.check()
        return made


def _logs(runner: Runner) -> Path:
    return runner.settings.logs_dir
