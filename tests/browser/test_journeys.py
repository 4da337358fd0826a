"""Journeys: what a person does from the first visit to the film, in Chromium, against the running program."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import Server
from tests.browser.room import Room, Sayings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

OpenRoom = Callable[..., Room]


def pictures() -> Path | None:
    """Where screenshots are kept to be looked at; nowhere unless WHATNEXT_SCREENSHOTS names a folder."""
    folder = os.environ.get("WHATNEXT_SCREENSHOTS")
    return Path(folder) if folder else None


def keep(room: Room, name: str) -> None:
    if (folder := pictures()) is not None:
        room.picture(folder / f"{name}.png")


def test_a_story_from_the_first_word_to_the_film(
    server: Server, open_room: OpenRoom, sayings: Sayings, tmp_path: Path
) -> None:
    room = open_room(server, sayings=sayings)
    keep(room, "first-visit")
    room.begin()
    assert room.said() == sayings.begin

    ways = room.ask()
    keep(room, "choose")
    # what is wished for next must not have happened by then
    room.draw(way=next((n for n, words in enumerate(ways) if "rain" not in words), 0))
    ways = room.ask(sayings.steer)
    room.draw(words=sayings.words)
    assert len(room.scenes()) == 3 and room.scenes()[2] == sayings.words
    keep(room, "three-scenes")

    # back to the first scene, and another way from there
    room.go_to(1)
    assert len(room.scenes()) == 3  # the way it went is still shown
    ways = room.ask()
    room.draw(way=len(ways) - 1 if ways else 0)
    assert len(room.scenes()) == 2
    assert room.page.locator(".wn-ways-switch").inner_text().strip() == "way 2 of 2"
    keep(room, "branch")

    # the program is closed and started again: the open page finds it and everything is still there
    before, address = room.scenes(), room.page.url
    server.restart()
    room.page.goto(address)
    room.wait_ready()
    assert room.scenes() == before
    room.page.get_by_role("button", name="Previous way").click()
    room.page.wait_for_function("document.querySelectorAll('.wn-card').length === 3")

    captions = room.play_through()
    assert captions[:2] == [sayings.begin, room.scenes()[1]] and sayings.words in captions
    assert room.page.locator(".wn").get_attribute("data-played") == "3"

    with room.page.expect_download() as download:
        room.page.get_by_role("link", name="Save the film").click()
    film = tmp_path / "film.mp4"
    download.value.save_as(film)
    assert download.value.suggested_filename.endswith(".mp4")
    with av.open(film) as container:
        assert float(container.duration or 0) / av.time_base == pytest.approx(3 * 17 / 8, abs=0.3)
        assert container.streams.subtitles


def test_a_drawing_that_is_stopped(painter: Server, open_room: OpenRoom) -> None:
    room = open_room(painter)
    room.begin()
    room.ask()
    room.page.locator("#wn-edit").fill("It rains slowly.")
    room.page.get_by_role("button", name="Draw it").click()
    room.wait_for("drawing")
    bar = room.page.get_by_role("progressbar", name="Drawing")
    room.page.wait_for_function("document.querySelector('.wn-progress-text').textContent.includes('step')")
    assert int(bar.get_attribute("aria-valuemax") or 0) == 4
    room.page.wait_for_selector(".wn-preview:not([hidden])")
    keep(room, "drawing")
    room.page.keyboard.press("Escape")
    room.wait_for("undrawn")
    assert len(room.scenes()) == 2  # the words are kept, to be drawn later
    keep(room, "stopped")
    room.page.locator("#wn-edit").fill("It rains.")
    room.page.get_by_role("button", name="Draw it").click()
    room.wait_for("rest")


def test_a_job_is_found_again_after_a_refresh_and_after_a_crash(own_painter: Server, open_room: OpenRoom) -> None:
    room = open_room(own_painter)
    room.begin()
    room.ask()
    room.page.locator("#wn-edit").fill("It rains slowly.")
    room.page.get_by_role("button", name="Draw it").click()
    room.wait_for("drawing")
    room.page.reload()
    room.wait_for("drawing")
    own_painter.stop(signal.SIGKILL)  # the worker goes on and finishes; a new page finds what it made
    own_painter.start()
    room.page.goto(room.page.url)
    room.wait_ready()
    room.wait_for("rest")
    assert len(room.scenes()) == 2


def test_an_open_page_outlives_its_program(own_painter: Server, open_room: OpenRoom) -> None:
    room = open_room(own_painter)
    room.begin()
    own_painter.stop()
    room.page.keyboard.press("n")
    assert "does not answer" in room.notice()
    keep(room, "program-gone")
    own_painter.start()
    room.page.wait_for_function(
        "!document.querySelector('.wn-notice').textContent.includes('does not answer')", timeout=30_000
    )
    room.ask()


def test_a_file_that_is_no_picture(painter: Server, open_room: OpenRoom, tmp_path: Path) -> None:
    room = open_room(painter)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 not really")
    room.page.set_input_files("#wn-file", broken)
    sentence = room.notice()
    assert "broken.jpg" in sentence and sentence.count(".") <= 3
    assert (
        room.page.locator(".wn-home").is_visible() and "broken.jpg" not in room.page.locator(".wn-shelf").inner_text()
    )
    keep(room, "bad-file")


def test_somebodys_own_photo(painter: Server, open_room: OpenRoom, tmp_path: Path) -> None:
    room = open_room(painter)
    photo = tmp_path / "holiday.jpg"
    Image.fromarray(np.full((300, 400, 3), (120, 80, 60), dtype=np.uint8)).save(photo)
    room.page.set_input_files("#wn-file", photo)
    room.wait_for("offers")
    assert "I understood:" in room.said()
    keep(room, "own-photo")
    room.page.reload()
    room.wait_for("offers")
    room.page.get_by_role("button", name="Keep it as a still first scene").click()
    room.wait_for("rest")
    assert len(room.scenes()) == 1 and "I understood:" in room.page.locator(".wn-words").inner_text()


def test_words_that_nobody_taught_it(server: Server, open_room: OpenRoom, sayings: Sayings) -> None:
    room = open_room(server, sayings=sayings)
    room.begin()
    room.page.locator("#wn-steer").fill(sayings.outside)
    room.page.locator("#wn-steer").press("Enter")
    trouble = room.page.locator(".wn-trouble")
    trouble.wait_for(timeout=60_000)
    assert "I don't know that yet" in trouble.inner_text()
    assert room.page.locator("#wn-steer").input_value() == sayings.outside
    keep(room, "outside-language")
    known = trouble.locator(".wn-known button").first
    sentence = known.inner_text()
    known.click()
    assert room.page.locator("#wn-steer").input_value() == sentence
    assert len(room.scenes()) == 1


def test_what_could_happen_instead(painter: Server, open_room: OpenRoom) -> None:
    room = open_room(painter)
    room.begin()
    room.page.locator("#wn-steer").fill("a comet falls")
    room.page.locator("#wn-steer").press("Enter")
    trouble = room.page.locator(".wn-trouble")
    trouble.wait_for(timeout=60_000)
    assert "What could happen here:" in trouble.inner_text()
    keep(room, "not-here")
    offered = trouble.locator(".wn-known button").first
    sentence = offered.inner_text()
    offered.click()
    room.page.locator("#wn-steer").press("Enter")
    room.wait_for("choose")
    assert sentence.rstrip(".") in room.page.locator("#wn-edit").input_value()


def test_what_people_write_is_never_markup(painter: Server, open_room: OpenRoom) -> None:
    room = open_room(painter)
    nasty = "<img src=x onerror=\"document.title='owned'\"> ${alert(1)} {{value}} It rains."
    room.page.get_by_label("Or say what can be seen").fill(nasty)
    room.page.get_by_role("button", name="Begin with these words").click()
    room.wait_for("rest")
    assert room.said() == nasty and room.page.title() != "owned"
    assert room.page.locator('.wn img[src="x"]').count() == 0
    room.page.get_by_label("Title of the story").fill(nasty)
    room.page.get_by_label("Title of the story").press("Enter")
    room.page.get_by_role("button", name="All stories", exact=True).click()
    room.page.wait_for_selector(".wn-book-title")
    assert room.page.locator(".wn-book-title").first.inner_text() == nasty


def test_the_shelf(painter: Server, open_room: OpenRoom) -> None:
    room = open_room(painter)
    room.begin()
    room.page.get_by_role("button", name="All stories", exact=True).click()
    room.page.get_by_role("button", name="Rename").first.click()
    room.page.get_by_label("New title").fill("The red ball")
    room.page.get_by_label("New title").press("Enter")
    room.page.get_by_role("button", name="Throw away The red ball").click()
    assert "thrown away" in room.notice()
    room.page.locator(".wn-notice").get_by_role("button", name="Bring it back").click()
    room.page.locator(".wn-book").first.click()
    room.wait_for("rest")
    room.page.go_back()
    room.page.wait_for_selector(".wn-home")


def test_with_the_keyboard_alone(painter: Server, open_room: OpenRoom) -> None:
    room = open_room(painter)
    for _ in range(20):
        room.page.keyboard.press("Tab")
        if room.page.evaluate("document.activeElement.id") == "wn-first":
            break
    room.page.keyboard.type(room.sayings.begin)
    room.page.keyboard.press("Control+Enter")
    room.wait_for("rest")
    room.page.keyboard.press("n")
    room.wait_for("choose")
    room.page.keyboard.press("Enter")
    room.wait_for("drawing")
    room.wait_for("rest")
    room.page.keyboard.press("ArrowLeft")
    room.page.wait_for_selector('.wn-cards li:nth-child(1) [aria-current="true"]')
    room.page.keyboard.press("p")
    room.page.wait_for_selector(".wn-playing")
    room.page.keyboard.press("p")
    room.page.wait_for_selector(".wn:not(.wn-playing)")


def test_on_a_phone(painter: Server, open_room: OpenRoom) -> None:
    room = open_room(painter, width=390, height=844)
    keep(room, "phone-home")
    assert room.page.evaluate("document.documentElement.scrollWidth") <= 390
    room.begin()
    room.ask()
    keep(room, "phone-choose")
    assert room.page.evaluate("document.documentElement.scrollWidth") <= 390
    for button in room.page.locator(".wn button:visible").all():
        box = button.bounding_box()
        assert box is not None and box["height"] >= 28, button.inner_text()
