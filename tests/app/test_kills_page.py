"""The page is killed at every named place of its own: see test_kills.py."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.director import Director
from app.reel import ReelItem, export_reel
from app.security import lasting_token
from app.settings import Settings
from app.store import open_store
from app.store.backup import make_backup
from app.store.database import HEAD, Database, alembic_config
from app.store.restore import restore_backup
from tests.app.dying import DEAD, Death, Nursery, assert_kept, assert_sound, names, page, rows_of, run
from tests.app.furnished import describe, draw, ended, the_story, until

MakeSettings = Callable[..., Settings]


@pytest.fixture
def settings(furnished_settings: Settings) -> Settings:
    return furnished_settings


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
    files = {path.name for path in settings.media_dir.glob("??/*")}
    director = Director(open_store(settings))
    director.start()
    director.shutdown()
    director.store.close()
    left = {path.name for path in settings.media_dir.glob("??/*")}
    if at in ("rows.written", "erase.rows"):
        assert left == files, "not erased: no file of it is gone"
    else:
        assert left < files, "erased: the next start takes its files"
        assert {name.partition(".")[0] for name in left} == set(rows_of(settings)["media"]), "only what others use"
    assert not list(settings.media_dir.glob("tmp/*"))
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
    at: str, what: Any, settings: Settings, log: Path, tmp_path: Path, open_furnished: Callable[[], Director]
) -> None:
    """Either the job is there and is done at the next start, or nothing is; and it can be asked for again."""
    before = rows_of(settings)
    assert run(page, settings, Death(at, tmp_path / "died"), what, log=log) == DEAD, log.read_text()
    assert_kept(before, rows_of(settings))
    director = open_furnished()
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
    at: str, settings: Settings, log: Path, tmp_path: Path, open_furnished: Callable[[], Director]
) -> None:
    before = rows_of(settings)
    job = leave_a_running_job(settings)
    assert run(page, settings, Death(at, tmp_path / "died"), start, log=log) == DEAD, log.read_text()
    director = open_furnished()
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


# ... while it makes a backup, or goes back to one -------------------------------------------------------------------


def back_up(director: Director) -> None:
    make_backup(director.store)


def go_back(director: Director) -> None:
    restore_backup(director.store, director.settings.data_dir.parent / "old.zip")


@pytest.mark.full
def test_a_page_dies_while_it_makes_a_backup(settings: Settings, log: Path, tmp_path: Path) -> None:
    before = rows_of(settings)
    assert run(page, settings, Death("backup.packed", tmp_path / "died"), back_up, log=log) == DEAD, log.read_text()
    assert rows_of(settings) == before and not list(settings.backups_dir.glob("*.zip"))
    assert_sound(settings)


RESTORING = ["backup.packed", "restore.aside", "restore.media", "restore.exchanging", "restore.exchanged"]


@pytest.mark.full
@pytest.mark.parametrize("at", RESTORING)
def test_a_page_dies_while_it_goes_back(at: str, settings: Settings, log: Path, tmp_path: Path) -> None:
    """The stories are those of before or those of the backup, and those of before are never without a copy."""
    store = open_store(settings)
    made = make_backup(store, tmp_path)
    made.path.rename(settings.data_dir.parent / "old.zip")
    old = rows_of(settings)
    stories = store.stories(store.local_owner())
    later = stories.create_story("Written since")
    before = rows_of(settings)
    store.close()
    assert run(page, settings, Death(at, tmp_path / "died"), go_back, log=log) == DEAD, log.read_text()
    after = rows_of(settings)
    if at == "restore.exchanged":
        assert later.id not in after["story"] and after["take"] == old["take"]
    else:
        assert after == before
    if at != "backup.packed":
        assert len(list(settings.backups_dir.glob("*before-restore*.zip"))) == 1
    store = open_store(settings)
    restore_backup(store, settings.data_dir.parent / "old.zip")  # and again
    store.close()
    assert rows_of(settings)["take"] == old["take"] and later.id not in rows_of(settings)["story"]
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
