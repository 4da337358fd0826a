"""Beginning with files in Chromium: a part of a long film, the camera, a password."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from app.store.media import Media
from nsp_core.media import load_frames
from tests.browser.conftest import Server, new_server, painted
from tests.browser.painter import MEADOW
from tests.browser.room import SLOW, Room
from tests.odd_files import write_video

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


def film(path: Path, container: str) -> Path:
    """Six seconds of somebody's meadow, in which the sky gets lighter by 4 every eighth of a second."""
    frames = []
    for number in range(48):
        frame = np.full((96, 160, 3), 4 * number + 10, np.uint8)
        frame[60:] = MEADOW
        frames.append(frame)
    return write_video(path, frames, fps=8, container=container, codec_options={"crf": "4"})


def seconds_read(server: Server) -> list[float]:
    """When the first frame of each clip that was read was shown in that film."""
    found = []
    for path in sorted(Media(server.data / "media").root.rglob("*.npz"), key=lambda one: one.stat().st_mtime):
        frames, _ = load_frames(path)
        found.append((float(frames[0, :50].mean()) - 10) / 4 / 8)
    return found


def test_the_part_of_a_film_is_picked_by_keyboard(
    own_painter: Server, open_room: Callable[..., Room], tmp_path: Path
) -> None:
    room = open_room(own_painter)
    page = room.page
    pane = page.get_by_role("slider", name="The part that is looked at")
    # Matroska: Chromium may or may not play it; the strip comes from the server either way
    page.set_input_files("#wn-file", str(film(tmp_path / "film.mkv", "matroska")))
    pane.wait_for(timeout=SLOW)
    assert page.locator(".wn-part-pictures img").count() == 12
    assert pane.evaluate("node => node === document.activeElement")
    assert re.fullmatch(r"From 3\.9 to 6\.0 of 6\.0 seconds", pane.get_attribute("aria-valuetext") or "")
    page.keyboard.press("Home")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    assert pane.get_attribute("aria-valuenow") == "1.5"
    page.keyboard.press("Enter")
    room.wait_for("rest")
    assert seconds_read(own_painter) == [pytest.approx(1.5, abs=0.15)]
    assert not [path for path in (own_painter.data / "uploads").rglob("*") if path.is_file()]


@pytest.mark.full
def test_a_finger_moves_the_part_on_a_phone_and_leaving_changes_nothing(
    painter: Server, open_room: Callable[..., Room], tmp_path: Path
) -> None:
    room = open_room(painter, width=390, height=844)
    page = room.page
    page.set_input_files("#wn-file", str(film(tmp_path / "film.mp4", "mp4")))
    pane = page.get_by_role("slider", name="The part that is looked at")
    pane.wait_for(timeout=SLOW)
    box = page.locator(".wn-part-track").bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 20, steps=5)
    page.mouse.up()
    assert float(pane.get_attribute("aria-valuenow") or 9) < 0.5
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.querySelector('dialog[open]')")
    assert page.locator(".wn-main[data-part='home']").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.full
def test_a_bad_file_is_one_sentence(painter: Server, open_room: Callable[..., Room], tmp_path: Path) -> None:
    room = open_room(painter)
    bad = tmp_path / "holiday.mp4"
    bad.write_text("This was never a film. " * 30)
    room.page.set_input_files("#wn-file", str(bad))
    assert room.notice().startswith("holiday.mp4 is plain text")
    assert room.page.locator(".wn-main[data-part='home']").count() == 1


# the camera -----------------------------------------------------------------------------------------------------


@pytest.mark.full
def test_a_picture_from_the_camera_begins_a_story(painter: Server, open_room: Callable[..., Room]) -> None:
    room = open_room(painter)
    page = room.page
    page.context.grant_permissions(["camera"], origin=painter.address.rstrip("/"))
    page.get_by_role("button", name="Take a picture").click()
    page.wait_for_function("() => document.querySelector('video.wn-camera-view').videoWidth > 0", timeout=SLOW)
    page.keyboard.press("Enter")  # the shutter has the focus
    page.get_by_role("button", name="Begin with this picture").click()
    room.wait_for("offers")  # green, but no meadow of ours
    assert page.evaluate("document.querySelector('video.wn-camera-view').srcObject") is None, "the camera is off again"


@pytest.mark.full
def test_a_camera_that_may_not_be_used_is_one_sentence(painter: Server, open_room: Callable[..., Room]) -> None:
    room = open_room(painter)
    room.page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError')); }"
    )
    room.page.get_by_role("button", name="Take a picture").click()
    assert room.notice().startswith("The camera may not be used here")
    assert room.page.locator("dialog[open]").count() == 0


# the password ---------------------------------------------------------------------------------------------------

WORDS = "a long sentence nobody guesses"


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Server]:
    """A page that asks for a password, on loopback all the same."""
    made = new_server(tmp_path, {**painted(), "WHATNEXT_PASSWORD": WORDS})
    yield made
    made.stop()


def test_the_password_opens_the_room_and_logging_out_closes_it(locked: Server, browser: Browser) -> None:
    page = browser.new_page()
    try:
        page.goto(f"{locked.address}?story=none")
        page.get_by_label("Password").fill("not this one")
        page.keyboard.press("Enter")
        assert "not the password" in page.get_by_role("alert").inner_text()
        page.get_by_label("Password").fill(WORDS)
        page.get_by_role("button", name="Come in").click()
        page.wait_for_selector('.wn[data-ready="yes"]', timeout=SLOW)
        page.get_by_label("Or say what can be seen").fill("It is day on the meadow. A red ball lies on the left.")
        page.get_by_role("button", name="Begin with these words").click()
        page.wait_for_selector('.wn-words[data-kind="rest"]', timeout=SLOW)
        page.get_by_role("button", name="Log out").click()
        page.get_by_label("Password").wait_for(timeout=SLOW)
        page.goto(locked.address)
        assert page.get_by_label("Password").count() == 1
    finally:
        page.close()
