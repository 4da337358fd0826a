"""Backups and the way back: whole or refused, and what lives is never lost on the way."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from app.settings import ROOT, Settings
from app.store import Store, open_store
from app.store.backup import DATABASE, MANIFEST, list_backups, make_backup
from app.store.models import JobRow
from app.store.restore import NotABackup, restore_backup
from app.store.search import search
from app.store.stories import Stories
from nsp_core.errors import Cancelled, UserError
from tests.app.test_library import draw

Change = Callable[[dict[str, bytes], dict[str, Any]], None]


def tell(store: Store, title: str, content: bytes) -> str:
    stories = store.stories(store.local_owner())
    story = stories.create_story(title)
    scene = stories.begin_scene(story.id, f"The words of {title}.")
    draw(store, stories, scene, content)
    return story.id


def titles(store: Store) -> list[str]:
    return sorted(story.title for story in store.stories(store.local_owner()).list_stories())


def media_files(store: Store) -> list[str]:
    return sorted(path.name for path in store.media.root.rglob("*.*") if path.is_file() and path.parent.name != "tmp")


def test_a_backup_holds_everything_and_names_it(store: Store) -> None:
    tell(store, "One", b"1" * 5000)
    phases: list[str] = []
    made = make_backup(store, told=lambda phase, _done, _total: phases.append(phase))
    assert made.path.parent == store.settings.backups_dir and (made.stories, made.scenes, made.missing) == (1, 1, 0)
    with zipfile.ZipFile(made.path) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read(MANIFEST))
        assert set(archive.namelist()) == {*manifest["files"], MANIFEST} and len(manifest["files"]) == 3
        assert {"format", "tables", "version", "made_at"} <= set(manifest)
    assert list_backups(store.settings.backups_dir) == (made,) and set(phases) == {"copying", "packing"}
    assert make_backup(store).path != made.path, "two in one second"
    assert not list(store.settings.backups_dir.glob("*.partial"))


def test_what_is_gone_or_damaged_is_said(store: Store) -> None:
    story = tell(store, "One", b"1" * 5000)
    stories = store.stories(store.local_owner())
    take = next(iter(stories.tree(story))).takes[0]
    store.media.path(take.media["clip"]).write_bytes(b"damaged")
    store.media.path(take.media["thumb"]).unlink()
    made = make_backup(store)
    assert made.missing == 2
    assert restore_backup(store, made.path).missing == 2 and titles(store) == ["One"]


def test_a_stopped_backup_leaves_nothing(store: Store) -> None:
    tell(store, "One", b"1")
    with pytest.raises(Cancelled):
        make_backup(store, should_stop=lambda: True)
    assert not list(store.settings.backups_dir.iterdir())


def test_a_backup_while_others_write_is_of_one_moment(store: Store) -> None:
    stories = store.stories(store.local_owner())
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            stories.begin_scene(stories.create_story("t").id, "w")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        made = make_backup(store)
    finally:
        over.set()
        thread.join()
    with zipfile.ZipFile(made.path) as archive:
        archive.extract(DATABASE, store.settings.run_dir)
    with contextlib.closing(sqlite3.connect(store.settings.run_dir / DATABASE)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_there_and_back_again(store: Store) -> None:
    one = tell(store, "One", b"1" * 5000)
    stories = store.stories(store.local_owner())
    with store.database.transaction() as session:
        store.jobs.submit_in(session, store.local_owner(), "draw", {}, story_id=one)
    made = make_backup(store)
    then = media_files(store)
    stories.erase_story(one)
    tell(store, "Two", b"2" * 4000)
    now = media_files(store)
    page = store.processes.register("page", 1)

    done = restore_backup(store, made.path)
    assert titles(store) == ["One"] and media_files(store) == then and done.stories == 1
    scene = next(iter(stories.tree(one)))
    assert scene.takes[0].chosen and store.media.path(scene.takes[0].media["clip"]).read_bytes() == b"1" * 5000
    assert stories.history(one), "undo goes on where it was"
    assert search(store.database, store.local_owner(), "words of one").hits
    assert not search(store.database, store.local_owner(), "words of two").hits
    with store.database.reading() as session:
        assert {job.status for job in session.exec(select(JobRow))} == {"cancelled"}
    assert store.processes.get(page) is not None, "who lives now is not what was then"

    # and what was there before is not lost
    assert done.aside.path.name.startswith("what-happens-next-before-restore-")
    restore_backup(store, done.aside.path)
    assert titles(store) == ["Two"] and media_files(store) == now
    assert not list(store.settings.backups_dir.glob("restore-*"))
    stories.rename(stories.list_stories()[0].id, "Two and a half")
    assert titles(store) == ["Two and a half"]


def test_another_machines_stories_become_ones_own(store: Store, tmp_path: Path) -> None:
    elsewhere = open_store(Settings(data_dir=tmp_path / "elsewhere"))
    tell(elsewhere, "From afar", b"a" * 100)
    made = make_backup(elsewhere)
    elsewhere.close()
    owner = store.local_owner()
    restore_backup(store, made.path)
    assert store.local_owner() == owner and titles(store) == ["From afar"]
    media = store.stories(owner).list_stories()[0].cover
    assert media is not None and store.stories(owner).may_read(media)


def rewritten(path: Path, change: Change) -> Path:
    """The backup with something about it changed: entries (by name) and the manifest."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(entries.pop(MANIFEST))
    change(entries, manifest)
    target = path.with_name("changed.zip")
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
        archive.writestr(MANIFEST, json.dumps(manifest))
    return target


