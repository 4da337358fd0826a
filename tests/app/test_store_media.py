"""Files by their content: written whole or not at all, kept once, named by nobody but us."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from app.store import Store
from app.store.errors import NotFound
from app.store.media import KEPT, SERVED, Media
from nsp_core.errors import UnreadableMedia


def files_under(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_is_named_by_its_content(tmp_path: Path) -> None:
    media = Media(tmp_path)
    kept = media.put_bytes(b"picture", "png", width=3)
    sha256 = hashlib.sha256(b"picture").hexdigest()
    assert (kept.name, kept.bytes, kept.width) == (f"{sha256}.png", 7, 3)
    assert files_under(tmp_path) == [f"{sha256[:2]}/{sha256}.png"]
    source = tmp_path / "holiday.PNG"
    source.write_bytes(b"picture")
    assert media.put_file(source).name == kept.name
    assert media.read(kept.name) == b"picture"


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    media = Media(tmp_path)

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError):
        patched.setattr("os.fsync", full)
        media.put_bytes(b"picture", "png")
    with pytest.raises(RuntimeError):
        media.make("mp4", _broken_writer)
    assert files_under(tmp_path) == []


def _broken_writer(path: Path) -> None:
    path.write_bytes(b"half")
    raise RuntimeError("the encoder fell over")


def test_half_a_file_under_a_whole_name_is_mended(tmp_path: Path) -> None:
    media = Media(tmp_path)
    kept = media.put_bytes(b"picture", "png")
    media.path(kept.name).write_bytes(b"pic")
    media.put_bytes(b"picture", "png")
    assert media.read(kept.name) == b"picture"


def test_what_a_killed_writer_left_is_swept_up(tmp_path: Path) -> None:
    media = Media(tmp_path)
    media.put_bytes(b"picture", "png")
    for name, age in (("old.partial", 7200), ("new.mp4", 0)):
        (tmp_path / "tmp" / name).write_bytes(b"half")
        os.utime(tmp_path / "tmp" / name, (time.time() - age,) * 2)
    assert media.clear_scratch() == 1
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == ["new.mp4"]


@pytest.mark.parametrize(
    "name",
    ["", "../whatnext.db", "a.png", f"{'a' * 64}.html", f"{'a' * 64}.svg", f"{'A' * 64}.png", f"{'a' * 64}.png/.."],
)
def test_names_that_no_file_of_ours_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound):
        Media(tmp_path).path(name)


@pytest.mark.parametrize("ext", ["html", "svg", "exe", "m3u8", "", "py"])
def test_types_that_are_never_kept(tmp_path: Path, ext: str) -> None:
    with pytest.raises(UnreadableMedia, match="cannot be used"):
        Media(tmp_path).put_bytes(b"<script>", ext)
    assert ext not in KEPT and not {"html", "svg", "xml"} & set(SERVED)


def test_the_row_comes_after_the_file_and_only_once(store: Store) -> None:
    owner = store.local_owner()
    kept = store.media.put_bytes(b"picture", "png")
    with store.database.reading() as session, pytest.raises(NotFound):
        Media.known(session, kept.name, None)
    job = store.jobs.submit(owner, "describe")
    with store.database.transaction() as session:
        for number in range(2):
            Media.link(session, kept, "source", owner_id=owner, job_id=job, number=number)
    with store.database.reading() as session:
        assert Media.known(session, kept.name, owner) == kept
        with pytest.raises(NotFound):
            Media.known(session, kept.name, "somebody-else")
