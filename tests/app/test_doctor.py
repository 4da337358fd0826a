"""The doctor on a story room in a temporary folder: what it finds, what it mends, and what it leaves alone."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app import doctor
from app.checkup.files import quarantine
from app.checkup.finding import Finding
from app.checkup.machine import is_whole, look_at_machine, model
from app.locks import FileLock, device_lock
from app.mounts import INSIST, Mount, mount_of, nearest, read_mounts, refuse_network_mount
from app.settings import DEFAULT_PREDICTOR, STARTER, Settings
from app.store import Store, open_store
from app.store.database import HEAD
from app.store.media import MediaFile
from app.store.models import TakeRow
from app.store.stories import Stories
from app.store.takes import NewTake
from app.story import Role, Take
from app.take_files import make_files
from nsp_core.errors import ConfigError
from tests.app.fake_predictor import bars


def looked(store: Store, **how: object) -> dict[str, list[Finding]]:
    """Findings about data by level; in a test everything is old enough."""
    found: dict[str, list[Finding]] = {"fine": [], "note": [], "mended": [], "wrong": []}
    for finding in doctor.look_at_data(store.settings, **{"older_than": -1.0, **how}):  # type: ignore[arg-type]
        found[finding.level].append(finding)
    return found


@pytest.fixture
def take(store: Store, stories: Stories) -> Take:
    """A drawn take with all of its files."""
    story = stories.create_story("Rain")
    scene = stories.begin_scene(story.id, "A seed lies in the rain.")
    frames = bars(3)
    files = make_files(store.media, frames, 8)
    new = NewTake(kind="drawn", width=160, height=96, frame_count=17, fps=8, files=files)
    return stories.add_take(scene.id, new)


def path_of(store: Store, take: Take, role: Role) -> Path:
    return store.media.path(take.media[role])


def test_a_sound_room_has_nothing_wrong(store: Store, take: Take) -> None:
    found = looked(store)
    assert not found["wrong"] and not found["note"]
    hashed = next(each for each in found["fine"] if each.subject == "media")
    assert hashed.text.startswith("5 files are what their names say") and "/s)" in hashed.text


@pytest.mark.parametrize("role", ["thumb", "clip", "first_frame", "last_frame"])
def test_what_follows_from_the_frames_is_made_again(store: Store, stories: Stories, take: Take, role: Role) -> None:
    path = path_of(store, take, role)
    path.write_bytes(path.read_bytes()[:-7] + b"garbage")
    before = looked(store)
    assert [each.subject for each in before["wrong"]] == ["media"]
    assert "take 1 of “A seed lies in the rain.” in “Rain”" in before["wrong"][0].details[0]
    assert path.read_bytes().endswith(b"garbage"), "nothing is changed without --fix"
    after = looked(store, fix=True)
    assert not after["wrong"] and len(after["mended"]) == 1
    assert (quarantine(store) / path.name).read_bytes().endswith(b"garbage"), "set aside, not removed"
    healed = stories.take(take.id)
    assert set(healed.media) == set(take.media)
    assert not looked(store)["wrong"]


def test_a_lost_file_is_made_again(store: Store, stories: Stories, take: Take) -> None:
    path_of(store, take, "thumb").unlink()
    assert [each.level for each in looked(store, fix=True)["mended"]] == ["mended"]
    assert path_of(store, stories.take(take.id), "thumb").is_file()


def test_lost_frames_cannot_be_made_up(store: Store, take: Take) -> None:
    path = path_of(store, take, "frames")
    path.write_bytes(b"half a fi")
    found = looked(store, fix=True)
    assert [each.subject for each in found["wrong"]] == ["media"] and not found["mended"]
    assert "from a backup" in found["wrong"][0].text
    assert (quarantine(store) / path.name).read_bytes() == b"half a fi"
    assert looked(store, fix=True)["wrong"], "it stays wrong until the file is back"
    os.replace(quarantine(store) / path.name, path)


def test_a_clip_without_sound_frames_is_not_made_from_them(store: Store, take: Take) -> None:
    for role in ("frames", "clip"):
        path_of(store, take, role).write_bytes(b"half a fi")  # type: ignore[arg-type]
    found = looked(store, fix=True)
    assert len(found["wrong"]) == 2 and not found["mended"]


def test_files_that_no_story_uses_go_when_they_are_old(store: Store, take: Take) -> None:
    lone = store.media.path(store.media.put_bytes(b"nobody's", "png").name)
    with store.database.transaction() as session:
        unlinked = store.media.put_bytes(b"a row without a link", "png")
        store.media.record(session, unlinked)
    assert not looked(store, older_than=3600.0)["note"], "it may belong to what is just being drawn"
    found = looked(store)
    assert not found["wrong"] and [each.subject for each in found["note"]] == ["orphans"]
    assert set(found["note"][0].details) == {lone.name, unlinked.name}
    assert looked(store, fix=True)["mended"][0].text.startswith("2 files that no story used are removed")
    assert not lone.exists() and not store.media.path(unlinked.name).exists()
    assert not looked(store)["note"]


def test_a_file_that_is_kept_again_is_young(store: Store) -> None:
    """Else it could be swept up between its being found on disk and its row being written."""
    kept = store.media.put_bytes(b"twice", "png")
    path = store.media.path(kept.name)
    os.utime(path, (1, 1))
    assert store.media.put_bytes(b"twice", "png") == kept
    assert time.time() - path.stat().st_mtime < 60
    assert not looked(store, older_than=3600.0)["note"]


def test_strange_files_are_left_alone(store: Store) -> None:
    strange = store.settings.media_dir / "ab" / "holiday.jpg"
    strange.parent.mkdir(parents=True)
    strange.write_bytes(b"mine")
    found = looked(store, fix=True)
    assert "holiday.jpg" in found["note"][0].details and strange.exists()


def test_forgotten_files_go(store: Store, stories: Stories) -> None:
    settings = store.settings
    story = stories.create_story()
    going = store.jobs.submit(stories.owner_id or "", "think", story_id=story.id)
    forgotten = [
        settings.media_dir / "tmp" / "x.partial",
        settings.backups_dir / "whatnext-0001.partial",
        settings.previews_dir / "0000-1-0003.webp",
        settings.run_dir / "reel-x.mp4",
        settings.run_dir / "worker-999999999.json",
        settings.data_dir / "token.77.partial",
    ]
    kept = [settings.previews_dir / f"{going}-1-0002.webp", settings.run_dir / f"worker-{os.getpid()}.json"]
    for path in (*forgotten, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    assert not looked(store, older_than=3600.0)["note"]
    assert len(looked(store)["note"][0].details) == len(forgotten)
    assert looked(store, fix=True)["mended"]
    assert not [path for path in forgotten if path.exists()] and all(path.exists() for path in kept)


def test_a_job_that_nobody_does_waits_again(store: Store, stories: Stories) -> None:
    story = stories.create_story()
    job = store.jobs.submit(stories.owner_id or "", "think", story_id=story.id)
    worker = store.processes.register("worker", 999_999_999, device="cpu")
    assert store.jobs.claim(worker, 999_999_999, "cpu") is not None
    with FileLock(device_lock(store.settings.locks_dir, "cpu")):
        assert not looked(store, fix=True)["wrong"], "somebody holds the device"
    assert [each.subject for each in looked(store)["wrong"]] == ["jobs"]
    assert store.jobs.status(job).status == "running"
    assert [each.subject for each in looked(store, fix=True)["mended"]] == ["jobs"]
    assert store.jobs.status(job).status == "interrupted"


def test_a_damaged_database_is_said_and_not_touched(store: Store, take: Take) -> None:
    backup = store.database.backup(store.settings.backups_dir, HEAD)
    store.close()
    path = store.settings.database
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 6] = b"\xff" * (4096 * 3)
    path.write_bytes(data)
    found = looked(store, fix=True)
    assert [each.subject for each in found["wrong"]] == ["tables"] and str(backup) in found["wrong"][0].text
    assert path.read_bytes() == data


def test_rows_without_their_owner_are_said(store: Store, take: Take) -> None:
    with sqlite3.connect(store.settings.database) as connection:  # foreign keys are off here
        connection.execute("UPDATE story SET owner_id = 'nobody'")
    connection.close()
    said = " ".join(each.text for each in looked(store)["wrong"])
    assert "point to others that are gone" in said and "belong to other persons than their stories" in said


def test_a_take_without_frames_is_said(store: Store, take: Take) -> None:
    with store.database.transaction() as session:
        session.add(TakeRow(scene_id=take.scene_id, number=7, width=1, height=1, frame_count=1, fps=1))
    assert "half-finished" in looked(store)["wrong"][0].text


def test_another_version_is_said(store: Store) -> None:
    with sqlite3.connect(store.settings.database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
    connection.close()
    assert "please update the program" in looked(store)["wrong"][0].text
    with sqlite3.connect(store.settings.database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()
    found = looked(store, fix=True)
    assert not found["wrong"] and "the next start brings it" in found["note"][0].text


def test_it_answers_programs(store: Store, take: Take, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--json", "--data-dir", str(store.settings.data_dir)]
    assert doctor.main(argv) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["ok"] is True and set(answer) == {"ok", "data", "findings"}
    assert {"python", "packages", "encoder", "model", "disk", "tables", "jobs", "media"} <= {
        each["subject"] for each in answer["findings"]
    }
    path_of(store, take, "frames").unlink()
    assert doctor.main(argv) == 1
    said = capsys.readouterr().out.splitlines()
    assert json.loads(said[-1])["ok"] is False and said[-2].startswith("1 thing is wrong")


def test_a_folder_without_stories_stays_as_it_is(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "nothing")
    assert [each.level for each in doctor.look_at_data(settings, fix=True)] == ["note"]
    assert not settings.data_dir.exists()


def test_the_machine_is_looked_at(tmp_path: Path) -> None:
    found = list(look_at_machine(Settings(tmp_path)))
    assert {"python", "packages", "memory", "encoder", "model"} <= {each.subject for each in found}
    assert not [each for each in found if each.level == "wrong" and each.subject in ("python", "packages", "encoder")]


def test_a_model_that_is_cut_off_is_found(tmp_path: Path) -> None:
    if not (STARTER / "model_index.json").exists():
        pytest.skip("no starter in this checkout")
    folder = tmp_path / "model"
    shutil.copytree(STARTER, folder)
    settings = Settings(tmp_path, model=str(folder), predictor=DEFAULT_PREDICTOR)
    assert model(settings).level == "fine"
    weights = sorted((folder / "vae").glob("*.safetensors"))[0]
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1])
    assert not is_whole(weights) and model(settings).details == (f"vae/{weights.name}",)
    weights.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 31\n")
    assert model(settings).level == "wrong"
    weights.unlink()
    assert model(settings).level == "wrong"


# network drives -----------------------------------------------------------------------------------------------------

MOUNTS = """\
/dev/sda1 / ext4 rw,relatime 0 0
server:/home /home/ada nfs4 rw,vers=4.2 0 0
tmpfs /home/ada/.cache tmpfs rw 0 0
//nas/films /media/my\\040films cifs rw 0 0
ada@box: /mnt/box fuse.sshfs rw 0 0
drive /mnt/cloud fuse.rclone rw 0 0
/dev/sdb1 /mnt/stick fuseblk rw 0 0
pool /mnt/pool fuse.mergerfs rw 0 0
overlay /mnt/overlay overlay rw 0 0
share /mnt/vm virtiofs rw 0 0
none /mnt/sandbox 9p rw,trans=fd,rfdno=4 0 0
C:\\134 /mnt/c 9p rw,aname=drvfs;path=C:\\134,trans=fd 0 0
host /mnt/plan 9p rw,trans=tcp 0 0
systemd-1 /mnt/auto autofs rw 0 0
/dev/sdc1 /mnt/twice ext4 rw 0 0
nas:/x /mnt/twice nfs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "refused"),
    [
        ("/home", False),
        ("/home/ada", True),
        ("/home/ada/stories", True),
        ("/home/adam", False),
        ("/home/ada/.cache/stories", False),
        ("/media/my films/stories", True),
        ("/mnt/box/a/b", True),
        ("/mnt/cloud", True),
        ("/mnt/stick/stories", False),
        ("/mnt/pool", False),
        ("/mnt/overlay", False),
        ("/mnt/vm", False),
        ("/mnt/sandbox", False),
        ("/mnt/c/Users", True),
        ("/mnt/plan", True),
        ("/mnt/auto/x", False),
        ("/mnt/twice/x", True),
    ],
)
def test_network_drives_are_known(folder: str, refused: bool) -> None:
    mount = nearest(Path(folder), read_mounts(MOUNTS))
    assert mount is not None and mount.is_network is refused, mount


