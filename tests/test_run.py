"""The driver behind `launch.py test`: what it selects, and that CI does not pass with browser tests skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import run

SKIPPED_JOURNEY = """
import pytest

@pytest.mark.browser
def test_journey():
    pytest.skip("no Chromium")

def test_other():
    pass
"""


@pytest.mark.parametrize(
    ("full", "only", "expected"),
    [(False, "", ["-m", "not full"]), (True, "", []), (True, "1", ["-m", "full"])],
)
def test_full_adds_what_the_ordinary_run_leaves_out(
    full: bool, only: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHATNEXT_FULL_ONLY", only)
    assert run.selection(full) == expected


@pytest.mark.parametrize(("ci", "extra", "code"), [("true", [], 1), ("true", ["-n", "1"], 1), ("", [], 0)])
def test_a_skipped_browser_test_fails_in_ci(tmp_path: Path, ci: str, extra: list[str], code: int) -> None:
    (tmp_path / "test_journey.py").write_text(SKIPPED_JOURNEY)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-c", str(run.ROOT / "pyproject.toml")]
    done = subprocess.run(
        [*command, *extra, str(tmp_path / "test_journey.py")],
        cwd=run.ROOT,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout
    assert ("which CI does not allow" in done.stdout) == bool(code)


def test_linters_run_before_the_tests_and_any_failure_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def pretend(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command[2])
        return subprocess.CompletedProcess(command, 1 if command[2] == "mypy" else 0)

    monkeypatch.setattr(run, "provide_chromium", lambda: None)
    monkeypatch.setattr(subprocess, "run", pretend)
    assert run.main([]) == 1
    assert asked == ["ruff", "mypy", "pytest"]
    assert "failed: mypy" in capsys.readouterr().out

    asked.clear()
    assert run.main(["-k", "flow"]) == 0
    assert asked == ["pytest"]
