"""Sharing out rows: what a worker that dies, hangs or raises costs, and what does not depend on how many there are."""

from __future__ import annotations

import functools

import pytest

from tests.training.data_stages import die_once, hang, misbehave, number_rows
from training.data.engine import Stage, run_stage
from training.data.local import Inline, Local
from training.data.rows import Outcome, Row
from training.data.store import Result, Store


@pytest.fixture(scope="module")
def workers():
    executor = Local(2)
    yield executor
    executor.close()


def test_a_row_that_breaks_its_worker_is_marked_and_the_others_are_done(workers):
    stage = Stage("odd", "source", misbehave, "1", batch_size=4, max_retries=0, memory=2_000_000_000)
    rows = number_rows(14)
    found = {row.values["n"]: outcome for row, outcome, _ in run_stage(workers, stage, rows)}
    assert sorted(found) == list(range(14))
    reasons = {n: o.reason for n, o in found.items() if o.status == "failed"}
    assert set(reasons) == {2, 7, 9, 11}
    assert "SIGSEGV" in reasons[2]
    assert "ValueError: seven" in reasons[7]
    assert "memory" in reasons[9]
    assert "another number of rows" in reasons[11]
    assert all(found[n].values == {"twice": 2 * n} for n in set(range(14)) - set(reasons))


def test_a_row_without_an_end_is_ended(workers):
    stage = Stage("hangs", "source", hang, "1", timeout=2.0, max_retries=0)
    found = {row.values["n"]: outcome for row, outcome, _ in run_stage(workers, stage, number_rows(3))}
    assert [found[n].status for n in range(3)] == ["ok", "failed", "ok"]
    assert found[1].reason == "it took longer than 2 s in stage hangs"
    assert len(found) == 3


def test_a_row_is_tried_again_after_its_worker_died(workers, tmp_path):
    stage = Stage("dies", "source", functools.partial(die_once, folder=tmp_path), "1", max_retries=1)
    found = [(row.id, outcome.status) for row, outcome, _ in run_stage(workers, stage, number_rows(6))]
    assert sorted(found) == [(row.id, "ok") for row in number_rows(6)]
    assert (tmp_path / "died").exists()


def test_no_rows_need_no_worker():
    executor = Local(2)
    assert list(run_stage(executor, Stage("none", "source", misbehave, "1"), [])) == []
    assert executor._workers == []


def test_inline_gives_the_same_as_workers(workers):
    stage = Stage("odd", "source", misbehave, "1", batch_size=3)
    rows = [row for row in number_rows(13) if row.values["n"] not in (2, 7, 9, 11)]
    here = {row.id: outcome for row, outcome, _ in run_stage(Inline(), stage, rows)}
    there = {row.id: outcome for row, outcome, _ in run_stage(workers, stage, rows)}
    assert here == there and len(here) == len(rows)


def test_the_store_gives_back_what_it_was_given(tmp_path):
    child = Row("c", "clip", "", {"start": 1.5})
    outcome = Outcome("missing", "nobody was asked", {"guess": "Füchse"}, (child,))
    first = Store(tmp_path / "state.db")
    first.put("caption", [Result("r", "k", outcome, "d", 0.25), Result("s", "k", Outcome(), "e", 0.0)])
    first.put("caption", [Result("s", "k2", Outcome("failed", "why"), "f", 0.0)])
    first.close()
    again = Store(tmp_path / "state.db")
    found = again.results("caption")
    again.close()
    assert found["r"] == Result("r", "k", outcome, "d", 0.25)
    assert (found["s"].key, found["s"].outcome.status) == ("k2", "failed")
    assert set(found) == {"r", "s"}
