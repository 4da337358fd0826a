"""A storypack becomes a story of this person's: verified whole first, then its files, then all rows in one transaction.

A pack may come from anywhere. Its files are unpacked under scratch names, every hash is compared, and only when all of
them are what they should be do they get their names, beside what is there; a file that is there already is not written
again. Whatever ends the work before the rows are committed leaves at most files without rows, which are removed at once
or, after a kill, by the doctor. Knows nothing of pages; whoever lets strangers bring packs asks a content filter, too.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from app.identity import new_id, now
from app.killpoints import reached
from app.pack.archive import Pack, check_beginning, check_frames, opened
from app.pack.checking import read_story
from app.pack.form import MEMBER, FileUse, NotAPack, PackedRecipe, PackedTake, StoryPack, member_of
from app.settings import Settings
from app.store import Store, oplog
from app.store.backup import room_for, sync
from app.store.media import Media, MediaFile, is_whole
from app.store.models import (
    MediaRow,
    PreferenceRow,
    RecipeRow,
    ReelRow,
    SceneRow,
    StoryRow,
    TakeRow,
    VerdictRow,
)
from app.store.reels import with_scenes
from nsp_core.checkpoint import fingerprint
from nsp_core.errors import Cancelled

Told = Callable[[str, int, int], None]  # phase, done, total
_MANY = 500


@dataclass(frozen=True)
class MissingModel:
    """A model that drew takes of the story and is not here: they can be seen, but not drawn again exactly."""

    name: str
    fingerprint: str
    takes: int


@dataclass(frozen=True)
class BroughtIn:
    """`missing`: files that were gone already when the story was packed. `known`: files that were here already."""

    story_id: str
    title: str
    scenes: int
    takes: int
    files: int
    known: int
    missing: int
    missing_models: tuple[MissingModel, ...]
    seconds: float


def bring_in(
    store: Store,
    owner_id: str,
    path: Path,
    *,
    told: Told = lambda _phase, _done, _total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> BroughtIn:
    """Raises NotAPack, UserError without room for it, Cancelled when `should_stop` says so; nothing is changed then."""
    began = time.perf_counter()
    with opened(path) as pack:
        story = read_story(pack.story(), pack.name)
        members = {member_of(name) for name in story.media}
        if members != {member for member in pack.manifest.files if MEMBER.fullmatch(member)}:
            raise NotAPack(f"The files in {pack.name} are not those of its story: nothing was changed.")
        unpacking = _Unpacking(store, pack, story)
        room_for(sum(pack.manifest.files[member].bytes for member in members), store.media.root)
        try:
            unpacking.take_out(told, should_stop)
            unpacking.put_in_place()
            reached("pack.files")
            if should_stop():
                raise Cancelled("Stopped; nothing was changed.")
            with store.database.transaction() as session:
                row = _write_rows(session, owner_id, story, unpacking.files)
        except BaseException:
            unpacking.take_back()
            raise
        unpacking.put_in_place()  # somebody who erased the last story with such a file meanwhile has taken it away
        return BroughtIn(
            story_id=row.id,
            title=row.title,
            scenes=len(story.scenes),
            takes=sum(1 for _ in story.takes),
            files=len(members),
            known=unpacking.known,
            missing=pack.manifest.missing,
            missing_models=missing_models(story, models_here(store.settings)),
            seconds=time.perf_counter() - began,
        )


def models_here(settings: Settings) -> frozenset[str]:
    """The fingerprints of the models that this program is set to use."""
    folders = {Path(model) for model in (settings.model, settings.safe_model)}
    found = set()
    for folder in folders:
        with contextlib.suppress(OSError):  # also: no folder at all, but something that a test names
            if folder.is_dir():
                found.add(fingerprint(folder))
    return frozenset(found)


def missing_models(story: StoryPack, here: frozenset[str]) -> tuple[MissingModel, ...]:
    """Those that most takes need first."""
    drawn = Counter(
        (take.recipe.model, take.recipe.fingerprint)
        for take in story.takes
        if take.recipe is not None and take.recipe.fingerprint not in here
    )
    return tuple(MissingModel(name, mark, count) for (name, mark), count in drawn.most_common())


# files ------------------------------------------------------------------------------------------------------------


class _Unpacking:
    """The files of a pack on their way into the media folder. `files` maps a name in the pack to the file here."""

    def __init__(self, store: Store, pack: Pack, story: StoryPack) -> None:
        self.store = store
        self.pack = pack
        self.story = story
        self.files: dict[str, MediaFile] = {}
        self.known = 0
        self._scratch: dict[str, Path] = {}  # name here -> where its bytes are
        self._placed: list[MediaFile] = []

    def take_out(self, told: Told, should_stop: Callable[[], bool]) -> None:
        """Every member, hashed; what is not here yet is kept under a scratch name."""
        folder = self.store.media.root / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        stem = new_id()
        types = self._types_here()
        shapes = _shapes(self.story)
        for number, (name, facts) in enumerate(self.story.media.items()):
            if should_stop():
                raise Cancelled("Stopped; nothing was changed.")
            member = member_of(name)
            sha256, _, ext = name.partition(".")
            file = MediaFile(
                sha256, types.get(sha256, ext), self.pack.manifest.files[member].bytes, **facts.model_dump()
            )
            target = self.store.media.path(file.name)
            read = target
            if is_whole(target, sha256):
                self.pack.take_out(member, None)
                os.utime(target)  # young again: nobody sweeps it up before its row is there
                self.known += 1
            else:
                read = self._scratch[file.name] = folder / f"{stem}-{number}.partial"
                self.pack.take_out(member, read)
            check_beginning(read, ext)
            for shape in shapes.get(name, ()):
                check_frames(read, shape)
            self.files[name] = file
            told("unpacking", number + 1, len(self.story.media))

    def put_in_place(self) -> None:
        """All of them on disk, then each its name. Called again, it brings back what is gone."""
        folders = set()
        for path in self._scratch.values():
            sync(path)
        for file in self.files.values():
            target = self.store.media.path(file.name)
            source = self._scratch.pop(file.name, None)
            if source is None:
                if target.is_file():
                    continue
                source = self.store.media.root / "tmp" / f"{new_id()}.partial"
                self.pack.take_out(self._member(file), source)
                sync(source)
            else:
                self._placed.append(file)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
            folders.add(target.parent)
        for folder in folders if os.name == "posix" else ():
            fd = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def take_back(self) -> None:
        """Nothing of it stays: scratch files go, and so do files that came with it and that nobody else uses."""
        for path in self._scratch.values():
            path.unlink(missing_ok=True)
        if self._placed:
            with self.store.database.transaction() as session:
                self.store.media.discard(session, self._placed)

    def _member(self, file: MediaFile) -> str:
        return next(member_of(name) for name, known in self.files.items() if known.sha256 == file.sha256)

    def _types_here(self) -> dict[str, str]:
        """As what these contents are kept here already: one content has one name."""
        hashes = [name.partition(".")[0] for name in self.story.media]
        found: dict[str, str] = {}
        with self.store.database.reading() as session:
            for at in range(0, len(hashes), _MANY):
                query = select(MediaRow.sha256, MediaRow.ext).where(col(MediaRow.sha256).in_(hashes[at : at + _MANY]))
                found.update(dict(session.exec(query).all()))
        return found


def _shapes(story: StoryPack) -> dict[str, set[tuple[int, int, int]]]:
    """The (count, height, width) that the frames in a file must have."""
    found: dict[str, set[tuple[int, int, int]]] = {}
    for take in story.takes:
        for use in take.files:
            if use.role == "frames":
                found.setdefault(use.name, set()).add((take.frame_count, take.height, take.width))
    return found


# rows -------------------------------------------------------------------------------------------------------------


def _write_rows(session: Session, owner_id: str, story: StoryPack, files: dict[str, MediaFile]) -> StoryRow:
    stamp = now()
    row = StoryRow(
        owner_id=owner_id,
        title=story.title,
        premise=story.premise,
        cast=story.cast,
        look=story.look,
        origin="storypack",
        settings_json=story.settings,
        created_at=story.created_at,
        opened_at=stamp,
    )
    session.add(row)
    session.flush()
    scene_ids = [new_id() for _ in story.scenes]
    take_ids = [new_id() for _ in story.takes]
    _write_scenes(session, row.id, story, scene_ids)
    row.head_scene_id = None if story.head is None else scene_ids[story.head]
    held = _record(session, list(files.values()))
    takes = [(scene_id, take) for scene_id, scene in zip(scene_ids, story.scenes, strict=True) for take in scene.takes]
    for number, (scene_id, take) in enumerate(takes):
        session.add(_take_row(take, take_ids[number], scene_id, scene_ids, take_ids))
    session.flush()
    for number, (_, take) in enumerate(takes):
        take_id = take_ids[number]
        for use in take.files:
            _link(session, use, files, owner_id, take_id=take_id)
        if take.recipe is not None:
            session.add(_recipe_row(take.recipe, take_id, scene_ids, take_ids, files))
        for verdict in take.verdicts:
            columns = verdict.model_dump(exclude={"votes"})
            session.add(VerdictRow(**columns, take_id=take_id, votes_json=verdict.votes))
    for scene_id, scene in zip(scene_ids, story.scenes, strict=True):
        for use in scene.files:
            _link(session, use, files, owner_id, scene_id=scene_id)
    for one in story.preferences:
        session.add(
            PreferenceRow(
                **one.model_dump(include={"kind", "words_before", "words_after", "at"}),
                owner_id=owner_id,
                story_id=row.id,
                scene_id=_at(scene_ids, one.scene),
                take_id=_at(take_ids, one.take),
                other_take_id=_at(take_ids, one.other_take),
                context_json=one.context,
            )
        )
    named = {str(at): scene_id for at, scene_id in enumerate(scene_ids)}
    for reel in story.reels:
        plan = with_scenes(reel.plan, named)
        session.add(ReelRow(story_id=row.id, scene_id=scene_ids[reel.scene], plan_json=plan))
    oplog.change(session, row, "create_story", actor="model")  # nothing before it to go back to
    del held
    return row


def _record(session: Session, files: list[MediaFile]) -> list[MediaRow]:
    """The rows of all files, at once. A session forgets what nobody holds: whoever links to them keeps this list."""
    rows: list[MediaRow] = []
    for at in range(0, len(files), _MANY):
        hashes = [file.sha256 for file in files[at : at + _MANY]]
        rows += session.exec(select(MediaRow).where(col(MediaRow.sha256).in_(hashes))).all()
    known = {row.sha256 for row in rows}
    new = [MediaRow(**file.__dict__) for file in files if file.sha256 not in known]
    session.add_all(new)
    session.flush()
    return [*rows, *new]


def _write_scenes(session: Session, story_id: str, story: StoryPack, scene_ids: list[str]) -> None:
    depths: list[int] = []
    for scene_id, scene in zip(scene_ids, story.scenes, strict=True):
        depths.append(0 if scene.parent is None else depths[scene.parent] + 1)
        session.add(
            SceneRow(
                **scene.model_dump(exclude={"parent", "anchor", "files", "takes"}),
                id=scene_id,
                story_id=story_id,
                parent_id=_at(scene_ids, scene.parent),
                kind="begin" if scene.parent is None else "next",
                depth=depths[-1],
                anchor_scene_id=_at(scene_ids, scene.anchor),
            )
        )
    session.flush()


def _take_row(take: PackedTake, take_id: str, scene_id: str, scene_ids: list[str], take_ids: list[str]) -> TakeRow:
    drift = None
    if take.drift is not None:
        named = {"anchor": scene_ids[take.drift.anchor], "take": take_ids[take.drift.take]}
        drift = json.dumps({**take.drift.model_dump(), **named})
    return TakeRow(
        **take.model_dump(exclude={"after", "drift", "files", "recipe", "verdicts"}),
        id=take_id,
        scene_id=scene_id,
        parent_take_id=_at(take_ids, take.after),
        drift_json=drift,
    )


def _recipe_row(
    recipe: PackedRecipe, take_id: str, scene_ids: list[str], take_ids: list[str], files: dict[str, MediaFile]
) -> RecipeRow:
    parents = []
    for parent in recipe.parents:
        named = {
            **parent.model_dump(exclude_unset=True),
            "scene": _at(scene_ids, parent.scene),
            "take": _at(take_ids, parent.take),
        }
        for key in ("frames", "latents"):
            if named.get(key) in files:
                named[key] = files[named[key]].name
        parents.append(named)
    return RecipeRow(
        **recipe.model_dump(exclude={"settings", "versions", "parents"}),
        take_id=take_id,
        settings_json=recipe.settings,
        versions_json=recipe.versions,
        parents_json=json.dumps(parents, ensure_ascii=False),
    )


def _link(session: Session, use: FileUse, files: dict[str, MediaFile], owner_id: str, **user: Any) -> None:
    Media.link(session, files[use.name], use.role, owner_id=owner_id, number=use.number, name=use.called, **user)


def _at(ids: list[str], place: int | None) -> str | None:
    return None if place is None else ids[place]
