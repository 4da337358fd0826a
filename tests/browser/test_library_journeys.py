"""The library as a person uses it: searching, duplicating, a story's bible, files and backups, erasing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.conftest import Server
from tests.browser.room import SLOW, Room

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


@pytest.mark.full
def test_a_story_is_found_described_copied_kept_and_erased(own_painter: Server, open_room: Callable[..., Room]) -> None:
    room = open_room(own_painter)
    page = room.page
    page.set_default_timeout(SLOW)
    room.begin()

    # about this story: kept when the field is left, still there after a reload, undone in place
    page.get_by_role("button", name="About", exact=True).click()
    cast = page.get_by_label("Who is in it")
    cast.fill("Milo <i>the</i> bear")
    cast.press("Tab")
    page.get_by_text("Kept.").wait_for()
    page.reload()
    room.wait_ready()
    page.get_by_role("button", name="About", exact=True).click()
    assert cast.input_value() == "Milo <i>the</i> bear"
    look = page.get_by_label("How it looks")
    look.fill("Ink")
    page.get_by_label("What it is about").focus()
    page.get_by_role("button", name="Undo", exact=True).click()
    page.get_by_text("As it was before.").wait_for()
    assert look.input_value() == ""
    page.keyboard.press("Escape")

    # searching as one types: words, then the bible; a hit leads to its scene
    page.get_by_role("button", name="All stories", exact=True).click()
    search = page.get_by_label("Search your stories")
    search.fill("Milo <i>")
    page.wait_for_selector(".wn-hit mark")
    assert page.locator(".wn-hit mark").first.inner_text() == "Milo"
    search.fill("RED ball")
    page.wait_for_function("document.querySelector('.wn-hit mark')?.textContent === 'red'")
    page.locator(".wn-hit", has_text="Scene 1").click()
    room.wait_for("rest")
    assert "scene=" in page.url

    # what was found waits for the way back; without a search the shelf is there; a copy, sorted by title
    page.get_by_role("button", name="All stories", exact=True).click()
    assert search.input_value() == "RED ball" and page.locator(".wn-hit").count() == 2
    search.fill("")
    page.wait_for_selector(".wn-books > li")
    page.locator(".wn-menu summary").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Duplicate").click()
    page.wait_for_function("document.querySelectorAll('.wn-books > li').length === 2")
    page.get_by_label("Sort by").select_option("title")
    page.wait_for_function(
        "document.querySelector('.wn-book-title').textContent && document.querySelector('#wn-sort').value === 'title'"
    )

    # a backup; the copy is thrown away and erased; the backup brings it back
    page.get_by_role("button", name="Your files").click()
    page.get_by_role("button", name="Make a backup").click()
    page.wait_for_selector(".wn-backup")
    page.keyboard.press("Escape")
    page.locator(".wn-books > li", has_text="Copy of").hover()
    page.locator(".wn-books > li", has_text="Copy of").get_by_role("button", name="Throw away").click()
    page.locator(".wn-trash summary").click()
    page.locator(".wn-trash").get_by_role("button", name="Erase").click()
    page.locator(".wn-sure").get_by_role("button", name="Erase for good").click()
    page.wait_for_function("!document.querySelector('.wn-trash')")
    assert page.locator(".wn-books > li").count() == 1
    page.get_by_role("button", name="Your files").click()
    page.get_by_role("button", name="Restore the backup").click()
    page.get_by_role("button", name="Go back to it").click()
    page.get_by_text("put aside").first.wait_for()
    page.keyboard.press("Escape")
    page.wait_for_function("document.querySelectorAll('.wn-books > li').length === 2")
