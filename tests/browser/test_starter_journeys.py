"""An evening with the shipped starter, with as many steps as it wants: takes, deaths of every program, a retelling."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import Server, new_server, starter_is_there
from tests.browser.room import SLOW, Room, Sayings
from tests.browser.test_journeys import keep
from tests.browser.test_takes_journeys import numbers
from tests.browser.test_wander_journeys import undo_says

pytestmark = [pytest.mark.browser, pytest.mark.full, pytest.mark.timeout(600)]

SNOW = "It starts to snow all over the quiet land."


@pytest.fixture
def shipped(tmp_path: Path) -> Iterator[Server]:
    if not starter_is_there():
        pytest.skip("no starter is shipped")
    made = new_server(tmp_path, {}, steps=None)
    yield made
    made.stop()


def test_an_evening_with_the_starter(shipped: Server, open_room: Callable[..., Room], sayings: Sayings) -> None:
    room = open_room(shipped, sayings=sayings)
    page = room.page
    room.begin()

    # four takes, and the third one it is
    room.ask(sayings.steer)
    page.locator("#wn-edit").fill(sayings.words)
    page.locator("#wn-takes-first").select_option("4")
    page.get_by_role("button", name="Draw it").click()
    page.wait_for_selector('.wn-take[data-number="4"]', timeout=2 * SLOW)
    page.wait_for_function("!document.querySelector('.wn-take-coming')", timeout=SLOW)
    assert numbers(room) == ["1", "2", "3", "4"]
    page.keyboard.press("3")
    page.wait_for_selector('.wn-take-chosen[data-number="3"]', timeout=SLOW)
    keep(room, "starter-four-takes")

    # the words are told differently than it proposes; the drawing is stopped, then done
    ways, proposed = room.ask(), page.locator("#wn-edit").input_value()
    assert proposed and (proposed in ways or not ways), "one idea that is believed is no choice"
    page.locator("#wn-takes-first").select_option("1")
    keep(room, "starter-words")
    page.get_by_role("button", name="Draw it").click()
    room.wait_for("drawing")
    page.keyboard.press("Escape")
    room.wait_for("undrawn")
    assert len(room.scenes()) == 3 and room.scenes()[2] == proposed
    page.get_by_role("button", name="Draw it").click()
    room.wait_for("drawing")

    # the tab is closed while it is drawn; another one finds it done
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    room.wait_ready()
    room.wait_for("rest")

    # the model's process is killed while it draws: it is drawn all the same
    room.ask()
    page.get_by_role("button", name="Draw it").click()
    room.wait_for("drawing")
    os.kill(worker_of(shipped), signal.SIGKILL)
    room.wait_for("rest")
    assert len(room.scenes()) == 4 and page.locator(".wn-card img").count() == 4

    # scene 2 of 4 is told differently, and the rest again after it
    room.go_to(2)
    page.locator(".wn-retell summary").click()
    page.locator("#wn-retell-rest").fill(SNOW)
    page.get_by_role("button", name="Tell it again from here").click()
    page.wait_for_selector(".wn-retelling:not([hidden])", timeout=SLOW)
    page.wait_for_selector(".wn-retelling", state="hidden", timeout=3 * SLOW)
    assert room.scenes()[1] == SNOW and len(room.scenes()) == 4
    keep(room, "starter-retold")

    # the page is killed; it opens again with everything, and the retelling can still be undone
    shipped.restart(signal.SIGKILL)
    page.goto(address)
    room.wait_ready()
    assert undo_says(page) == "Undo: the retelling from scene 2 on"
    page.keyboard.press("Control+z")
    page.wait_for_selector('[data-undo="redo"]:not([disabled])', timeout=SLOW)
    assert room.scenes()[1] == sayings.words and len(room.scenes()) == 4
    captions = room.play_through()
    assert captions[:2] == [sayings.begin, sayings.words]


def worker_of(server: Server) -> int:
    """The process that has the model."""
    import psutil

    assert server.process is not None
    found = [one.pid for one in psutil.process_iter(["cmdline"]) if is_worker(one.info["cmdline"], server)]
    assert len(found) == 1, found
    return int(found[0])


def is_worker(command: list[str] | None, server: Server) -> bool:
    return "app.worker" in (command or []) and str(server.data) in " ".join(command or [])
