"""A judge from outside on the page: what it says before it is asked, what is sent, what stays behind on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app import ranking
from app.director import Director
from app.settings import Settings
from app.store import open_store
from tests.app.test_takes import BALL, Room, judged, new_room
from tests.browser.painter import Painter
from tests.core.judge_server import Running, Service


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(("WHATNEXT_JUDGE", "ANTHROPIC_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    painter = Painter(word_seconds=0, step_seconds=0)
    settings = Settings(data_dir=tmp_path_factory.mktemp("judged"), in_process=True, judge="claude")
    director = Director(open_store(settings), load=lambda: painter)
    director.start()
    yield new_room(tmp_path_factory.mktemp("shared"), director, painter)
    director.shutdown()
    director.store.close()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with Running(Service()) as running:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-nobody-may-ever-read-this")
        monkeypatch.setenv("WHATNEXT_JUDGE_URL", running.url)
        yield running


def test_the_page_says_what_leaves_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    said = ranking.leaving_of("claude")
    for part in ("6 pictures of each take", "512 pixels", "api.anthropic.com", "claude-sonnet-5-5", "at most $1.00"):
        assert part in said, part
    monkeypatch.setenv("WHATNEXT_JUDGE_SEES", "words")
    monkeypatch.setenv("WHATNEXT_JUDGE_MAX_USD", "0.25")
    said = ranking.leaving_of("claude")
    assert "words of each take" in said and "Pictures, other scenes and files stay" in said and "$0.25" in said
    monkeypatch.setenv("WHATNEXT_JUDGE_URL", "https://judge.example/v1")
    assert "judge.example" in ranking.leaving_of("server") and "money" not in ranking.leaving_of("server")
    monkeypatch.setenv("WHATNEXT_JUDGE_URL", "http://127.0.0.1:8000/v1")
    for name in ("server", "local", "picturebook"):
        assert ranking.leaving_of(name) == "Nothing leaves this machine."
    assert "not known" in ranking.leaving_of("somebodys")
    monkeypatch.setenv("WHATNEXT_JUDGE_VOTES", "many")
    assert "WHATNEXT_JUDGE_VOTES" in ranking.leaving_of("claude")


def test_takes_are_judged_by_pictures_and_no_word_stays_beside_the_story(room: Room, service: Service) -> None:
    opinion = room.desk.look(room.pair["here"])["takes"]["opinion"]
    assert opinion["ask"] == "What does the judge “claude” think?" and opinion["leaves"]
    found = judged(room, room.pair)
    assert [one["value"] for one in found] == ["pass", "pass"]
    assert found[0]["whose"] == "The judge “claude:claude-sonnet-5-5”" and "it follows" in found[0]["why"]
    kinds = [[block["type"] for block in one["messages"][0]["content"]] for one in service.asked]
    assert sorted(map(len, kinds)) == [1, 1, 7, 7]
    assert all("image" in kind or BALL in str(one) for kind, one in zip(kinds, service.asked, strict=True))
    data = room.director.settings.data_dir
    ledger = b"".join(path.read_bytes() for path in data.glob("judge.db*"))
    assert ledger and b"follows" not in ledger and b"ball" not in ledger
    everything = b"".join(path.read_bytes() for path in data.rglob("*") if path.is_file())
    assert b"nobody-may-ever-read-this" not in everything


def test_what_is_sent_is_what_the_page_said_when_it_was_asked(
    room: Room, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that lives longer than the page it came from has the settings of that page."""
    monkeypatch.setenv("WHATNEXT_JUDGE_SEES", "words")
    view = room.act("judge_takes", room.pair)
    monkeypatch.setenv("WHATNEXT_JUDGE_SEES", "pictures")
    room.work(view, kind="rank")
    assert service.asked and "image" not in str(service.asked)


def test_no_key_and_no_money_are_told_in_a_sentence(
    room: Room, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHATNEXT_JUDGE_MAX_USD", "0.001")
    found = judged(room, room.pair)
    assert found[0]["text"] == "not judged" and "budget of $0.00" in found[0]["why"] and not service.asked
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    view = room.work(room.act("judge_takes", room.pair), kind="rank")
    assert "ANTHROPIC_API_KEY" in view["takes"]["opinion"]["error"]


def test_another_packages_judge_reads_its_own_settings(tmp_path: Path) -> None:
    assert ranking.config_of("somebodys", tmp_path) is None
    plain = ranking.config_of("claude", tmp_path)
    assert plain is not None and plain["file"] == str(tmp_path / "judge.db") and plain["keep_answers"] is False
