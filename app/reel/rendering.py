"""A film from outside: asked for, looked at and stopped by whichever page is open; a process of its own makes it.

Like a download (app.models.fetching): it lives as long as its lock is held, so that one that was killed is known to be
dead, says how far it is in a small file, and ends with the page that started it. One is made at a time; pieces of one
that was stopped are kept, so that the next one begins there.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from app.background import Background, write
from app.identity import new_id
from app.provenance.account import Provenance
from app.reel.plan import Plan, plan_of
from app.reel.render import Clip
from app.reel.taking import ENDINGS, FORMS, Form
from app.settings import Settings
from app.store.reels import pieces_folder
from nsp_core.errors import UserError

What = Literal["running", "done", "stopped", "failed"]
HOLDER = "rendering"
_HALF_WRITTEN = 3600.0  # seconds after which nobody writes at it any more
_MOST_KEPT = 4 << 30  # bytes of pieces and films of one story; what was not used longest goes first


@dataclass(frozen=True)
class Request:
    """All that the process needs to know; no database. `film` names the result inside `folder`."""

    film: str
    form: Form
    plan: str
    clips: tuple[tuple[str, str], ...]  # path, words
    folder: str
    title: str
    language: str
    provenance: str = ""  # JSON of an app.provenance.account.Provenance


@dataclass(frozen=True)
class Report:
    """`owner`, `story`, `scene`: whose film of which path, no words. `done`, `total`: pictures; `left`: seconds."""

    film: str
    form: str
    owner: str
    story: str
    scene: str
    what: What = "running"
    phase: str = ""
    done: int = 0
    total: int = 0
    left: float | None = None
    why: str = ""
    taken: dict[str, Any] | None = None


class Rendering(Background):
    def __init__(self, settings: Settings) -> None:
        super().__init__(
            "app.reel.render_process", settings.locks_dir / "film.lock", settings.logs_dir / "film.log", HOLDER
        )
        self.settings = settings
        self.path = settings.run_dir / "film.json"

    def report(self, owner: str) -> Report | None:
        """How this person's last film is; None when there was none, or it was somebody else's."""
        running = self.running  # before its last words are read, so that they cannot be missed
        report = read(self.path)
        if report is None or report.owner != owner:
            return None
        if report.what == "running" and not running:
            return replace(report, what="stopped", left=None)
        return report

    def make(
        self, form: Form, plan: Plan, clips: Sequence[Clip], *, owner: str, story: str, scene: str, title: str,
        language: str, provenance: Provenance | None = None,
    ) -> None:  # fmt: skip
        """Returns at once. Raises UserError while another film is being made."""
        if self.running:
            raise UserError("Another film is being made: wait for that, or stop it first.")
        folder = pieces_folder(self.settings.data_dir, story)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        sweep(folder)
        film = f"film-{new_id()}.{ENDINGS[form]}"
        request = Request(
            film, form, plan.to_json(), tuple((str(clip.path), clip.words) for clip in clips), str(folder), title,
            language, provenance.to_json() if provenance is not None else "",
        )  # fmt: skip
        wanted = self.settings.run_dir / "film-request.json"
        write(wanted, asdict(request))
        write(self.path, asdict(Report(film, form, owner, story, scene)))
        self.start(str(wanted), str(self.path), str(self.lock), str(os.getpid()))

    def stop_for(self, owner: str) -> None:
        """End this person's film, whichever page started it. Returns when it is over."""
        report = read(self.path)
        if report is None or report.owner != owner or report.what != "running":
            return
        self.stop()
        report = self.report(owner)
        if report is not None and report.what == "stopped":
            write(self.path, asdict(report))

    def film(self, owner: str, name: str) -> tuple[Path, Report] | None:
        """The finished film of that name, if it is the last one of this person's."""
        report = self.report(owner)
        if report is None or report.what != "done" or report.film != name:
            return None
        path = pieces_folder(self.settings.data_dir, report.story) / report.film
        return (path, report) if path.is_file() else None

    def close(self) -> None:
        """The page is being closed: a film that it makes ends, too."""
        if self.mine:
            report = read(self.path)
            if report is not None:
                self.stop_for(report.owner)


def sweep(folder: Path, most: int = _MOST_KEPT) -> None:
    """The last film goes, files that somebody left half-written, and of the pieces what was not used longest, while
    there are more than `most` bytes. A command may be writing here at the same time: what is young stays."""
    kept: list[tuple[float, int, Path]] = []
    for path in folder.iterdir():
        facts = path.stat()
        old = time.time() - facts.st_mtime > _HALF_WRITTEN
        if path.name.startswith("film-") or (path.suffix == ".partial" and old):
            path.unlink(missing_ok=True)
        elif path.suffix != ".partial":
            kept.append((facts.st_mtime, facts.st_size, path))
    size = sum(one for _, one, _ in kept)
    for _, one, path in sorted(kept):
        if size <= most:
            break
        path.unlink(missing_ok=True)
        size -= one


def read(path: Path) -> Report | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Report(**json.loads(path.read_text(encoding="utf-8")))
    return None


def read_request(path: Path) -> tuple[Request, Plan, list[Clip]]:
    given = json.loads(path.read_text(encoding="utf-8"))
    request = Request(**{**given, "clips": tuple((one[0], one[1]) for one in given["clips"])})
    assert request.form in FORMS
    return request, plan_of(request.plan), [Clip(Path(place), words) for place, words in request.clips]
