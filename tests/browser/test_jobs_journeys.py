"""Journeys: a story that goes on by itself while somebody looks on, and the list of what is being done."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.conftest import Server
from tests.browser.room import SLOW, Room
from tests.browser.test_journeys import keep

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

OpenRoom = Callable[..., Room]


@pytest.mark.full
def test_it_goes_on_by_itself(painter: Server, open_room: OpenRoom) -> None:
    room = open_room(painter)
    room.begin()
    room.page.locator("#wn-steer").fill("make it rain")
    room.page.get_by_label("How many scenes").fill("3")
    room.page.get_by_role("button", name="Let it go on by itself").click()
    line = room.page.locator(".wn-alone-text:visible")
    line.wait_for(timeout=SLOW)
    assert line.inner_text().startswith("Scene 1 of 3")
    room.page.wait_for_function("document.querySelectorAll('.wn-card').length === 2", timeout=SLOW)
    room.page.wait_for_selector('.wn-cards li:nth-child(2) [aria-current="true"]', timeout=SLOW)
    assert "Make it rain" in room.scenes()[1]
    keep(room, "alone")
    room.page.reload()
    room.page.wait_for_selector(".wn-alone-text:visible", timeout=SLOW)
    assert "of 3" in line.inner_text(), "a refresh shows it again"
    room.page.wait_for_function("document.querySelectorAll('.wn-card').length === 4", timeout=SLOW)
    room.page.wait_for_selector('.wn-cards li:nth-child(4) [aria-current="true"]', timeout=SLOW)
    room.wait_for("rest")
    assert not room.page.locator(".wn-alone:visible").count() and len(set(room.scenes())) == 4

    room.page.get_by_role("button", name="Let it go on by itself").click()
    room.page.locator(".wn-alone:visible").get_by_role("button", name="Stop").click()
    room.page.locator(".wn-alone:visible").wait_for(state="hidden", timeout=SLOW)
    assert len(room.scenes()) <= 5


@pytest.mark.full
def test_the_list_of_what_is_being_done(own_painter: Server, open_room: OpenRoom) -> None:
    room = open_room(own_painter)
    for words in ("A red ball rolls slowly.", "A blue ball rolls slowly.", "It rains slowly."):
        room.page.get_by_label("Or say what can be seen").fill(words)
        room.page.get_by_role("button", name="Begin with these words").click()
        room.wait_for("drawing")
        room.page.get_by_role("button", name="All stories", exact=True).click()
        room.page.wait_for_selector(".wn-home", timeout=SLOW)
    room.page.get_by_role("button", name="3 under way").click()
    rows = room.page.locator(".wn-queue-item")
    room.page.wait_for_function("document.querySelectorAll('.wn-queue-item').length === 3", timeout=SLOW)
    assert "slowly" in rows.nth(0).inner_text() and rows.nth(2).get_attribute("data-state") == "waiting"
    keep(room, "queue")
    earlier = rows.nth(2).get_by_role("button", name="Earlier")
    earlier.focus()
    room.page.keyboard.press("Enter")
    room.page.wait_for_function(
        "document.querySelectorAll('.wn-queue-item')[1].textContent.includes('It rains slowly')", timeout=SLOW
    )
    assert room.page.evaluate("document.activeElement.closest('.wn-queue-item').textContent").find("It rains") >= 0
    room.page.get_by_role("button", name="Pause all").click()
    room.page.wait_for_function("document.querySelectorAll('[data-state=paused]').length === 2", timeout=SLOW)
    rows.nth(2).get_by_role("button", name="Take it out").click()
    room.page.wait_for_function("document.querySelectorAll('.wn-queue-item').length === 2", timeout=SLOW)
    rows.nth(0).get_by_role("button", name="Stop").click()
    room.page.wait_for_function("document.querySelectorAll('.wn-queue-item').length === 1", timeout=SLOW)
    # on a slow line, what is pressed while an answer is awaited opens when that has come
    room.page.evaluate(
        "{ const at_once = window.fetch; window.fetch = async (...asked) => {"
        " await new Promise((done) => setTimeout(done, 700)); return at_once(...asked); }; }"
    )
    room.page.get_by_role("button", name="Let all go on").click()
    room.page.locator(".wn-queue-story").first.click()
    # on a busy machine it may be done before it is seen
    room.page.wait_for_selector('.wn-words[data-kind="drawing"], .wn-words[data-kind="rest"]', timeout=SLOW)
    assert room.said() == "It rains slowly."
    assert room.page.locator(".wn-queue-tool").count() == 0, "one job needs no list"
