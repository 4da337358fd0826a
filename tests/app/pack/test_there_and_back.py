"""Storypacks: there and back exactly, the same files once, and what stays behind."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from app.pack import bring_in, pack_story
from app.pack.form import MANIFEST, NOBODY, STORY
from app.reel.plan import Card, plan_for
from app.store import Store
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
from app.store.reels import keep_plan
from app.store.stories import Stories
from app.story import Story
from nsp_core.errors import Cancelled, UserError
from tests.app.test_library import draw


def all_of(store: Store, story_id: str) -> dict[str, Any]:
    """Every column of a story but times of import and jobs, with places for ids."""
    ids: dict[str, str] = {}

    def placed(row: Any, *without: str) -> dict[str, Any]:
        left = {"id", "owner_id", "job_id", "think_job_id", "story_id", *without}
        text = json.dumps(row.model_dump(exclude=left), default=str, sort_keys=True, ensure_ascii=False)
        for known, place in ids.items():
            text = text.replace(known, place)
        return json.loads(text)

    with store.database.reading() as session:
        story = session.get_one(StoryRow, story_id)
        scenes = session.exec(
            select(SceneRow).where(SceneRow.story_id == story_id).order_by(col(SceneRow.depth), col(SceneRow.position))
        ).all()
        ids |= {scene.id: f"scene {at}" for at, scene in enumerate(scenes)}
        takes = [
            take
            for scene in scenes
            for take in session.exec(
                select(TakeRow).where(TakeRow.scene_id == scene.id).order_by(col(TakeRow.number))
            ).all()
        ]
        ids |= {take.id: f"take {at}" for at, take in enumerate(takes)}
        users = [*ids]
        links = session.exec(select(MediaLinkRow)).all()
        used = [link for link in links if (link.take_id or link.scene_id) in users]
        files = {link.media_sha256: session.get_one(MediaRow, link.media_sha256) for link in used}
        return {
            "story": placed(story, "version", "origin", "updated_at", "opened_at"),
            "scenes": [placed(scene) for scene in scenes],
            "takes": [placed(take) for take in takes],
            "recipes": [placed(row) for take in takes for row in _of(session, RecipeRow, take.id)],
            "verdicts": [placed(row, "take_id") for take in takes for row in _of(session, VerdictRow, take.id)],
            "links": sorted(json.dumps(placed(link, "created_at")) for link in used),
            "files": {
                name: (placed(row, "created_at"), store.media.read(f"{name}.{row.ext}")) for name, row in files.items()
            },
            "reels": [
                placed(row, "version", "changed_at")
                for row in session.exec(select(ReelRow).where(ReelRow.story_id == story_id).order_by(col(ReelRow.id)))
            ],
            "taste": [
                placed(row)
                for row in session.exec(
                    select(PreferenceRow).where(PreferenceRow.story_id == story_id).order_by(col(PreferenceRow.id))
                )
            ],
        }


def _of(session: Any, table: Any, take_id: str) -> list[Any]:
    return list(session.exec(select(table).where(table.take_id == take_id).order_by(table.id)).all())


def media_files(store: Store) -> list[str]:
    return sorted(path.name for path in store.media.root.rglob("*.*") if path.is_file())


def shelf(store: Store) -> list[str]:
    return [story.title for story in store.stories(store.local_owner()).list_stories()]


def test_there_and_back_exactly(room: Store, rain: Story, elsewhere: Store, tmp_path: Path) -> None:
    mine = room.stories(room.local_owner())
    for leaf in mine.tree(rain.id).leaves():
        ids = [scene.id for scene in mine.path_to(leaf.id)]
        keep_plan(mine, leaf.id, replace(plan_for(ids[::-1]), title=Card("Regen")).to_json())
    made = pack_story(room, room.local_owner(), rain.id, tmp_path / "rain.zip", taste=True)
    assert (made.scenes, made.takes, made.missing, made.originals) == (4, 3, 0, 1)
    phases: list[str] = []
    there = bring_in(elsewhere, elsewhere.local_owner(), made.path, told=lambda phase, *_: phases.append(phase))
    before, after = all_of(room, rain.id), all_of(elsewhere, there.story_id)
    for subject in before:
        assert after[subject] == before[subject], subject
    assert (
        before["reels"]
        and before["taste"]
        and before["verdicts"]
        and len(before["recipes"]) == 3
        and before["takes"][2]["drift_json"]
    )
    assert (there.scenes, there.takes, there.known, there.missing) == (4, 3, 0, 0) and set(phases) == {"unpacking"}
    assert elsewhere.stories(elsewhere.local_owner()).story(there.story_id).head_scene_id is not None
    # and from there once more
    again = pack_story(elsewhere, elsewhere.local_owner(), there.story_id, tmp_path / "again.zip", taste=True)
    with zipfile.ZipFile(made.path) as one, zipfile.ZipFile(again.path) as other:
        assert one.read(STORY) == other.read(STORY)


def test_a_pack_names_and_hashes_everything_in_it(room: Store, rain: Story, tmp_path: Path) -> None:
    pack_story(room, None, rain.id, tmp_path / "rain.zip")
    with zipfile.ZipFile(tmp_path / "rain.zip") as packed:
        manifest = json.loads(packed.read(MANIFEST))
        assert {*manifest["files"], MANIFEST} == set(packed.namelist()) and packed.testzip() is None
        assert {"kind", "format", "version", "made_at", "scenes", "takes"} <= set(manifest)
        story = json.loads(packed.read(STORY))
    assert story["preferences"] == [], "taste is only packed when it is asked for"
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


def test_what_is_here_already_is_not_kept_twice(room: Store, rain: Story, tmp_path: Path) -> None:
    pack_story(room, None, rain.id, tmp_path / "rain.zip")
    before = media_files(room)
    made = bring_in(room, room.local_owner(), tmp_path / "rain.zip")
    assert media_files(room) == before and made.known == made.files > 5
    assert shelf(room) == ["Rain", "Rain"] and made.story_id != rain.id
    # one goes, the other keeps its files
    room.stories(room.local_owner()).erase_story(rain.id)
    scene = next(iter(room.stories(room.local_owner()).tree(made.story_id)))
    assert room.media.path(scene.takes[0].media["clip"]).is_file()


def test_a_damaged_file_here_is_mended_by_a_pack(room: Store, rain: Story, tmp_path: Path) -> None:
    pack_story(room, None, rain.id, tmp_path / "rain.zip")
    first = next(iter(room.stories(None).tree(rain.id))).takes[0]
    clip = room.media.path(first.media["clip"])
    clip.write_bytes(b"damaged")
    made = bring_in(room, room.local_owner(), tmp_path / "rain.zip")
    assert made.known == made.files - 1 and b"ftyp" in clip.read_bytes()[:12]


def test_what_was_thrown_away_stays_behind(store: Store, stories: Stories, elsewhere: Store, tmp_path: Path) -> None:
    story = stories.create_story("Secrets")
    first = stories.begin_scene(story.id, "One.")
    ftyp = b"\0\0\0\x18ftypmp42"
    kept, gone = (draw_real(store, stories, first, ftyp + text) for text in (b"kept", b"thrown away"))
    second = stories.add_scene(first.id, "Two.")
    draw_real(store, stories, second, ftyp + b"two", after=gone)
    stories.trash_take(gone.id)
    stories.trash_scene(stories.add_scene(first.id, "Never mind.").id)
    pack_story(store, None, story.id, tmp_path / "s.zip", taste=True)
    with zipfile.ZipFile(tmp_path / "s.zip") as packed:
        everything = b"".join(packed.read(name) for name in packed.namelist())
    assert b"thrown away" not in everything and b"Never mind" not in everything
    made = bring_in(elsewhere, elsewhere.local_owner(), tmp_path / "s.zip")
    tree = elsewhere.stories(None).tree(made.story_id)
    assert [len(scene.takes) for scene in tree] == [1, 1]
    parents = json.loads(elsewhere.stories(None).recipe(list(tree)[1].takes[0].id)["parents_json"])  # type: ignore[index]
    assert parents[0]["take"] is None and parents[0]["frames"] == f"{NOBODY}.npz"
    assert kept.media["clip"] in media_files(elsewhere)


def draw_real(store: Store, stories: Stories, scene: Any, content: bytes, *, after: Any = None) -> Any:
    """Like test_library.draw, with files of the right kind, and a recipe that names a file of the take before it."""
    take = draw(store, stories, scene, content, after=after)
    with store.database.transaction() as session:
        for link in session.exec(select(MediaLinkRow).where(MediaLinkRow.role == "thumb")).all():
            thumb = store.media.put_bytes(b"RIFF\x10\0\0\0WEBPVP8 ", "webp")
            store.media.record(session, thumb)
            link.media_sha256 = thumb.sha256
        recipe = session.exec(select(RecipeRow).where(RecipeRow.take_id == take.id)).one()
        if after is not None:
            parents = json.loads(recipe.parents_json)
            parents[0]["frames"] = f"{'a' * 64}.npz"
            recipe.parents_json = json.dumps(parents)
    return take


def test_files_that_a_person_brought_can_stay_behind(room: Store, rain: Story, tmp_path: Path) -> None:
    made = pack_story(room, None, rain.id, tmp_path / "rain.zip", originals=False)
    with zipfile.ZipFile(made.path) as packed:
        assert made.originals == 0 and not any(name.endswith(".jpg") for name in packed.namelist())
        assert b"me.jpg" not in packed.read(STORY)


def test_where_a_model_lies_is_not_told(room: Store, rain: Story, tmp_path: Path) -> None:
    models = ("/home/anna/models/big", "C:\\anna\\big", "me/big")
    with room.database.transaction() as session:
        for recipe, model in zip(session.exec(select(RecipeRow)).all(), models, strict=True):
            recipe.model = model
    made = pack_story(room, None, rain.id, tmp_path / "rain.zip")
    with zipfile.ZipFile(made.path) as packed:
        assert b"anna" not in packed.read(STORY) and b'"me/big"' in packed.read(STORY)


def test_models_that_are_not_here_are_named(room: Store, rain: Story, elsewhere: Store, tmp_path: Path) -> None:
    made = bring_in(elsewhere, elsewhere.local_owner(), pack_story(room, None, rain.id, tmp_path / "r.zip").path)
    assert [(model.fingerprint, model.takes) for model in made.missing_models] == [("fake-1", 3)]


def test_files_that_are_gone_are_counted(room: Store, rain: Story, elsewhere: Store, tmp_path: Path) -> None:
    take = next(iter(room.stories(None).tree(rain.id))).takes[0]
    room.media.path(take.media["clip"]).write_bytes(b"damaged")
    room.media.path(take.media["last_frame"]).unlink()
    made = pack_story(room, None, rain.id, tmp_path / "rain.zip")
    there = bring_in(elsewhere, elsewhere.local_owner(), made.path)
    assert made.missing == there.missing == 2
    brought = next(iter(elsewhere.stories(None).tree(there.story_id))).takes[0]
    assert set(take.media) - set(brought.media) == {"clip", "last_frame"}


def test_a_pack_is_never_written_over_something(room: Store, rain: Story, tmp_path: Path) -> None:
    (tmp_path / "mine.zip").write_bytes(b"mine")
    for out, why in ((tmp_path / "mine.zip", "already"), (tmp_path / "no" / "where.zip", "no folder")):
        with pytest.raises(UserError, match=why):
            pack_story(room, None, rain.id, out)
    assert (tmp_path / "mine.zip").read_bytes() == b"mine"
    with pytest.raises(UserError, match="no scene"):
        pack_story(room, None, room.stories(room.local_owner()).create_story("Empty").id, tmp_path / "e.zip")


def test_stopping_leaves_nothing(room: Store, rain: Story, elsewhere: Store, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        pack_story(room, None, rain.id, tmp_path / "rain.zip", should_stop=lambda: True)
    assert not list(tmp_path.glob("*.zip*")) and not list(tmp_path.glob(".*"))
    made = pack_story(room, None, rain.id, tmp_path / "rain.zip")
    for patience in (0, 3, made.files):  # the last one: all files have their names
        left = iter([False] * patience)
        with pytest.raises(Cancelled):
            bring_in(elsewhere, elsewhere.local_owner(), made.path, should_stop=lambda: next(left, True))  # noqa: B023
        assert media_files(elsewhere) == [] and shelf(elsewhere) == []
