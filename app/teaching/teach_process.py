"""The process that teaches: `python -m app.teaching.teach_process REPORT LOCK PARENT SETTINGS LESSON DOING`.

Runs the command `teach` as a child of its own, which borrows the device from the worker, by the locks of this data
folder. Scenes come first: when somebody waits for one, the command is told to pause, which gives the device back, and
the same command goes on when nothing was asked for a while. It ends when it is told to, or when the page that started
it is gone. Knows nothing of learning, and never imports it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

from app.background import Teller, carry_out, leave
from app.catalogue import say, speak
from app.locks import PREDICTING, device_lock, holder_of, wanted_lock
from app.settings import ROOT, Settings
from app.store import open_store
from app.store.jobs import KINDS
from app.teaching.lesson import Lesson
from app.teaching.teaching import GRACE, HOLDER, Doing, Report
from app.tier_choice import tier_of
from nsp_core.errors import Cancelled, UserError

PAUSED = 75  # a piece of training ended and the same command goes on
_EVERY = 0.5  # seconds between two reports
_NAP = 0.1
WAITING = ("pending", "interrupted")
_SCENES = tuple(kind for kind in KINDS if kind != "load")  # a page that opens only wakes the model: that can wait


def command_of(settings: Settings, lesson: Lesson, doing: Doing) -> list[str]:
    """What is run. The command finds the names and corrections in the lesson's folder."""
    program = (
        [sys.executable, "-m", settings.teacher]
        if settings.teacher
        else [sys.executable, str(ROOT / "launch.py"), "teach"]
    )
    if doing != "prepare":
        timed = doing in ("plan", "learn") and lesson.asked.get("minutes")
        more = ["--minutes", str(lesson.asked["minutes"])] if timed else []
        return [*program, doing, str(lesson.folder), *more, "--json"]
    tier = tier_of(settings)
    model = settings.model if tier is None else tier.name if tier.models else ""
    named = ["--model", model] if model else []
    return [*program, doing, str(lesson.source), "--out", str(lesson.folder), "--name", lesson.name, *named, "--json"]


class Errand:
    def __init__(self, settings: Settings, lesson: Lesson, doing: Doing, teller: Teller) -> None:
        self.settings, self.lesson, self.doing, self.teller = settings, lesson, doing, teller
        self.store = open_store(settings, prepare=False)
        self.lock = device_lock(settings.locks_dir, settings.device)
        self.log = settings.logs_dir / "teach-command.log"
        self.told = settings.run_dir / "teach-events.jsonl"
        self.read = 0  # bytes of `told`
        self.problem = ""
        self.looked = 0.0
        self.seen = False

    def go(self) -> dict[str, Any]:
        """Until it is done. Raises Cancelled when it ends before, UserError with what the command says is wrong."""
        try:
            quiet = 0.0
            while True:
                self.wait_for_scenes(quiet)
                if not self.run():
                    return {}
                quiet = self.settings.lesson_waits
        finally:
            self.store.close()

    def wait_for_scenes(self, quiet: float) -> None:
        """Until nobody has waited for a scene for `quiet` seconds."""
        since = time.monotonic()
        while True:
            if self.scenes(drawing=True):
                since = time.monotonic()
            elif time.monotonic() - since >= quiet:
                return
            self.teller.say(waits=True)
            self.nap()

    def run(self) -> bool:
        """Run the command once; True when it made way for a scene, and is to be run again."""
        if self.scenes():
            return True
        self.read, self.problem, makes_way = 0, "", False
        environment = {**os.environ, "WHATNEXT_DATA": str(self.settings.data_dir), "PYTHONUNBUFFERED": "1"}
        with self.told.open("wb") as events, self.log.open("wb") as log:
            child = subprocess.Popen(
                command_of(self.settings, self.lesson, self.doing),
                cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=events, stderr=log,
            )  # fmt: skip
        try:
            while child.poll() is None and not makes_way:
                self.teller.say(waits=self.predicting() and holder_of(wanted_lock(self.lock)) is not None)
                self.listen()
                self.nap()
                makes_way = self.scenes()
        finally:
            self.end(child)
        self.listen()
        if child.returncode == 0:
            return False
        if makes_way:
            return True
        if child.returncode == PAUSED:
            raise Cancelled("Paused.")
        raise UserError(self.last_words(child.returncode))

    def end(self, child: subprocess.Popen[bytes]) -> None:
        """Let it finish its step and keep what it has learnt. Being told to end meanwhile is heard afterwards."""
        if child.poll() is not None:
            return
        heard: list[int] = []
        before = signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
        try:
            self.teller.say(at_once=True, ending=True)
            child.terminate()
            try:
                child.wait(timeout=GRACE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            self.teller.say(at_once=True, ending=False)
        finally:
            signal.signal(signal.SIGTERM, before)
        if heard:
            raise Cancelled("Stopped.")

    def scenes(self, *, drawing: bool = False) -> bool:
        """Whether somebody waits for a scene, or, with `drawing`, one is being drawn. Asked of the database at most
        twice a second."""
        if drawing:
            return self._open((*WAITING, "running") if self.predicting() else WAITING)
        if time.monotonic() - self.looked >= _EVERY:
            self.looked = time.monotonic()
            self.seen = self._open(WAITING)
        return self.seen

    def predicting(self) -> bool:
        """Whether the worker has the device."""
        holder = holder_of(self.lock)
        return holder is not None and holder.who == PREDICTING

    def _open(self, states: tuple[str, ...]) -> bool:
        jobs = self.store.jobs.recent(kinds=_SCENES, open_only=True, limit=50)
        return any(job.status in states and not job.cancel for job in jobs)

    def nap(self) -> None:
        if self.teller.orphaned():
            raise Cancelled("Nobody looks at it any more.")
        time.sleep(_NAP)

    def listen(self) -> None:
        """What the command has said since: one JSON object a line."""
        with self.told.open("rb") as file:
            file.seek(self.read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self.read += len(whole)
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    self._hear(event)
        self.teller.say()

    def _hear(self, event: dict[str, Any]) -> None:
        kind = event.get("event")
        if kind == "stage":
            done, total = (int(event[name]) if isinstance(event.get(name), int) else 0 for name in ("done", "of"))
            self.teller.say(stage=_words(event, "stage", "text", "message"), done=done, total=total)
        elif kind == "progress":
            self.teller.say(stage="")
        elif kind == "problem":
            self.problem = _words(event, "message", "problem", "text", "why")

    def last_words(self, code: int) -> str:
        """Why it ended: one sentence."""
        text = self.log.read_text(encoding="utf-8", errors="replace").strip()
        if code in (1, 2) and text and "Traceback" not in text:  # a refusal is the last thing that it says
            return text.splitlines()[-1].strip()[:600]
        return self.problem or say("teach.broke", log=self.log)


def _words(event: dict[str, Any], *names: str) -> str:
    return next((str(event[name])[:300] for name in names if isinstance(event.get(name), str) and event[name]), "")


def main(argv: list[str] | None = None) -> int:
    report, lock, parent, given, folder, doing = sys.argv[1:] if argv is None else argv
    settings = Settings.from_json(Path(given).read_text(encoding="utf-8"))
    speak(settings.language)
    what = cast(Doing, doing)
    lesson = Lesson(Path(folder))
    teller = Teller(Path(report), Report(lesson.key, what), int(parent), every=_EVERY, waits=False, ending=False)
    return carry_out(lambda: Errand(settings, lesson, what, teller).go(), teller, Path(lock), HOLDER)


if __name__ == "__main__":
    leave(main())