def clip(entries: dict[str, bytes]) -> str:
    return next(name for name in entries if name.endswith(".mp4"))


def alter_a_clip(entries: dict[str, bytes], _manifest: dict[str, Any]) -> None:
    entries[clip(entries)] = b"x" * len(entries[clip(entries)])


def lose_a_clip(entries: dict[str, bytes], _manifest: dict[str, Any]) -> None:
    del entries[clip(entries)]


def forget_a_clip(entries: dict[str, bytes], manifest: dict[str, Any]) -> None:
    del manifest["files"][clip(entries)], entries[clip(entries)]


def shorten_a_clip(entries: dict[str, bytes], _manifest: dict[str, Any]) -> None:
    entries[clip(entries)] = entries[clip(entries)][:-1]


def rename_a_clip(entries: dict[str, bytes], manifest: dict[str, Any]) -> None:
    name = clip(entries)
    other = f"media/00/{'0' * 64}.mp4"
    entries[other], manifest["files"][other] = entries.pop(name), manifest["files"].pop(name)


def climb_out(entries: dict[str, bytes], manifest: dict[str, Any]) -> None:
    entries["media/../../escaped.mp4"] = b"x"
    manifest["files"]["media/../../escaped.mp4"] = {"sha256": "0" * 64, "bytes": 1}


def be_absolute(entries: dict[str, bytes], _manifest: dict[str, Any]) -> None:
    entries["/etc/escaped"] = b"x"


def bring_more(entries: dict[str, bytes], _manifest: dict[str, Any]) -> None:
    entries[f"media/00/{'0' * 64}.html"] = b"<script>"


