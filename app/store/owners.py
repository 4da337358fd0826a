"""What a person set for themselves. Knows nothing of pages."""

from __future__ import annotations

import json
from typing import Any, get_args

from app.store.database import Database
from app.store.models import OwnerRow
from app.store.reading import ShelfOrder
from nsp_core.errors import UserError


def shelf_order(database: Database, owner_id: str) -> ShelfOrder:
    with database.reading() as session:
        row = session.get(OwnerRow, owner_id)
        order = _settings(row).get("shelf")
        return order if order in get_args(ShelfOrder) else "changed"


def sort_shelf(database: Database, owner_id: str, order: str) -> None:
    if order not in get_args(ShelfOrder):
        raise UserError(f"The shelf is sorted by {', '.join(get_args(ShelfOrder))}, not by {order!r}.")
    with database.transaction() as session:
        row = session.get_one(OwnerRow, owner_id)
        row.settings_json = json.dumps({**_settings(row), "shelf": order})
        session.add(row)


def _settings(row: OwnerRow | None) -> dict[str, Any]:
    value = json.loads(row.settings_json or "{}") if row is not None else {}
    return value if isinstance(value, dict) else {}
