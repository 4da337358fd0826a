"""Playing a story: without a gap, from anywhere, on the whole screen; what can be saved of a scene; its recipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import Server
from tests.browser.room import SLOW, Room
from tests.browser.test_journeys import keep

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

OpenRoom = Callable[..., Room]

GAP = 80  # milliseconds, on a machine that has time
PICTURE = 1000 / 8  # how long each picture is to be seen
# Notes each frame that a video shows, each change of which video is in front, and how late timers come on this machine.
WATCH = """() => {
  const seen = (window.seen = []);
  const late = (window.late = []);
  setInterval(() => {
    const at = performance.now();
    setTimeout(() => late.push(performance.now() - at - 10), 10);
  }, 40);
  const brightness = (video) => {
    const canvas = new OffscreenCanvas(8, 8);
    const pen = canvas.getContext("2d");
    pen.drawImage(video, 0, 0, 8, 8);
    return Math.max(...pen.getImageData(0, 0, 8, 8).data.filter((_value, index) => index % 4 < 3));
  };
  document.querySelectorAll(".wn-video").forEach((video, which) => {
    const frame = (_now, one) => {
      seen.push({ what: "frame", which, at: one.expectedDisplayTime, media: one.mediaTime });
      video.requestVideoFrameCallback(frame);
    };
    video.requestVideoFrameCallback(frame);
    let front = video.classList.contains("wn-front");
    new MutationObserver(() => {
      const now = video.classList.contains("wn-front");
      const at = performance.now();
      const state = { ready: video.readyState, time: video.currentTime };
      if (now && !front) seen.push({ what: "front", which, at, ...state, light: brightness(video) });
      front = now;
    }).observe(video, { attributes: true, attributeFilter: ["class"] });
  });
}"""


def three_scenes(room: Room) -> None:
    room.begin()
    room.ask()
    room.draw(words="It rains on the meadow.")
    room.ask()
    room.draw(words="The sun sets and it is night.")
    room.page.wait_for_timeout(2500)  # the new scene has played by itself


@pytest.mark.full
def test_a_film_without_a_gap(painter: Server, open_room: OpenRoom, tmp_path: Path) -> None:
    room = open_room(painter)
    page = room.page
    three_scenes(room)
    keep(room, "film")
    page.evaluate(WATCH)
    captions = room.play_through()
    assert captions[:3] == [room.sayings.begin, "It rains on the meadow.", "The sun sets and it is night."]
    seen: list[dict[str, Any]] = page.evaluate("window.seen")
    late = max(page.evaluate("window.late"))
    changes = [one for one in seen if one["what"] == "front"]
    assert len(changes) >= 3
    for change in changes[-2:]:
        # never black, never empty, and at its beginning
        assert change["ready"] >= 2 and change["light"] > 100 and change["time"] < 0.2, change
        before = [
            one
            for one in seen
            if one["what"] == "frame" and one["which"] != change["which"] and one["at"] < change["at"] + 20
            if one["media"] > 0  # behind the other it is wound back at once
        ]
        last = before[-1]
        assert last["media"] == pytest.approx(2.0, abs=0.01), "up to its very last picture"
        assert abs(change["at"] - last["at"] - PICTURE) < GAP + late, (change, last, late)

    # what of a scene can be taken along, under names that say what it is
    saved: dict[str, Path] = {}
    for part, name in (
        ("The clip", "scene 3.mp4"),
        ("The last picture", "scene 3, last picture.png"),
        ("The words", "scene 3.txt"),
    ):
        page.locator(".wn-pop summary", has_text="Save").click()
        with page.expect_download() as download:
            page.locator(".wn-save-part", has_text=part).click()
        assert download.value.suggested_filename.endswith(name)
        saved[part] = tmp_path / name
        download.value.save_as(saved[part])
    with av.open(saved["The clip"]) as container:
        assert sum(1 for _ in container.decode(video=0)) == 17
    picture = np.asarray(Image.open(saved["The last picture"]))
    assert picture.shape == (96, 160, 3)
    assert saved["The words"].read_text() == "The sun sets and it is night.\n"

    # the recipe: read, copied without asking the browser's leave, drawn again, still known after a refresh
    page.get_by_role("button", name="Recipe", exact=True).click()
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Copy the recipe").click()
    recipe = json.loads(page.evaluate("getSelection().toString()"))
    assert recipe["words"] == "The sun sets and it is night." and len(recipe["parents"]) == 2
    page.get_by_role("button", name="Draw it again exactly").click()
    page.wait_for_selector('.wn-redraw[data-verdict="equal"]', timeout=SLOW)
    page.reload()
    room.wait_ready()
    page.get_by_role("button", name="Recipe", exact=True).click()
    assert "bit for bit" in page.locator(".wn-redraw").inner_text()
    keep(room, "recipe")


@pytest.mark.full
def test_the_film_by_keyboard_and_bar(painter: Server, open_room: OpenRoom) -> None:
    room = open_room(painter)
    page = room.page
    three_scenes(room)
    bar = page.get_by_role("slider", name="Scenes of the film")
    caption = page.locator(".wn-caption")

    # from here, paused and continued, scene by scene with the arrows
    room.go_to(2)
    page.get_by_role("button", name="Play from here").click()
    page.wait_for_selector(".wn-playing")
    assert caption.inner_text() == "It rains on the meadow."
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press(" ")
    page.wait_for_selector(".wn-paused")
    at = page.evaluate("document.querySelector('.wn-video.wn-front').currentTime")
    page.wait_for_timeout(400)
    assert page.evaluate("document.querySelector('.wn-video.wn-front').currentTime") == at
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.wn-caption').textContent.includes('night')")
    assert page.locator(".wn-paused").count(), "walking does not set it off"
    page.keyboard.press("f")
    page.wait_for_selector(".wn-whole")
    page.keyboard.press(" ")
    page.wait_for_selector(".wn-playing")
    keep(room, "whole-screen")
    page.keyboard.press("Escape")  # first the screen, then the film
    page.wait_for_selector(".wn-stage:not(.wn-whole)")
    page.keyboard.press("Escape")
    page.wait_for_selector(".wn:not(.wn-playing):not(.wn-paused)")
    assert caption.inner_text() == "It rains on the meadow.", "back at the scene that is open"

    # a press in the middle of the first piece of the bar
    piece = page.locator(".wn-film-scene").first.bounding_box()
    assert piece is not None
    page.mouse.click(piece["x"] + piece["width"] * 0.6, piece["y"] + piece["height"] / 2)
    page.wait_for_selector(".wn-playing")
    page.wait_for_function("document.querySelector('.wn-video.wn-front')?.currentTime > 1")
    assert caption.inner_text() == room.sayings.begin
    bar.focus()
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('.wn-caption').textContent.includes('night')")
    assert bar.get_attribute("aria-valuenow") == "3" and bar.get_attribute("aria-valuemax") == "3"


@pytest.mark.full
def test_a_drifted_scene_says_so_and_is_drawn_afresh(painter: Server, open_room: OpenRoom) -> None:
    room = open_room(painter)
    page = room.page
    room.begin()
    room.ask()
    room.draw(words="It rains on a worn page.")
    page.locator(".wn-drift").click()
    card = page.locator(".wn-drift-card")
    assert "has drifted" in card.inner_text() and page.locator(".wn-drift-row[data-beyond]").count() >= 1
    keep(room, "drift")
    page.get_by_role("button", name="With the look of scene 1 again").click()
    page.wait_for_selector(".wn-takes-list > li:nth-child(2)", timeout=SLOW)
    room.ask()
    assert page.get_by_label("Take up the look of scene 1 again").is_visible()
    page.get_by_label("Take up the look of scene 1 again").check()
    assert page.locator("#wn-cut").is_checked()
    room.draw(words="A blue ball rolls by.")
    page.wait_for_selector('.wn-drift[data-state="steady"]', timeout=SLOW)
