"""Page and worker are killed at every named place: no story is lost, at most the take in progress, and no half file.

A few of them in every run, all of them with --full. A new place needs an entry in one of the lists below.
"""

from __future__ import annotations

import ast
import contextlib
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app import killpoints
from app.director import Director
from app.reel import ReelItem, export_reel
from app.security import lasting_token
from app.settings import ROOT, Settings
from app.store import open_store
from app.store.database import HEAD, Database, alembic_config
from app.store.jobs import Job
from tests.app.dying import (
    DEAD,
    PATIENCE,
    Death,
    Nursery,
    assert_kept,
    assert_sound,
    page,
    rows_of,
    run,
)
from tests.app.fake_predictor import bars

MakeSettings = Callable[..., Settings]


# a room in which something is to be lost ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a story of two drawn scenes, one of them with two takes, and an upload that was read."""
    folder = tmp_path_factory.mktemp("furnished")
    settings = Settings(folder / "data", predictor="tests.app.fake_predictor:load", model="{}", in_process=True)
    director = Director(open_store(settings))
    director.start()
    owner = director.store.local_owner()
    stories = director.store.stories(owner)
    story = stories.create_story("Rain", look="A quiet picture book.")
    first = stories.begin_scene(story.id, "A seed lies in the rain.")
    second = stories.add_scene(first.id, "The seed sprouts.")
    jobs = [*director.submit_draw(owner, first.id, takes=2, seed=1), *director.submit_draw(owner, second.id, seed=3)]
    jobs.append(director.submit_describe(owner, picture(folder / "holiday.png", 5)))
    for job in jobs:
        assert director.run_here(job).status == "done"
    director.shutdown()
    director.store.close()
    return folder / "data"


@pytest.fixture
def settings(furnished: Path, make_settings: MakeSettings) -> Settings:
    """Quick settings on a copy of the furnished room."""
    made = make_settings({"steps": 4})
    shutil.copytree(furnished, made.data_dir)
    return made


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "processes.log"


@pytest.fixture
def nursery(log: Path, monkeypatch: pytest.MonkeyPatch) -> Nursery:
    """Workers of this test's directors are forks. They live for ever unless the test names a death."""
    made = Nursery(None, log)
    monkeypatch.setattr("app.worker_process.subprocess", made)
    return made


@pytest.fixture
def open_director(settings: Settings, nursery: Nursery) -> Iterator[Callable[[], Director]]:
    """Start the program as a person does, in this process."""
    made: list[Director] = []

    def start() -> Director:
        made.append(Director(open_store(settings)))
        made[-1].start()
        return made[-1]

    yield start
    for director in made:
        director.shutdown()
        director.store.close()


def picture(path: Path, seed: int) -> Path:
    Image.fromarray(bars(seed)[0]).save(path)
    return path


