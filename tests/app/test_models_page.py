"""Big models on the page, without a browser: fetched by a process of its own, stopped, gone on with, chosen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from app.director import Director
from app.models.fetching import Fetching
from app.pages.desk import Desk
from app.pages.examples import Examples
from app.pages.wishes import machine as panel
from app.settings import Settings
from app.store import open_store
from app.tier_choice import kept
from nsp_core.hardware import Device, Hardware
from nsp_core.tiers import GB, LTX_WITH_T5, QWEN_3B
from nsp_core.weights.cache import Cache
from nsp_core.weights.fetch import fetch
from tests.hub_server import Hub, published, served

SIZE = 3_000_000
Act = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def repos(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    return [published(tmp_path_factory.mktemp("repo"), model, SIZE) for model in (QWEN_3B, LTX_WITH_T5)]


@pytest.fixture
def hub(repos: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """This process and those that it starts ask it, and keep what it gives in a folder of the test."""
    with served(*repos) as running:
        for name, value in (("HF_ENDPOINT", running.url), ("HF_HUB_CACHE", str(tmp_path / "hub"))):
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        yield running


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a card of 9 GB."""
    found = Device("cuda", "a card", 9 * GB, 9 * GB), Device("cpu", "a processor", 64 * GB, 60 * GB)
    monkeypatch.setattr("nsp_core.hardware.look", lambda: Hardware(found, 2, "Linux x86_64"))
    panel._look.cache_clear()


@pytest.fixture
def desk(tmp_path: Path, card: None) -> Iterator[Desk]:
    settings = Settings(data_dir=tmp_path / "data", in_process=True)
    director = Director(open_store(settings), load=lambda: pytest.fail("no model is loaded here"))
    made = Desk(director, director.store.local_owner(), Examples(tmp_path), uploads=tmp_path, at_home=True)
    yield made
    made.fetching.close()
    director.store.close()
    panel._look.cache_clear()


def notice(view: dict[str, Any]) -> str:
    return str((view["notice"] or {}).get("text", ""))


def tier(now: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in now["tiers"] if one["name"] == name)


def put_weights_here(hub: Hub) -> None:
    from nsp_core.weights.hub import Hub as Asked

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        fetch([QWEN_3B, LTX_WITH_T5], cache=Cache.here(), hub=Asked(hub.url))


def test_a_tier_is_fetched_while_the_page_goes_on(hub: Hub, desk: Desk, eventually: Callable[..., Any]) -> None:
    before = desk.ask({"ask": "machine"})
    json.dumps(before)
    assert before["fetch"] is None and before["weights"] == []
    assert tier(before, "gpu-8")["get"] == "Get its weights (36.0 GB)", "what is expected, before the hub was asked"
    assert not tier(before, "gpu-80")["get"] and not tier(before, "gpu-80")["fits"]
    hub.on_piece = lambda _sent: time.sleep(0.02)
    view = desk.act({"do": "models_get", "name": "gpu-8"})
    assert not notice(view) and desk.fetching.running and hub.bytes < 2 * SIZE, "nobody waits for it"
    shown = eventually(lambda: (now := desk.ask({"ask": "machine"})["fetch"]) and now["share"] > 0 and now)
    assert shown["running"] and " of " in shown["text"]
    assert "being downloaded already" in notice(desk.act({"do": "models_get", "name": QWEN_3B.repo}))
    hub.on_piece = None
    eventually(lambda: not desk.fetching.running)
    after = desk.ask({"ask": "machine"})
    json.dumps(after)
    assert after["fetch"] is None
    assert [one["text"].split(",")[0] for one in after["weights"]] == ["Whole and verified"] * 2
    assert tier(after, "gpu-8")["use"] and not tier(after, "gpu-8")["get"]
    report = desk.fetching.report()
    assert report is not None and report.what == "done" and report.done == report.total == hub.bytes


def test_stopped_and_gone_on_with(hub: Hub, desk: Desk, eventually: Callable[..., Any]) -> None:
    hub.on_piece = lambda _sent: time.sleep(0.02)
    desk.act({"do": "models_get", "name": "gpu-8"})
    eventually(lambda: hub.bytes > 1_000_000)
    desk.act({"do": "models_stop"})
    assert not desk.fetching.running
    now = desk.ask({"ask": "machine"})
    assert not now["fetch"]["running"] and "was stopped" in now["fetch"]["text"]
    assert now["fetch"]["names"] == "Graphics card, 8 GB"
    assert tier(now, "gpu-8")["get"].startswith("Get its weights (") and "36" not in tier(now, "gpu-8")["get"]
    hub.on_piece = None
    desk.act({"do": "models_get", "name": now["fetch"]["again"]})
    eventually(lambda: not desk.fetching.running)
    report = desk.fetching.report()
    assert report is not None and report.what == "done" and tier(desk.ask({"ask": "machine"}), "gpu-8")["use"]
    assert hub.bytes < report.total * 1.5, "it went on where it ended"


