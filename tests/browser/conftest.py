"""The page as people start it, `python -m app.main`, and a browser in front of it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from app.settings import ROOT, STARTER
from tests.browser.room import Room, Sayings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

START_SECONDS = 120  # a busy machine
STEPS = 4

PAINTER = Sayings(
    begin="It is day on the meadow. A red ball lies on the left.",
    steer="make it rain",
    words="The sun sets over the meadow.",
    outside="a dragon lands on the castle",
)


@dataclass
class Server:
    """One program on one port and one data folder; may be stopped and started again."""

    data: Path
    port: int
    environment: dict[str, str]
    steps: int | None = STEPS
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.data.parent / "page.log"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def token(self) -> str:
        return (self.data / "token").read_text()

    def start(self) -> None:
        command = [sys.executable, "-m", "app.main", "--port", str(self.port), "--data-dir", str(self.data)]
        command += ["--no-browser", *(["--steps", str(self.steps)] if self.steps else [])]
        before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **self.environment}, stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_SECONDS
        while b"The story room is open" not in self.log.read_bytes()[before:]:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise AssertionError(f"the page did not start: {self.log.read_text()}")
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(timeout=30)
        self.process = None

    def restart(self, number: int = signal.SIGTERM) -> None:
        self.stop(number)
        self.start()


def starter_is_there() -> bool:
    return (STARTER / "model_index.json").is_file()


def painted() -> dict[str, str]:
    return {"WHATNEXT_PREDICTOR": "tests.browser.painter:load", "WHATNEXT_MODEL": "{}"}


def new_server(folder: Path, environment: dict[str, str], *, steps: int | None = STEPS) -> Server:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        made = Server(folder / "data", int(probe.getsockname()[1]), environment, steps)
    made.start()
    return made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A program of the test's own with the shipped starter, or a fake that paints while there is none: a journey must
    hold with both."""
    made = new_server(tmp_path, {} if starter_is_there() else painted())
    yield made
    made.stop()


@pytest.fixture(scope="session")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The fake, whatever is shipped, one for all tests that neither stop it nor mind the stories of the others."""
    made = new_server(tmp_path_factory.mktemp("painter"), painted())
    yield made
    made.stop()


@pytest.fixture
def own_painter(tmp_path: Path) -> Iterator[Server]:
    """The fake, for tests that stop and start it."""
    made = new_server(tmp_path, painted())
    yield made
    made.stop()


@pytest.fixture
def sayings() -> Sayings:
    """Words that the model behind `server` knows, and some that it does not."""
    if not starter_is_there():
        return PAINTER
    return Sayings(
        begin="It is a clear day at the shore. A yellow egg is on the left. A purple seed is on the right.",
        steer="make it rain",
        words="It starts to rain all over the quiet land.",
        outside="a dragon lands on the castle",
    )


@pytest.fixture
def open_room(browser: Browser) -> Iterator[Callable[..., Room]]:
    """Open the page in a fresh browser context. What goes wrong in its scripts fails the test."""
    contexts = []
    rooms: list[Room] = []

    def open_(
        server: Server, path: str = "", *, width: int = 1280, height: int = 860, sayings: Sayings = PAINTER
    ) -> Room:
        context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True)
        contexts.append(context)
        page = context.new_page()
        room = Room(page, server.address, sayings)
        rooms.append(room)
        page.on("pageerror", lambda error: room.errors.append(str(error)))
        page.on("request", lambda request: room.visited.add(re.sub(r"^(\w+://[^/]+).*", r"\1/", request.url)))
        page.goto(f"{server.address}?token={server.token}{path}")
        room.wait_ready()
        return room

    yield open_
    for context in contexts:
        context.close()
    for room in rooms:
        assert not room.errors, room.errors
        away = {origin for origin in room.visited if not origin.startswith(("data:", "blob:"))}
        assert away <= {room.address}, away  # nothing is ever asked of anybody else
