"""Teaching a lesson: the clips that were prepared become an adapter. Paused by SIGTERM, it goes on where it was.

While it runs it has the device to itself: predicting finishes what it draws, waits, and goes on afterwards. What is
learnt is stage adapt's; here stands what a person needs around it. Nothing that is half written looks whole, whatever
ends it: a checkpoint, a preview and the adapter have their names only when they are whole.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import math
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from nsp_core import checkpoint as folders
from nsp_core.adapters import attach, read
from nsp_core.errors import CheckpointMismatch, ModelUnavailable, UserError
from nsp_core.locks import borrow_device
from nsp_core.media.write import whole_file
from training import checkpoint
from training import config as configs
from training.adapt.stage import AdaptConfig, begin, leave_adapter, new_objective, send_away
from training.loop import PREEMPTED
from training.models import open_model
from training.run import provenance
from training.stages import learn_to_draw
from training.teach import compare
from training.teach.base import Base, base_of
from training.teach.course import Course, Enough, Watch
from training.teach.lesson import Lesson
from training.teach.material import gather, stage_config
from training.teach.plan import UNDERWAY, Pace, device_here, make_plan, steps_within
from training.teach.report import change, write_report

ROOM = 300_000_000  # bytes that must be free on the disk
PATIENCE = 600.0  # seconds for what is being drawn to end


class Paused(BaseException):
    """SIGTERM, where no step is being taken."""


@dataclass(frozen=True)
class How:
    minutes: float | None = None
    locks: Path | None = None  # the folder of the devices' locks; None: nobody else is there


def learn(lesson: Lesson, how: How, tell: Callable[..., None]) -> int:
    """Returns 0 when there is an adapter, 75 when it was paused. Raises UserError for what cannot be taught, and
    ModelUnavailable when it broke: lesson.json says why, and the same call goes on."""
    told = lesson.told()
    if told.state == "done" and lesson.adapter.is_dir():
        tell("done", message=f"This lesson has been learnt: {lesson.adapter}. `teach stop` forgets it.")
        return 0
    base = base_of(Path(told.model))
    with lesson.to_oneself(), pausing():
        try:
            room_on_disk(lesson.folder)
            config, minutes = settings(lesson, base, how)
            lesson.tell(state="learning", message="", steps=config.loop.steps)
            with device_to_oneself(config.device, how, tell):
                return teach(lesson, config, minutes, tell)
        except Paused:
            return paused(lesson, tell)
        except KeyboardInterrupt:
            paused(lesson, tell)
            raise
        except (UserError, CheckpointMismatch) as error:
            lesson.tell(state="failed" if lesson.run.is_dir() else told.state, message=str(error))
            raise
        except (OSError, RuntimeError, FloatingPointError, SafetensorError) as error:
            message = broken(error, lesson)
            with contextlib.suppress(OSError):  # with a full disk not even this can be written
                lesson.tell(state="failed", message=message)
            tell("problem", message=message)
            raise ModelUnavailable(message) from error


def paused(lesson: Lesson, tell: Callable[..., None]) -> int:
    told = lesson.tell(state="paused", message="", step=last_step(lesson))
    tell("stage", stage="paused", message=f"Paused at step {told.step} of {told.steps}. The same command goes on.")
    return PREEMPTED


def settings(lesson: Lesson, base: Base, how: How) -> tuple[AdaptConfig, float]:
    """Of the run that is gone on with, as they were; else new ones. And the minutes that were asked for."""
    kept = lesson.run / "run.json"
    now = folders.fingerprint(base.folder)
    if kept.is_file() and checkpoint.list_steps(lesson.run / "checkpoints"):
        said = json.loads(kept.read_text(encoding="utf-8"))
        if said["base"] != now:
            raise CheckpointMismatch(
                f"This lesson was begun with another model ({said['base']}, and {base.folder} holds {now}): bring that "
                "one back, or take `teach stop` and learn it anew."
            )
        return configs.build(AdaptConfig, said["config"]), said["minutes"] or math.inf
    if not (lesson.folder / "plan.json").is_file():
        make_plan(lesson, base, how.minutes)
    plan, found, device = lesson.read("plan.json"), gather(lesson, base), device_here()
    config = stage_config(lesson, base, found, int(plan["steps"]), device)
    if how.minutes is not None:
        plan["steps"], plan["shown"] = steps_within(how.minutes, Pace(**plan["pace"]), config, found)
        lesson.write("plan.json", plan)
        config = stage_config(lesson, base, found, plan["steps"], device)
    lesson.forget_run()
    config.out.mkdir(parents=True, exist_ok=True)
    with whole_file(kept) as part:
        part.write_text(json.dumps({**provenance(config), "base": now, "minutes": how.minutes}, indent=1), "utf-8")
    return config, how.minutes or math.inf


def teach(lesson: Lesson, config: AdaptConfig, minutes: float, tell: Callable[..., None]) -> int:
    torch.set_num_threads(config.threads)
    adapter = lesson.run / "adapter"
    ended = train(lesson, config, minutes, tell)
    if ended is None:
        return paused(lesson, tell)
    gc.collect()
    tell("stage", stage="after")
    clips = compare.shown(lesson)
    taught: Any = open_model(config.init).to(config.device)
    attach(taught, [(read(adapter), 1.0)])
    compare.draw_all(lesson, taught, "after", clips, config.loop.steps, tell)
    shutil.rmtree(lesson.adapter, ignore_errors=True)
    shutil.copytree(adapter, lesson.adapter.with_suffix(".partial"), dirs_exist_ok=True)
    lesson.adapter.with_suffix(".partial").replace(lesson.adapter)
    ended = f"{ended} {looked(lesson)}".strip()
    write_report(lesson, clips, ended)
    told = lesson.tell(state="done", message=ended, step=last_step(lesson), adapter="adapter")
    shutil.rmtree(lesson.run / "cache", ignore_errors=True)
    tell("done", message=f"{ended} Adapter: {lesson.adapter}. Report: {lesson.report}.", adapter=told.adapter)
    return 0


def train(lesson: Lesson, config: AdaptConfig, minutes: float, tell: Callable[..., None]) -> str | None:
    """Leaves run/adapter and says in one sentence how it ended; None when it was paused."""
    tell("stage", stage="loading")
    pipeline = begin(config)
    pipeline.taught = frozenset(config.words)
    clips = compare.shown(lesson)
    underway = UNDERWAY if lesson.read("plan.json")["shown"] > 1 else 0
    tell("stage", stage="before")
    compare.draw_all(lesson, pipeline, "before", clips, 0, tell)
    tell("stage", stage="examples")
    course: Course = new_objective(config, pipeline, Course)
    send_away(pipeline, course)
    steps = config.loop.steps
    due = [round(steps * (n + 1) / (underway + 1)) for n in range(underway)]

    def look(step: int) -> None:
        done = sum(one["kind"] == "step" for one in lesson.read("previews.json", []))
        if step < steps and done < sum(at <= step for at in due):
            with on_device(pipeline, config.device):
                compare.draw_all(lesson, pipeline, "step", clips[:1], step, tell)

    course.watch = Watch(
        *(steps, lesson.progress, lesson.run / "best.safetensors", tell, look, config.loop.log_every, minutes),
        before=max((row["seconds"] for row in lesson.progress_rows()), default=0.0),
    )
    if not checkpoint.list_steps(lesson.run / "checkpoints"):
        lesson.progress.unlink(missing_ok=True)
        course.watch.best.unlink(missing_ok=True)
        course.look_before()
    tell("stage", stage="learning")
    ended = "It took every step."
    try:
        code = learn_to_draw(course, config.loop, config, resume=True)
    except Enough as why:
        code, ended = 0, f"It ended at step {course.step} of {steps}, because {why}."
    if code == PREEMPTED:
        return None
    best = course.watch.best  # none where the time was up before the first look
    taken = (course.lowest_at, load_file(best)) if best.is_file() else None
    leave_adapter(pipeline, course.module, config, taken)
    return f"{ended} The adapter is that of step {taken[0] if taken else last_step(lesson)}."


def looked(lesson: Lesson) -> str:
    looks = [row["held_out"] for row in lesson.progress_rows() if row["held_out"] is not None]
    if len(looks) < 2:
        return ""
    best = min(looks[1:])
    if best >= looks[0]:
        return "Clips that it never learnt from did not become more likely: more or other clips may help."
    return f"The loss on clips that it never learnt from changed by {change(looks[0], best)}."


def last_step(lesson: Lesson) -> int:
    """Of the last checkpoint: what would be gone on from."""
    saved = checkpoint.list_steps(lesson.run / "checkpoints")
    return int(saved[-1].name.removeprefix("step_")) if saved else 0


def stop(lesson: Lesson) -> None:
    """Keep the clips and what people said of them, and nothing else. Call it while nobody learns."""
    lesson.forget_run()
    lesson.tell(state="stopped", message="", step=0, adapter=None)


# -- around it --------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def pausing() -> Iterator[None]:
    """SIGTERM raises Paused; while steps are taken the loop has a handler of its own, which saves."""

    def pause(*_: object) -> None:
        raise Paused

    before = signal.signal(signal.SIGTERM, pause)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def device_to_oneself(device: str, how: How, tell: Callable[..., None]) -> Iterator[None]:
    if how.locks is None:
        yield
        return
    tell("stage", stage="waiting")
    try:
        with borrow_device(how.locks, device, "teaching", patience=PATIENCE):
            yield
    except TimeoutError:
        raise UserError(
            f"The story page has been drawing for {PATIENCE / 60:.0f} minutes without an end, and both cannot have the "
            "device: stop it there, then learn again."
        ) from None


@contextlib.contextmanager
def on_device(pipeline: Any, device: str) -> Iterator[None]:
    """What drawing needs beside the transformer comes to the card and leaves it again."""
    parts = [part for part in (pipeline.vae, pipeline.vision_language) if not getattr(part, "is_quantized", False)]
    for part in parts:
        part.to(device)
    try:
        yield
    finally:
        for part in parts if device != "cpu" else ():
            part.to("cpu")


def room_on_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < ROOM:
        raise UserError(
            f"The disk of {folder} has {free / 1e6:.0f} MB free, and teaching needs {ROOM / 1e6:.0f}: make room, then "
            "learn again."
        )


def broken(error: BaseException, lesson: Lesson) -> str:
    if is_disk_full(error):
        return f"The disk of {lesson.folder} is full: make room, and the same command goes on where it was."
    if "out of memory" in str(error).lower():
        return "There was not enough memory to learn: close other programs, and the same command goes on."
    if isinstance(error, FloatingPointError):
        return f"Learning went astray ({error}): `teach stop`, look for odd clips, and learn it anew."
    return (
        f"Learning broke off ({' '.join(str(error).split())[:200]}); the same command goes on from the last checkpoint."
    )


def is_disk_full(error: BaseException) -> bool:
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