def test_killed_and_said_so(hub: Hub, desk: Desk, eventually: Callable[..., Any]) -> None:
    hub.on_piece = lambda _sent: time.sleep(0.02)
    desk.act({"do": "models_get", "name": QWEN_3B.repo})
    eventually(lambda: hub.bytes > 500_000)
    assert desk.fetching.child is not None
    os.kill(desk.fetching.child.pid, signal.SIGKILL)
    eventually(lambda: not desk.fetching.running)
    hub.on_piece = None
    assert desk.ask({"ask": "machine"})["fetch"]["again"] == QWEN_3B.repo
    assert not Cache.here().state(QWEN_3B).whole


def test_what_goes_wrong_is_said_in_the_panel(hub: Hub, desk: Desk, eventually: Callable[..., Any]) -> None:
    hub.repos.pop(QWEN_3B.repo)
    desk.act({"do": "models_get", "name": QWEN_3B.repo})
    eventually(lambda: not desk.fetching.running)
    now = desk.ask({"ask": "machine"})["fetch"]
    assert now["why"].startswith(f"There is no {QWEN_3B.repo} at") and not now["running"]


def test_it_ends_with_the_page_that_started_it(hub: Hub, tmp_path: Path, eventually: Callable[..., Any]) -> None:
    """The page was killed: nobody closed it, and nobody looks at the download any more."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    hub.on_piece = lambda _sent: time.sleep(0.02)
    settings = Settings(data_dir=tmp_path / "data")
    settings.make_folders()
    fetching = Fetching(settings)
    command = [sys.executable, "-m", "app.models.fetch_process", str(fetching.path), str(fetching.lock), str(gone.pid)]
    assert subprocess.run([*command, QWEN_3B.repo], timeout=60).returncode == 0
    report = fetching.report()
    assert report is not None and report.what == "stopped" and not Cache.here().state(QWEN_3B).whole


@pytest.mark.full
def test_another_page_can_stop_it(hub: Hub, desk: Desk, eventually: Callable[..., Any]) -> None:
    hub.on_piece = lambda _sent: time.sleep(0.02)
    desk.act({"do": "models_get", "name": QWEN_3B.repo})
    eventually(lambda: hub.bytes > 200_000)
    other = Fetching(desk.settings)
    assert other.running
    other.stop()
    eventually(lambda: not desk.fetching.running)
    report = desk.fetching.report()
    assert report is not None and report.what == "stopped"


def test_choosing_a_tier(hub: Hub, desk: Desk) -> None:
    assert "are not here" in notice(desk.act({"do": "tier_use", "tier": "gpu-8"})), "first the weights"
    put_weights_here(hub)
    assert "gpu-8, which fits" in notice(desk.act({"do": "tier_use", "tier": "gpu-24"}))
    assert "There is no tier" in notice(desk.act({"do": "tier_use", "tier": "gpu-7"}))
    assert desk.director.engine.settings.is_safe and kept(desk.settings) == "auto"
    assert "Graphics card, 8 GB" in notice(desk.act({"do": "tier_use", "tier": "gpu-8"}))
    assert desk.director.engine.settings.model == "gpu-8" and kept(desk.settings) == "gpu-8"
    now = desk.ask({"ask": "machine"})
    assert tier(now, "gpu-8")["current"] and now["model"]["name"] == "Graphics card, 8 GB" and now["choice"] == "gpu-8"
    for name in (QWEN_3B.repo, "gpu-8"):
        assert "choose another one first" in notice(desk.act({"do": "models_remove", "name": name}))
    desk.act({"do": "tier_use", "tier": "starter"})
    assert desk.director.engine.settings.is_safe and kept(desk.settings) == "starter"
    assert "are free again" in notice(desk.act({"do": "models_remove", "name": QWEN_3B.repo}))
    assert [one["name"] for one in desk.ask({"ask": "machine"})["weights"]] == [LTX_WITH_T5.repo]
    desk.act({"do": "tier_use", "tier": "auto"})
    assert kept(desk.settings) == "auto" and desk.director.engine.settings.is_safe, "without a reader it is the starter"
    assert "are free again" in notice(desk.act({"do": "models_remove", "name": "gpu-8"})), "all that is here of a tier"
    assert desk.ask({"ask": "machine"})["weights"] == []


@pytest.mark.parametrize("wish", ["models_get", "models_stop", "models_remove", "tier_use"])
def test_only_at_the_computer_itself(hub: Hub, desk: Desk, tmp_path: Path, wish: str) -> None:
    visitor = Desk(desk.director, desk.owner_id, Examples(tmp_path), uploads=tmp_path, at_home=False)
    view = visitor.act({"do": wish, "name": QWEN_3B.repo, "tier": "gpu-8"})
    assert "Only whoever sits at the computer" in notice(view)
    assert hub.asked == [] and kept(desk.settings) == "auto"
    now = visitor.ask({"ask": "machine"})
    assert not any(one["get"] or one["use"] for one in now["tiers"]) and not now["may"]
