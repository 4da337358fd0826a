"""The cutting room in Chromium: a film is cut, plays before it is made, is made, and plays as it was cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from tests.browser.conftest import Server
from tests.browser.room import SLOW, Room
from tests.browser.test_journeys import keep

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

OpenRoom = Callable[..., Room]
SECONDS = 17 / 8  # of a scene


def test_a_film_is_cut_played_and_made(painter: Server, open_room: OpenRoom, tmp_path: Path) -> None:
    room = open_room(painter)
    page = room.page
    room.begin()
    for words in ("It rains on the meadow.", "The sun sets and it is night."):
        room.ask()
        room.draw(words=words)
    page.get_by_role("button", name="Cut the film").click()
    page.wait_for_selector(".wn-cut-shot >> nth=2", timeout=SLOW)
    assert "Copied" in page.locator(".wn-cut-way").inner_text()

    # the last scene goes first, the one that was first is left out, a dissolve between the two, and a title
    page.get_by_role("button", name="Earlier: scene 3").click()
    page.get_by_role("button", name="Earlier: scene 3").click()
    page.get_by_role("button", name="Leave it out: scene 1").click()
    page.get_by_label("Then").first.select_option("dissolve")
    page.get_by_label("To, in seconds").first.fill("1.5")
    page.get_by_role("group", name="Title before the film").get_by_label("Words").fill("My film")
    page.keyboard.press("Tab")
    page.wait_for_function(
        "document.querySelector('.wn-cut-way').textContent.startsWith('Mostly copied')", timeout=SLOW
    )
    lasting = 2.5 + 1.5 + SECONDS - 0.5

    # it plays at once, and to its end
    assert f"of {lasting:.1f} s" in page.locator(".wn-cut-player").inner_text()
    page.get_by_role("button", name="Play it").click()
    page.wait_for_selector(".wn-cut-card:not([hidden])", timeout=SLOW)
    page.wait_for_function("Number(document.querySelector('.wn-cut-player').dataset.at) > 3", timeout=SLOW)
    keep(room, "cutting-room")
    page.wait_for_selector('.wn-cut-player[data-played="yes"]', timeout=SLOW)

    page.get_by_role("button", name="Make the film").click()
    with page.expect_download(timeout=SLOW) as download:
        page.get_by_role("link", name="Save the film").click(timeout=SLOW)
    film = tmp_path / "film.mp4"
    download.value.save_as(film)
    with av.open(str(film)) as container:
        assert float(container.duration or 0) / av.time_base == pytest.approx(lasting, abs=1 / 8)
    # the browser itself plays it
    address = page.locator(".wn-cut-made a").get_attribute("href")
    seconds = page.evaluate(
        """(address) => new Promise((done, failed) => {
          const video = document.createElement("video");
          video.onloadeddata = () => done(video.duration);
          video.onerror = () => failed(new Error(video.error.message));
          video.src = address;
        })""",
        address,
    )
    assert seconds == pytest.approx(lasting, abs=1 / 8)

    # all of it is there again after a refresh
    page.reload()
    room.wait_ready()
    page.get_by_role("button", name="Cut the film").click()
    page.wait_for_selector(".wn-cut-shot >> nth=1", timeout=SLOW)
    assert page.locator(".wn-cut-shot").count() == 2
    assert page.get_by_label("To, in seconds").first.input_value() == "1.5"
    assert page.get_by_role("link", name="Save the film").count() >= 1
    assert not room.errors
