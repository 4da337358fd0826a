"""The database file: made, migrated, backed up, refused, and safe with several writers."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from app.identity import new_id
from app.settings import ROOT, Settings
from app.store import Store, database, open_store
from app.store.database import HEAD, Database, known_revisions, make_engine
from app.store.errors import SchemaError
from app.store.models import OwnerRow, StoryRow, metadata


def test_models_equal_the_migrated_tables(store: Store) -> None:
    def ours(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
        return kind != "table" or not str(name).startswith("fts_")  # SQLite's own affair, as migrations/env.py says

    options = {"compare_type": True, "compare_server_default": True, "include_object": ours}
    with store.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def described(path: Path) -> dict[str, object]:
    """Columns, references and indexes of every table."""
    facts: dict[str, object] = {}
    with contextlib.closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
        for (table,) in tables:
            if table == "alembic_version" or table.startswith("fts_"):
                continue
            for pragma in ("table_info", "foreign_key_list", "index_list"):
                rows = connection.execute(f'PRAGMA {pragma}("{table}")').fetchall()
                # the number of an index or a reference is the order of making, which says nothing
                facts[f"{table} {pragma}"] = sorted(str(row if pragma == "table_info" else row[1:]) for row in rows)
        indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
        facts["indexes"] = connection.execute(indexes).fetchall()
    return facts


def test_fresh_tables_equal_the_migrated_ones(store: Store, tmp_path: Path) -> None:
    engine = make_engine(tmp_path / "fresh.db")
    metadata.create_all(engine)
    engine.dispose()
    fresh, migrated = described(tmp_path / "fresh.db"), described(store.database.path)
    assert fresh.keys() == migrated.keys() and len(fresh) == 3 * 13 + 1
    for what in fresh:
        assert fresh[what] == migrated[what], what


def test_every_reference_says_what_happens_on_delete() -> None:
    silent = [
        f"{table.name}.{key.column_keys}"
        for table in metadata.tables.values()
        for key in table.foreign_key_constraints
        if key.ondelete is None or not key.name
    ]
    assert silent == []


def test_the_tables_are_apart_from_other_packages() -> None:
    assert not set(SQLModel.metadata.tables) & set(metadata.tables)


def test_head_is_the_newest_migration() -> None:
    assert known_revisions()[0] == HEAD


def test_connections_are_as_they_should_be(store: Store) -> None:
    with store.database.reading() as session:
        ask = session.connection().exec_driver_sql
        answers = [ask(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys", "synchronous")]
    assert answers == ["wal", 1, 1]


def test_references_are_kept(store: Store) -> None:
    with pytest.raises(IntegrityError), store.database.transaction() as session:
        session.add(StoryRow(owner_id="nobody", title="A story"))


def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError, match="halfway"), store.database.transaction() as session:
        session.add(OwnerRow(id="half"))
        session.flush()
        raise RuntimeError("halfway")
    with store.database.reading() as session:
        assert session.get(OwnerRow, "half") is None


def test_a_transaction_inside_a_transaction_is_refused_at_once(store: Store) -> None:
    with store.database.transaction(), pytest.raises(RuntimeError, match="do not nest"):
        store.local_owner()
    assert store.local_owner()


def test_a_newer_database_is_refused_untouched(store: Store) -> None:
    with store.database.transaction() as session:
        session.connection().execute(text("UPDATE alembic_version SET version_num = '0099'"))
    store.close()
    before = described(store.database.path)
    with pytest.raises(SchemaError, match="newer version of this program .*0099.*please update"):
        open_store(store.settings)
    assert described(store.database.path) == before


def test_a_file_that_is_no_database_is_refused_untouched(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    settings.make_folders()
    settings.database.write_bytes(b"not a database, but somebody's file" * 100)
    with pytest.raises(SchemaError, match="not a readable database"):
        open_store(settings)
    assert settings.database.read_bytes().startswith(b"not a database, but")


def test_an_upgrade_is_backed_up_and_undone_when_it_fails(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = store.local_owner()
    story = store.stories(owner).create_story("Kept")
    store.close()
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    versions = [f"versions/{path.name}" for path in (database.MIGRATIONS / "versions").glob("*.py")]
    for name in ("env.py", "script.py.mako", *versions):
        (folder / name).write_text((database.MIGRATIONS / name).read_text())
    later = folder / "versions" / "9999_later.py"
    change = (
        "from alembic import op\nimport sqlalchemy as sa\nrevision = '9999'\ndown_revision = '0003'\n"
        "def upgrade():\n    with op.batch_alter_table('story') as batch:\n"
        "        batch.add_column(sa.Column('mood', sa.String(), nullable=True))\n"
        "        batch.alter_column('title', new_column_name='name')\n"
    )
    monkeypatch.setattr(database, "MIGRATIONS", folder)
    monkeypatch.setattr(database, "HEAD", "9999")
    before = described(store.database.path)

    later.write_text(change + "    raise RuntimeError('the power fails')\n")
    with pytest.raises(RuntimeError, match="the power fails"):
        store.database.prepare(backups=store.settings.backups_dir)
    store.close()
    assert store.database.revision() == HEAD and described(store.database.path) == before

    later.write_text(change)
    store.database.prepare(backups=store.settings.backups_dir)
    assert store.database.revision() == "9999"
    with store.database.reading() as session:
        rows = session.connection().execute(text("SELECT id, name, mood FROM story")).all()
    assert [tuple(row) for row in rows] == [(story.id, "Kept", None)], "rebuilding a table deletes nothing"
    backups = sorted(store.settings.backups_dir.glob("*.db"))
    assert len(backups) == 2 and Database(backups[0]).revision() == HEAD
    assert described(backups[0]) == before


def test_a_new_migration_is_written_from_the_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(database.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    first = folder / "versions" / "0001_first_tables.py"
    first.write_text(first.read_text().replace('sa.Column("steer", sa.String(), nullable=False),', "", 1))
    monkeypatch.setattr(database, "MIGRATIONS", folder)
    made = database.write_migration("9999", "Steering")
    text = made.read_text()
    assert made.parent == first.parent and 'revision = "9999"' in text.replace("'", '"')
    assert text.count("add_column") == 1 and "steer" in text


def test_two_starts_at_once_make_one_database(make_settings: Callable[..., Settings]) -> None:
    errors: list[BaseException] = []

    def start() -> None:
        try:
            open_store(make_settings()).close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


WRITER = """
import sys
from pathlib import Path
from app.settings import Settings
from app.store import open_store
store = open_store(Settings.from_json(Path(sys.argv[1]).read_text()), prepare=False)
stories = store.stories(store.local_owner())
for n in range(40):
    story = stories.create_story(f"{sys.argv[2]} {n}")
    stories.begin_scene(story.id, "A seed lies in the rain.")
    stories.rename(sys.argv[3], f"{sys.argv[2]} {n}")
"""


def test_writers_in_several_processes_wait_for_each_other(store: Store, tmp_path: Path) -> None:
    stories = store.stories(store.local_owner())
    shared = stories.create_story("shared")
    settings_file = tmp_path / "settings.json"
    settings_file.write_text(store.settings.to_json())
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(settings_file), name, shared.id], cwd=ROOT)
        for name in ("one", "two")
    ]
    assert [writer.wait(timeout=50) for writer in writers] == [0, 0]
    assert len(stories.list_stories(limit=1000)) == 81
    assert stories.story(shared.id).version == shared.version + 80, "no change was lost"


def test_times_are_aware_and_utc(store: Store) -> None:
    story = store.stories(store.local_owner()).create_story("Now")
    assert story.created_at.tzinfo is UTC
    assert abs((datetime.now(UTC) - story.created_at).total_seconds()) < 60
    with pytest.raises(Exception, match="aware"), store.database.transaction() as session:
        session.add(OwnerRow(created_at=datetime(2026, 1, 1)))


def test_ids_rise_and_are_uuids() -> None:
    ids = [new_id() for _ in range(5000)]
    assert ids == sorted(ids) and len(set(ids)) == 5000
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant) for one in ids} == {(7, uuid.RFC_4122)}
