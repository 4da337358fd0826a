"""The story room as a person uses it: what can be pressed and what can be seen, in the words of the page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

SLOW = 60_000  # milliseconds; a busy machine draws slowly


@dataclass(frozen=True)
class Sayings:
    begin: str
    steer: str
    words: str
    outside: str


@dataclass
class Room:
    page: Page
    address: str
    sayings: Sayings
    errors: list[str] = field(default_factory=list)
    visited: set[str] = field(default_factory=set)

    # seeing -----------------------------------------------------------------------------------------------------

    def wait_ready(self) -> None:
        self.page.wait_for_selector('.wn[data-ready="yes"]', timeout=SLOW)

    def wait_for(self, kind: str) -> None:
        """Until the side of the words is in that state: rest, thinking, choose, drawing, undrawn, offers."""
        self.page.wait_for_selector(f'.wn-words[data-kind="{kind}"]', timeout=SLOW)

    def scenes(self) -> list[str]:
        return self.page.locator(".wn-card .wn-card-words").all_inner_texts()

    def notice(self) -> str:
        self.page.wait_for_selector(".wn-notice:not([hidden])", timeout=SLOW)
        return self.page.locator(".wn-notice p").inner_text()

    def said(self) -> str:
        return self.page.locator(".wn-words .wn-said").inner_text()

    # doing ------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        self.page.get_by_label("Or say what can be seen").fill(self.sayings.begin)
        self.page.get_by_role("button", name="Begin with these words").click()
        self.wait_for("drawing")
        self.wait_for("rest")

    def ask(self, steer: str = "") -> list[str]:
        """What happens next? Returns the ways it could go."""
        if steer:
            self.page.locator("#wn-steer").fill(steer)
        self.page.get_by_role("button", name="What happens next?", exact=False).last.click()
        self.wait_for("choose")
        return self.page.locator(".wn-choice .wn-thought").all_inner_texts()

    def draw(self, way: int = 0, words: str = "") -> None:
        if way:
            self.page.locator(".wn-choice > div").nth(way).click()
        if words:
            self.page.locator("#wn-edit").fill(words)
        self.page.get_by_role("button", name="Draw it").click()
        self.wait_for("drawing")
        self.wait_for("rest")

    def go_to(self, number: int) -> None:
        card = self.page.locator(".wn-card").nth(number - 1)
        card.click()
        self.page.wait_for_selector(f'.wn-cards li:nth-child({number}) [aria-current="true"]', timeout=SLOW)

    def play_through(self) -> list[str]:
        """Play from the start to the end; returns the captions in the order they were shown."""
        caption = self.page.locator(".wn-caption")
        before = caption.inner_text()
        # the page itself takes them down: a test on a busy machine may look too seldom
        caption.evaluate(
            """node => {
                window.shownCaptions = [];
                const note = () => {
                    const all = window.shownCaptions, text = node.innerText;
                    if (document.querySelector(".wn-playing") && all[all.length - 1] !== text) all.push(text);
                };
                new MutationObserver(note).observe(node, { childList: true, characterData: true, subtree: true });
            }"""
        )
        self.page.get_by_role("button", name="Play from the start").click()
        self.page.wait_for_selector(".wn-playing", state="detached", timeout=SLOW)
        captions: list[str] = self.page.evaluate("window.shownCaptions")
        # on a slow machine the caption of the scene that was shown stays until the first one's film is there
        return captions[1:] if captions[:1] == [before] and before in captions[1:] else captions

    def picture(self, path: Path) -> None:
        self.page.wait_for_timeout(400)
        self.page.screenshot(path=str(path), full_page=True)
