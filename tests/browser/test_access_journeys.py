"""axe-core looks at every page and every drawer, by day and by night, wide and narrow: nothing serious may be found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT

from tests.browser.conftest import Server
from tests.browser.room import SLOW, Room
from tests.browser.test_begin_journeys import film, locked  # noqa: F401 (a fixture)
from tests.browser.test_journeys import keep

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

SERIOUS = ("serious", "critical")
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOKS = {
    "day": {"width": 1280, "height": 860},
    "night": {"width": 1280, "height": 860},
    "phone": {"width": 390, "height": 844},
}


def findings(page: Page, where: str) -> list[str]:
    """What axe calls serious or critical, one line a place."""
    page.wait_for_timeout(350)  # colours that still fade in have less contrast than they will have
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    options = {"runOnly": STANDARD, "resultTypes": ["violations"]}
    found: dict[str, Any] = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{where}: {rule['id']} ({rule['impact']}): {node['html'][:160]} {node['failureSummary'][:300]}"
        for rule in found["violations"]
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]


def places(room: Room, film_path: Path) -> Iterator[str]:
    """Walk through the whole app, stopping wherever it looks different."""
    page = room.page
    yield "first visit"
    page.set_input_files("#wn-file", str(film_path))
    page.get_by_role("slider", name="The part that is looked at").wait_for(timeout=SLOW)
    yield "the part of a film"
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.querySelector('dialog[open]')")
    room.begin()
    yield "a story of one scene"
    room.ask()
    yield "words to choose from"
    page.locator("#wn-takes-first").select_option("2")
    page.get_by_role("button", name="Draw it").click()
    page.wait_for_selector(".wn-take-coming", timeout=SLOW)
    yield "drawing"
    page.wait_for_selector('.wn-take[data-number="2"]', timeout=SLOW)
    page.wait_for_function("!document.querySelector('.wn-take-coming')", timeout=SLOW)
    yield "two takes"
    page.get_by_role("button", name="Compare").click()
    yield from drawer(room, "takes side by side")
    page.get_by_role("button", name="Recipe").first.click()
    yield from drawer(room, "a recipe")
    page.get_by_role("button", name="Throw take 1 away").click()
    room.notice()
    yield "a notice"
    for key, name in (("m", "the map"), ("b", "about the story"), ("?", "help")):
        page.keyboard.press(key)
        yield from drawer(room, name)
    page.get_by_role("button", name="All stories").last.click()
    page.wait_for_selector(".wn-books > li")
    yield "the shelf"
    page.locator(".wn-menu summary").first.press("Enter")
    yield "the menu of a story"
    page.keyboard.press("Escape")
    page.get_by_label("Search your stories").fill("red ball")
    page.wait_for_selector(".wn-hit mark")
    yield "what was found"
    page.get_by_role("button", name="Your files").click()
    yield from drawer(room, "your files")
    page.get_by_role("button", name="This computer").click()
    yield from drawer(room, "this computer")


def drawer(room: Room, name: str) -> Iterator[str]:
    room.page.wait_for_selector("dialog[open]", timeout=SLOW)
    yield name
    room.page.keyboard.press("Escape")
    # the focus leaves a closed dialog one frame later, and until then its keys are not those of the room
    room.page.wait_for_function(
        "() => !document.querySelector('dialog[open]') && !document.activeElement.closest('dialog')"
    )


@pytest.mark.full
@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_serious_anywhere(
    own_painter: Server, open_room: Callable[..., Room], tmp_path: Path, look: str
) -> None:
    room = open_room(own_painter, **LOOKS[look])
    if look == "night":
        room.page.emulate_media(color_scheme="dark")
    found = []
    seen = []
    for place in places(room, film(tmp_path / "film.mkv", "matroska")):
        keep(room, f"access-{look}-{len(seen):02d}")
        seen.append(place)
        found += findings(room.page, f"{place} ({look})")
        assert room.page.evaluate("document.documentElement.scrollWidth") <= LOOKS[look]["width"], place
    assert len(seen) >= 17 and not found, "\n".join(found)


@pytest.mark.full
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_where_one_may_not_enter(
    own_painter: Server,
    locked: Server,  # noqa: F811
    browser: Browser,
    scheme: str,
) -> None:
    for server, name in ((own_painter, "no token"), (locked, "a password")):
        page = browser.new_page(viewport=LOOKS["phone"], color_scheme=scheme)
        try:
            page.goto(server.address)
            assert page.get_by_role("heading", level=1).count() == 1
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            found = findings(page, f"{name} ({scheme})")
            assert not found, "\n".join(found)
        finally:
            page.close()


def test_axe_does_find_what_is_wrong(painter: Server, open_room: Callable[..., Room]) -> None:
    """So that silence above means something; and the first page, which is the one that everybody sees, is looked at
    in every run."""
    room = open_room(painter)
    assert not findings(room.page, "first visit")
    room.page.evaluate("document.querySelector('.wn h1').insertAdjacentHTML('afterend', '<button></button>')")
    assert any("button-name" in one for one in findings(room.page, "a button without a name"))