def test_this_folder_is_on_some_disk(tmp_path: Path) -> None:
    if Path("/proc/self/mounts").exists():
        assert isinstance(mount_of(tmp_path / "not" / "there" / "yet"), Mount)


@pytest.fixture
def on_a_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("app.mounts.mount_of", lambda _folder: Mount("/home", "nfs4"))
    monkeypatch.setattr("app.checkup.tables.mount_of", lambda _folder: Mount("/home", "nfs4"))
    monkeypatch.delenv(INSIST, raising=False)
    yield


def test_a_network_drive_is_refused_at_the_start(
    on_a_network: None, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings()
    with pytest.raises(ConfigError, match="network drive .nfs4 at /home.*--data-dir, or set WHATNEXT_ALLOW") as said:
        open_store(settings)
    assert str(said.value).count(". ") == 0, "one sentence"
    assert not settings.data_dir.exists()
    monkeypatch.setenv(INSIST, "1")
    refuse_network_mount(settings.data_dir)
    open_store(settings).close()


def test_a_network_drive_is_found_by_the_doctor(
    on_a_network: None, store_elsewhere: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folder() -> list[str]:
        found = doctor.look_at_folder(store_elsewhere.settings)
        return [each.level for each in found if each.subject == "folder"]

    assert folder() == ["wrong"]
    monkeypatch.setenv(INSIST, "1")
    assert folder() == ["note"]


@pytest.fixture
def store_elsewhere(make_settings: Callable[..., Settings]) -> Iterator[Store]:
    opened = open_store(make_settings(), prepare=False)
    yield opened
    opened.close()


def test_a_kept_file_knows_its_facts(store: Store) -> None:
    """`make_files` is what the worker and the doctor share."""
    files: dict[Role, MediaFile] = make_files(store.media, bars(1), 8)
    assert files["clip"].has_audio and files["clip"].seconds == 17 / 8 and files["thumb"].width == 160
