"""A lesson's folder as the page sees it: what is learnt from, how far the learning is, and what came of it.

The command `teach` writes lesson.json, clips.jsonl, plan.json, progress.jsonl and previews/; the page writes what a
person says: source/, asked.json, names.json and corrections.json. Any of them may be missing, and a line may be
half-written. Knows nothing of processes and pages.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.background import write
from app.catalogue import say
from nsp_core.errors import UserError

GATHERING = "gathering"  # the state of a lesson whose clips nobody has looked at yet
STATES = ("prepared", "learning", "paused", "done", "failed", "stopped")
MOST_NAMES, MOST_LETTERS = 12, 600
_PREVIEW = re.compile(r"(?:(before|after)|step-(\d+))-(.+)\.mp4")
_NAME = re.compile(r"[\w-]{1,60}")


@dataclass(frozen=True)
class Clip:
    """One clip or picture, corrections applied. `clip` and `still` are relative to the lesson's folder, `seconds` is 0
    of a picture. `reason`: why it is left out, when that was not the person."""

    id: str
    source: str
    clip: str
    still: str
    seconds: float
    caption: str
    caption_by: str
    keep: bool
    reason: str
    held_out: bool


@dataclass(frozen=True)
class Step:
    """One look at the learning: the loss since the last one, and of what is held out where that was measured. Times
    in seconds."""

    step: int
    steps: int
    loss: float
    held_out: float | None
    seconds: float
    left: float | None


@dataclass(frozen=True)
class Preview:
    """A held-out clip as the model draws it: when is "before", "after", or the step that it was drawn at."""

    clip: str
    when: str
    path: str


class Lesson:
    """`folder` is the lesson's own; its last part is the lesson's key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def key(self) -> str:
        return self.folder.name

    @property
    def source(self) -> Path:
        """What the page brought; another folder of this machine when a person named one."""
        named = self.asked.get("folder")
        return Path(named) if isinstance(named, str) and named else self.folder / "source"

    @property
    def asked(self) -> dict[str, Any]:
        return _object(self.folder / "asked.json")

    @property
    def told(self) -> dict[str, Any]:
        """lesson.json; empty before the clips were looked at."""
        return _object(self.folder / "lesson.json")

    @property
    def name(self) -> str:
        return str(self.asked.get("name") or self.told.get("name") or self.key)

    @property
    def state(self) -> str:
        state = str(self.told.get("state") or GATHERING)
        return state if state in STATES else GATHERING

    @property
    def names(self) -> list[dict[str, str]]:
        """Who is in it: [{"who": "Bruno", "is": "my dog"}]."""
        given = _read(self.folder / "names.json")
        rows = given if isinstance(given, list) else self.told.get("names")
        pairs = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        return [{"who": str(row.get("who") or ""), "is": str(row.get("is") or "")} for row in pairs]

    @property
    def corrections(self) -> dict[str, Any]:
        return _object(self.folder / "corrections.json")

    @property
    def plan(self) -> dict[str, Any]:
        return _object(self.folder / "plan.json")

    @property
    def plan_is_old(self) -> bool:
        """Whether a person has changed something since it was made."""
        plan = _changed(self.folder / "plan.json")
        return any(_changed(self.folder / name) > plan > 0 for name in ("corrections.json", "names.json"))

    @property
    def adapter(self) -> Path | None:
        """What was learnt, once it is whole."""
        folder = self.folder / "adapter"
        return folder if (folder / "adapter.json").is_file() else None

    def files(self) -> list[Path]:
        """What lies in the source folder, without looking into deeper ones."""
        with contextlib.suppress(OSError):
            return sorted(path for path in self.source.iterdir() if path.is_file() and not path.name.startswith("."))
        return []

    def clips(self) -> tuple[Clip, ...]:
        corrected = self.corrections
        found = []
        for row in _rows(self.folder / "clips.jsonl"):
            given = corrected.get(str(row.get("id")))
            said: dict[str, Any] = given if isinstance(given, dict) else {}
            own = isinstance(said.get("caption"), str) and bool(said["caption"].strip())  # empty: as it was found
            keep = said.get("keep")
            found.append(
                Clip(
                    id=str(row["id"]),
                    source=Path(str(row.get("source") or "")).name,
                    clip=str(row.get("clip") or ""),
                    still=str(row.get("still") or ""),
                    seconds=_number(row.get("seconds")) or 0.0,
                    caption=str(said["caption"] if own else row.get("caption") or ""),
                    caption_by="person" if own else str(row.get("caption_by") or "none"),
                    keep=keep if isinstance(keep, bool) else row.get("keep") is not False,
                    reason=str(row.get("reason") or ""),
                    held_out=row.get("held_out") is True,
                )
            )
        return tuple(found)

    def progress(self) -> tuple[Step, ...]:
        """In the order of the steps; after a pause those that were done again stand once."""
        steps: dict[int, Step] = {}
        for row in _rows(self.folder / "progress.jsonl"):
            step, loss = _number(row.get("step")), _number(row.get("loss"))
            if step is None or loss is None:
                continue
            if steps and step <= max(steps):
                steps = {at: one for at, one in steps.items() if at < step}
            steps[int(step)] = Step(
                int(step), int(_number(row.get("steps")) or step), loss, _number(row.get("held_out")),
                _number(row.get("seconds")) or 0.0, _number(row.get("seconds_left")),
            )  # fmt: skip
        return tuple(steps[at] for at in sorted(steps))

    def previews(self) -> tuple[Preview, ...]:
        """By clip, "before" first, "after" last."""
        found = []
        with contextlib.suppress(OSError):
            for path in (self.folder / "previews").iterdir():
                if match := _PREVIEW.fullmatch(path.name):
                    when, step, clip = match.groups()
                    order = int(step) if step else 0 if when == "before" else 1 << 60
                    found.append((clip, order, Preview(clip, when or step, f"previews/{path.name}")))
        return tuple(one for _, _, one in sorted(found, key=lambda one: one[:2]))

    def bytes(self) -> int:
        total = 0
        for path in self.folder.rglob("*"):
            with contextlib.suppress(OSError):
                total += path.stat().st_size if path.is_file() and not path.is_symlink() else 0
        return total

    # what a person says ------------------------------------------------------------------------------------------

    def correct(self, clip: str, **said: Any) -> None:
        """`caption` and `keep` of a clip, for good; what the command found itself stays in clips.jsonl."""
        if clip not in {one.id for one in self.clips()}:
            raise UserError(say("teach.no_clip"))
        before = self.corrections
        old = before.get(clip)
        write(self.folder / "corrections.json", {**before, clip: {**(old if isinstance(old, dict) else {}), **said}})

    def name_them(self, names: list[dict[str, str]]) -> None:
        write(self.folder / "names.json", names)

    def ask(self, **values: Any) -> None:
        write(self.folder / "asked.json", {**self.asked, **values})

    def bring(self, file: Path, name: str) -> Path:
        """Move a file that was uploaded into the source folder, under a name that is free there."""
        target_folder = self.folder / "source"
        target_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        plain = re.sub(r"[^\w .()-]", "_", Path(name).name).lstrip(". ") or "clip"
        target, number = target_folder / plain, 1
        while target.exists():
            number += 1
            target = target_folder / f"{Path(plain).stem} {number}{Path(plain).suffix}"
        shutil.move(file, target)
        return target

    def inside(self, name: str) -> Path | None:
        """A file of this lesson's folder; None for what is not there or not in it."""
        path = (self.folder / name).resolve()
        return path if path.is_relative_to(self.folder.resolve()) and path.is_file() else None


