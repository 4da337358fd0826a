"""A story becomes one zip file, written to a `.partial` name and renamed when it is whole.

What was thrown away stays behind, as in a duplicate, and so do jobs and the history that undo walks along. What the
program learnt about the person's taste goes along only when it is asked for, and the files that the person brought can
stay behind: a camera writes a place and a time into them. Paths of this machine are never written. Changes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from sqlmodel import Session, col, select

from app.identity import new_id, now
from app.killpoints import reached
from app.pack.checking import first_of
from app.pack.form import (
    FORMAT,
    KIND,
    MANIFEST,
    NOBODY,
    STORY,
    Drift,
    FileEntry,
    FileFacts,
    FileUse,
    Manifest,
    PackedPreference,
    PackedRecipe,
    PackedReel,
    PackedScene,
    PackedTake,
    PackedVerdict,
    Parent,
    StoryPack,
    finite,
    member_of,
)
from app.provenance.account import without_folder
from app.store import Store
from app.store.backup import PIECE, private, room_for, sync
from app.store.duplicate import living_scenes, rows_of
from app.store.models import (
    MediaLinkRow,
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
from app.story import Role
from nsp_core.errors import Cancelled, UserError

Told = Callable[[str, int, int], None]  # phase, done, total


@dataclass(frozen=True)
class Packed:
    """`missing`: files that were gone or damaged. `originals`: files that the person brought, packed as they were."""

    path: Path
    title: str
    scenes: int
    takes: int
    files: int
    bytes: int
    missing: int
    originals: int


@dataclass(frozen=True)
class _Rows:
    """One story as it was at one moment."""

    story: StoryRow
    scenes: list[SceneRow]
    takes: dict[str, list[TakeRow]]  # by scene
    recipes: dict[str, RecipeRow]  # by take
    verdicts: dict[str, list[VerdictRow]]
    links: dict[str, list[MediaLinkRow]]  # by take or scene
    media: dict[str, MediaRow]
    preferences: list[PreferenceRow]
    reels: list[ReelRow]

    @property
    def in_order(self) -> list[TakeRow]:
        return [take for scene in self.scenes for take in self.takes.get(scene.id, [])]


def pack_story(
    store: Store,
    owner_id: str | None,
    story_id: str,
    out: Path,
    *,
    originals: bool = True,
    taste: bool = False,
    dated: bool = True,
    told: Told = lambda _phase, _done, _total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Packed:
    """Write the story to `out`; `dated` False: with the story's last change for a date, so that a story that stays the
    same gives the same bytes. Raises UserError when that cannot be, Cancelled when `should_stop` says so."""
    check_target(out)
    rows = _read(store, owner_id, story_id, originals=originals, taste=taste)
    if not rows.scenes:
        raise UserError(f"“{rows.story.title}” has no scene yet: begin it, then take it out.")
    room_for(sum(row.bytes for row in rows.media.values()), out.parent)
    stamp = now() if dated else rows.story.updated_at
    partial = out.with_name(f".{out.name}.{new_id()}.partial")
    try:
        with private(partial) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            files: dict[str, FileEntry] = {}
            kept: dict[str, str] = {}  # sha256 -> name
            for number, (sha256, row) in enumerate(sorted(rows.media.items())):
                if should_stop():
                    raise Cancelled("Stopped; nothing was written.")
                name = f"{sha256}.{row.ext}"
                size = _add_file(archive, store.media.path(name), name, stamp.timetuple()[:6])
                if size is not None:
                    files[member_of(name)] = FileEntry(sha256=sha256, bytes=size)
                    kept[sha256] = name
                told("packing", number + 1, len(rows.media))
            try:
                pack = _described(rows, kept)
            except ValidationError as error:
                raise UserError(
                    f"“{rows.story.title}” holds something that no pack can hold ({first_of(error)}); "
                    "make a backup of all stories instead."
                ) from None
            story = pack.model_dump_json(exclude_unset=True).encode()
            files[STORY] = FileEntry(sha256=hashlib.sha256(story).hexdigest(), bytes=len(story))
            manifest = Manifest(
                kind=KIND,
                format=FORMAT,
                version=_version(),
                made_at=stamp,
                scenes=len(pack.scenes),
                takes=len(rows.in_order),
                missing=len(rows.media) - len(kept),
                files=files,
            )
            for member, data in ((STORY, story), (MANIFEST, manifest.model_dump_json(indent=1).encode())):
                archive.writestr(_info(member, stamp.timetuple()[:6], zipfile.ZIP_DEFLATED), data)
        sync(partial)
        reached("pack.written")
        put_in_place(partial, out)
    finally:
        partial.unlink(missing_ok=True)
    brought = {use.name for use in pack.uses if use.role == "source"}
    return Packed(
        out, pack.title, manifest.scenes, manifest.takes, len(kept), out.stat().st_size, manifest.missing, len(brought)
    )


def check_target(out: Path) -> None:
    if out.exists():
        raise UserError(f"There is already something called {out}: name another file, or remove it first.")
    if not out.parent.is_dir():
        raise UserError(f"There is no folder {out.parent} for {out.name}: make it, or name another one.")


def put_in_place(partial: Path, out: Path) -> None:
    """Never over something that came meanwhile, where the system can promise that."""
    with contextlib.suppress(OSError):  # a file system without hard links
        os.link(partial, out)
        return
    check_target(out)
    os.replace(partial, out)


# what there is ----------------------------------------------------------------------------------------------------


def _read(store: Store, owner_id: str | None, story_id: str, *, originals: bool, taste: bool) -> _Rows:
    stories = store.stories(owner_id)
    with store.database.reading() as session:
        story = stories.story_row(session, story_id)
        scenes = living_scenes(session, story.id)
        scene_ids = [scene.id for scene in scenes]
        takes = sorted(rows_of(session, TakeRow, "scene_id", scene_ids, living=True), key=lambda take: take.number)
        take_ids = [take.id for take in takes]
        links = [
            link
            for column, ids in (("take_id", take_ids), ("scene_id", scene_ids))
            for link in rows_of(session, MediaLinkRow, column, ids)
            if originals or link.role != "source"
        ]
        media = rows_of(session, MediaRow, "sha256", sorted({link.media_sha256 for link in links}))
        return _Rows(
            story,
            scenes,
            _grouped(takes, "scene_id"),
            {row.take_id: row for row in rows_of(session, RecipeRow, "take_id", take_ids)},
            _grouped(sorted(rows_of(session, VerdictRow, "take_id", take_ids), key=lambda row: row.id), "take_id"),
            _grouped(sorted(links, key=lambda link: (link.role, link.number, link.id)), "take_id", "scene_id"),
            {row.sha256: row for row in media},
            _preferences(session, story.id, {*scene_ids, *take_ids}) if taste else [],
            sorted(rows_of(session, ReelRow, "scene_id", scene_ids), key=lambda row: row.id),
        )


def _preferences(session: Session, story_id: str, kept: set[str]) -> list[PreferenceRow]:
    """Those that are about nothing which stays behind."""
    query = select(PreferenceRow).where(PreferenceRow.story_id == story_id).order_by(col(PreferenceRow.id))
    return [
        row
        for row in session.exec(query).all()
        if {one for one in (row.scene_id, row.take_id, row.other_take_id) if one is not None} <= kept
    ]


def _grouped(rows: Iterable[Any], *columns: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in rows:
        key = next(getattr(row, column) for column in columns if getattr(row, column) is not None)
        found.setdefault(key, []).append(row)
    return found


# how it is written down -------------------------------------------------------------------------------------------


def _described(rows: _Rows, kept: Mapping[str, str]) -> StoryPack:
    scene_at = {scene.id: at for at, scene in enumerate(rows.scenes)}
    take_at = {take.id: at for at, take in enumerate(rows.in_order)}
    placed = {scene_id: str(at) for scene_id, at in scene_at.items()}
    uses = {
        whose: tuple(
            FileUse(role=cast(Role, link.role), name=kept[link.media_sha256], number=link.number, called=link.name)
            for link in links
            if link.media_sha256 in kept
        )
        for whose, links in rows.links.items()
    }
    story = rows.story
    return StoryPack(
        title=story.title,
        premise=story.premise,
        cast=story.cast,
        look=story.look,
        settings=story.settings_json,
        head=scene_at.get(story.head_scene_id or ""),
        created_at=story.created_at,
        scenes=tuple(
            PackedScene(
                **_columns(PackedScene, scene),
                parent=None if scene.parent_id is None else scene_at[scene.parent_id],
                anchor=scene_at.get(scene.anchor_scene_id or ""),
                files=uses.get(scene.id, ()),
                takes=tuple(
                    PackedTake(
                        **_columns(PackedTake, take),
                        after=_earlier(take_at, take),
                        drift=_drift(take.drift_json, scene_at, take_at),
                        files=uses.get(take.id, ()),
                        recipe=_recipe(rows.recipes.get(take.id), scene_at, take_at, set(kept.values())),
                        verdicts=tuple(
                            PackedVerdict(**_columns(PackedVerdict, one), votes=one.votes_json)
                            for one in rows.verdicts.get(take.id, [])
                        ),
                    )
                    for take in rows.takes.get(scene.id, [])
                ),
            )
            for scene in rows.scenes
        ),
        preferences=tuple(
            PackedPreference(
                **_columns(PackedPreference, one),
                scene=scene_at.get(one.scene_id or ""),
                take=take_at.get(one.take_id or ""),
                other_take=take_at.get(one.other_take_id or ""),
                context=one.context_json,
            )
            for one in rows.preferences
        ),
        reels=tuple(
            PackedReel(scene=scene_at[row.scene_id], plan=with_scenes(row.plan_json, placed)) for row in rows.reels
        ),
        media={
            kept[sha256]: FileFacts(**_columns(FileFacts, row)) for sha256, row in rows.media.items() if sha256 in kept
        },
    )


def _columns(part: Any, row: Any) -> dict[str, Any]:
    """The columns that the part calls by the same name."""
    found = {name: getattr(row, name) for name in part.model_fields if hasattr(row, name)}
    return {name: finite(value) if isinstance(value, float) else value for name, value in found.items()}


def _earlier(take_at: Mapping[str, int], take: TakeRow) -> int | None:
    before = take_at.get(take.parent_take_id or "")
    return before if before is not None and before < take_at[take.id] else None


def _drift(kept: str | None, scene_at: Mapping[str, int], take_at: Mapping[str, int]) -> Drift | None:
    """A measurement against what stays behind says nothing any more; it is made again when somebody looks."""
    value = json.loads(kept) if kept else {}
    if value.get("anchor") not in scene_at or value.get("take") not in take_at:
        return None
    return Drift(**{**value, "anchor": scene_at[value["anchor"]], "take": take_at[value["take"]]})


def _recipe(
    row: RecipeRow | None, scene_at: Mapping[str, int], take_at: Mapping[str, int], kept: set[str]
) -> PackedRecipe | None:
    if row is None:
        return None
    parents = []
    for named in json.loads(row.parents_json):
        files = {
            key: name if name is None or name in kept else f"{NOBODY}.{name.partition('.')[2]}"
            for key in ("frames", "latents")
            if key in named
            for name in [named[key]]
        }
        places = {"scene": scene_at.get(named.get("scene") or ""), "take": take_at.get(named.get("take") or "")}
        parents.append(Parent(**{**named, **places, **files}))
    return PackedRecipe(
        **{
            **_columns(PackedRecipe, row),
            "model": without_folder(row.model),
            "adapter": None if row.adapter is None else without_folder(row.adapter),
        },
        settings=row.settings_json,
        versions=row.versions_json,
        parents=tuple(parents),
    )


# the file ---------------------------------------------------------------------------------------------------------


def _add_file(archive: zipfile.ZipFile, path: Path, name: str, stamp: Any) -> int | None:
    """The file's size; None when it is gone or no longer what its name says, which is not packed."""
    try:
        source = path.open("rb")
    except FileNotFoundError:
        return None
    with source:
        if hashlib.file_digest(source, "sha256").hexdigest() != path.stem:
            return None
        source.seek(0)
        digest, size = hashlib.sha256(), 0
        with archive.open(_info(member_of(name), stamp, zipfile.ZIP_STORED), "w", force_zip64=True) as to:
            while piece := source.read(PIECE):
                digest.update(piece)
                size += len(piece)
                to.write(piece)
    if digest.hexdigest() != path.stem:
        raise UserError(f"The file {name[:12]}… was changed while it was packed: nothing was written, try again.")
    return size


def _info(member: str, stamp: Any, compression: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(member, stamp)
    info.external_attr = 0o600 << 16
    info.compress_type = compression
    return info


def _version() -> str:
    try:
        return metadata.version("what-happens-next")
    except metadata.PackageNotFoundError:
        return ""
