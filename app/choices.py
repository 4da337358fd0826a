"""What was noted of a person's choices as a file that training reads without the database.

FILE is JSON, one object a line. The first says what it is: {"file": "what-happens-next choices", "format": 1,
"folder", "made_at", "choices"}. Every other one is a choice:

    id, kind, at, story   kind: kept, rewrote, chose, starred, threw_away; story: an id, so that stories can be held out
    about                 "words" or "take"
    bible, mode, steer    what holds for the whole story; continue or cut; what was wished for
    context               the path before it, oldest first: [{"words", "clip", "first", "last"}]; the latest scene that
                          has pictures names them, the others are null
    words                 of the scene
    better, worse         one or null, and a list: words, or takes {"clip", "first", "last", "seed", "model", "adapter",
                          "settings"}

Pictures lie in the folder beside it: the clip as mp4, its first and last frame without loss. Knows nothing of training.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlmodel import select

from app.identity import now
from app.store import Store
from app.store.choices import KINDS, Choice, choices
from app.store.models import JobRow, SceneRow, TakeRow
from app.store.rows import scenes_from, takes_from
from app.store.stories import Stories
from app.story import Scene, Take, within_context
from nsp_core.errors import UserError

FILE = "what-happens-next choices"
FORMAT = 1
MOST_SCENES = 12  # of a path, as the reader is given
_PICTURES = (("clip", "clip"), ("first", "first_frame"), ("last", "last_frame"))


@dataclass
class TakenOut:
    """What was written. `missing` counts pictures that were gone."""

    path: Path
    folder: Path
    kinds: Counter[str] = field(default_factory=Counter)
    files: int = 0
    missing: int = 0
    bytes: int = 0


def folder_of(out: Path) -> Path:
    """Where the pictures of a file of choices lie."""
    return out.with_name(f"{out.stem}.files")


def take_out(store: Store, owner_id: str, out: Path, *, story_id: str | None = None) -> TakenOut:
    """Write a person's choices, oldest first, whole or not at all. Raises UserError when there are none, and for a name
    that is taken."""
    folder = folder_of(out)
    for path in (out, folder):
        if path.exists():
            raise UserError(f"There is already something called {path}: name another file, or remove it first.")
    if not out.parent.is_dir():
        raise UserError(f"There is no folder {out.parent} for {out.name}: make it, or name another one.")
    found = choices(store.database, owner_id, story_id=story_id)
    if not found:
        raise UserError("No choices were noted yet: keep, change, star or throw away something first.")
    partial, part = out.with_name(f".{out.name}.partial"), folder.with_name(f".{folder.name}.partial")
    made = TakenOut(out, folder)
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(mode=0o700)
        writer = _Writer(store, store.stories(owner_id), part, folder.name, made)
        rows = [writer.row(one) for one in reversed(found)]
        head = {"file": FILE, "format": FORMAT, "folder": folder.name, "made_at": now().isoformat()}
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            for line in ({**head, "choices": len(rows)}, *rows):
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        os.replace(part, folder)
        os.replace(partial, out)  # the file is there only with all that it names
    finally:
        partial.unlink(missing_ok=True)
        shutil.rmtree(part, ignore_errors=True)
    made.bytes += out.stat().st_size
    return made


@dataclass
class _Writer:
    store: Store
    stories: Stories
    part: Path
    folder: str
    made: TakenOut

    def row(self, choice: Choice) -> dict[str, Any]:
        self.made.kinds[choice.kind] += 1
        with self.store.database.reading() as session:
            scene_row = session.get_one(SceneRow, choice.scene_id)
            path = scenes_from(session, self.stories.path_rows(session, choice.scene_id, trashed=True))
            takes = takes_from(session, session.exec(select(TakeRow).where(TakeRow.scene_id == choice.scene_id)).all())
            job = None if scene_row.think_job_id is None else session.get(JobRow, scene_row.think_job_id)
            told = [] if job is None else [one["text"] for one in json.loads(job.words_json or "[]") if one.get("done")]
            bible = self.stories.story(choice.story_id).bible
        scene = path[-1]
        about = "words" if choice.take_id is None else "take"
        better, worse = self._words(choice, scene, told) if about == "words" else self._takes(choice, takes)
        return {
            "id": choice.id,
            "kind": choice.kind,
            "at": choice.at.isoformat(),
            "story": choice.story_id,
            "about": about,
            "bible": bible,
            "mode": scene.mode,
            "steer": scene.steer,
            "context": self._context(path[:-1]),
            "words": scene.words,
            "better": better,
            "worse": worse,
        }

    def _words(self, choice: Choice, scene: Scene, told: Iterable[str]) -> tuple[str | None, list[str]]:
        """What was kept, and what was offered beside it or stood there before."""
        if choice.kind == "threw_away":
            return None, [scene.words]
        others = [choice.before, *told] if choice.kind == "rewrote" else list(told)
        return scene.words, [one for one in dict.fromkeys(others) if one and one != scene.words]

    def _takes(self, choice: Choice, takes: Iterable[Take]) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        """Chosen: over the one that was chosen before. Starred: over those without a star. Thrown away: the chosen one
        over it."""
        by_id = {take.id: take for take in takes}
        mine = by_id[choice.take_id or ""]
        if choice.kind == "threw_away":
            kept = next((one for one in by_id.values() if one.chosen and one.deleted_at is None), None)
            return None if kept is None else self._take(kept), [self._take(mine)]
        if choice.kind == "chose":
            worse = [by_id[choice.other_take_id]] if choice.other_take_id in by_id else []
        else:
            worse = [one for one in by_id.values() if not one.starred]
        return self._take(mine), [self._take(one) for one in worse]

    def _context(self, path: tuple[Scene, ...]) -> list[dict[str, Any]]:
        read: list[dict[str, Any]] = []
        shown = False
        for scene in reversed(within_context(path, MOST_SCENES)):
            take = None if shown else scene.chosen
            shown = shown or take is not None
            read.append({"words": scene.words, **self._pictures(take)})
        return read[::-1]

    def _take(self, take: Take) -> dict[str, Any]:
        recipe = self.stories.recipe(take.id, trashed=True) or {}
        return {
            **self._pictures(take),
            "seed": take.seed,
            "model": recipe.get("fingerprint"),
            "adapter": recipe.get("adapter"),
            "settings": json.loads(recipe.get("settings_json") or "{}"),
        }

    def _pictures(self, take: Take | None) -> dict[str, str | None]:
        return {key: None if take is None else self._file(take.media.get(role)) for key, role in _PICTURES}

    def _file(self, name: str | None) -> str | None:
        if name is None:
            return None
        target = self.part / name
        if not target.exists():
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(self.store.media.path(name), target)
            if not target.exists():
                self.made.missing += 1
                return None
            self.made.files += 1
            self.made.bytes += target.stat().st_size
        return f"{self.folder}/{name}"


def kinds_of(made: TakenOut) -> dict[str, int]:
    return {kind: made.kinds[kind] for kind in KINDS if made.kinds[kind]}


def zip_out(store: Store, owner_id: str, target: Path) -> None:
    """The file and its folder in one zip, for a browser. Pictures are packed already and are stored as they are."""
    with tempfile.TemporaryDirectory(prefix="choices-", dir=target.parent) as folder:
        made = take_out(store, owner_id, Path(folder) / "choices.jsonl")
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            archive.write(made.path, made.path.name)
            for path in sorted(made.folder.iterdir()):
                archive.write(path, f"{made.folder.name}/{path.name}")
