"""A window of its own: which browser is found, when it counts as closed, and the starters to double-click."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app import window
from app.presence import Presence
from app.running import forget, remember, running
from app.settings import ROOT
from app.window import NO_BROWSER, NO_SCREEN, Window, browsers, own_folder

STARTERS = ROOT / "assets" / "desktop"
MakeBrowser = Callable[[str], Path]

posix = pytest.mark.skipif(sys.platform == "win32", reason="made of shell scripts")


@pytest.fixture
def make_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeBrowser:
    """The only browser of this machine: a script that notes what it was asked for and then does what the test says."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(sys, "platform", "linux")

    def make(does: str) -> Path:
        path = folder / "chromium"
        path.write_text(f'#!/bin/sh\nfor one in "$@"; do echo "$one"; done > {tmp_path}/asked\n{does}\n')
        path.chmod(0o755)
        return path

    return make


@posix
def test_a_chromium_shows_the_page_without_its_bars(tmp_path: Path, make_browser: MakeBrowser) -> None:
    path = make_browser("exec /bin/sleep 60")
    assert list(browsers()) == [path]
    over = threading.Event()
    threading.Timer(0.6, over.set).start()
    assert Window(tmp_path / "window", Presence(), over).show("http://127.0.0.1:1/?token=t") is None
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[:2] == ["--app=http://127.0.0.1:1/?token=t", f"--user-data-dir={tmp_path / 'window'}"]


