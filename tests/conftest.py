"""What every test may use, and the rule that CI does not pass with browser tests skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.run import QUIET, find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# `python -m pytest` alone must behave as `launch.py test` does; this runs before any test module is imported.
for name, value in QUIET.items():
    os.environ.setdefault(name, value)

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a camera that shows a green test picture; a page still has to ask for it
]

skipped_browser_tests: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A journey that waited in vain, as happens on a machine that others use, is walked once more; the report counts it
    ("rerun"), and a claim that fails stays failed."""
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=["TimeoutError"]))


class ByFile(LoadScopeScheduling):
    """Where tests run side by side (`-n 2`): those of one file together, for what they share, and all that drive
    Chromium one after the other, for what they wait for. (xdist's own `loadgroup` names groups in a way that pytest 9.2
    no longer reads: it dealt out single tests, and journeys met.)"""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "browser" if file.startswith("tests/browser/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, one for the whole run; a test opens its own context or page in it."""
    executable = find_chromium()
    if executable is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_OPTIONS)
        yield chromium
        chromium.close()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and "browser" in report.keywords and not hasattr(report, "wasxfail"):
        skipped_browser_tests.append(report.nodeid)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if os.environ.get("CI") == "true" and skipped_browser_tests and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if os.environ.get("CI") == "true" and skipped_browser_tests:
        terminalreporter.section("browser tests were skipped, which CI does not allow")
        for nodeid in skipped_browser_tests:
            terminalreporter.write_line(nodeid)
