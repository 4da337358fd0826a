"""What is noted of choices, in Chromium: seen, taken along, switched off, erased."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.conftest import Server
from tests.browser.room import SLOW, Room
from tests.browser.test_journeys import keep

pytestmark = [pytest.mark.browser, pytest.mark.full, pytest.mark.timeout(240)]


def test_choices_are_seen_taken_along_and_erased(
    own_painter: Server, open_room: Callable[..., Room], tmp_path: Path
) -> None:
    room = open_room(own_painter)
    page = room.page
    room.begin()
    offered = room.ask()
    room.draw(way=1)
    page.keyboard.press("?")
    page.get_by_text("1 idea kept", exact=False).wait_for(timeout=SLOW)
    page.get_by_text("Show what is noted").click()
    assert offered[1] in page.locator(".wn-noted").first.inner_text()
    keep(room, "choices")
    with page.expect_download() as download:
        page.get_by_role("link", name="Take them along").click()
    download.value.save_as(tmp_path / "choices.zip")
    assert "choices.jsonl" in zipfile.ZipFile(tmp_path / "choices.zip").namelist()
    assert page.get_by_label("Note my choices").is_checked()
    page.get_by_label("Note my choices").uncheck()
    page.get_by_role("button", name="Erase all").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Erase for good").click()
    page.get_by_text("Nothing is noted.").wait_for(timeout=SLOW)
    assert not page.get_by_label("Note my choices").is_checked()
