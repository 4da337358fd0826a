"""What the page asks of the library, without a browser: in the name of one person, and refused where it must be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.director import Director
from app.pages.desk import Desk
from app.pages.examples import Examples
from app.pages.stories import FIRST_PAGE
from app.pages.wishes import library
from app.pages.wishes.library import size_text
from app.routes import routes
from app.settings import Settings
from app.store import open_store
from tests.app.test_library import draw
from tests.browser.painter import Painter

View = dict[str, Any]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    director = Director(
        open_store(Settings(data_dir=tmp_path / "data", in_process=True)),
        load=lambda: Painter(word_seconds=0, step_seconds=0),
    )
    director.start()
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    yield Desk(director, director.store.local_owner(), Examples(tmp_path), uploads=uploads, at_home=True)
    director.shutdown()
    director.store.close()


def tell(desk: Desk, title: str, words: str = "Once.", takes: int = 0) -> str:
    story = desk.stories.create_story(title)
    scene = desk.stories.begin_scene(story.id, words)
    for number in range(takes):
        draw(desk.store, desk.stories, scene, title.encode() + bytes([number]) * 2_000_000)
    return story.id


def act(desk: Desk, what: str, **details: Any) -> View:
    return desk.act({"do": what, **details})


def ask(desk: Desk, what: str, **details: Any) -> View:
    return desk.ask({"ask": what, **details})


def test_search_marks_what_it_found(desk: Desk) -> None:
    story = tell(desk, "The kite", "A <b>red</b> kite flies.")
    found = ask(desk, "search", query="RED")
    (hit,) = found["hits"]
    assert hit["pieces"] == [["A <b>", False], ["red", True], ["</b> kite flies.", False]]
    assert hit["where"] == "Scene 1" and hit["story"] == story and not found["more"]
    assert len(ask(desk, "search", query="kite")["hits"]) == 2
    for odd in (None, 7, ["x"], "", '"'):
        assert ask(desk, "search", query=odd)["hits"] == []
    act(desk, "trash", story=story)
    assert ask(desk, "search", query="kite")["hits"] == []
    assert len(ask(desk, "search", query="kite", trashed=True)["hits"]) == 2


def test_the_shelf_page_by_page_in_three_orders(desk: Desk) -> None:
    ids = [tell(desk, f"Story {number:02}") for number in range(FIRST_PAGE + 3)]
    view = desk.look({})
    assert len(view["stories"]) == FIRST_PAGE and view["shelf"] == {"order": "changed", "count": FIRST_PAGE + 3}
    more = ask(desk, "shelf", offset=FIRST_PAGE)["stories"]
    assert [one["id"] for one in view["stories"] + more] == ids[::-1]
    view = act(desk, "sort_shelf", order="title")
    assert view["stories"][0]["title"] == "Story 00" and view["shelf"]["order"] == "title"
    assert desk.look({})["shelf"]["order"] == "title", "kept"
    act(desk, "open", story=ids[5])
    assert desk.look({})["latest"]["id"] == ids[5]
    assert act(desk, "sort_shelf", order="colour")["notice"]["kind"] == "error"
    assert ask(desk, "shelf", offset=-1)["error"] and ask(desk, "shelf", limit=10**6)["error"]


def test_a_duplicate_is_offered_to_be_opened(desk: Desk) -> None:
    story = tell(desk, "T" * 118)
    view = act(desk, "duplicate", story=story)
    assert len(view["stories"]) == 2 and len(view["stories"][0]["title"]) <= 120
    opened = act(desk, view["notice"]["action"]["do"], **view["notice"]["action"]["with"])
    assert opened["story"]["id"] != story and opened["story"]["title"].startswith("Copy of T")
    assert act(desk, "duplicate", story="nobody's")["notice"]["kind"] == "error"


def test_clearing_goes_to_the_trash_first_and_says_what_it_frees(desk: Desk) -> None:
    story, other = tell(desk, "One", takes=3), tell(desk, "Two", takes=2)
    files = ask(desk, "files")
    assert files["idle"] == {"takes": 3, "bytes": 6_000_009, "size": "6.0 MB"} and files["trashed"]["takes"] == 0
    assert files["media"] == 10_000_016 and [one["title"] for one in files["stories"]] == ["One", "Two"]
    assert files["folder"] and files["can_open"] and files["total"] > files["media"]
    assert ask(desk, "clearing", story=story)["takes"] == 2 and ask(desk, "clearing", story=other)["takes"] == 1
    said = act(desk, "clear_takes", which=story)["notice"]["text"]
    assert "2 takes are in the trash. 4.0 MB will be free" in said
    assert ask(desk, "files")["media"] == 10_000_016, "nothing is free yet"
    assert "takes without a star" in act(desk, "undo", story=story)["notice"]["text"]
    act(desk, "clear_takes")
    said = act(desk, "erase_cleared")["notice"]["text"]
    assert said == "3 takes were erased for good, 6.0 MB are free." and ask(desk, "files")["media"] == 4_000_007
    assert "nothing to clear" in act(desk, "clear_takes")["notice"]["text"]
    stranger = Desk(desk.director, desk.store.owner("account", "x"), desk.examples, uploads=desk.person.uploads)
    assert stranger.ask({"ask": "clearing", "story": story})["error"] and stranger.ask({"ask": "files"})["media"] == 0


def test_a_backup_is_made_downloaded_restored_and_erased(desk: Desk) -> None:
    tell(desk, "One", takes=1)
    act(desk, "make_backup")
    done = desk.library.archivist.wait()
    assert done is not None and done.over and not done.failed and "is made" in done.text
    said = ask(desk, "backups")
    (backup,) = said["backups"]
    assert backup["stories"] == 1 and said["work"]["over"] and said["work"]["share"] == 1.0

    client = TestClient(Starlette(routes=routes(lambda: desk)))
    answer = client.get(f"/backup/{backup['name']}")
    assert answer.status_code == 200 and len(answer.content) == backup["bytes"]
    assert "attachment" in answer.headers["content-disposition"]
    for name in ("nothing.zip", "..%2F..%2Ftoken", "..", "%2Fetc%2Fpasswd"):
        assert client.get(f"/backup/{name}").status_code == 404

    tell(desk, "Two")
    act(desk, "begin_words", words="A red ball rolls.")  # is still waiting to be drawn
    act(desk, "restore_backup", name=backup["name"])
    done = desk.library.archivist.wait()
    assert done is not None and not done.failed and "put aside" in done.text, done
    assert [one["title"] for one in desk.look({})["stories"]] == ["One"]
    assert len(ask(desk, "backups")["backups"]) == 2

    brought = desk.person.uploads / "mine.zip"
    brought.write_bytes(answer.content[:-100])
    act(desk, "restore_backup", path=str(brought), name="mine.zip")
    done = desk.library.archivist.wait()
    assert done is not None and done.failed and "not a whole zip" in done.text and not brought.exists()
    for path in ("/etc/passwd", str(desk.settings.database), "../x"):
        assert act(desk, "restore_backup", path=path)["notice"]["kind"] == "error"
    assert act(desk, "restore_backup", name="../token")["notice"]["kind"] == "error"
    assert "free" in act(desk, "erase_backup", name=backup["name"])["notice"]["text"]
    assert backup["name"] not in [one["name"] for one in ask(desk, "backups")["backups"]]


def test_only_whose_computer_it_is_gets_folders_and_backups(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    monkeypatch.setattr(library, "open_in_file_manager", lambda folder: not opened.append(folder))
    act(desk, "open_folder")
    assert opened == [desk.settings.data_dir]
    away = Desk(desk.director, desk.owner_id, desk.examples, uploads=desk.person.uploads)  # by the house's network
    assert away.act({"do": "open_folder"})["notice"]["kind"] == "error" and len(opened) == 1
    assert not away.ask({"ask": "files"})["can_open"] and away.ask({"ask": "backups"})["backups"] == []
    guest = Desk(
        desk.director, desk.store.owner("guest", "g"), desk.examples, uploads=desk.person.uploads, at_home=True
    )
    assert guest.ask({"ask": "backups"})["error"] and guest.ask({"ask": "files"})["folder"] is None
    for wish in ("make_backup", "restore_backup", "erase_backup", "open_folder"):
        assert guest.act({"do": wish, "name": "x"})["notice"]["kind"] == "error"
    assert len(opened) == 1 and desk.library.archivist.work is None


def test_a_machine_without_windows_says_where_the_folder_is(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "open_in_file_manager", lambda _folder: False)
    assert str(desk.settings.data_dir) in act(desk, "open_folder")["notice"]["text"]


def test_sizes_are_said_as_file_managers_do() -> None:
    assert [size_text(n) for n in (0, 999_499, 3_400_000, 1_250_000_000)] == ["0 KB", "999 KB", "3.4 MB", "1.2 GB"]
