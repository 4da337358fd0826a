"""`python -m tests.browser.picture`: the picture of the page in the README, taken from the real page with the shipped
starter. Begins with an example, asks and draws twice, and saves what the room looks like then.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
from pathlib import Path

from PIL import Image

from app.settings import ROOT
from tests.browser.conftest import new_server
from tests.browser.room import Room, Sayings
from tests.conftest import CHROMIUM_OPTIONS
from tests.run import find_chromium

TARGET = ROOT / "assets" / "readme" / "page.webp"
WIDTH, HEIGHT = 1280, 850


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=TARGET)
    parser.add_argument("--example", type=int, default=2, help="which example to begin with, from 1")
    parser.add_argument("--way", type=int, default=1, help="which of the ways to draw, from 1")
    parser.add_argument("--steps", type=int, help="drawing steps; the model's own number when not given")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="whatnext-picture-") as folder:
        server = new_server(Path(folder), dict(os.environ), steps=options.steps)
        try:
            data = take(server.address, server.token, options.example - 1, options.way - 1)
        finally:
            server.stop()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(small(data))
    sys.stdout.write(f"{options.out}: {options.out.stat().st_size // 1000} kB\n")
    return 0


def take(address: str, token: str, example: int, way: int) -> bytes:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_OPTIONS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(f"{address}?token={token}")
        room = Room(page, address, Sayings("", "", "", ""))
        room.wait_ready()
        page.locator(".wn-example").nth(example).click()
        room.wait_for("rest")
        for _ in range(2):
            room.ask()
            room.draw(way)
        room.ask()
        # the scene has played, its last picture stands
        page.wait_for_function(
            "(() => { const film = document.querySelector('.wn-video.wn-front');"
            " return film && film.currentTime > 1 && film.paused; })()",
            timeout=60_000,
        )
        data = page.screenshot()
        browser.close()
    return data


def small(data: bytes) -> bytes:
    """A WebP: a screenshot of drawn pictures is a third as large as in PNG."""
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(out, "WEBP", quality=82, method=6)
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main())
