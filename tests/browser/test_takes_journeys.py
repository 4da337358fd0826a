"""Several takes in Chromium: drawn one by one, played in step, chosen, starred, ordered, thrown away, compared."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.browser.conftest import Server
from tests.browser.room import SLOW, Room
from tests.browser.test_journeys import keep

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

OpenRoom = Callable[..., Room]
FILMS = "[...document.querySelectorAll('.wn-takes-list video')].map((film) => [film.currentTime, film.paused])"


def ask_for(room: Room, takes: int, words: str = "") -> None:
    room.begin()
    room.ask()
    if words:
        room.page.locator("#wn-edit").fill(words)
    room.page.locator("#wn-takes-first").select_option(str(takes))
    room.page.get_by_role("button", name="Draw it").click()
    room.page.wait_for_selector(".wn-take-coming", timeout=SLOW)


def numbers(room: Room, where: str = ".wn-takes-list") -> list[str]:
    return room.page.locator(f"{where} > li[data-take] .wn-number").all_inner_texts()


def test_three_takes_from_the_first_step_to_the_choice(painter: Server, open_room: OpenRoom) -> None:
    room = open_room(painter)
    page = room.page
    ask_for(room, 3)
    keep(room, "takes-drawing")
    asked = time.monotonic()
    page.reload()
    page.wait_for_selector(".wn-take-coming, .wn-take[data-take]", timeout=SLOW)
    assert time.monotonic() - asked < 30  # the second that it may take is measured by the bench, on a quiet machine
    page.wait_for_selector('.wn-take[data-number="1"]', timeout=SLOW)
    room.wait_for("rest")  # the story can go on from the first one while the others are drawn
    page.wait_for_selector('.wn-take[data-number="3"]', timeout=SLOW)
    page.wait_for_function("!document.querySelector('.wn-take-coming')", timeout=SLOW)
    assert page.locator("#wn-takes-more").input_value() == "1"

    # in step, and still when asked
    page.wait_for_function(f"{FILMS}.every(([at, paused]) => !paused && at > 0.2)", timeout=SLOW)
    page.wait_for_function("Number(document.querySelector('.wn-takes').dataset.apart) <= 40", timeout=SLOW)
    page.get_by_role("button", name="Pause").click()
    page.wait_for_function(f"{FILMS}.every(([, paused]) => paused)")
    keep(room, "takes")

    # looked at, chosen by key, starred, ordered by button and by hand
    page.get_by_role("button", name="Show take 3 large").click()
    assert page.locator('.wn-take[data-number="1"].wn-take-chosen').count() == 1, "looking is not choosing"
    page.keyboard.press("2")
    page.wait_for_selector('.wn-take-chosen[data-number="2"]', timeout=SLOW)
    page.keyboard.press("s")
    page.wait_for_selector('[data-number="2"] .wn-take-star[aria-pressed="true"]', timeout=SLOW)
    page.get_by_role("button", name="Rank take 3 higher").click()
    page.wait_for_selector('.wn-takes-list > li:nth-child(2)[data-number="3"]', timeout=SLOW)
    assert numbers(room) == ["1", "3", "2"]
    page.locator('.wn-take[data-number="2"]').drag_to(page.locator('.wn-take[data-number="1"]'))
    page.wait_for_selector('.wn-takes-list > li:first-child[data-number="2"]', timeout=SLOW)

    # thrown away, and back by the notice
    page.get_by_role("button", name="Throw take 1 away").click()
    assert "Take 1 was thrown away" in room.notice()
    page.get_by_role("button", name="Bring it back").click()
    page.wait_for_selector('.wn-take[data-number="1"]', timeout=SLOW)

    # side by side
    page.get_by_role("button", name="Compare").click()
    page.wait_for_selector(".wn-compare video", timeout=SLOW)
    assert numbers(room, ".wn-compare") == ["2", "1", "3"]
    keep(room, "compare")
    page.keyboard.press("3")
    page.wait_for_selector('.wn-compare .wn-take-chosen[data-number="3"]', timeout=SLOW)
    page.keyboard.press("Escape")
    page.reload()
    room.wait_ready()
    page.wait_for_selector('.wn-takes-list .wn-take-chosen[data-number="3"]', timeout=SLOW)
    assert numbers(room) == ["2", "1", "3"]


@pytest.mark.full
def test_takes_that_are_stopped_and_more_of_them(painter: Server, open_room: OpenRoom) -> None:
    room = open_room(painter, width=390, height=844)
    page = room.page
    page.emulate_media(reduced_motion="reduce")
    ask_for(room, 4, words="It rains slowly.")
    page.wait_for_selector('.wn-take-coming[data-state="drawing"]', timeout=SLOW)
    page.get_by_role("button", name="4 of 4: Stop").click()
    page.wait_for_selector('.wn-take-coming[data-state="cancelled"]', timeout=SLOW)
    page.wait_for_selector('.wn-take[data-number="1"]', timeout=SLOW)
    page.get_by_role("button", name="Stop and keep what is finished").click()
    assert room.notice().startswith("Stopped. The take that is finished is kept.")
    page.wait_for_function(
        "document.querySelectorAll('.wn-take-coming[data-state=\"cancelled\"]').length === 3", timeout=SLOW
    )
    keep(room, "takes-stopped")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator(".wn-take-coming .wn-x").first.click()
    page.wait_for_function("document.querySelectorAll('.wn-take-coming').length === 2")
    page.evaluate("document.querySelector('.wn-take[data-take]').dataset.mine = 'yes'")
    page.get_by_role("button", name="Draw more takes").click()
    page.wait_for_selector('.wn-take[data-number="2"]', timeout=SLOW)
    assert page.locator(".wn-take[data-mine]").count() == 1, "tiles are changed in place"
    page.wait_for_timeout(300)
    assert page.evaluate(f"{FILMS}.every(([, paused]) => paused)"), "nothing moves by itself where that was asked for"
