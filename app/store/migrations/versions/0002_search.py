"""Search: an index over titles, bibles, words and what was seen, kept true by triggers.

`fts_text` holds no text (content=''): trigrams only, so what is erased is erased once. `fts_number` gives stories and
scenes the whole numbers that it needs; their own row numbers may change (VACUUM). A later migration that rebuilds the
table story or scene loses the triggers on it and must make them again.

Revision: 0002, after: 0001. Once released, never edited.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# which columns of a table are searched; all six are columns of the index
SEARCHED = {"story": ("title", "premise", "cast", "look"), "scene": ("words", "seen")}
_ALL = ", ".join(f'"{column}"' for columns in SEARCHED.values() for column in columns)


def upgrade() -> None:
    op.execute("CREATE TABLE fts_number (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE)")
    op.execute(f"CREATE VIRTUAL TABLE fts_text USING fts5({_ALL}, content='', tokenize='trigram')")
    for table, columns in SEARCHED.items():
        # oldest first: a higher number is newer
        op.execute(f"INSERT INTO fts_number (id) SELECT id FROM {table} ORDER BY created_at, id")
        named = ", ".join(f'"{column}"' for column in columns)
        op.execute(
            f"INSERT INTO fts_text (rowid, {named}) SELECT fts_number.number, {named} FROM {table} "
            f"JOIN fts_number ON fts_number.id = {table}.id"
        )
        _triggers(table, columns)


def _triggers(table: str, columns: tuple[str, ...]) -> None:
    named = ", ".join(f'"{column}"' for column in columns)
    old, new = (", ".join(f'{side}."{column}"' for column in columns) for side in ("old", "new"))
    changed = " OR ".join(f'old."{column}" IS NOT new."{column}"' for column in columns)
    add = f"INSERT INTO fts_text (rowid, {named}) SELECT number, {new} FROM fts_number WHERE id = new.id;"
    # an index without text has to be told what it is to forget
    forget = (
        f"INSERT INTO fts_text (fts_text, rowid, {named}) SELECT 'delete', number, {old} FROM fts_number "
        "WHERE id = old.id;"
    )
    op.execute(
        f"CREATE TRIGGER fts_{table}_made AFTER INSERT ON {table} BEGIN "
        f"INSERT INTO fts_number (id) VALUES (new.id); {add} END"
    )
    op.execute(
        f"CREATE TRIGGER fts_{table}_changed AFTER UPDATE OF {named} ON {table} WHEN {changed} BEGIN {forget} {add} END"
    )
    op.execute(
        f"CREATE TRIGGER fts_{table}_erased AFTER DELETE ON {table} BEGIN "
        f"{forget} DELETE FROM fts_number WHERE id = old.id; END"
    )


def downgrade() -> None:
    for table in SEARCHED:
        for event in ("made", "changed", "erased"):
            op.execute(f"DROP TRIGGER fts_{table}_{event}")
    op.execute("DROP TABLE fts_text")
    op.execute("DROP TABLE fts_number")
