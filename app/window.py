"""A window of the story room's own: a Chromium browser without its bars, pywebview, or else a tab of the usual browser.

Knows nothing of stories. `show` returns when the window was closed; `close` closes it from another thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.presence import Presence

log = logging.getLogger(__name__)

SIZE = (1320, 900)
FIRST_PAGE = 30.0  # seconds that a browser may take until its page says that it is here
_LOOK = 0.2
# by rising distance from what people have anyway; all of them take --app
LINUX = (
    "google-chrome",
    "google-chrome-stable",
    "chromium",
    "chromium-browser",
    "microsoft-edge",
    "microsoft-edge-stable",
    "brave-browser",
)
WINDOWS = (
    ("msedge.exe", r"Microsoft\Edge\Application\msedge.exe"),
    ("chrome.exe", r"Google\Chrome\Application\chrome.exe"),
    ("brave.exe", r"BraveSoftware\Brave-Browser\Application\brave.exe"),
)
MACOS = ("Google Chrome", "Microsoft Edge", "Chromium", "Brave Browser")
NO_SCREEN = "There is no screen here to open a window on; the address above can be opened in any browser."
NO_BROWSER = (
    "No Chrome, Edge or Chromium was found for a window of its own (nor the package pywebview), so the page is opened "
    "in the usual browser; press Ctrl-C here to close the program."
)


@dataclass
class Window:
    """`folder` keeps what the browser remembers of this page: its size, day or night."""

    folder: Path
    presence: Presence
    over: threading.Event = field(default_factory=threading.Event)

    def show(self, link: str) -> str | None:
        """Open the page and wait until it is closed or `over`. A sentence when there can be no window."""
        if not has_screen():
            return NO_SCREEN
        for browser in browsers():
            if self._in_browser(browser, link):
                return None
        if self._in_webview(link):
            return None
        return NO_BROWSER

    def hand_over(self, link: str) -> None:
        """Another window of a program that runs already, which sees to it from now on."""
        for browser in browsers():
            with contextlib.suppress(OSError):
                subprocess.Popen(
                    self._command(browser, link),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
                return
        webbrowser.open(link)

    def _in_browser(self, browser: Path, link: str) -> bool:
        """Whether that browser had a window of ours, which is closed by now."""
        try:
            process = subprocess.Popen(
                self._command(browser, link),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            log.warning("%s could not be started (%s).", browser, error)
            return False
        try:
            return self._until_closed(process)
        finally:
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=10)

    def _command(self, browser: Path, link: str) -> list[str]:
        folder = own_folder(browser, self.folder)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return [
            str(browser),
            f"--app={link}",
            f"--user-data-dir={folder}",
            f"--window-size={SIZE[0]},{SIZE[1]}",
            "--no-first-run",
            "--no-default-browser-check",
            "--disable-background-mode",
        ]

    def _until_closed(self, process: subprocess.Popen[bytes]) -> bool:
        began = time.monotonic()
        while not self.over.wait(_LOOK):
            if self.presence.over:
                return True
            if process.poll() is None or self.presence.any_open:  # its windows may live on in a process of before
                continue
            if self.presence.seen:
                return True
            if process.returncode != 0 or time.monotonic() - began > FIRST_PAGE:
                log.warning("The browser ended with exit code %d before it showed the page.", process.returncode)
                return False
        return True

    def _in_webview(self, link: str) -> bool:
        """With pywebview, where that is installed. It wants the main thread."""
        try:
            import webview
        except ImportError:
            return False
        window = webview.create_window(document_title(), link, width=SIZE[0], height=SIZE[1], min_size=(360, 480))

        def watch() -> None:
            self.over.wait()
            with contextlib.suppress(Exception):  # it may be gone by then
                window.destroy()

        threading.Thread(target=watch, name="window", daemon=True).start()
        try:
            webview.start(private_mode=False, storage_path=str(self.folder))
        except Exception as error:  # whatever the system's web view lacks
            log.warning("pywebview has no window here (%s).", error)
            return False
        return True


def document_title() -> str:
    from app.catalogue import say

    return say("page.name")


def has_screen() -> bool:
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def browsers() -> Iterator[Path]:
    """Browsers of this machine that can show a page without their bars."""
    if sys.platform == "win32":
        yield from _on_windows()
    elif sys.platform == "darwin":
        for name in MACOS:
            for place in (Path("/Applications"), Path.home() / "Applications"):
                if (path := place / f"{name}.app" / "Contents" / "MacOS" / name).is_file():
                    yield path
    else:
        for name in LINUX:
            if found := shutil.which(name):
                yield Path(found)


def _on_windows() -> Iterator[Path]:
    seen = set()
    for name, usual in WINDOWS:
        places = [Path(root) / usual for root in map(os.environ.get, _PROGRAMS) if root]
        for path in [*filter(None, [_registered(name)]), *places]:
            if path.is_file() and path not in seen:
                seen.add(path)
                yield path


_PROGRAMS = ("ProgramFiles(x86)", "ProgramFiles", "LocalAppData")


def _registered(name: str) -> Path | None:
    """Where Windows itself knows that program to be."""
    if sys.platform != "win32":
        return None
    import winreg

    for root in (winreg.HKEY_CURRENT_USER, winreg.HKEY_LOCAL_MACHINE):
        try:
            key = rf"SOFTWARE\Microsoft\Windows\CurrentVersion\App Paths\{name}"
            return Path(winreg.QueryValue(root, key).strip('"'))
        except OSError:
            continue
    return None


def own_folder(browser: Path, folder: Path) -> Path:
    """A browser from a snap may write to no hidden folder, and the data folder lies in one."""
    of_ubuntu = browser.name == "chromium-browser" and Path("/snap/bin/chromium").exists()  # a script that calls it
    is_snap = of_ubuntu or "snap" in browser.parts or browser.resolve().name == "snap"
    return Path.home() / "snap" / "chromium" / "common" / "what-happens-next" if is_snap else folder
