"""Storypacks: there and back exactly, the same files once, and nothing of a hostile archive gets in."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlmodel import col, select

from app.pack import NotAPack, bring_in, pack_story
from app.pack import archive as archives
from app.pack.checking import read_story
from app.pack.form import MANIFEST, MEMBER, NOBODY, STORY
from app.settings import Settings
from app.store import Store, open_store
from app.store.models import MediaLinkRow, MediaRow, PreferenceRow, RecipeRow, SceneRow, StoryRow, TakeRow, VerdictRow
from app.store.stories import Stories
from app.store.takes import NewTake
from app.story import Story, Take
from app.take_files import make_files
from nsp_core.errors import Cancelled, UserError
from nsp_core.media import save_latents
from tests.app.fake_predictor import bars
from tests.app.test_library import RECIPE, draw

Entries = dict[str, bytes]
Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def rain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A story of real files, with everything that a pack has to carry."""
    folder = tmp_path_factory.mktemp("rain") / "data"
    room = open_store(Settings(data_dir=folder))
    stories = room.stories(room.local_owner())
    story = stories.create_story("Rain", look="A quiet picture book.")
    first = stories.begin_scene(story.id, "A seed lies in the rain.")
    takes = [filmed(room, stories, first.id, seed) for seed in (1, 2)]
    second = stories.add_scene(first.id, "The seed sprouts.")
    filmed(room, stories, second.id, 3)
    path = stories.path_to(second.id)
    stories.choose_take(takes[1].id)
    stories.star_take(takes[0].id)
    stories.rank_takes(path[0].id, [takes[1].id, takes[0].id])
    stories.add_verdict(takes[0].id, "fail", reason="No seed.", judge="own:m@f", score=0.25, votes_json="[1, 2]")
    other = stories.add_scene(path[0].id, "The seed stays «asleep» 🌱.", mode="cut", steer="nothing happens")
    stories.set_anchor(stories.add_scene(other.id, "And so on.").id, path[0].id)
    stories.edit_story(story.id, premise="It rains.", cast="A seed.")
    with room.database.transaction() as session:
        session.get_one(TakeRow, path[1].takes[0].id).drift_json = json.dumps(
            {"version": 1, "anchor": path[0].id, "take": takes[0].id, "brought_in": False,
             "colour": 0.1, "contrast": 0.2, "sharpness": 0.3, "identity": 0.4}
        )  # fmt: skip
        source = room.media.put_bytes(b"\xff\xd8\xffa photograph", "jpg")
        room.media.link(session, source, "source", owner_id=room.local_owner(), scene_id=path[0].id, name="me.jpg")
    room.close()
    return folder


def filmed(store: Store, stories: Stories, scene_id: str, seed: int) -> Take:
    """A take as the runner keeps it, from the scenes before it."""
    frames = bars(seed)
    files = make_files(store.media, frames, 8)
    latents = np.full((1, 64, 5, 2, 2), seed, np.float32)
    files["tail_latents"] = store.media.make("safetensors", lambda path: save_latents(path, latents))
    parents = stories.context_and_parents(stories.scene(scene_id).parent_id)[1]
    recipe = {**RECIPE, "fingerprint": "fake-1", "seed": seed, "settings_json": '{"steps": 4, "guidance": 1.5}'}
    recipe |= {"parents_json": json.dumps(parents, ensure_ascii=False), "mode": "continue" if parents else "cut"}
    size = {"width": frames.shape[2], "height": frames.shape[1], "frame_count": frames.shape[0], "fps": 8}
    before = parents[-1]["take"] if parents else None
    return stories.add_take(
        scene_id, NewTake("drawn", **size, files=files, draw_seconds=0.5, parent_take_id=before, recipe=recipe)
    )


@pytest.fixture(scope="module")
def empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty") / "data"
    open_store(Settings(data_dir=folder)).close()
    return folder


@pytest.fixture
def room(rain_folder: Path, tmp_path: Path) -> Iterator[Store]:
    yield from copied(rain_folder, tmp_path / "room")


@pytest.fixture
def elsewhere(empty_folder: Path, tmp_path: Path) -> Iterator[Store]:
    yield from copied(empty_folder, tmp_path / "elsewhere")


def copied(folder: Path, to: Path) -> Iterator[Store]:
    shutil.copytree(folder, to)
    opened = open_store(Settings(data_dir=to, model="{}", safe_model="{}"))
    yield opened
    opened.close()


