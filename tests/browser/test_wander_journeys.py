"""Wandering in Chromium: the map with the keyboard, telling the rest again, undo after a restart, the things thrown
away, two pages on one story. Runs against the fake painter."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app.settings import Settings
from app.store import open_store
from app.store.models import SceneRow
from app.store.stories import Stories
from app.store.takes import NewTake
from tests.browser.conftest import Server
from tests.browser.room import SLOW, Room
from tests.browser.test_journeys import keep

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

OpenRoom = Callable[..., Room]
BEGIN = "It is day on the meadow. A red ball lies on the left."
WORDS = ("The ball rolls to the right.", "It rains on the meadow.", "The sun sets. A star shines over the hill.")


def stories_of(server: Server) -> Stories:
    store = open_store(Settings(data_dir=server.data))
    return store.stories(store.local_owner())


def told(server: Server, *words: str) -> str:
    """A story that is there already, drawn with a picture for a clip; returns its id."""
    stories = stories_of(server)
    story = stories.create_story("A ball on the meadow")
    scene = stories.begin_scene(story.id, BEGIN)
    for number, line in enumerate((BEGIN, *words)):
        if number:
            scene = stories.add_scene(scene.id, line)
        picture_of(stories, scene.id, number)
    stories.database.close()
    return story.id


def picture_of(stories: Stories, scene_id: str, number: int) -> None:
    from nsp_core.media import save_frames, write_clip, write_png
    from tests.browser.painter import paint

    frames = paint(WORDS[number % len(WORDS)], number)
    make = stories.media.make
    files: Any = {
        "frames": make("npz", lambda path: save_frames(path, frames, 8)),
        "clip": make("mp4", lambda path: write_clip(path, frames, 8)),
        "first_frame": make("png", lambda path: write_png(path, frames[0])),
        "last_frame": make("png", lambda path: write_png(path, frames[-1])),
        "thumb": make("png", lambda path: write_png(path, frames[8])),
    }
    stories.add_take(scene_id, NewTake("drawn", 160, 96, 17, 8, files))


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.getAttribute('aria-label') || ''"))


def undo_says(page: Page) -> str:
    return page.locator('[data-undo="undo"]').get_attribute("aria-label") or ""


@pytest.mark.full
def test_telling_the_rest_again_and_undo_after_a_restart(own_painter: Server, open_room: OpenRoom) -> None:
    story = told(own_painter, *WORDS)
    room = open_room(own_painter, f"&story={story}")
    page = room.page
    assert room.scenes() == [BEGIN, *WORDS]
    room.go_to(2)
    page.locator(".wn-retell summary").click()
    page.locator("#wn-retell-rest").fill("A blue ball rolls to the left.")
    keep(room, "retell")
    page.get_by_role("button", name="Tell it again from here").click()
    page.wait_for_selector(".wn-retelling:not([hidden])", timeout=SLOW)
    assert page.locator(".wn-retelling .wn-alone-text").inner_text().startswith("Retelling, scene ")
    page.wait_for_selector(".wn-retelling", state="hidden", timeout=3 * SLOW)
    again = [BEGIN, "A blue ball rolls to the left.", *WORDS[1:]]
    assert room.scenes() == again and page.locator(".wn-card img").count() == 4
    assert undo_says(page) == "Undo: the retelling from scene 2 on"

    # the program is closed and started again: what was done last can still be taken back
    address = page.url
    own_painter.restart()
    page.goto(address)
    room.wait_ready()
    assert undo_says(page) == "Undo: the retelling from scene 2 on"
    page.keyboard.press("Control+z")
    page.wait_for_selector('[data-undo="redo"]:not([disabled])', timeout=SLOW)
    assert room.scenes() == [BEGIN, *WORDS]
    page.keyboard.press("Control+Shift+z")
    page.wait_for_selector('[data-undo="redo"][disabled]', timeout=SLOW)
    assert room.scenes() == again

    # the map, with the keyboard alone
    page.keyboard.press("m")
    page.wait_for_selector(".wn-map-node", timeout=SLOW)
    keep(room, "map")
    assert page.get_by_role("tree").get_by_role("treeitem").count() == 7
    assert focused(page).startswith("Scene 2: A blue ball rolls to the left. 1 take, you are here")
    page.keyboard.press("ArrowUp")
    assert focused(page).startswith(f"Scene 2: {WORDS[0]}")
    page.keyboard.press("ArrowRight")
    assert focused(page).startswith(f"Scene 3: {WORDS[1]}")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert focused(page).startswith(f"Scene 1: {BEGIN}")
    page.keyboard.press("End")
    assert focused(page).startswith("Scene 4: "), "the end of the way that is shown"
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_selector('.wn-cards li:nth-child(2) [aria-current="true"]', timeout=SLOW)
    page.wait_for_function(f"document.querySelectorAll('.wn-card-words')[1].textContent === {WORDS[0]!r}")
    assert room.scenes() == [BEGIN, *WORDS] and not page.locator(".wn-drawer[open]").count()


@pytest.mark.full
def test_thrown_away_brought_back_erased(painter: Server, open_room: OpenRoom) -> None:
    story = told(painter, *WORDS)
    stories = stories_of(painter)
    stories.trash_scene(next(scene.id for scene in stories.tree(story) if scene.depth == 2))
    room = open_room(painter, f"&story={story}", width=390, height=844)
    page = room.page
    assert len(room.scenes()) == 2
    page.get_by_role("button", name="Thrown away").click()
    entry = page.locator(".wn-thrown")
    assert "and 1 scene that grows from it" in entry.inner_text(timeout=SLOW)
    keep(room, "thrown-away-phone")
    page.get_by_role("button", name="Bring back Scene 3").click()
    page.wait_for_selector('.wn-cards li:nth-child(3) [aria-current="true"]', timeout=SLOW)
    assert len(room.scenes()) == 4

    stories.trash_scene(next(scene.id for scene in stories.tree(story) if scene.depth == 2))
    page.reload()  # a page that has not seen what another one did may not erase
    room.wait_ready()
    page.get_by_role("button", name="Thrown away").click()
    page.get_by_role("button", name="Erase Scene 3 for good").click()
    sure = page.get_by_role("alertdialog")
    assert "2 scenes of “A ball on the meadow”" in sure.inner_text(timeout=SLOW)
    keep(room, "erase-phone")
    page.keyboard.press("Escape")
    sure.wait_for(state="detached", timeout=SLOW)
    assert entry.count() == 1, "nothing happens by accident"
    page.get_by_role("button", name="Erase Scene 3 for good").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Erase for good").click()
    page.get_by_text("Nothing of this story was thrown away.", exact=False).wait_for(timeout=SLOW)
    assert not stories.trashed_scenes(story)
    stories.database.close()


@pytest.mark.full
def test_two_pages_on_one_story(painter: Server, open_room: OpenRoom) -> None:
    story = told(painter, *WORDS[:1])
    mine, theirs = open_room(painter, f"&story={story}"), open_room(painter, f"&story={story}")
    for room, title in ((theirs, "From the other page"), (mine, "From this page")):
        field = room.page.get_by_label("Title of the story")
        field.fill(title)
        field.press("Enter")
        if room is theirs:
            room.page.wait_for_function("document.title.startsWith('From the other page')", timeout=SLOW)
    assert "changed in another window" in mine.notice()
    assert "From this page" in mine.page.locator(".wn-typed").inner_text(), "what was typed is not lost"
    assert mine.page.get_by_label("Title of the story").input_value() == "From the other page"
    keep(mine, "two-pages")
    mine.page.get_by_role("button", name="Do it all the same").click()
    mine.page.wait_for_function("document.title.startsWith('From this page')", timeout=SLOW)


@pytest.mark.full
def test_a_thousand_scenes_on_the_map(painter: Server, open_room: OpenRoom) -> None:
    story = thousand(painter)
    room = open_room(painter, f"&story={story}")
    page = room.page
    for _ in range(3):
        page.keyboard.press("m")
        page.wait_for_selector(".wn-map-node", timeout=SLOW)
        page.wait_for_function("performance.getEntriesByName('wn-map').length > 0", timeout=SLOW)
        assert page.get_by_role("treeitem").count() == 1000
        page.wait_for_timeout(1500)
        page.keyboard.press("Escape")
        # the browser closes a dialog a moment after the key, and an "m" that comes before that closes the map itself
        page.wait_for_selector(".wn-drawer", state="hidden", timeout=SLOW)
    boxes = page.evaluate(
        """() => {
        const seen = new Set();
        for (const node of document.querySelectorAll(".wn-map-node")) seen.add(node.style.transform);
        return seen.size;
    }"""
    )
    assert boxes in (0, 1000), "no scene lies on another"


def thousand(server: Server, scenes: int = 1000, branches: int = 200) -> str:
    stories = stories_of(server)
    story = stories.create_story("A thousand scenes")
    first = stories.begin_scene(story.id, BEGIN)
    draws = random.Random(1)
    ids, depth, count, tip = [first.id], {first.id: 0}, dict[str, int](), first.id
    starts = set(draws.sample(range(2, scenes), branches))
    with stories.database.transaction() as session:
        for number in range(1, scenes):
            parent = draws.choice(ids) if number in starts else tip
            row = SceneRow(story_id=story.id, parent_id=parent, depth=depth[parent] + 1, words=f"Scene {number}.")
            row.position = count.get(parent, 0)
            count[parent] = row.position + 1
            session.add(row)
            session.flush()
            depth[row.id], tip = depth[parent] + 1, row.id
            ids.append(row.id)
    stories.database.close()
    return story.id


@pytest.mark.full
def test_the_layout_of_a_thousand_scenes(open_room: OpenRoom, painter: Server) -> None:
    """No two scenes in one place, parents left of their children, no line across a scene."""
    source = Path(__file__).parents[2] / "app" / "pages" / "client" / "tree.js"
    draws = random.Random(7)
    scenes = [{"parent": -1}]
    for number in range(1, 1000):
        scenes.append({"parent": draws.randrange(number) if draws.random() < 0.2 else number - 1})
    page = open_room(painter).page
    laid = page.evaluate(
        "([source, scenes]) => { const { column, row, rows } = new Function(source + '; return layTree')()(scenes);"
        " return { column, row, rows }; }",
        [source.read_text(encoding="utf-8"), scenes],
    )
    column, row = laid["column"], laid["row"]
    places = set(zip(column, row, strict=True))
    assert len(places) == 1000
    for at, scene in enumerate(scenes):
        parent = scene["parent"]
        if parent < 0:
            continue
        assert column[at] == column[parent] + 1 and row[at] >= row[parent]
        between = {(column[parent], between) for between in range(row[parent] + 1, row[at] + 1)}
        assert not between & places, "the line down to a branch has its column for itself"
