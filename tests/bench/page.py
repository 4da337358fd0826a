"""How long the page takes from the command to its first answer: started as a person starts it, asked until it answers.

The page runs without a browser, in a temporary data folder, and is ended with the signal that its terminal would send.
"""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import URLError
from urllib.request import HTTPCookieProcessor, build_opener

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0


class PageDidNotStart(RuntimeError):
    pass


def seconds_until_ready() -> float:
    with tempfile.TemporaryDirectory(prefix="whatnext-bench-") as folder:
        log = Path(folder) / "page.log"
        began = time.perf_counter()
        page = start(Path(folder) / "data", log)
        try:
            link = wait_for_link(page, log, began)
            wait_for_page(link, page, log, began)
            return time.perf_counter() - began
        finally:
            end(page)


def start(data: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "app.main", "--no-browser", "--port", str(free_port()), "--data-dir", str(data)]
    with log.open("wb") as output:
        return subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)


def wait_for_link(page: subprocess.Popen[bytes], log: Path, began: float) -> str:
    """The address with its token, as it is printed for the person."""
    while time.perf_counter() - began < PATIENCE:
        text = log.read_text(encoding="utf-8", errors="replace")
        if found := re.search(r"https?://\S+", text[text.find("is open") :] if "is open" in text else ""):
            return found.group()
        if page.poll() is not None:
            raise PageDidNotStart(last_line(text))
        time.sleep(0.02)
    raise PageDidNotStart(f"no address was printed within {PATIENCE:.0f} s")


def wait_for_page(link: str, page: subprocess.Popen[bytes], log: Path, began: float) -> None:
    opener = build_opener(HTTPCookieProcessor(CookieJar()))  # the token becomes a cookie at the first visit
    while time.perf_counter() - began < PATIENCE:
        try:
            with opener.open(link, timeout=10) as answer:
                if answer.status == 200 and answer.read(1):
                    return
        except (URLError, OSError):
            if page.poll() is not None:
                raise PageDidNotStart(last_line(log.read_text(errors="replace"))) from None
        time.sleep(0.05)
    raise PageDidNotStart(f"the page did not answer within {PATIENCE:.0f} s")


def end(page: subprocess.Popen[bytes]) -> None:
    if page.poll() is None:
        page.send_signal(signal.SIGTERM)
        try:
            page.wait(timeout=30)
        except subprocess.TimeoutExpired:
            page.kill()
            page.wait()


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it ended without a word"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