def be_newer(_entries: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["tables"] = "0099"


def be_another_format(_entries: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["format"] = 2


def be_something_else(_entries: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["kind"] = "holiday photos"


def be_unreadable(_entries: dict[str, bytes], manifest: dict[str, Any]) -> None:
    manifest["files"] = ["no"]


def swell(entries: dict[str, bytes], _manifest: dict[str, Any]) -> None:
    entries[DATABASE] = b"\0" * (64 << 20)


def sql(*statements: str) -> Change:
    def change(entries: dict[str, bytes], manifest: dict[str, Any]) -> None:
        import hashlib
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.db"
            path.write_bytes(entries[DATABASE])
            with contextlib.closing(sqlite3.connect(path)) as connection:
                for statement in statements:
                    connection.execute(statement)
                connection.commit()
            entries[DATABASE] = path.read_bytes()
        facts = {"sha256": hashlib.sha256(entries[DATABASE]).hexdigest(), "bytes": len(entries[DATABASE])}
        manifest["files"][DATABASE] = facts

    return change


BAD: list[tuple[Change, str]] = [
    (alter_a_clip, "was altered"),
    (lose_a_clip, "is not whole"),
    (forget_a_clip, "which its stories need"),
    (shorten_a_clip, "another size"),
    (rename_a_clip, "another name than its content"),
    (climb_out, "which no backup has"),
    (be_absolute, "which no backup has"),
    (bring_more, "its list does not know"),
    (be_newer, "newer version"),
    (be_another_format, "newer version"),
    (be_something_else, "not a backup of this program"),
    (be_unreadable, "cannot be read"),
    (swell, "would swell|another size"),
]
DEEP: list[tuple[Change, str]] = [
    (sql("UPDATE alembic_version SET version_num = '0001'"), "not what its list says"),
    (sql("DROP TABLE take"), "not a plain table"),
    (sql("DROP TABLE verdict", "CREATE VIEW verdict AS SELECT * FROM recipe"), "not a plain table"),
    (sql("ALTER TABLE scene DROP COLUMN steer"), "other columns"),
    (sql("DELETE FROM story"), "not there"),
    (sql("UPDATE media SET ext = '../../x'"), "no story can have"),
    (sql("UPDATE media SET ext = 'html'"), "no story can have"),
]


def refused(store: Store, made: Path, bad: list[tuple[Change, str]]) -> None:
    tell(store, "Two", b"2" * 5000)
    files = media_files(store)
    for change, sentence in bad:
        changed = rewritten(made, change)
        with pytest.raises(NotABackup, match=sentence):
            restore_backup(store, changed)
        assert titles(store) == ["One", "Two"] and media_files(store) == files
        changed.unlink()


@pytest.mark.full
def test_a_database_that_does_not_fit_is_refused(store: Store) -> None:
    tell(store, "One", b"1" * 5000)
    refused(store, make_backup(store).path, DEEP)


def test_what_does_not_fit_is_refused_and_nothing_changes(store: Store, tmp_path: Path) -> None:
    tell(store, "One", b"1" * 5000)
    made = make_backup(store)
    refused(store, made.path, BAD)
    files = media_files(store)
    whole = made.path.read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.zip").write_text("no zip")
    holed = bytearray(whole)
    holed[len(whole) // 3] ^= 255
    (tmp_path / "holed.zip").write_bytes(holed)
    link = tmp_path / "link.zip"
    with zipfile.ZipFile(made.path) as archive, zipfile.ZipFile(link, "w") as to:
        for info in archive.infolist():
            data = archive.read(info)
            if info.filename.endswith(".mp4"):
                info.external_attr = 0o120777 << 16
            to.writestr(info, data)
    for path in (tmp_path / "cut.zip", tmp_path / "text.zip", tmp_path / "holed.zip", link, tmp_path / "nowhere.zip"):
        with pytest.raises(NotABackup):
            restore_backup(store, path)
    assert titles(store) == ["One", "Two"] and media_files(store) == files
    assert [path.name for path in store.settings.backups_dir.iterdir()] == [made.path.name]
    assert not (store.settings.data_dir / "escaped.mp4").exists()


def test_triggers_and_views_of_a_backup_come_to_nothing(store: Store) -> None:
    tell(store, "One", b"1")
    made = make_backup(store)
    bad = rewritten(
        made.path,
        sql(
            "CREATE TRIGGER evil AFTER INSERT ON story BEGIN DELETE FROM scene; END",
            "CREATE VIEW spy AS SELECT * FROM story",
            "CREATE TABLE more (x)",
        ),
    )
    restore_backup(store, bad)
    with store.database.reading() as session:
        names = {name for (name,) in session.connection().exec_driver_sql("SELECT name FROM sqlite_master")}
    assert not names & {"evil", "spy", "more"} and titles(store) == ["One"]


def test_changes_meanwhile_are_put_aside_too(store: Store) -> None:
    tell(store, "One", b"1")
    made = make_backup(store)
    late: list[str] = []

    def told(phase: str, _done: int, _total: int) -> None:
        if phase == "unpacking" and not late:
            late.append(tell(store, "At the last moment", b"late"))

    done = restore_backup(store, made.path, told=told)
    assert titles(store) == ["One"]
    restore_backup(store, done.aside.path)
    assert titles(store) == ["At the last moment", "One"]


def test_no_room_is_one_sentence(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(store, "One", b"1")
    made = make_backup(store)
    monkeypatch.setattr("app.store.backup.SPARE", 1 << 60)
    for work in (lambda: make_backup(store), lambda: restore_backup(store, made.path)):
        with pytest.raises(UserError, match="make room"):
            work()
    assert titles(store) == ["One"]


KILLED = """
import os, sys
from pathlib import Path
from app.settings import Settings
from app.store import open_store
from app.store.restore import restore_backup
store = open_store(Settings.from_json(Path(sys.argv[1]).read_text()))
seen = []
def told(phase, done, total):
    if phase not in seen:
        seen.append(phase)
        if phase == sys.argv[3]:
            os._exit(9)
restore_backup(store, Path(sys.argv[2]), told=told)
"""


@pytest.mark.full
def test_killed_anywhere_everything_is_as_before(store: Store, stories: Stories, tmp_path: Path) -> None:
    tell(store, "One", b"1" * 5000)
    made = make_backup(store)
    stories.rename(stories.list_stories()[0].id, "Later")
    tell(store, "Two", b"2" * 5000)
    settings = tmp_path / "settings.json"
    settings.write_text(store.settings.to_json())
    store.close()
    files = media_files(store)
    for phase in ("checking", "copying", "packing", "unpacking", "exchanging"):
        command = [sys.executable, "-c", KILLED, str(settings), str(made.path), phase]
        assert subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode == 9, phase
        assert titles(store) == ["Later", "Two"] and set(files) <= set(media_files(store)), phase
        assert search(store.database, store.local_owner(), "Two").hits
        store.close()
    done = restore_backup(store, made.path)
    assert titles(store) == ["One"] and done.aside.stories == 2
