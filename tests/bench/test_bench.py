"""The bench runs and answers in its stable shape. No time is asserted: machines differ, and a busy one says nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import film, predict, shortcuts
from tests.bench.main import line_of, missing, row
from tests.bench.model import paired_ratio
from tests.bench.page import last_line

KEYS = {"what", "value", "unit", "peer", "peer_value", "ratio", "bar", "ok"}


@pytest.mark.full  # it starts five programs
@pytest.mark.timeout(900)
def test_the_bench_runs_and_prints_its_rows(root: Path, tmp_path: Path) -> None:
    from nsp_core.model.build import tiny_pipeline

    tiny_pipeline().save_pretrained(tmp_path / "tiny")
    command = [sys.executable, "-m", "tests.bench.main", "--quick", "--json", "--starter", str(tmp_path / "tiny")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])["rows"]
    assert all(set(each) == KEYS for each in rows)
    assert all(isinstance(each["ok"], bool) and each["bar"] > 0 for each in rows)
    measured = [each["what"] for each in rows if each["value"] is not None]
    for what in ("words and a finished clip, 2", "AVX2 only", "first preview", "most memory", "page ready", "cut reel"):
        assert any(what in each for each in measured), f"{what} is missing: {[each['what'] for each in rows]}"
    assert "(tiny)" in rows[0]["what"], "a row must say which model was timed"
    compared = next(each for each in rows if each["peer"] and "LTXPipeline" in each["peer"])
    assert compared["ratio"] == pytest.approx(compared["value"] / compared["peer_value"], rel=0.01)


def test_a_row_that_was_not_measured_is_not_ok() -> None:
    lost = missing("page ready", "s", 5.0, RuntimeError("it ended"))
    assert set(lost) == KEYS and lost["value"] is None and lost["ok"] is False and "it ended" in lost["what"]
    assert "MISS" in line_of(lost)
    assert row("a", 4.0, "s", bar=5.0)["ok"] is True
    assert row("a", 6.0, "s", bar=5.0)["ok"] is False
    assert row("a", 4.0, "s", bar=5.0, holds=False)["ok"] is False


def test_rows_of_the_big_pipeline_say_what_was_reached_and_what_was_not() -> None:
    same = [1.0, 1.0]
    timing = {"ours": same, "peer": [1.2, 1.2], "film": same, "peer_film": [1.2, 1.2], "long": same, "short": same}
    timing |= {"difference": 0.0, "gemm": 1e11, "flop": 5e10}
    held = {"ours": 1.0, "peer": 1.0, "long": 1.05, "short": 1.0}
    rows = predict.rows(row, timing, held)
    assert all(set(each) == KEYS for each in rows)
    assert "50% of a plain matrix product's rate" in rows[0]["what"]
    assert [each["ok"] for each in rows] == [True, False, True, True, True, True], "1.2 times as fast is not 1.3"
    rows = predict.rows(row, timing | {"difference": 0.1, "long": [1.3, 1.3]}, held | {"ours": 2.0, "long": 1.2})
    assert [each["ok"] for each in rows] == [True, False, False, False, False, False]


def test_rows_of_shortcuts_say_what_they_save_and_what_they_change() -> None:
    timing = {
        "model": "starter",
        "steps": 16,
        "seconds": {"": [4.0, 4.0], "first-block": [1.8, 1.8], "bf16": [2.5, 2.5], "taylor": [3.0, 3.0]},
    }
    timing["decibels"] = {"first-block": 31.04, "bf16": 50.0, "taylor": 28.0, "another seed": 14.0}
    rows = shortcuts.rows(row, timing)
    assert all(set(each) == KEYS for each in rows) and [each["ok"] for each in rows] == [True, False, False]
    assert "31.0 dB" in rows[0]["what"] and "14.0 dB" in rows[0]["what"] and rows[0]["ratio"] == 0.45


def test_ratios_are_of_neighbours() -> None:
    """A machine that grows slower during the run slows both down: the ratio stays."""
    ours, theirs = [1.0, 2.0, 4.0, 8.0, 3.0], [2.0, 4.0, 8.0, 16.0, 3.0]
    ratio, noise = paired_ratio(ours, theirs)
    assert ratio == 0.5 and 0 < noise < 0.5
    assert paired_ratio([1.0], [2.0]) == (0.5, 0.0)


def test_the_last_line_of_a_log_says_why() -> None:
    assert last_line("a\nTraceback\nNo model here.\n\n") == "No model here."
    assert last_line("") == "it ended without a word"


@pytest.mark.full  # trains, a little
@pytest.mark.timeout(900)
def test_the_bench_of_training_runs_and_all_loops_take_the_same_steps(root: Path) -> None:
    command = [sys.executable, "-m", "tests.bench.main", "train", "--quick", "--json"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])["rows"]
    assert [each["unit"] for each in rows] == ["s", "s", "", ""] and all(each["value"] is not None for each in rows)
    assert all(set(each) == KEYS for each in rows)


def test_a_training_loop_that_is_quick_at_another_loss_is_not_ok() -> None:
    from tests.bench.train import rows

    timed = {"model": "starter", "steps": 3, "waited": 0.01, "saved": 0.5, "losses": (0.5, 0.5)}
    timed |= {"ours": [1.0, 1.0], "plain": [1.1, 1.1], "bare": [4.0, 4.0]}
    assert [each["ok"] for each in rows(row, timed)] == [True, True, True, True]
    assert [each["ok"] for each in rows(row, {**timed, "losses": (0.5, 0.6)})][0] is False
    slow = {**timed, "ours": [2.0, 2.0], "waited": 0.2, "saved": 30.0}
    assert [each["ok"] for each in rows(row, slow)] == [False, False, False, False]


def test_rows_about_films_have_the_same_shape() -> None:
    slow, large = film.compared("film", 2.0, "peer", 1.0, 1.5), film.most("memory", 100.0, 200.0)
    assert set(slow) == set(large) == KEYS
    assert (slow["ratio"], slow["ok"], large["ok"]) == (2.0, False, True)


@pytest.mark.full  # a dozen programs, one after the other
@pytest.mark.timeout(900)
def test_films_are_measured() -> None:
    rows = list(film.rows(quick=True))
    assert len(rows) >= 10 and all(set(each) == KEYS and each["value"] > 0 for each in rows)
