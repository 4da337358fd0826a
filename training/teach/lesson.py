"""A lesson: one folder with everything that teaching somebody's world needs and leaves.

    lesson.json       what it is and how far it is; written by the command alone
    clips.jsonl       a row a clip or picture that was found, also of what was left out, and why
    corrections.json  {ID: {"caption", "keep"}}, names.json [{"who", "is"}]: written by the person; they win
    plan.json         what teaching will take here
    progress.jsonl    how it went, a row every few steps
    previews/, previews.json   held-out clips as the model draws them, before, underway and after
    adapter/, report.html      what is left in the end
    data/, run/       the curated clips, and the training run with its checkpoints

Every file is whole or absent. Knows nothing of models and of clips' contents.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from nsp_core.errors import UserError
from nsp_core.locks import FileLock
from nsp_core.media.write import whole_file

FORMAT = 1
State = Literal["prepared", "learning", "paused", "done", "failed", "stopped"]


@dataclass(frozen=True)
class Name:
    """Somebody or something that belongs to this world: who "Bruno", is "my dog"."""

    who: str
    is_: str


@dataclass(frozen=True)
class Told:
    """What lesson.json says."""

    name: str
    model: str
    names: tuple[Name, ...] = ()
    state: State = "prepared"
    message: str = ""
    step: int = 0
    steps: int = 0
    adapter: str | None = None

    def plain(self) -> dict[str, Any]:
        names = [{"who": one.who, "is": one.is_} for one in self.names]
        return {"format": FORMAT, **asdict(self), "names": names}


@dataclass(frozen=True)
class Clip:
    """A row of clips.jsonl; `clip` and `still` are paths below the lesson. `seconds` is 0 for a picture."""

    id: str
    source: str
    clip: str | None
    still: str | None
    seconds: float
    caption: str
    caption_by: Literal["model", "file", "person", "none"]
    keep: bool
    reason: str = ""
    held_out: bool = False
    next: str | None = None

    @property
    def is_picture(self) -> bool:
        return self.clip is None and self.still is not None

    @property
    def usable(self) -> bool:
        return self.keep and bool(self.caption)


class Lesson:
    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser()

    # -- places -------------------------------------------------------------------------------------------------------
    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def previews(self) -> Path:
        return self.folder / "previews"

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def progress(self) -> Path:
        return self.folder / "progress.jsonl"

    # -- what it says -------------------------------------------------------------------------------------------------
    @property
    def exists(self) -> bool:
        return (self.folder / "lesson.json").is_file()

    def told(self) -> Told:
        """Raises UserError where there is no lesson."""
        if not self.exists:
            raise UserError(
                f"There is no lesson in {self.folder}: make one with `python launch.py teach prepare CLIPS --out "
                f"{self.folder}`."
            )
        value = self.read("lesson.json")
        try:
            if int(value["format"]) > FORMAT:
                raise UserError(f"{self.folder} was made by a newer version of this program: get that one.")
            names = tuple(Name(str(one["who"]), str(one["is"])) for one in value["names"])
            kept = {k: value[k] for k in ("name", "model", "state", "message", "step", "steps", "adapter")}
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{self.folder / 'lesson.json'} is damaged: prepare the lesson again.") from None
        return Told(names=names, **kept)

    def tell(self, told: Told | None = None, **changes: Any) -> Told:
        """Write lesson.json: `told`, or what it said with these changes."""
        told = replace(told or self.told(), **changes)
        self.write("lesson.json", told.plain())
        return told

    def clips(self) -> list[Clip]:
        """With the person's corrections in their places."""
        path = self.folder / "clips.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        corrections = self.read("corrections.json", {})
        return [corrected(Clip(**json.loads(line)), corrections) for line in lines]

    def write_clips(self, clips: list[Clip]) -> None:
        with whole_file(self.folder / "clips.jsonl") as part:
            part.write_text("".join(json.dumps(asdict(c), ensure_ascii=False) + "\n" for c in clips), "utf-8")

    def names(self) -> tuple[Name, ...]:
        """Of names.json, or those that were named when the lesson was prepared."""
        given = self.read("names.json", None)
        if given is None:
            return self.told().names
        try:
            some = (Name(" ".join(str(one["who"]).split()), " ".join(str(one["is"]).split())) for one in given)
            return tuple(one for one in some if one.who)
        except (KeyError, TypeError):
            raise UserError(
                f'{self.folder / "names.json"} must be a list of {{"who": "Bruno", "is": "my dog"}}.'
            ) from None

    # -- files --------------------------------------------------------------------------------------------------------
    def read(self, name: str, otherwise: Any = ...) -> Any:
        path = self.folder / name
        if otherwise is not ... and not path.is_file():
            return otherwise
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read ({error}): mend it, or take it away.") from None

    def write(self, name: str, value: Any) -> None:
        with whole_file(self.folder / name) as part:
            part.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    def progress_rows(self) -> list[dict[str, Any]]:
        """A line that a killed run was writing is left out."""
        rows = []
        for line in self.progress.read_text(encoding="utf-8").splitlines() if self.progress.is_file() else ():
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
        return rows

    def forget_run(self) -> None:
        """Take away what teaching left, and keep the clips with what people said of them."""
        for folder in (self.run, self.previews, self.adapter):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self.progress, self.report, self.folder / "previews.json"):
            file.unlink(missing_ok=True)

    @contextmanager
    def to_oneself(self) -> Iterator[None]:
        """One command at a time works on a lesson. Raises UserError when another one does."""
        lock = FileLock(self.folder / ".lock", holder="teaching")
        if not lock.acquire():
            raise UserError(f"{self.folder} is being worked on by another `teach`: wait for it, or stop it first.")
        try:
            yield
        finally:
            lock.release()


def corrected(clip: Clip, corrections: dict[str, Any]) -> Clip:
    said = corrections.get(clip.id)
    if not isinstance(said, dict):
        return clip
    words = " ".join(str(said.get("caption") or "").split())
    if words:  # one that was emptied is the one that was found
        clip = replace(clip, caption=words, caption_by="person")
    if "keep" in said and (clip.clip or clip.still):
        clip = replace(clip, keep=bool(said["keep"]), reason=clip.reason if said["keep"] else "taken out by hand")
    return clip
