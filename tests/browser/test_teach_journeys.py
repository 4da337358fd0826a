"""A journey: clips are dropped, corrected and learnt from, and stories are drawn with what came of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import Server, new_server, painted
from tests.browser.room import SLOW, Room
from tests.browser.test_journeys import keep

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

OpenRoom = Callable[..., Room]
DROP = """([names, data]) => {
    const transfer = new DataTransfer();
    for (const name of names) {
        const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
        transfer.items.add(new File([bytes], name, { type: "video/mp4" }));
    }
    const area = document.querySelector(".wn-teach-drop");
    for (const kind of ["dragenter", "dragover", "drop"]) {
        area.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }
}"""


@pytest.fixture
def with_a_teacher(tmp_path: Path) -> Iterator[Server]:
    made = new_server(tmp_path, {**painted(), "WHATNEXT_TEACHER": "tests.app.fake_teach"})
    yield made
    made.stop()


@pytest.mark.full  # starts a page of its own, twice
def test_a_world_is_taught(with_a_teacher: Server, open_room: OpenRoom) -> None:
    room = open_room(with_a_teacher, height=1300)
    page = room.page
    page.get_by_role("button", name="Teach", exact=True).click()
    page.get_by_label("What is it about?").fill("Bruno slowly")
    page.get_by_text("Nothing leaves this computer.").wait_for(timeout=SLOW)
    keep(room, "teach_new")
    page.evaluate(DROP, [["garden.mp4", "lake.mp4", "sofa.mp4", "street.mp4"], base64.b64encode(b"x" * 200).decode()])
    look = page.get_by_role("button", name="Look at the clips", exact=True)
    look.wait_for(timeout=SLOW)
    page.wait_for_function("document.querySelectorAll('.wn-teach-files li').length === 4", timeout=SLOW)
    assert not page.locator(".wn-card").count(), "no story begins with what is dropped here"
    keep(room, "teach_brought")
    look.click()
    words = page.get_by_label("lake.mp4", exact=True)
    words.wait_for(timeout=SLOW)
    words.fill("Bruno jumps into the lake.")
    page.get_by_label("Name (Bruno)").first.fill("Bruno")
    page.get_by_label("Who or what (my dog)").first.fill("my dog")
    page.get_by_role("button", name="Leave out sofa.mp4").click()
    page.get_by_text("You changed something since this was counted.").wait_for(timeout=SLOW)
    page.get_by_role("button", name="Put back sofa.mp4").wait_for(timeout=SLOW)
    lesson = with_a_teacher.data / "lessons" / "bruno-slowly"
    said = json.loads((lesson / "corrections.json").read_text())
    assert said == {"c1": {"caption": "Bruno jumps into the lake."}, "c2": {"keep": False}}
    keep(room, "teach_clips")
    page.get_by_role("button", name="Count again").click()
    page.get_by_text("1 clips are left out by hand.").wait_for(timeout=SLOW)

    page.get_by_role("button", name="Start learning").click()
    page.get_by_text("Step 4 of 12").wait_for(timeout=SLOW)
    assert "now" in (page.locator("svg.wn-chart").get_attribute("aria-label") or "")
    keep(room, "teach_learning")
    room.page.reload()  # a closed tab: the lesson goes on, and is found again
    room.wait_ready()
    page.get_by_role("button", name="Teach", exact=True).click()
    page.get_by_text("Step 4 of 12").wait_for(timeout=SLOW)
    with_a_teacher.restart()  # a closed program: it pauses
    page.reload()
    room.wait_ready()
    page.get_by_role("button", name="Teach", exact=True).click()
    go_on = page.get_by_role("button", name="Go on learning")
    go_on.wait_for(timeout=SLOW)
    keep(room, "teach_paused")
    told = json.loads((lesson / "lesson.json").read_text())
    (lesson / "lesson.json").write_text(json.dumps({**told, "name": "Bruno"}))  # which does not wait to be paused
    go_on.click()
    page.get_by_role("button", name="Draw stories with it").wait_for(timeout=SLOW)
    assert page.locator("[data-part=previews] video").count() == 4  # his own, before, on the way, after
    keep(room, "teach_done")

    page.get_by_role("button", name="Draw stories with it").click()
    page.get_by_text("Stories are drawn with it now.").wait_for(timeout=SLOW)
    strength = page.get_by_role("slider", name="Strength")
    strength.fill("0.6")
    page.wait_for_function("document.querySelector('.wn-strength output').textContent === '0.60'", timeout=SLOW)
    page.get_by_text("strength 0.6.").wait_for(timeout=SLOW)
    assert (with_a_teacher.data / "adapter").read_text().strip().endswith("adapter=0.6")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="This computer").click()
    page.get_by_role("slider", name="Strength").wait_for(timeout=SLOW)
    keep(room, "teach_strength")
    page.get_by_role("button", name="Turn it off").click()
    page.get_by_text("drawn without").wait_for(timeout=SLOW)
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Teach", exact=True).click()
    page.get_by_role("button", name="Forget this lesson").click()
    page.locator(".wn-sure").get_by_role("button", name="Forget this lesson").click()
    page.get_by_label("What is it about?").wait_for(timeout=SLOW)
    assert not lesson.exists()


@pytest.mark.full
def test_on_a_small_screen(with_a_teacher: Server, open_room: OpenRoom) -> None:
    room = open_room(with_a_teacher, width=390, height=844)
    page = room.page
    page.get_by_role("button", name="Teach", exact=True).click()
    page.get_by_label("What is it about?").fill("Bruno")
    keep(room, "teach_small_new")
    page.evaluate(DROP, [["garden.mp4", "lake.mp4", "sofa.mp4"], base64.b64encode(b"x" * 200).decode()])
    page.get_by_role("button", name="Look at the clips", exact=True).click(timeout=SLOW)  # waits until all are there
    page.get_by_label("lake.mp4", exact=True).wait_for(timeout=SLOW)
    keep(room, "teach_small_clips")
    page.get_by_role("button", name="Start learning").click()
    page.get_by_role("button", name="Draw stories with it").wait_for(timeout=SLOW)
    keep(room, "teach_small_done")
    wide = page.evaluate("document.querySelector('.wn-drawer').scrollWidth - innerWidth")
    assert wide <= 0, "nothing sticks out at the side"