class Lessons:
    """All lessons of a data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "lessons"

    def all(self) -> tuple[Lesson, ...]:
        """The latest first."""
        with contextlib.suppress(OSError):
            folders = [path for path in self.folder.iterdir() if path.is_dir() and _NAME.fullmatch(path.name)]
            return tuple(Lesson(path) for path in sorted(folders, key=_changed, reverse=True))
        return ()

    def called(self, key: str) -> Lesson:
        """Raises UserError when there is none."""
        folder = self.folder / key
        if not _NAME.fullmatch(key) or not folder.is_dir():
            raise UserError(say("teach.no_lesson"))
        return Lesson(folder)

    def begin(self, name: str) -> Lesson:
        """A lesson of that name with nothing in it."""
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        key = "-".join(re.findall(r"[a-z0-9]+", plain))[:40] or "lesson"
        folder, number = self.folder / key, 1
        while folder.exists():
            number += 1
            folder = self.folder / f"{key}-{number}"
        folder.mkdir(parents=True, mode=0o700)
        lesson = Lesson(folder)
        lesson.ask(name=name)
        return lesson

    def forget(self, lesson: Lesson) -> None:
        """With what was brought for it and what was learnt. A folder that a person named stays as it is."""
        gone = lesson.folder.with_name(f".{lesson.key}.gone")
        shutil.rmtree(gone, ignore_errors=True)
        lesson.folder.rename(gone)  # all of it or nothing: what is left of a kill is no lesson
        shutil.rmtree(gone, ignore_errors=True)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _object(path: Path) -> dict[str, Any]:
    given = _read(path)
    return given if isinstance(given, dict) else {}


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Those that can be read: somebody may be writing at the last one."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and ("id" in row or "step" in row):
                yield row


def _number(value: Any) -> float | None:
    """A finite number; None for everything else (JSON of others may say NaN)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) == float("inf"):
        return None
    return float(value)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
