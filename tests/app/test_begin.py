"""Beginning with a file: everything that people bring takes one path, and what cannot be read changes nothing."""

from __future__ import annotations

import base64
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.director import Director
from app.factory import create_app
from app.pages.desk import Desk
from app.pages.examples import Examples
from app.security import door_for
from app.settings import Settings
from app.store import open_store
from nsp_core.media import load_frames
from tests.browser.painter import Painter
from tests.odd_files import MAKERS, make_odd_file, write_video


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Jobs are done in this process, files are read by the decoding process as ever."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("begin"), in_process=True)
    director = Director(open_store(settings), load=lambda: Painter(word_seconds=0, step_seconds=0))
    director.start()
    app = create_app(settings, door_for("127.0.0.1", "x" * 40), director=director, examples=Examples(settings.data_dir))
    yield app.desk
    app.desk.beginning.decoder.close()
    director.shutdown()
    director.store.close()


def uploaded(desk: Desk, source: Path) -> str:
    folder = desk.person.uploads / os.urandom(8).hex()
    folder.mkdir()
    return str(shutil.copy(source, folder / source.name))


def bring(desk: Desk, source: Path, **more: Any) -> dict[str, Any]:
    """What the page is shown after this file was brought: the error of the first question, or the view."""
    given = {"path": uploaded(desk, source), "name": source.name}
    found = desk.ask({"ask": "brought", **given})
    if "error" in found:
        assert not Path(given["path"]).exists(), "what cannot be read does not stay"
        return found
    view = desk.act({"do": "begin_upload", **given, **more})
    job = desk.director.run_here(view["here"]["reading"]) if view["here"]["reading"] else None
    assert not Path(given["path"]).exists()
    return {"part": found["part"], "job": job, "view": desk.look(view["here"])}


def everything(desk: Desk) -> tuple[int, int]:
    stories = len(desk.stories.list_stories())
    return stories, len(list(desk.settings.media_dir.rglob("*.*")))


@pytest.mark.parametrize("name", ["empty.png", "text.mp4", "playlist.mp4", "truncated.jpg", "sound_only.mp4"])
def test_a_file_that_cannot_be_read_is_one_sentence_and_nothing_changes(desk: Desk, tmp_path: Path, name: str) -> None:
    before = everything(desk)
    answer = bring(desk, make_odd_file(tmp_path, name).path)
    assert answer["error"].startswith(name) and answer["error"].count(". ") == 0
    assert everything(desk) == before


@pytest.mark.parametrize(
    "name", ["rotated.mp4", "hdr10.mp4", "phone.heic", "modern.avif", "picture named.mp4", "film named.jpg", "old.avi"]
)
def test_a_phones_files_are_read_whatever_they_are_called(desk: Desk, tmp_path: Path, name: str) -> None:
    answer = bring(desk, make_odd_file(tmp_path, name).path)
    assert answer["job"].status == "done" and answer["part"] is None
    kept = desk.store.media.read(answer["job"].result["media"]["first_frame"])
    assert Image.open(io.BytesIO(kept)).size == (160, 96)


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(MAKERS))
def test_every_odd_file_is_read_or_refused(desk: Desk, tmp_path: Path, name: str) -> None:
    answer = bring(desk, make_odd_file(tmp_path, name).path)
    if MAKERS[name][0]:
        assert answer["job"].status == "done", answer["job"].error
    else:
        said = answer["error"] if "error" in answer else answer["job"].error  # some are only found out while reading
        assert said.startswith(name) and said.count(". ") == 0


@pytest.fixture(scope="module")
def greys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6 s in which each frame is a little lighter: 4 steps of grey for every eighth of a second."""
    frames = [np.full((96, 160, 3), 4 * k + 10, np.uint8) for k in range(48)]
    folder = tmp_path_factory.mktemp("film")
    return write_video(folder / "film.mkv", frames, fps=8, container="matroska", codec_options={"crf": "4"})


def seconds_of(desk: Desk, answer: dict[str, Any]) -> tuple[float, float]:
    """When the first and the last frame that the model reads were shown in that film."""
    data = desk.store.media.path(answer["job"].result["media"]["frames"])
    frames, _ = load_frames(data)
    return tuple(round((float(frames[at].mean()) - 10) / 4 / 8, 1) for at in (0, -1))  # type: ignore[return-value]


def test_of_a_long_film_the_picked_part_is_read_and_else_its_end(desk: Desk, greys: Path) -> None:
    picked = bring(desk, greys, start=1.5)
    assert picked["part"]["seconds"] == pytest.approx(6.0, abs=0.1) and len(picked["part"]["pictures"]) == 12
    assert picked["part"]["length"] == 17 / 8
    assert seconds_of(desk, picked) == (pytest.approx(1.5, abs=0.15), pytest.approx(3.5, abs=0.15))
    assert seconds_of(desk, bring(desk, greys)) == (pytest.approx(3.9, abs=0.15), pytest.approx(5.9, abs=0.15))


def test_the_part_is_shown_moving(desk: Desk, greys: Path) -> None:
    path = uploaded(desk, greys)
    kind, _, data = desk.ask({"ask": "part", "path": path, "start": 2.0})["src"].partition(",")
    assert kind == "data:image/webp;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as shown:
        assert 2 < shown.n_frames <= 17  # type: ignore[attr-defined]  # equal pictures become one that stays longer
        assert np.asarray(shown.convert("L")).mean() == pytest.approx(10 + 4 * 16, abs=4)
    desk.ask({"ask": "leave_it", "path": path})
    assert not Path(path).exists()


@pytest.mark.parametrize("start", [-1, "1", True, 1e9, [0]])
def test_a_start_that_is_none_is_refused(desk: Desk, greys: Path, start: object) -> None:
    view = desk.act({"do": "begin_upload", "path": uploaded(desk, greys), "name": "film.mkv", "start": start})
    assert view["notice"]["kind"] == "error" and view["page"] == "home"


def test_a_start_behind_the_end_is_one_sentence(desk: Desk, greys: Path) -> None:
    answer = bring(desk, greys, start=100.0)
    assert answer["job"].status == "failed" and "earlier start" in answer["job"].error
    assert answer["view"]["page"] == "home" and answer["view"]["notice"]["kind"] == "error"


@pytest.mark.parametrize("ask", ["brought", "part", "leave_it"])
@pytest.mark.parametrize("path", ["/etc/passwd", "../../token", "", None, 7, "a\0b"])
def test_only_uploads_are_looked_at(desk: Desk, ask: str, path: object) -> None:
    assert "did not arrive" in desk.ask({"ask": ask, "path": path})["error"]


def given_media() -> list[Path]:
    named = os.environ.get("WHATNEXT_TEST_MEDIA", "")
    return sorted(path for path in Path(named).iterdir() if path.suffix != ".csv") if named else []


@pytest.mark.parametrize("path", given_media(), ids=lambda path: path.name)
def test_every_file_of_the_given_folder_begins_a_story_or_is_refused(desk: Desk, path: Path) -> None:
    answer = bring(desk, path)
    broken = any(word in path.name for word in ("truncated", "invalid", "text_named"))
    assert ("error" in answer) is broken, answer.get("error")
    if not broken:
        assert answer["job"].status == "done", answer["job"].error
