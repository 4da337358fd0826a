"""Storypacks of people who mean harm: nothing of a hostile archive gets in."""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.pack import NotAPack, bring_in, pack_story
from app.pack import archive as archives
from app.pack.checking import read_story
from app.pack.form import MANIFEST, MEMBER, STORY
from app.settings import Settings
from app.store import Store, open_store
from tests.app.pack.conftest import copied
from tests.app.pack.test_there_and_back import media_files, shelf

Entries = dict[str, bytes]
Change = Callable[[dict[str, Any]], None]


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


def film(place: int, plan: str) -> Change:
    return lambda story: story.update(reels=[{"scene": place, "plan": plan}])


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
    "a film of nowhere": (film(0, '{"shots": [{"scene": "99"}]}'), "film names a scene"),
    "a film by a stranger's id": (film(0, '{"shots": [{"scene": "018f-x"}]}'), "no scene has here"),
    "a film that is none": (film(0, '{"shots": 7}'), "cannot be read"),
    "a film after the end": (film(99, '{"shots": []}'), "film names a scene"),
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