def until(question: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        time.sleep(0.01)
    raise AssertionError(f"{what}: not within {PATIENCE} s")


def ended(director: Director, job_id: str) -> Job:
    return until(lambda: None if (job := director.status(job_id)).is_open else job, f"end of {job_id}")


def the_story(director: Director) -> tuple[str, str, list[Any]]:
    """(owner, story, path) of what was there before."""
    owner = director.store.local_owner()
    stories = director.store.stories(owner)
    story = next(each for each in stories.list_stories() if each.title == "Rain")
    path = stories.path_to(story.head_scene_id or "")
    return owner, story.id, list(path)


# the worker dies ----------------------------------------------------------------------------------------------------


def draw(director: Director) -> str:
    owner, _, path = the_story(director)
    return director.submit_draw(owner, path[-1].id, seed=11)[0]


def think(director: Director) -> str:
    owner, _, path = the_story(director)
    return director.submit_think(owner, path[-1].id, steer="make it rain", alternatives=2, seed=5)


def describe(director: Director) -> str:
    owner, _, _ = the_story(director)
    return director.submit_describe(owner, picture(director.settings.data_dir.parent / "new.png", 7))


def load(director: Director) -> str:
    return director.submit_load(director.store.local_owner())


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


def names(entries: list[Any]) -> list[str]:
    return [f"{entry[0]}-{getattr(entry[1], '__name__', entry[1])}" for entry in entries]


def a_worker_dies(
    at: str, ask: Callable[[Director], str], nursery: Nursery, open_director: Callable[[], Director], tmp_path: Path
) -> None:
    """The page stays open: it sees the death, starts another worker, and the work is done once."""
    nursery.death = Death(at, tmp_path / "died")
    director = open_director()
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
    at: str, ask: Any, nursery: Nursery, open_director: Callable[[], Director], tmp_path: Path
) -> None:
    a_worker_dies(at, ask, nursery, open_director, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize(("at", "ask"), WORKER_DEATHS, ids=names(WORKER_DEATHS))
def test_a_worker_dies_anywhere(
    at: str, ask: Any, nursery: Nursery, open_director: Callable[[], Director], tmp_path: Path
) -> None:
    a_worker_dies(at, ask, nursery, open_director, tmp_path)


# the page dies while it changes a story -----------------------------------------------------------------------------


def _first(director: Director) -> Any:
    return the_story(director)[2][0]


def _stories(director: Director) -> Any:
    return director.store.stories(director.store.local_owner())


def create(director: Director) -> None:
    _stories(director).create_story("Another one")


def begin(director: Director) -> None:
    """With the picture that was read: its files become a take's."""
    (job,) = director.store.jobs.recent(kinds=("describe",))
    story = _stories(director).list_stories()[0]
    _stories(director).begin_scene(story.id, "A striped wall.", describe_job_id=job.id)


def add(director: Director) -> None:
    _stories(director).add_scene(_first(director).id, "It rains harder.")


def edit(director: Director) -> None:
    _stories(director).edit_words(_first(director).id, "A seed sleeps in the rain.")


def rename(director: Director) -> None:
    _stories(director).rename(the_story(director)[1], "Rain, rain")


def choose(director: Director) -> None:
    """Of two takes one must let go before the other is chosen."""
    _stories(director).choose_take(_first(director).takes[1].id)


def star(director: Director) -> None:
    _stories(director).star_take(_first(director).takes[0].id)


def trash_take(director: Director) -> None:
    _stories(director).trash_take(_first(director).takes[0].id)


def trash_scene(director: Director) -> None:
    _stories(director).trash_scene(the_story(director)[2][1].id)


def trash_story(director: Director) -> None:
    _stories(director).trash_story(the_story(director)[1])


def undo(director: Director) -> None:
    _stories(director).undo(the_story(director)[1])


def redo(director: Director) -> None:
    _stories(director).redo(the_story(director)[1])


CHANGES = [create, begin, add, edit, rename, choose, star, trash_take, trash_scene, trash_story, undo]
PAGE_DEATHS: list[tuple[str, Callable[[Director], None]]] = [
    *(("rows.written", change) for change in CHANGES),
    *(("rows.committed", change) for change in CHANGES),
    *(("story.changed", change) for change in CHANGES if change is not undo),
    ("undo.walked", undo),
    ("undo.walked", redo),
]
QUICK_PAGE_DEATHS = [("story.changed", choose), ("rows.written", begin), ("undo.walked", undo)]


def a_page_dies(at: str, change: Callable[[Director], None], settings: Settings, log: Path, tmp_path: Path) -> None:
    """All of the change is there, or nothing of it; then the same can be done again by whoever opens the page next."""
    if change is redo:
        store = open_store(settings)
        undo(Director(store))
        store.close()
    before = rows_of(settings)
    death = Death(at, tmp_path / "died")
    assert run(page, settings, death, change, log=log) == DEAD, log.read_text()
    assert death.happened
    after = rows_of(settings)
    if at == "rows.committed":
        assert after != before
    else:
        assert after == before, "nothing of it"
    store = open_store(settings)
    director = Director(store)
    if at != "rows.committed":
        change(director)
    assert sum(len(rows) for rows in rows_of(settings).values()) >= sum(len(rows) for rows in before.values())
    for table in ("story", "scene", "take"):
        assert set(before[table]) <= set(rows_of(settings)[table]), f"a {table} is lost"
    store.close()
    assert_sound(settings)


@pytest.mark.parametrize(("at", "change"), QUICK_PAGE_DEATHS, ids=names(QUICK_PAGE_DEATHS))
def test_a_page_dies(at: str, change: Any, settings: Settings, log: Path, tmp_path: Path) -> None:
    a_page_dies(at, change, settings, log, tmp_path)


@pytest.mark.full
@pytest.mark.parametrize(("at", "change"), PAGE_DEATHS, ids=names(PAGE_DEATHS))
def test_a_page_dies_anywhere(at: str, change: Any, settings: Settings, log: Path, tmp_path: Path) -> None:
    a_page_dies(at, change, settings, log, tmp_path)


# ... while it erases one for good -----------------------------------------------------------------------------------


def erase(director: Director) -> None:
    _stories(director).erase_story(the_story(director)[1])


ERASING = ["rows.written", "erase.rows", "erase.committed", "erase.unlinking@3"]


@pytest.mark.parametrize(
    "at", [pytest.param(at, marks=[pytest.mark.full] * (at != "erase.committed")) for at in ERASING]
)
def test_a_page_dies_while_it_erases(at: str, settings: Settings, log: Path, tmp_path: Path) -> None:
    before = rows_of(settings)
    assert run(page, settings, Death(at, tmp_path / "died"), erase, log=log) == DEAD, log.read_text()
    after = rows_of(settings)
    if at in ("rows.written", "erase.rows"):
        assert after == before, "not erased: all of it is there"
    else:
        assert not after["story"] and not after["scene"] and not after["take"], "erased: no row of it is there"
    assert_sound(settings)


# ... while it takes an upload, or asks for a job --------------------------------------------------------------------


def upload(director: Director) -> None:
    describe(director)


def ask(director: Director) -> None:
    draw(director)


ASKING: list[tuple[str, Callable[[Director], None]]] = [
    ("upload.copied", upload),
    ("upload.submitted", upload),
    ("media.written", upload),
    ("media.synced", upload),
    ("media.renamed", upload),
    ("job.submitting", ask),
    ("rows.committed@2", ask),  # the first one is the local owner's beat
]


@pytest.mark.parametrize(
    ("at", "what"),
    [pytest.param(*each, marks=[pytest.mark.full] * (each[0] != "upload.copied")) for each in ASKING],
    ids=names(ASKING),
)
def test_a_page_dies_while_it_asks(
    at: str, what: Any, settings: Settings, log: Path, tmp_path: Path, open_director: Callable[[], Director]
) -> None:
    """Either the job is there and is done at the next start, or nothing is; and it can be asked for again."""
    before = rows_of(settings)
    assert run(page, settings, Death(at, tmp_path / "died"), what, log=log) == DEAD, log.read_text()
    assert_kept(before, rows_of(settings))
    director = open_director()
    for left in director.store.jobs.recent(open_only=True):
        assert ended(director, left.id).status == "done"
    again = describe(director) if what is upload else draw(director)
    assert ended(director, again).status == "done"
    director.shutdown()
    assert_kept(before, rows_of(settings))
    assert_sound(settings)


# ... while it draws itself, as on ZeroGPU ---------------------------------------------------------------------------


def draw_here(director: Director) -> None:
    director.start()
    director.run_here(draw(director))


@pytest.mark.full
@pytest.mark.parametrize("at", ["draw.step@2", "draw.kept", "take.linked", "job.finishing"])
def test_a_page_dies_while_it_draws(at: str, settings: Settings, log: Path, tmp_path: Path) -> None:
    settings = replace(settings, in_process=True)
    before = rows_of(settings)
    assert run(page, settings, Death(at, tmp_path / "died"), draw_here, log=log) == DEAD, log.read_text()
    director = Director(open_store(settings))
    director.start()
    (left,) = director.store.jobs.recent(open_only=True)
    assert left.status == "interrupted"
    assert director.run_here(left.id).status == "done"
    assert len(rows_of(settings)["take"]) == len(before["take"]) + 1
    director.shutdown()
    director.store.close()
    assert_kept(before, rows_of(settings))
    assert_sound(settings)


# ... while it starts, and while it ends -----------------------------------------------------------------------------


def start(director: Director) -> None:
    director.start()


def leave_a_running_job(settings: Settings) -> str:
    """As a worker leaves it that was killed with its page."""
    store = open_store(settings)
    director = Director(store)
    director.ensure_worker = lambda: None  # type: ignore[method-assign]
    job = draw(director)
    worker = store.processes.register("worker", 999_999_999, device=settings.device)
    assert store.jobs.claim(worker, 999_999_999, settings.device) is not None
    store.close()
    return job


@pytest.mark.full
@pytest.mark.parametrize("at", ["page.registered", "job.taking_over", "rows.written", "rows.committed@2"])
def test_a_page_dies_while_it_starts(
    at: str, settings: Settings, log: Path, tmp_path: Path, open_director: Callable[[], Director]
) -> None:
    before = rows_of(settings)
    job = leave_a_running_job(settings)
    assert run(page, settings, Death(at, tmp_path / "died"), start, log=log) == DEAD, log.read_text()
    director = open_director()
    assert ended(director, job).status == "done"
    director.shutdown()
    assert_kept(before, rows_of(settings))
    assert_sound(settings)


def with_a_worker(settings: Settings, death: Death, job_file: Path, close: bool) -> None:
    """A page with a worker of its own that outlives it."""
    director = Director(open_store(settings))
    director.start()
    if not close:
        death.prepare()
    job = draw(director)
    job_file.write_text(job)
    until(lambda: director.status(job).step >= 1, "drawing")
    death.prepare()
    director.shutdown()


@pytest.mark.full
@pytest.mark.parametrize("at", ["worker.starting", "worker.started", "page.closing", "job.giving_back"])
def test_a_page_dies_and_its_worker_does_not(
    at: str, make_settings: MakeSettings, furnished: Path, log: Path, tmp_path: Path, nursery: Nursery
) -> None:
    """The worker is adopted by the next page, or ends by itself; what was asked for is done."""
    settings = make_settings({"steps": 6, "step_seconds": 0.3})
    shutil.copytree(furnished, settings.data_dir)
    before = rows_of(settings)
    job_file = tmp_path / "job"
    closing = at == "page.closing"
    death = Death(at, tmp_path / "died")
    code = run(with_a_worker, settings, death, job_file, closing, log=log)
    assert death.happened and (code == DEAD or at == "job.giving_back"), log.read_text()
    director = Director(open_store(settings))
    director.start()
    try:
        job = job_file.read_text() if job_file.exists() else draw(director)
        assert ended(director, job).status == "done", log.read_text()
    finally:
        director.shutdown()
        director.store.close()
    assert_kept(before, rows_of(settings))
    assert_sound(settings)


# ... while it brings old tables up to date --------------------------------------------------------------------------


def old_tables(settings: Settings) -> None:
    """The room as the first version of the program kept it."""
    from alembic import command

    new = settings.database.with_suffix(".new")
    settings.database.rename(new)
    for more in ("-wal", "-shm"):
        Path(f"{settings.database}{more}").unlink(missing_ok=True)
    old = Database(settings.database)
    with old.engine.connect().execution_options(whatnext_write=True) as connection, connection.begin():
        command.upgrade(alembic_config(connection), "0001")
    old.close()
    with contextlib.closing(sqlite3.connect(settings.database)) as connection:
        connection.execute("ATTACH ? AS new", (str(new),))
        tables = [row[0] for row in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")]
        for table in tables:
            if table != "alembic_version":
                columns = ", ".join(f'"{row[1]}"' for row in connection.execute(f"PRAGMA main.table_info({table})"))
                connection.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM new.{table}")
        connection.commit()
    new.unlink()


def open_it(settings: Settings, death: Death) -> None:
    death.prepare()
    open_store(settings)


MIGRATING = [
    "migrate.backing_up",
    "migrate.backed_up",
    "migrate.statement",
    "migrate.statement@5",
    "migrate.statement@12",
    "migrate.stamp",
    "migrate.upgraded",
]


@pytest.mark.parametrize(
    "at", [pytest.param(at, marks=[pytest.mark.full] * (at not in MIGRATING[4:6])) for at in MIGRATING]
)
def test_a_page_dies_while_it_migrates(at: str, settings: Settings, log: Path, tmp_path: Path) -> None:
    old_tables(settings)
    before = rows_of(settings)
    assert run(open_it, settings, Death(at, tmp_path / "died"), log=log) == DEAD, log.read_text()
    assert Database(settings.database).revision() == "0001", "all of an upgrade or nothing"
    assert rows_of(settings) == before
    store = open_store(settings)
    assert store.database.revision() == HEAD
    assert len(list(settings.backups_dir.glob("*.db"))) >= 1
    store.close()
    assert_kept(before, rows_of(settings))
    assert_sound(settings)


@pytest.mark.full
def test_a_page_dies_while_it_makes_the_first_tables(make_settings: MakeSettings, log: Path, tmp_path: Path) -> None:
    settings = make_settings()
    for number in (3, 20, 45):
        death = Death(f"migrate.statement@{number}", tmp_path / f"died-{number}")
        assert run(open_it, settings, death, log=log) == DEAD, log.read_text()
        assert Database(settings.database).revision() is None
    store = open_store(settings)
    assert store.local_owner()
    store.close()
    assert_sound(settings)


# ... while it writes other files ------------------------------------------------------------------------------------


def make_token(folder: Path, death: Death) -> None:
    death.prepare()
    lasting_token(folder)


def test_a_page_dies_while_it_writes_its_token(settings: Settings, log: Path, tmp_path: Path) -> None:
    folder = settings.data_dir
    assert run(make_token, folder, Death("token.written", tmp_path / "died"), log=log) == DEAD
    assert not (folder / "token").exists()
    assert len(lasting_token(folder)) >= 32 and lasting_token(folder) == lasting_token(folder)
    assert_sound(settings)


def write_reel(director: Director) -> None:
    items = [
        ReelItem(director.store.media.path(scene.chosen.media["clip"]), scene.words) for scene in the_story(director)[2]
    ]
    export_reel(items, director.settings.run_dir / "reel-1.mp4")


@pytest.mark.full
def test_a_page_dies_while_it_writes_a_film(settings: Settings, log: Path, tmp_path: Path) -> None:
    before = rows_of(settings)
    assert run(page, settings, Death("reel.written", tmp_path / "died"), write_reel, log=log) == DEAD, log.read_text()
    assert rows_of(settings) == before
    assert_sound(settings)


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
    """What the parametrised tests of this file name, read from its text."""
    text = Path(__file__).read_text(encoding="utf-8")
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
