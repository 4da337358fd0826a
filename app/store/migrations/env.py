"""How alembic meets the database: on the connection that app.store.database gives it, in that connection's transaction.

A new migration: change models.py, call `app.store.database.write_migration("0002", "What changes")`, read and tidy the
file that it wrote, raise HEAD beside it. What is released is never edited.
"""

from __future__ import annotations

from typing import Any

from alembic import context

from app.store.models import metadata


def include_object(_object: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
    """Full-text tables are SQLite's own affair: an index made by a migration, unknown to the models."""
    return not (kind == "table" and (name or "").startswith("fts_"))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
    transactional_ddl=True,  # SQLite can; our connections begin explicitly
    include_object=include_object,
)
with context.begin_transaction():
    context.run_migrations()