@pytest.fixture
def rain(room: Store) -> Story:
    return room.stories(None).list_stories()[0]


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
    made = pack_story(room, room.local_owner(), rain.id, tmp_path / "rain.zip", taste=True)
    assert (made.scenes, made.takes, made.missing, made.originals) == (4, 3, 0, 1)
    phases: list[str] = []
    there = bring_in(elsewhere, elsewhere.local_owner(), made.path, told=lambda phase, *_: phases.append(phase))
    before, after = all_of(room, rain.id), all_of(elsewhere, there.story_id)
    for subject in before:
        assert after[subject] == before[subject], subject
    assert before["taste"] and before["verdicts"] and len(before["recipes"]) == 3 and before["takes"][2]["drift_json"]
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


# what is not let in -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(rain_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = open_store(Settings(data_dir=rain_folder))
    story = store.stories(None).list_stories()[0]
    made = pack_story(store, None, story.id, tmp_path_factory.mktemp("good") / "good.zip", taste=True)
    store.close()
    return made.path


@pytest.fixture(scope="module")
def victim(empty_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One for all: whatever is refused leaves no trace there."""
    yield from copied(empty_folder, tmp_path_factory.mktemp("victim") / "data")


def entries_of(path: Path) -> Entries:
    with zipfile.ZipFile(path) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def written(path: Path, entries: Entries, *, listed: bool = True) -> Path:
    """A pack of these members; `listed`: its manifest says of them what is true."""
    if listed:
        manifest = json.loads(entries[MANIFEST])
        manifest["files"] = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for name, data in entries.items()
            if name != MANIFEST
        }
        entries = {**entries, MANIFEST: json.dumps(manifest).encode()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in entries.items():
            packed.writestr(name, data)
    return path


def refused(store: Store, path: Path, why: str) -> None:
    """With one sentence, and without a trace."""
    with pytest.raises(NotAPack, match=why) as found:
        bring_in(store, store.local_owner(), path)
    assert "\n" not in str(found.value) and len(str(found.value)) < 500
    assert media_files(store) == [] and shelf(store) == []


def scene(number: int, **values: Any) -> Change:
    return lambda story: story["scenes"][number].update(values)


def take(**values: Any) -> Change:
    return lambda story: story["scenes"][0]["takes"][0].update(values)


def recipe(**values: Any) -> Change:
    return lambda story: story["scenes"][0]["takes"][0]["recipe"].update(values)


def use(**values: Any) -> Change:
    return lambda story: story["scenes"][0]["takes"][0]["files"][0].update(values)


HOSTILE: dict[str, tuple[Change, str]] = {
    "itself its parent": (scene(1, parent=1), "comes before"),
    "a circle": (scene(1, parent=2), "comes before"),
    "a parent that is not there": (scene(1, parent=77), "comes before"),
    "a negative place": (scene(1, parent=-1), "greater than or equal"),
    "a beginning that continues": (scene(0, mode="continue"), "continues something"),
    "an anchor beside it": (scene(2, anchor=1), "does not lead to it"),
    "an anchor after it": (scene(1, anchor=3), "does not lead to it"),
    "a head that is not there": (lambda story: story.update(head=99), "not there"),
    "words without end": (scene(0, words="x" * 2001), "2000"),
    "a letter NUL": (scene(0, words="a\0b"), "NUL"),
    "a title without end": (lambda story: story.update(title="t" * 121), "120"),
    "a number for words": (scene(0, words=7), "string"),
    "a text for a number": (take(width="160"), "integer"),
    "a place that is a truth": (scene(1, parent=True), "integer"),
    "an unknown key": (scene(0, on_load="evil"), "scenes.0.on_load"),
    "an unknown kind": (take(kind="program"), "drawn"),
    "an endless picture": (take(width=1 << 40), "16384"),
    "no rate": (take(fps=0), "greater than or equal to 1"),
    "two chosen takes": (
        lambda story: [one.update(chosen=True) for one in story["scenes"][0]["takes"]] and None,
        "two takes",
    ),
    "two takes of a number": (
        lambda story: [one.update(number=1) for one in story["scenes"][0]["takes"]] and None,
        "one number",
    ),
    "a take after itself": (take(after=0), "drawn after"),
    "a take after nothing": (take(after=999), "drawn after"),
    "a drift from nowhere": (
        lambda story: story["scenes"][1]["takes"][0]["drift"].update(anchor=900),
        "not there",
    ),
    "a preference about nothing": (lambda story: story["preferences"][0].update(take=900), "not there"),
    "a role of its own": (use(role="program"), "clip"),
    "frames that are a film": (use(role="frames"), "cannot be a file"),
    "a path for a file": (use(name="../../../etc/passwd"), "name that no file"),
    "a program for a file": (use(name="a" * 64 + ".exe"), "name that no file"),
    "a file of somebody else": (use(name="a" * 64 + ".mp4"), "list of files"),
    "a recipe on a stranger's picture": (
        recipe(parents=[{"scene": 0, "take": 0, "words": "w", "frames": "a" * 64 + ".npz"}]),
        "recipe names a file",
    ),
    "a recipe for ever": (recipe(settings='{"steps": 1000000000}'), "steps"),
    "a recipe of odd options": (recipe(settings='{"run": "rm"}'), "an option that"),
    "a recipe that is a list": (recipe(settings="[]"), "object"),
    "no number": (recipe(settings='{"guidance": NaN}'), "NaN|settings"),
    "versions nested": (recipe(versions='{"a":' + "[" * 9000), "versions"),
    "a seed beyond all": (recipe(seed=1 << 70), "seed"),
    "another century": (take(created_at="0001-01-01T00:00:00+14:00"), "century|date"),
    "a time without a place": (take(created_at="2026-01-01T00:00:00"), "timezone"),
    "nothing told": (lambda story: story.update(scenes=[], head=None, preferences=[], media={}), "at least 1"),
    "facts about no file": (
        lambda story: story["media"].update({"b" * 64 + ".mp4": {}}),
        "list of files",
    ),
    "a confidence of infinity": (scene(0, confidence=float("inf")), "finite|Story|story"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_story_that_cannot_be_is_refused(name: str, good: Path) -> None:
    change, why = HOSTILE[name]
    story = json.loads(entries_of(good)[STORY])
    change(story)
    with pytest.raises(NotAPack, match=why) as found:
        read_story(json.dumps(story).encode(), "bad.zip")
    assert "\n" not in str(found.value) and len(str(found.value)) < 300


def test_what_is_refused_leaves_no_trace(good: Path, victim: Store, tmp_path: Path) -> None:
    for name in ("a circle", "a file of somebody else", "a path for a file"):
        change, why = HOSTILE[name]
        entries = entries_of(good)
        story = json.loads(entries[STORY])
        change(story)
        entries[STORY] = json.dumps(story).encode()
        refused(victim, written(tmp_path / "bad.zip", entries), why)


@pytest.mark.parametrize(
    "name", ["../evil.mp4", "/etc/evil", "media/../../x.png", "C:\\evil.png", "media/aa/", "MANIFEST.JSON", "a\0b"]
)
def test_names_that_lead_elsewhere_are_refused(name: str, good: Path, victim: Store, tmp_path: Path) -> None:
    refused(victim, written(tmp_path / "bad.zip", {**entries_of(good), name: b"x"}), "which no storypack has")


def test_links_and_locked_files_are_refused(good: Path, victim: Store, tmp_path: Path) -> None:
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in entries_of(good).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o120777 if name.endswith(".png") else 0o100600) << 16
            packed.writestr(info, data)
    refused(victim, path, "a link")


def test_members_that_are_there_twice_are_refused(good: Path, victim: Store, tmp_path: Path) -> None:
    path = tmp_path / "twice.zip"
    path.write_bytes(good.read_bytes())
    with zipfile.ZipFile(path, "a") as packed, pytest.warns(UserWarning, match="Duplicate"):
        packed.writestr(STORY, b"{}")
    refused(victim, path, "twice")


def test_what_would_swell_is_refused(good: Path, victim: Store, tmp_path: Path) -> None:
    entries = entries_of(good)
    entries[STORY] += b" " * (8 << 20)
    refused(victim, written(tmp_path / "bomb.zip", entries), "would swell")


def test_sizes_that_lie_are_refused(good: Path, victim: Store, tmp_path: Path) -> None:
    """The directory says that a member is small, its bytes go on."""
    entries = entries_of(good)
    entries[STORY] += b" " * 300_000
    path = written(tmp_path / "liar.zip", entries)
    data = bytearray(path.read_bytes())
    real, said = struct.pack("<L", len(entries[STORY])), struct.pack("<L", 1000)
    at = data.rfind(real)
    assert at > 0
    data[at : at + 4] = said
    path.write_bytes(data)
    refused(victim, path, "another size|damaged|larger")


def test_members_over_each_other_are_refused(good: Path, victim: Store, tmp_path: Path) -> None:
    """Two names for the same bytes: how a small file holds much (Fifield, a better zip bomb, 2019)."""
    path = tmp_path / "over.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in entries_of(good).items():
            packed.writestr(name, data)
        infos = [info for info in packed.filelist if MEMBER.fullmatch(info.filename)]
        infos[1].header_offset = infos[0].header_offset
    refused(victim, path, "lie over each other")


def test_too_many_members_are_refused(
    good: Path, victim: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {**entries_of(good), **{f"media/{n}": b"" for n in range(50)}}
    path = written(tmp_path / "many.zip", entries)
    monkeypatch.setattr(archives, "MAX_FILES", 40)
    refused(victim, path, "more members")
    monkeypatch.setattr(archives, "MAX_DIRECTORY", 1000)
    monkeypatch.setattr(archives.zipfile, "ZipFile", lambda *_: pytest.fail("its directory was read"))
    refused(victim, path, "more members")


def test_bytes_that_were_altered_are_refused(good: Path, victim: Store, tmp_path: Path) -> None:
    for ending in (".mp4", ".npz", STORY):
        entries = entries_of(good)
        name = next(name for name in entries if name.endswith(ending))
        entries[name] = entries[name][:-1] + bytes([entries[name][-1] ^ 1])
        refused(victim, written(tmp_path / "altered.zip", entries, listed=False), "altered")
        refused(victim, written(tmp_path / "listed.zip", entries), "another name|cannot be used")


def test_members_that_are_missing_or_too_many_are_refused(good: Path, victim: Store, tmp_path: Path) -> None:
    entries = entries_of(good)
    gone = next(name for name in entries if name.endswith(".mp4"))
    without = {name: data for name, data in entries.items() if name != gone}
    refused(victim, written(tmp_path / "a.zip", without, listed=False), "does not hold")
    refused(victim, written(tmp_path / "b.zip", without), "not those of its story")
    extra = f"media/aa/{'a' * 64}.png"
    refused(victim, written(tmp_path / "c.zip", {**entries, extra: b""}, listed=False), "does not hold")


def test_files_of_another_type_are_refused(good: Path, victim: Store, tmp_path: Path) -> None:
    for ending, content, why in (
        (".mp4", b"<html><script>", "something else"),
        (".png", b"<svg/>", "something else"),
        (".npz", b"PK\x03\x04 and no more", "cannot be read"),
    ):
        entries = entries_of(good)
        old = next(name for name in entries if name.endswith(ending))
        sha256 = hashlib.sha256(content).hexdigest()
        text = entries[STORY].replace(MEMBER.fullmatch(old)[3].encode(), sha256.encode())  # type: ignore[index]
        del entries[old]
        path = written(tmp_path / "type.zip", {**entries, STORY: text, f"media/{sha256[:2]}/{sha256}{ending}": content})
        refused(victim, path, why)


def test_frames_of_another_size_are_refused(good: Path, victim: Store, tmp_path: Path) -> None:
    entries = entries_of(good)
    story = json.loads(entries[STORY])
    story["scenes"][0]["takes"][0]["frame_count"] += 1
    entries[STORY] = json.dumps(story).encode()
    refused(victim, written(tmp_path / "bad.zip", entries), "another size than the take")


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        ({"kind": "something else"}, "kind"),
        ({"format": 2}, "newer version"),
        ({"format": "1"}, "format"),
        ({"scenes": -1}, "scenes"),
        ({"files": {"story.json": {"sha256": "x", "bytes": 1}}}, "sha256"),
        ({"files": []}, "files"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_lists_that_cannot_be_are_refused(
    manifest: dict[str, Any], why: str, good: Path, victim: Store, tmp_path: Path
) -> None:
    entries = entries_of(good)
    entries[MANIFEST] = json.dumps({**json.loads(entries[MANIFEST]), **manifest}).encode()
    refused(victim, written(tmp_path / "bad.zip", entries, listed=False), why)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + b"\0" * 18, b"[" * 100_000])
def test_what_is_no_pack_is_refused(content: bytes, victim: Store, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    refused(victim, path, "not a whole zip|no storypack")
    refused(victim, tmp_path, "is no file")
    refused(victim, tmp_path / "nothing.zip", "There is no file")


def test_half_a_pack_is_refused(good: Path, victim: Store, tmp_path: Path) -> None:
    data = good.read_bytes()
    for part in (data[: len(data) // 2], data[: len(data) // 2] + data[len(data) // 2 + 100 :]):
        (tmp_path / "half.zip").write_bytes(part)
        refused(victim, tmp_path / "half.zip", ".")


def test_a_pack_gives_no_access_to_what_others_keep(good: Path, room: Store, tmp_path: Path) -> None:
    """Files of somebody else cannot be had by naming them: a pack must bring the bytes."""
    entries = entries_of(good)
    clip = next(name for name in entries if name.endswith(".mp4"))
    guest = room.owner("guest", "guest-1")
    without = {name: data for name, data in entries.items() if name != clip}
    with pytest.raises(NotAPack):
        bring_in(room, guest, written(tmp_path / "thief.zip", without))
    assert not room.stories(guest).may_read(clip.rpartition("/")[2])