@posix
def test_a_browser_that_cannot_start_gives_way_to_a_sentence(
    tmp_path: Path, make_browser: MakeBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_browser("exit 1")
    monkeypatch.setitem(sys.modules, "webview", None)
    assert Window(tmp_path / "window", Presence()).show("http://127.0.0.1:1/") == NO_BROWSER


def test_without_a_screen_there_is_no_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert Window(tmp_path, Presence()).show("http://127.0.0.1:1/") == NO_SCREEN


@posix
def test_a_window_of_a_process_of_before_counts_as_long_as_its_page_is_there(
    tmp_path: Path, make_browser: MakeBrowser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.presence.GRACE", 0.1)
    make_browser("exit 0")  # it handed the window over and is gone
    presence = Presence()

    async def visit() -> None:
        async for _ in presence.stay():
            await asyncio.sleep(0.8)
            return

    threading.Timer(0.3, lambda: asyncio.run(visit())).start()
    began = time.monotonic()
    assert Window(tmp_path / "window", presence).show("http://127.0.0.1:1/") is None
    assert 0.9 < time.monotonic() - began < 20


def test_a_page_that_is_loaded_anew_is_not_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.presence.GRACE", 0.2)
    presence = Presence()
    assert not presence.over and not presence.seen

    async def visits() -> None:
        first = presence.stay()
        assert await anext(first)
        assert presence.any_open and not presence.over
        await first.aclose()
        assert not presence.over  # it may come back
        again = presence.stay()
        assert await anext(again)
        time.sleep(0.3)
        assert not presence.over
        presence.close()
        with pytest.raises(StopAsyncIteration):
            await anext(again)

    asyncio.run(visits())
    time.sleep(0.3)
    assert presence.over


def test_a_note_of_a_program_that_is_gone_counts_for_nothing(tmp_path: Path) -> None:
    assert running(tmp_path, "token") is None
    remember(tmp_path, "http://127.0.0.1:9/")
    assert running(tmp_path, "token") is None
    forget(tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "page.json").write_text("{half")
    assert running(tmp_path, "token") is None


def test_a_browser_from_a_snap_keeps_its_things_where_it_may_write() -> None:
    data = Path("/home/somebody/.local/share/what-happens-next/window")
    assert own_folder(Path("/usr/bin/google-chrome-of-nobody"), data) == data
    assert own_folder(Path("/snap/bin/chromium"), data).parts[-4:-1] == ("snap", "chromium", "common")


def test_locks_and_forks_stay_in_one_file() -> None:
    """What only one system knows is in one place: the rest of the app runs on Windows, too."""
    only = re.compile(r"^\s*(?:import|from) (fcntl|msvcrt|pwd|grp|resource|termios)\b|\bos\.fork\b", re.MULTILINE)
    rooms = (path for room in ("app", "nsp_core") for path in (ROOT / room).rglob("*.py"))
    found = {str(path.relative_to(ROOT)) for path in rooms if only.search(path.read_text("utf-8"))}
    assert found <= {"nsp_core/locks.py", "app/process_limits.py"}, found


# starters ----------------------------------------------------------------------------------------------------------


def test_starters_start_the_window() -> None:
    for name in ("What happens next.bat", "What happens next.command", "What happens next.sh"):
        text = (STARTERS / name).read_bytes()
        assert b"launch.py --window" in text, name
        assert b"(3, 11)" in text and b"https://www.python.org/downloads/" in text, name
        crlf = text.count(b"\r\n")
        assert crlf == (text.count(b"\n") if name.endswith(".bat") else 0), f"{name}: line ends"
        assert text.isascii(), name


@posix
def test_starters_may_be_double_clicked() -> None:
    for name in ("What happens next.command", "What happens next.sh", "What happens next.desktop"):
        assert os.access(STARTERS / name, os.X_OK), f"{name} must be executable"
    listed = subprocess.run(["git", "ls-files", "-s", "assets/desktop"], cwd=ROOT, capture_output=True, text=True)
    modes = {line.split("\t")[1].strip('"'): line[:6] for line in listed.stdout.splitlines()}
    for name, mode in modes.items():
        assert mode == ("100755" if name.endswith((".command", ".sh", ".desktop")) else "100644"), name


@posix
@pytest.mark.parametrize("name", ["What happens next.sh", "What happens next.command"])
def test_a_starter_finds_its_checkout_and_a_python(tmp_path: Path, name: str) -> None:
    checkout = tmp_path / "a folder of $HOME & more"
    place = checkout / "assets" / "desktop"
    place.mkdir(parents=True)
    shutil.copy(STARTERS / name, place / name)
    (checkout / "launch.py").write_text("import os, sys; print(os.getcwd(), *sys.argv[1:])")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3").write_text("#!/bin/sh\nexit 1\n")  # too old
    (programs / "python3.12").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    for made in programs.iterdir():
        made.chmod(0o755)
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["sh", str(place / name)], cwd="/", env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{checkout.resolve()} --window"


@posix
@pytest.mark.parametrize("name", ["What happens next.sh", "What happens next.command"])
def test_a_starter_without_a_python_says_which_one_is_needed(tmp_path: Path, name: str) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in ("sh", "dirname", "readlink"):
        if found := shutil.which(tool):
            (programs / tool).symlink_to(found)
    environment = {"PATH": str(programs), "HOME": str(tmp_path)}
    text = (STARTERS / name).read_text().replace("/usr/local/bin", "/nowhere").replace("/opt/", "/nowhere/")
    place = tmp_path / "checkout" / "assets" / "desktop"
    place.mkdir(parents=True)
    (tmp_path / "checkout" / "launch.py").touch()
    (place / name).write_text(text)
    command = [str(shutil.which("sh")), str(place / name)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 1 and "Python 3.11 or newer is needed" in done.stderr


def test_browsers_of_other_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = tmp_path / "Microsoft" / "Edge" / "Application" / "msedge.exe"
    monkeypatch.setattr(window, "WINDOWS", (("msedge.exe", "Microsoft/Edge/Application/msedge.exe"),))
    monkeypatch.setattr(window, "_registered", lambda _name: None)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("ProgramFiles(x86)", str(tmp_path))
    assert edge not in list(browsers())
    edge.parent.mkdir(parents=True)
    edge.touch()
    assert edge in list(browsers())
