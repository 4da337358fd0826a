"""Page and worker are killed at every named place: no story is lost, at most the take in progress, and no half file.

Here the worker dies, in test_kills_page.py the page. A few deaths in every run, all of them with --full. A new place
needs an entry in one of the lists.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import killpoints
from app.director import Director
from app.settings import ROOT
from tests.app.dying import DEAD, PATIENCE, Death, Nursery, assert_kept, assert_sound, names, rows_of
from tests.app.furnished import describe, draw, ended, load, the_story, think, until

WORKER_DEATHS: list[tuple[str, Callable[[Director], str]]] = [
    ("media.made", draw),
    ("media.made@5", draw),
    ("media.written", draw),
    ("media.synced@2", draw),
    ("media.renamed", draw),
    ("media.renamed@4", draw),  # between two files of a take
    ("media.renamed@5", draw),
    ("rows.written@3", draw),
    ("rows.written@9", draw),
    ("rows.committed@4", draw),
    ("rows.committed@8", think),
    ("job.claiming", draw),
    ("job.claimed", draw),
    ("job.progress", draw),
    ("job.progress@2", think),
    ("job.progress@3", describe),
    ("job.finishing", draw),
    ("job.finishing", think),
    ("job.finishing", describe),
    ("job.finishing", load),
    ("job.taking_over", draw),
    ("worker.registered", draw),
    ("model.loading", load),
    ("model.loaded", draw),
    ("describe.read", describe),
    ("describe.kept", describe),
    ("describe.linked", describe),
    ("media.renamed@3", describe),
    ("think.word", think),
    ("think.word@7", think),
    ("think.worded", think),
    ("draw.step@3", draw),
    ("draw.decoded", draw),
    ("draw.kept", draw),
    ("take.number", draw),
    ("take.linked", draw),
    ("take.added", draw),
    ("preview.written", draw),
    ("preview.renamed", draw),
]
QUICK_WORKER_DEATHS = [
    ("media.renamed@4", draw),
    ("job.claiming", draw),
    ("draw.step@3", draw),
    ("take.linked", draw),
    ("think.word", think),
    ("describe.kept", describe),
]


def a_worker_dies(
    at: str, ask: Callable[[Director], str], nursery: Nursery, open_furnished: Callable[[], Director], tmp_path: Path
) -> None:
    """The page stays open: it sees the death, starts another worker, and the work is done once."""
    nursery.death = Death(at, tmp_path / "died")
    director = open_furnished()
    before = rows_of(director.settings)
    job = ended(director, ask(director))
    assert nursery.death.happened, f"nobody came by {at}"
    assert nursery.born[0].wait(PATIENCE) == DEAD
    assert job.status == "done", job.error
    director.shutdown()
    after = rows_of(director.settings)
    assert_kept(before, after)
    made = [row for row_id, row in after["take"].items() if row_id not in before["take"]]
    assert len(made) == (1 if job.kind == "draw" else 0), "the take in progress, and once"
    assert_sound(director.settings)


@pytest.mark.parametrize(("at", "ask"), QUICK_WORKER_DEATHS, ids=names(QUICK_WORKER_DEATHS))
def test_a_worker_dies(
    at: str, ask: Any, nursery: Nursery, open_furnished: Callable[[], Director], tmp_path: Path
) -> None:
    a_worker_dies(at, ask, nursery, open_furnished, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize(("at", "ask"), WORKER_DEATHS, ids=names(WORKER_DEATHS))
def test_a_worker_dies_anywhere(
    at: str, ask: Any, nursery: Nursery, open_furnished: Callable[[], Director], tmp_path: Path
) -> None:
    a_worker_dies(at, ask, nursery, open_furnished, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("at", ["alone.went_on", "alone.went_on@2", "alone.went_on@3"])
def test_a_worker_dies_while_a_story_goes_on_by_itself(
    at: str, nursery: Nursery, open_furnished: Callable[[], Director], tmp_path: Path
) -> None:
    """A chain of jobs is not torn: two scenes come of it, each drawn once."""
    nursery.death = Death(at, tmp_path / "died")
    director = open_furnished()
    before = rows_of(director.settings)
    owner, _, path = the_story(director)
    director.submit_alone(owner, path[-1].id, scenes=2)
    until(lambda: not director.store.jobs.recent(open_only=True), "the end of the chain")
    assert nursery.death.happened
    director.shutdown()
    after = rows_of(director.settings)
    assert_kept(before, after)
    assert len(after["scene"]) == len(before["scene"]) + 2 and len(after["take"]) == len(before["take"]) + 2
    assert_sound(director.settings)


# the list of places -------------------------------------------------------------------------------------------------


def places_in_code() -> list[str]:
    found = []
    for path in sorted((ROOT / "app").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "reached":
                constants = [each.value for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant)]
                assert all(isinstance(each, str) for each in constants)
                found += constants
    return found


def test_every_place_is_in_the_program_once() -> None:
    assert sorted(places_in_code()) == sorted(killpoints.POINTS), "app.killpoints names every place, each is there once"
    assert len(killpoints.POINTS) >= 30


def test_somebody_dies_at_every_place() -> None:
    """What the parametrised tests name, read from their text."""
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_kills*.py"))
    missed = [point for point in killpoints.POINTS if not re.search(rf'"{re.escape(point)}(@\d+)?"', text)]
    assert not missed, f"nobody dies at {missed}: add a test that does"


def test_nobody_dies_unasked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for point in killpoints.POINTS:
        killpoints.reached(point)
    monkeypatch.setenv(killpoints.AT, "job.claimed@2")
    monkeypatch.setenv(killpoints.MARK, str(tmp_path / "died"))
    (tmp_path / "died").touch()
    for _ in range(3):
        killpoints.reached("job.claimed")  # somebody has died there already
        killpoints.reached("job.claiming")
