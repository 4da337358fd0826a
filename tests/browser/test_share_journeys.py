"""A story is shared from the page: all that would be sent is seen first, then it is on a hub of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import Server, new_server, painted
from tests.browser.room import SLOW, Room
from tests.browser.test_journeys import keep
from tests.hub_upload import Hub, taking

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

OpenRoom = Callable[..., Room]


@pytest.fixture
def hub() -> Iterator[Hub]:
    with taking() as running:
        yield running


@pytest.fixture
def with_an_account(tmp_path: Path, hub: Hub) -> Iterator[Server]:
    environment = {
        **painted(),
        "HF_ENDPOINT": hub.url,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": "good",
    }
    made = new_server(tmp_path, environment)
    yield made
    made.stop()


@pytest.mark.full  # starts a page of its own
def test_a_page_is_looked_at_and_sent(with_an_account: Server, hub: Hub, open_room: OpenRoom) -> None:
    room = open_room(with_an_account)
    page = room.page
    room.begin()
    page.get_by_role("button", name="Cut the film").click()
    page.get_by_text("Beside the film").click()
    page.get_by_role("button", name="Share on the Hugging Face Hub").click()
    page.get_by_role("button", name="Show what would be sent").click()
    page.get_by_text("This is all that would be sent.").wait_for(timeout=SLOW)
    assert page.locator(".wn-share-files").inner_text().split()[0] == "README.md"
    assert room.sayings.begin in page.locator(".wn-share-words").inner_text()
    assert not hub.asked, "nothing leaves before somebody says so"
    keep(room, "share_looked_at")
    page.get_by_label("Name on the Hub").fill("my-ball")
    page.get_by_role("button", name="Send", exact=True).click()
    assert "only you" in page.locator(".wn-sure").inner_text()
    page.locator(".wn-sure").get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("It is there.").wait_for(timeout=SLOW)
    assert page.get_by_role("link", name="Open it on the Hub").get_attribute("href") == f"{hub.url}/spaces/me/my-ball"
    keep(room, "share_sent")
    repo = hub.of("space", "me/my-ball")
    assert repo.private and room.sayings.begin in repo.files["index.html"].decode()
