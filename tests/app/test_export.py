"""`launch.py export` and `launch.py import`: what they print, and what they say to what cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app import bring, export
from app.settings import Settings
from app.store import open_store


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three stories, two of one name; nothing in this file changes them."""
    folder = tmp_path_factory.mktemp("export") / "data"
    store = open_store(Settings(data_dir=folder))
    stories = store.stories(store.local_owner())
    for title in ("The fox", "Rain", "Rain"):
        stories.begin_scene(stories.create_story(title).id, f"{title}: one.")
    store.close()
    return folder


def answer(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_out_and_in_again(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "fox.zip"
    assert export.main(["the  FOX", "--to", "pack", "--out", str(out), "--data-dir", str(data), "--json"]) == 0
    said = answer(capsys)
    assert said["title"] == "The fox" and said["scenes"] == 1 and said["bytes"] == out.stat().st_size
    assert bring.main([str(out), "--data-dir", str(tmp_path / "new"), "--json"]) == 0
    brought = answer(capsys)
    assert brought["title"] == "The fox" and brought["story"] != said["story"] and brought["missing_models"] == []
    assert export.main(["--list", "--data-dir", str(tmp_path / "new"), "--json"]) == 0
    assert [story["id"] for story in answer(capsys)["stories"]] == [brought["story"]]


def test_a_story_is_meant_by_its_id_too(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export.main(["--list", "--data-dir", str(data), "--json"])
    rain = next(story["id"] for story in answer(capsys)["stories"] if story["title"] == "Rain")
    assert export.main([rain, "--to", "pack", "--out", str(tmp_path / "r.zip"), "--data-dir", str(data)]) == 0
    assert (tmp_path / "r.zip").is_file()


def test_a_page_to_play(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "fox.html"
    assert export.main(["The fox", "--to", "html", "--out", str(out), "--data-dir", str(data), "--json"]) == 0
    said = answer(capsys)
    assert (said["to"], said["scenes"], said["takes"]) == ("html", 1, 0) and said["bytes"] == out.stat().st_size


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["Rain", "--to", "pack", "--out", "x.zip"], "2 stories are called 'Rain'"),
        (["Snow", "--to", "pack", "--out", "x.zip"], "no story 'Snow'"),
        (["The fox", "--to", "pack"], "--out is missing"),
        (["The fox", "--out", "x.zip"], "--to is missing"),
        (["--to", "pack", "--out", "x.zip"], "STORY is missing"),
        (["The fox", "--to", "tapestry", "--out", "x.zip"], "invalid choice: 'tapestry'"),
        (["The fox", "--to", "pack", "--out", "no/such/x.zip"], "no folder"),
        (["The fox", "--to", "pack", "--out", "."], "already something"),
        (["The fox", "--to", "html", "--with-taste", "--out", "x.html"], "are for packs"),
        (["--lost"], "nrecognized arguments"),
    ],
)
def test_what_cannot_be_taken_out_is_one_sentence(
    arguments: list[str],
    why: str,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert export.main([*arguments, "--data-dir", str(data)]) == 2
    said = capsys.readouterr()
    assert why in said.err and len(said.err.splitlines()) == 1 and said.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_stories_stays_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export.main(["--list", "--data-dir", str(tmp_path / "none")]) == 2
    assert "no stories in" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_what_cannot_be_brought_in_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photo.zip").write_bytes(b"\xff\xd8")
    for name, why in (("photo.zip", "not a whole zip file"), ("gone.zip", "There is no file")):
        assert bring.main([str(tmp_path / name), "--data-dir", str(tmp_path / "data")]) == 2
        said = capsys.readouterr()
        assert why in said.err and len(said.err.splitlines()) == 1 and said.out == ""
