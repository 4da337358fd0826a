"""The cutting room without a browser, and `launch.py export`: what is kept, made, fetched, stopped, refused, erased."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import export
from app.director import Director
from app.identity import new_id
from app.pages.desk import Desk
from app.pages.examples import Examples
from app.provenance.remarks import remark_in
from app.reel.rendering import sweep
from app.store import Store
from app.store.errors import NotFound
from app.store.reels import pieces_folder
from app.store.stories import Stories
from app.store.takes import NewTake
from app.story import Scene
from nsp_core.media import probe_clip
from tests.app.reel.conftest import FPS, FRAMES, HEIGHT, WIDTH, make_clip

SECRET = "zweiundvierzigrot"


def grow(store: Store, stories: Stories, parent: str | None, words: str, number: int, *, title: str = "Bars") -> Scene:
    scene = (
        stories.begin_scene(stories.create_story(title).id, words)
        if parent is None
        else stories.add_scene(parent, words)
    )
    clip = store.media.make("mp4", lambda path: make_clip(path, number, sound=False))
    stories.add_take(scene.id, NewTake("drawn", WIDTH, HEIGHT, FRAMES, FPS, {"clip": clip}))
    return scene


@pytest.fixture
def path(store: Store, stories: Stories) -> list[Scene]:
    first = grow(store, stories, None, "A red bar moves.", 0)
    second = grow(store, stories, first.id, "Then a green one.", 1)
    third = grow(store, stories, second.id, "Then a blue one.", 2)
    stories.set_head(first.story_id, third.id)
    return [first, second, third]


@pytest.fixture
def desk(store: Store, path: list[Scene], tmp_path: Path) -> Desk:
    return Desk(Director(store), store.local_owner(), Examples(tmp_path), uploads=tmp_path, at_home=True)


def at(scene: Scene) -> dict[str, str]:
    return {"story": scene.story_id, "scene": scene.id}


def ask(desk: Desk, scene: Scene, what: str = "film", **more: Any) -> dict[str, Any]:
    return desk.ask({**at(scene), "ask": what, **more})


def act(desk: Desk, scene: Scene, what: str, **more: Any) -> str:
    """What the page says to it, "" when nothing is wrong."""
    notice = desk.act({**at(scene), "do": what, **more})["notice"]
    return str(notice["text"]) if notice and notice["kind"] == "error" else ""


def made(desk: Desk, scene: Scene, eventually: Callable[..., Any]) -> dict[str, Any]:
    end = ask(desk, scene)["end"]
    reports: list[dict[str, Any]] = []

    def over() -> bool:
        reports.append(ask(desk, scene, "film_report", end=end)["report"])
        return reports[-1] is not None and reports[-1]["what"] != "running"

    eventually(over, what="the film")
    return reports[-1]


def test_a_cut_is_kept_and_followed(desk: Desk, store: Store, stories: Stories, path: list[Scene]) -> None:
    first = ask(desk, path[0])
    assert first["version"] == 0 and [one["number"] for one in first["scenes"]] == [1, 2, 3]
    assert [shot["scene"] for shot in first["plan"]["shots"]] == [scene.id for scene in path]
    assert first["way"]["text"].startswith("Copied") and first["way"]["seconds"] == pytest.approx(3 * FRAMES / FPS)
    plan = first["plan"]
    plan["shots"] = [{**plan["shots"][2], "start": 0.5, "join": "dissolve"}, plan["shots"][0]]
    plan["title"] = {"text": "My film", "under": "", "seconds": 2.5, "look": "night"}
    assert act(desk, path[0], "film_keep", plan=plan, version=0) == ""
    again = ask(desk, path[1])
    assert again["plan"] == plan and again["version"] == 1 and "Mostly copied" in again["way"]["text"]

    assert "changed" in act(desk, path[0], "film_keep", plan=plan, version=0), "another window has seen an older one"
    assert ask(desk, path[0])["version"] == 1
    # the story goes on: the film of the longer path begins with what was cut, and the shorter one is not changed
    fourth = grow(store, stories, path[2].id, "The end of it.", 0)
    longer = ask(desk, fourth)
    assert [shot["scene"] for shot in longer["plan"]["shots"]] == [path[2].id, path[0].id, fourth.id]
    assert longer["plan"]["title"] == plan["title"] and longer["version"] == 0
    # another branch has a film of its own
    other = grow(store, stories, path[0].id, "Another way.", 1)
    assert [shot["scene"] for shot in ask(desk, other)["plan"]["shots"]] == [path[0].id, other.id]
    copy = stories.duplicate_story(path[0].story_id, "Copy")
    twin = next(scene for scene in stories.tree(copy.id) if scene.words == "Then a blue one.")
    assert ask(desk, twin)["plan"]["title"] == plan["title"] and twin.id != path[2].id
    assert act(desk, path[2], "film_anew") == ""


def test_a_film_is_made_fetched_and_made_again(
    desk: Desk, path: list[Scene], eventually: Callable[..., Any], store: Store
) -> None:
    plan = ask(desk, path[0])["plan"]
    plan["shots"][0]["join"] = "dissolve"
    assert act(desk, path[0], "film_keep", plan=plan, version=0) == ""
    assert act(desk, path[0], "film_make") == ""
    report = made(desk, path[0], eventually)
    assert report["what"] == "done" and "Mostly copied" in report["way"], report
    file, title = desk.film(report["address"].rpartition("/")[2])
    assert title == "Bars" and probe_clip(file).frames == 3 * FRAMES - FPS // 2
    told = json.loads(remark_in(file, "mp4") or "{}")
    assert [one["scene"] for one in told["scenes"]] == [one.id for one in path] and "igned" in report["way"]
    quick = file.with_name("film-quick.mp4")
    assert desk.write_reel(path[-1].id, quick) == "Bars"
    assert json.loads(remark_in(quick, "mp4") or "{}") == told, "the film without a cut tells the same"
    pieces = sorted(one.name for one in file.parent.glob("*.mp4") if not one.name.startswith("film-"))
    assert act(desk, path[0], "film_make", form="book") == ""
    report = made(desk, path[0], eventually)
    assert report["what"] == "done" and desk.film(report["address"].rpartition("/")[2])[0].read_bytes()[:5] == b"%PDF-"
    assert not file.exists(), "the last film was fetched or not; pieces are kept"
    assert pieces and all((file.parent / name).is_file() for name in pieces)
    stranger = Desk(desk.director, store.owner("account", new_id()), desk.examples, uploads=Path("."), at_home=False)
    with pytest.raises(NotFound):
        stranger.film(report["address"].rpartition("/")[2])
    assert "error" in ask(stranger, path[0])
    visitor = Desk(desk.director, desk.owner_id, desk.examples, uploads=Path("."), at_home=False)
    assert "otio" in ask(desk, path[0])["forms"] and "otio" not in ask(visitor, path[0])["forms"]
    assert act(visitor, path[0], "film_make", form="otio")


def test_a_film_that_is_stopped_leaves_none(desk: Desk, path: list[Scene], eventually: Callable[..., Any]) -> None:
    plan = ask(desk, path[0])["plan"]
    plan["output"] = {"kind": "mp4", "size": "1080p", "shape": "9:16", "fit": "blur"}
    plan["title"] = {"text": "Long", "under": "", "seconds": 10.0, "look": "paper"}
    assert act(desk, path[0], "film_keep", plan=plan, version=0) == ""
    assert act(desk, path[0], "film_make") == ""
    assert "Another film" in act(desk, path[0], "film_make")
    eventually(lambda: ask(desk, path[0])["report"]["share"], what="it has begun")
    assert act(desk, path[0], "film_stop") == ""
    report = made(desk, path[0], eventually)
    assert report["what"] == "stopped" and report["address"] is None
    folder = pieces_folder(desk.settings.data_dir, path[0].story_id)
    assert not list(folder.glob("film-*")) and not list(folder.glob("*.partial"))


def test_what_a_browser_may_not_ask(desk: Desk, store: Store, stories: Stories, path: list[Scene]) -> None:
    plan = ask(desk, path[0])["plan"]
    other = grow(store, stories, None, "Somewhere else.", 0, title="Other")
    for bad in (
        None,
        "x",
        {**plan, "evil": 1},
        {**plan, "shots": [{**plan["shots"][0], "scene": other.id}]},
        {**plan, "narration": {"voice": "server", "pace": 1.0}},
        {**plan, "join_seconds": 1e9},
    ):
        assert act(desk, path[0], "film_keep", plan=bad, version=0), bad
    assert act(desk, path[0], "film_make", form="exe")
    assert ask(desk, path[0])["version"] == 0
    assert act(desk, path[0], "film_keep", plan={**plan, "shots": []}, version=0) == ""
    assert ask(desk, path[0])["way"] is None and act(desk, path[0], "film_make") == ""


def test_what_is_erased_is_in_no_plan_and_no_piece(
    store: Store, stories: Stories, path: list[Scene], desk: Desk
) -> None:
    plan = ask(desk, path[0])["plan"]
    plan["shots"][2]["words"] = SECRET
    plan["shots"][1]["join"] = "fade"
    assert act(desk, path[0], "film_keep", plan=plan, version=0) == ""
    longer = grow(store, stories, path[2].id, "More.", 1)
    assert act(desk, longer, "film_keep", plan=ask(desk, longer)["plan"], version=0) == ""
    folder = pieces_folder(store.settings.data_dir, path[0].story_id)
    folder.mkdir(parents=True)
    (folder / "piece.mp4").write_bytes(b"pictures")
    stories.erase_scene(path[2].id)
    assert not folder.exists()
    store.close()
    for file in store.settings.data_dir.rglob("*"):
        if file.is_file() and "backups" not in file.parts:
            assert SECRET.encode() not in file.read_bytes(), file
    assert [shot["scene"] for shot in ask(desk, path[0])["plan"]["shots"]] == [path[0].id, path[1].id]


def test_old_pieces_go_first(tmp_path: Path) -> None:
    import os

    names = {"c.mp4": 0, "b.mp4": 1, "a.npy": 2, "film-1.mp4": 3, "x.mp4.partial": 9000, "y.mp4.partial": 5}
    for name, age in names.items():
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (time.time() - age, time.time() - age))
    sweep(tmp_path, most=200)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["b.mp4", "c.mp4", "y.mp4.partial"]


def test_the_command_makes_films_and_papers(
    store: Store, path: list[Scene], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data-dir", str(store.settings.data_dir)]

    def run(*options: str) -> dict[str, Any]:
        assert export.main(["Bars", *options, *data, "--json"]) == 0
        answer: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return answer

    film = run("--to", "mp4", "--out", str(tmp_path / "a.mp4"))
    assert (film["way"], film["why"], film["scenes"], film["encoded"]) == ("copy", ["whole"], 3, 0)
    cut = ["--join", "fade", "--title-card", "Bars", "--captions", "burned", "--shape", "1:1"]
    film = run("--to", "mp4", "--out", str(tmp_path / "b.mp4"), *cut)
    assert film["way"] == "full" and set(film["why"]) == {"shape", "captions", "cards", "joins"}
    assert film["seconds"] == pytest.approx(3 * FRAMES / FPS + 2.5, abs=0.1)
    assert run("--to", "mp4", "--out", str(tmp_path / "c.mp4"), *cut)["encoded"] == 0
    short = run("--to", "srt", "--out", str(tmp_path / "a.srt"), "--scene", path[0].id)
    assert short["scenes"] == 3 and (tmp_path / "a.srt").read_text().startswith("1\n00:00:00,000")
    for form in ("vtt", "sheet", "book", "otio", "gif"):
        assert run("--to", form, "--out", str(tmp_path / f"a.{form}"))["bytes"] > 100
    assert export.main(["Bars", "--to", "mp4", "--out", str(tmp_path / "a.mp4"), *data]) == 2
    assert "already something" in capsys.readouterr().err
    assert export.main(["Bars", "--to", "webp", "--voice", "offline", "--out", str(tmp_path / "v.webp"), *data]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
