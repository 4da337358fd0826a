"""One person's open jobs in the order in which they are done: seen, moved, paused. Knows nothing of models or pages.

The order is the claim's own: priority, position, age. Whoever moves something gives the jobs that wait new positions
and lets each place keep its priority, so that nothing else in the queue is touched and what is asked for later comes
later. Jobs that were asked for together (takes of one scene) are one unit and move together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import text
from sqlmodel import Session, col, select

from app.store.database import Database
from app.store.errors import NotFound
from app.store.jobs import OPEN, Job, read_job
from app.store.models import JobRow

# asked with every look at the page: plain, because that costs a tenth
_COUNTS = text(
    "SELECT status, COUNT(*) FROM job WHERE owner_id = :owner AND kind != 'load'"
    " AND status IN ('pending', 'running', 'interrupted', 'paused') GROUP BY status"
)
WAITING = ("pending", "interrupted", "paused")


class Queue:
    def __init__(self, database: Database, owner_id: str) -> None:
        self.database = database
        self.owner_id = owner_id

    def in_order(self) -> tuple[Job, ...]:
        """What runs, then what waits or is paused, in the order of the claim."""
        with self.database.reading() as session:
            return tuple(read_job(row) for row in self._rows(session))

    def counts(self) -> dict[str, int]:
        """How many jobs are in which state; loading the model is not something that a person asked for."""
        with self.database.reading() as session:
            return {status: n for status, n in session.connection().execute(_COUNTS, {"owner": self.owner_id})}

    def move(self, unit: str, by: int = 0, *, before: str | None = None) -> int:
        """A unit that waits goes `by` places on or back, or right `before` another unit. Returns its place, from 1."""
        with self.database.transaction() as session:
            rows = [row for row in self._rows(session) if row.status in WAITING]
            units = _units(rows)
            names = list(units)
            if unit not in units:
                raise NotFound("This is no longer waiting: it runs already, or has ended.")
            at = names.index(unit)
            names.remove(unit)
            to = names.index(before) if before in names else at + by
            names.insert(min(max(0, to), len(names)), unit)
            wanted = [row for name in names for row in units[name]]
            _arrange(session, rows, _followers_last(wanted))
            return [*_units([row for row in self._rows(session) if row.status in WAITING])].index(unit) + 1

    def pause(self, units: Iterable[str] | None, paused: bool = True) -> None:
        """Hold what waits, or let it go on; None: all of it. What runs is finished, and a chain holds after that."""
        wanted = None if units is None else set(units)
        with self.database.transaction() as session:
            for row in self._rows(session):
                if wanted is not None and unit_of(row) not in wanted:
                    continue
                if row.status == "running":
                    _hold(row, paused)
                elif paused:
                    row.status = "paused"
                elif row.status == "paused":
                    row.status = "pending"

    def jobs_of(self, unit: str) -> tuple[str, ...]:
        """The open jobs of a unit. Raises NotFound when there are none."""
        with self.database.reading() as session:
            found = tuple(row.id for row in self._rows(session) if unit_of(row) == unit)
        if not found:
            raise NotFound("This is no longer in the queue: it has ended.")
        return found

    def _rows(self, session: Session) -> list[JobRow]:
        query = select(JobRow).where(JobRow.owner_id == self.owner_id, col(JobRow.status).in_(OPEN))
        rows = session.exec(query.order_by(col(JobRow.priority).desc(), JobRow.position, JobRow.id)).all()
        running = [row for row in rows if row.status == "running"]
        return [*running, *_followers_last([row for row in rows if row.status != "running"])]


def unit_of(job: JobRow | Job) -> str:
    return job.group_id or job.id


def _hold(row: JobRow, held: bool) -> None:
    """Of a chain that goes on by itself (app.alone) the job that runs is finished, and the next one waits."""
    payload = json.loads(row.payload_json)
    if "alone" in payload:
        payload["alone"]["held"] = held
        row.payload_json = json.dumps(payload)


def _units(rows: Iterable[JobRow]) -> dict[str, list[JobRow]]:
    units: dict[str, list[JobRow]] = {}
    for row in rows:
        units.setdefault(unit_of(row), []).append(row)
    return units


def _followers_last(rows: Sequence[JobRow]) -> list[JobRow]:
    """The same order, but nothing stands before what it waits for: that is how it will be claimed anyway."""
    left = {row.id for row in rows}
    waiting = list(rows)
    ordered: list[JobRow] = []
    while waiting:
        ready = next((row for row in waiting if row.after_job_id not in left), waiting[0])
        waiting.remove(ready)
        left.discard(ready.id)
        ordered.append(ready)
    return ordered


def _arrange(session: Session, before: Sequence[JobRow], after: Sequence[JobRow]) -> None:
    priorities = [row.priority for row in before]
    priorities.sort(reverse=True)
    for place, (row, priority) in enumerate(zip(after, priorities, strict=True)):
        row.priority, row.position = priority, float(place - len(after))  # below 0, where new jobs begin
        session.add(row)
    session.flush()
