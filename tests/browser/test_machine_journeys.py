"""A journey: a big model is fetched, stopped, gone on with, chosen and removed, against a hub of one's own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nsp_core.tiers import LTX_WITH_T5, QWEN_3B
from tests.browser.conftest import Server, new_server
from tests.browser.room import SLOW, Room
from tests.browser.test_journeys import keep
from tests.hub_server import Hub, published, served

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

OpenRoom = Callable[..., Room]
IN_SIGHT = """what => {
    const box = (document.querySelector(what) || document.head).getBoundingClientRect();
    return box.height > 0 && box.top >= 0 && box.bottom <= innerHeight;
}"""
CARD = "#!/bin/sh\necho '0, GPU-5ecd, A small card, 9216, 9000'\n"  # stands where nvidia-smi would


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    repos = (published(tmp_path_factory.mktemp("repo"), model, 3_000_000) for model in (QWEN_3B, LTX_WITH_T5))
    with served(*repos) as running:
        yield running


@pytest.fixture
def with_a_card(tmp_path: Path, hub: Hub) -> Iterator[Server]:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "nvidia-smi").write_text(CARD)
    (programs / "nvidia-smi").chmod(0o755)
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "HF_ENDPOINT": hub.url,
        "HF_HUB_CACHE": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": "0",
    }
    made = new_server(tmp_path, environment)
    yield made
    made.stop()


@pytest.mark.full  # starts a page of its own, and a worker that loads torch
def test_a_big_model_comes_and_goes(with_a_card: Server, hub: Hub, open_room: OpenRoom) -> None:
    hub.on_piece = lambda _sent: time.sleep(0.05)
    room = open_room(with_a_card, height=1400)
    page = room.page
    page.get_by_role("button", name="This computer").click()
    tier = page.locator(".wn-tier", has=page.get_by_text("Graphics card, 8 GB", exact=True)).last
    tier.get_by_role("button", name="Get its weights (36.0 GB)").click()
    page.get_by_role("progressbar").wait_for(timeout=SLOW)
    page.wait_for_function(IN_SIGHT, arg=".wn-fetch [role=progressbar]", timeout=SLOW)
    assert tier.locator(".wn-tier-verdict").inner_text() == "Its weights are being downloaded."
    page.wait_for_function("document.querySelector('.wn-fetch-text').textContent.includes(' of ')", timeout=SLOW)
    keep(room, "machine_fetching")
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_text("The download was stopped").wait_for(timeout=SLOW)
    keep(room, "machine_stopped")

    hub.on_piece = None
    page.get_by_role("button", name="Go on with the download").click()
    use = tier.get_by_role("button", name="Use this one")
    use.wait_for(timeout=SLOW)
    assert not page.locator(".wn-fetch").count(), "what ended well is not spoken of"
    use.click()
    assert "From now on: Graphics card, 8 GB." in room.notice()
    page.wait_for_function(IN_SIGHT, arg="dialog[open] .wn-notice", timeout=SLOW)
    page.wait_for_selector('.wn-tier[aria-current="true"] >> text=Graphics card, 8 GB', timeout=SLOW)
    page.get_by_text("because no trained bridge is there").first.wait_for(timeout=SLOW)
    keep(room, "machine_chosen")

    weights = page.locator(".wn-tier", has=page.get_by_text(QWEN_3B.repo, exact=True))
    weights.get_by_role("button", name="Remove").click()
    weights.get_by_role("button", name="Really remove").click()
    page.get_by_text("choose another one first").wait_for(timeout=SLOW)
    starter = page.locator(".wn-tier", has=page.get_by_text("Starter", exact=True))
    starter.get_by_role("button", name="Use this one").click()
    page.wait_for_selector('.wn-tier[aria-current="true"] >> text=Starter', timeout=SLOW)
    weights.get_by_role("button", name="Remove").click()
    weights.get_by_role("button", name="Really remove").click()
    weights.wait_for(state="detached", timeout=SLOW)
    assert "is removed" in room.notice()
    keep(room, "machine_removed")
    page.keyboard.press("Escape")
    page.wait_for_selector(".wn-drawer", state="hidden", timeout=SLOW)
    assert page.locator(".wn-notice:visible").count() and not page.locator("dialog .wn-notice").count(), (
        "back in its place"
    )
