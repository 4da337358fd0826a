"""Signs of life: how page and worker find each other and learn that the other is gone. Knows nothing of signals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlmodel import col, delete, select

from app.identity import new_id, now
from app.store.database import Database
from app.store.models import ProcessRow

ProcessRole = Literal["page", "worker"]
State = Literal["starting", "loading", "idle", "busy", "stopped"]


@dataclass(frozen=True)
class Process:
    id: str
    role: ProcessRole
    pid: int
    device: str
    model_key: str
    fingerprint: str
    state: State
    message: str
    memory_bytes: int | None
    stop: bool
    started_at: datetime
    heartbeat_at: datetime
    active_at: datetime

    def silent_for(self) -> float:
        """Seconds since the last sign of life."""
        return max(0.0, (now() - self.heartbeat_at).total_seconds())


class Processes:
    def __init__(self, database: Database) -> None:
        self.database = database

    def register(self, role: ProcessRole, pid: int, *, device: str = "", model_key: str = "") -> str:
        """A new row for this process; rows that have long been silent are cleared away."""
        with self.database.transaction() as session:
            session.exec(delete(ProcessRow).where(col(ProcessRow.heartbeat_at) < now() - timedelta(days=1)))
            row = ProcessRow(id=new_id(), role=role, pid=pid, device=device, model_key=model_key)
            session.add(row)
            session.flush()
            return row.id

    def beat(self, process_id: str, *, active: bool = False, **columns: Any) -> Process | None:
        """A sign of life, with what has changed; returns the row as it is now, None when it was removed."""
        with self.database.transaction() as session:
            row = session.get(ProcessRow, process_id)
            if row is None:
                return None
            for name, value in columns.items():
                setattr(row, name, value)
            row.heartbeat_at = now()
            if active:
                row.active_at = row.heartbeat_at
            return _process(row)

    def get(self, process_id: str) -> Process | None:
        with self.database.reading() as session:
            row = session.get(ProcessRow, process_id)
            return None if row is None else _process(row)

    def living(self, role: ProcessRole, *, within: float, device: str | None = None) -> tuple[Process, ...]:
        """Those heard of in the last `within` seconds that have not said goodbye, newest first."""
        query = select(ProcessRow).where(
            ProcessRow.role == role,
            ProcessRow.state != "stopped",
            col(ProcessRow.heartbeat_at) > now() - timedelta(seconds=within),
        )
        if device is not None:
            query = query.where(ProcessRow.device == device)
        with self.database.reading() as session:
            return tuple(_process(row) for row in session.exec(query.order_by(col(ProcessRow.id).desc())).all())

    def ask_to_stop(self, process_id: str) -> None:
        with self.database.transaction() as session:
            row = session.get(ProcessRow, process_id)
            if row is not None:
                row.stop = True

    def goodbye(self, process_id: str, message: str = "") -> None:
        with self.database.transaction() as session:
            row = session.get(ProcessRow, process_id)
            if row is not None:
                row.state, row.message, row.heartbeat_at = "stopped", message, now()


def _process(row: ProcessRow) -> Process:
    return Process(**row.model_dump())
