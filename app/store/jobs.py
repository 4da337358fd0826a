"""The queue of jobs: asked for by a page, claimed by one worker, seen by everybody. Knows nothing of models.

pending ──claim──> running ──> done | failed | cancelled (and all that follow it by after_job_id)
   ^                  │
   └── interrupted <──┘ the worker died; claimed again, at most `max_attempts` times in all
paused <──> pending
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import text
from sqlmodel import Session, col, select

from app.identity import new_id, now
from app.killpoints import reached
from app.store.database import Database
from app.store.errors import NotFound
from app.store.models import JobRow

Kind = Literal["describe", "think", "draw", "rank", "replay", "load", "export"]
Status = Literal["pending", "running", "done", "failed", "cancelled", "interrupted", "paused"]
LOADING = "loading model"  # the phase of a job that found no model there
OPEN: tuple[Status, ...] = ("pending", "running", "interrupted", "paused")
KINDS: tuple[Kind, ...] = ("describe", "think", "draw", "rank", "replay", "load", "export")

_FIRST = """
        SELECT job.id FROM job LEFT JOIN job AS before ON before.id = job.after_job_id
        WHERE job.status IN ('pending', 'interrupted') AND job.cancel = 0 AND job.device IN ('', :device)
            AND (before.id IS NULL OR before.status = 'done')
"""
_ORDER = "ORDER BY job.priority DESC, job.position, job.id"
_CLAIM = text(
    f"""
    UPDATE job SET status = 'running', worker_id = :worker, worker_pid = :pid, heartbeat_at = :now,
        attempts = attempts + 1, started_at = :now, device = :device, phase = 'starting', step = 0, total = 0,
        preview_path = NULL, words_json = NULL, error = NULL, error_kind = NULL
    WHERE id = (
        {_FIRST}
            AND job.kind IN (SELECT value FROM json_each(:kinds)) AND (:only IS NULL OR job.id = :only)
            AND NOT EXISTS (SELECT 1 FROM process WHERE process.id = :worker AND process.stop)
        {_ORDER} LIMIT 1
    )
    RETURNING id
    """
)


_FOLLOWERS = text(
    """
    WITH RECURSIVE following(id) AS (
        SELECT id FROM job WHERE after_job_id = :id
        UNION SELECT job.id FROM job JOIN following ON job.after_job_id = following.id
    )
    SELECT id FROM following
    """
)
CHAIN_BROKEN = "ChainBroken"  # the error_kind of a job that was to go on from one that did not come to its end


@dataclass(frozen=True)
class Words:
    """One alternative of a think job, so far."""

    text: str
    done: bool = False
    score: float | None = None


@dataclass(frozen=True)
class Job:
    """A snapshot of a job's row."""

    id: str
    owner_id: str
    kind: Kind
    status: Status
    story_id: str | None
    scene_id: str | None
    group_id: str | None
    payload: dict[str, Any]
    result: dict[str, Any]
    words: tuple[Words, ...]
    phase: str
    step: int
    total: int
    eta_s: float | None
    preview: str | None  # a file name in the previews folder
    cancel: int
    attempts: int
    worker_id: str | None
    error: str | None
    error_kind: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    ahead: int = field(default=0)  # jobs that come before it

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


class Gone(Exception):
    """The job is no longer this worker's: erased, or taken over by another."""


class Jobs:
    def __init__(self, database: Database) -> None:
        self.database = database

    # asked by the page ------------------------------------------------------------------------------------------

    def submit(self, owner_id: str, kind: Kind, payload: dict[str, Any] | None = None, **columns: Any) -> str:
        """A new pending job. `columns`: story_id, scene_id, after_job_id, group_id, priority, device."""
        with self.database.transaction() as session:
            return self.submit_in(session, owner_id, kind, payload, **columns)

    @staticmethod
    def submit_in(
        session: Session, owner_id: str, kind: Kind, payload: dict[str, Any] | None = None, **columns: Any
    ) -> str:
        row = JobRow(id=new_id(), owner_id=owner_id, kind=kind, payload_json=json.dumps(payload or {}), **columns)
        session.add(row)
        session.flush()
        reached("job.submitting")
        return row.id

    def status(self, job_id: str, owner_id: str | None = None) -> Job:
        with self.database.reading() as session:
            row = session.get(JobRow, job_id)
            if row is None or owner_id not in (None, row.owner_id):
                raise NotFound("There is no such job; it may have been erased with its story.")
            return read_job(row, self._ahead(session, row))

    def recent(
        self,
        *,
        owner_id: str | None = None,
        story_id: str | None = None,
        scene_id: str | None = None,
        kinds: Iterable[Kind] = KINDS,
        open_only: bool = False,
        limit: int = 20,
    ) -> tuple[Job, ...]:
        """Newest first: what a page asks to show what goes on in a story after a refresh."""
        query = select(JobRow).where(col(JobRow.kind).in_(tuple(kinds)))
        if owner_id is not None:
            query = query.where(JobRow.owner_id == owner_id)
        if story_id is not None:
            query = query.where(JobRow.story_id == story_id)
        if scene_id is not None:
            query = query.where(JobRow.scene_id == scene_id)
        if open_only:
            query = query.where(col(JobRow.status).in_(OPEN))
        with self.database.reading() as session:
            rows = session.exec(query.order_by(col(JobRow.id).desc()).limit(limit)).all()
            return tuple(read_job(row, self._ahead(session, row)) for row in rows)

    def cancel(self, job_id: str, *, keep_finished: bool = False, owner_id: str | None = None) -> Job:
        """A waiting job ends now; a running one within one step. Cancelling what has ended changes nothing."""
        with self.database.transaction() as session:
            row = session.get(JobRow, job_id)
            if row is None or owner_id not in (None, row.owner_id):
                raise NotFound("There is no such job; it may have been erased with its story.")
            if row.status in OPEN and row.cancel == 0:
                row.cancel = 2 if keep_finished else 1
                if row.status != "running":
                    row.status, row.finished_at = "cancelled", now()
                    _break_chain(session, row.id)
            return read_job(row)

    def pause(self, job_id: str, *, resume: bool = False, owner_id: str | None = None) -> Job:
        with self.database.transaction() as session:
            row = session.get(JobRow, job_id)
            if row is None or owner_id not in (None, row.owner_id):
                raise NotFound("There is no such job; it may have been erased with its story.")
            if resume and row.status == "paused":
                row.status = "pending"
            elif not resume and row.status in ("pending", "interrupted"):
                row.status = "paused"
            return read_job(row)

    def has_pending(self, device: str) -> bool:
        """Cheap enough to ask twenty times a second."""
        with self.database.reading() as session:
            row = session.connection().execute(
                text(
                    "SELECT 1 FROM job WHERE status IN ('pending', 'interrupted') AND cancel = 0"
                    " AND device IN ('', :device) LIMIT 1"
                ),
                {"device": device},
            )
            return row.first() is not None

    def devices(self) -> set[str]:
        """Those that jobs run on."""
        with self.database.reading() as session:
            return set(session.exec(select(JobRow.device).where(JobRow.status == "running")).all())

    def first_of(self, wanted: Iterable[str], device: str) -> str | None:
        """Which of these jobs would be claimed first; None when none of them can be, now."""
        query = text(f"{_FIRST} AND job.id IN (SELECT value FROM json_each(:wanted)) {_ORDER} LIMIT 1")
        with self.database.reading() as session:
            values = {"device": device, "wanted": json.dumps(tuple(wanted))}
            found = session.connection().execute(query, values).first()
            return None if found is None else str(found[0])

    def after(self, job_id: str) -> tuple[str, ...]:
        """The jobs that wait, or waited, for that one."""
        with self.database.reading() as session:
            return tuple(session.exec(select(JobRow.id).where(JobRow.after_job_id == job_id)).all())

    def typical_seconds(self, kind: Kind, *, last: int = 10) -> float | None:
        """How long the latest finished jobs of that kind took: what a page shows before the start."""
        with self.database.reading() as session:
            rows = session.exec(
                select(JobRow)
                .where(JobRow.kind == kind, JobRow.status == "done")
                .order_by(col(JobRow.id).desc())
                .limit(last)
            ).all()
        spans = sorted((r.finished_at - r.started_at).total_seconds() for r in rows if r.finished_at and r.started_at)
        return spans[len(spans) // 2] if spans else None

    @staticmethod
    def _ahead(session: Session, row: JobRow) -> int:
        if row.status not in ("pending", "interrupted"):
            return 0
        count = session.connection().execute(
            text(
                "SELECT COUNT(*) FROM job WHERE status = 'running' OR (status IN ('pending', 'interrupted')"
                " AND (-priority, position, id) < (:priority, :position, :id))"
            ),
            {"priority": -row.priority, "position": row.position, "id": row.id},
        )
        return int(count.scalar_one())

    # told by the worker -----------------------------------------------------------------------------------------

    def claim(
        self, worker_id: str, pid: int, device: str, *, kinds: Iterable[Kind] = KINDS, only: str | None = None
    ) -> Job | None:
        """The next job, which from now on is this worker's; no two workers ever get the same. None: nothing to do."""
        with self.database.transaction() as session:
            stamp = now().replace(tzinfo=None).isoformat(" ", "microseconds")
            values = {"worker": worker_id, "pid": pid, "device": device, "now": stamp, "only": only}
            found = session.connection().execute(_CLAIM, {**values, "kinds": json.dumps(tuple(kinds))}).first()
            if found is None:
                return None
            reached("job.claiming")
            row = session.get(JobRow, found[0])
            assert row is not None
            return read_job(row)

    def update(self, job_id: str, worker_id: str, **columns: Any) -> int:
        """Write progress (and a heartbeat); returns the cancel flag. Raises Gone when the job is no longer ours."""
        with self.database.transaction() as session:
            row = session.get(JobRow, job_id)
            if row is None or row.worker_id != worker_id or row.status != "running":
                raise Gone(job_id)
            for name, value in columns.items():
                setattr(row, name, value)
            row.heartbeat_at = now()
            session.flush()
            reached("job.progress")
            return row.cancel

    def cancel_flag(self, job_id: str, worker_id: str) -> int:
        """0: go on; 1: stop; 2: stop and keep what is finished. A job that is no longer ours says stop."""
        with self.database.reading() as session:
            row = session.connection().execute(
                text("SELECT cancel FROM job WHERE id = :id AND worker_id = :worker AND status = 'running'"),
                {"id": job_id, "worker": worker_id},
            )
            found = row.first()
            return 1 if found is None else int(found[0])

    def beat(self, job_id: str, worker_id: str) -> None:
        with self.database.transaction() as session:
            row = session.get(JobRow, job_id)
            if row is not None and row.worker_id == worker_id and row.status == "running":
                row.heartbeat_at = now()

    def finish(
        self,
        job_id: str,
        worker_id: str,
        status: Status,
        *,
        result: dict[str, Any] | None = None,
        error: str | None = None,
        error_kind: str | None = None,
    ) -> None:
        with self.database.transaction() as session:
            self.finish_in(session, job_id, worker_id, status, result=result, error=error, error_kind=error_kind)

    @staticmethod
    def finish_in(
        session: Session,
        job_id: str,
        worker_id: str,
        status: Status,
        *,
        result: dict[str, Any] | None = None,
        error: str | None = None,
        error_kind: str | None = None,
    ) -> None:
        """End a job inside the transaction that writes what it made. Raises Gone when the job is no longer ours."""
        row = session.get(JobRow, job_id)
        if row is None or row.worker_id != worker_id or row.status != "running":
            raise Gone(job_id)
        row.status, row.finished_at, row.eta_s, row.preview_path = status, now(), None, None
        row.error, row.error_kind = error, error_kind
        row.result_json = None if result is None else json.dumps(result)
        session.flush()
        if status in ("failed", "cancelled"):
            _break_chain(session, row.id)
        reached("job.finishing")

    def give_back(self, job_id: str, worker_id: str) -> None:
        """The program is being closed: the job waits for the next start, and this attempt does not count. One that
        somebody stops is over."""
        with self.database.transaction() as session:
            row = session.get(JobRow, job_id)
            if row is not None and row.worker_id == worker_id and row.status == "running":
                row.status, row.attempts = "interrupted", max(0, row.attempts - 1)
                row.phase, row.worker_id, row.device = "", None, ""
                if row.cancel:
                    row.status, row.finished_at = "cancelled", now()
                    _break_chain(session, row.id)
                session.flush()
                reached("job.giving_back")

    def take_over(self, alive: Iterable[str], *, max_attempts: int, device: str | None = None) -> tuple[str, ...]:
        """Jobs that run on a worker that is not `alive` are interrupted and wait again, or have failed too often."""
        living = set(alive)
        taken = []
        with self.database.transaction() as session:
            query = select(JobRow).where(JobRow.status == "running")
            if device is not None:
                query = query.where(JobRow.device == device)
            for row in session.exec(query).all():
                if row.worker_id in living:
                    continue
                taken.append(row.id)
                row.device, row.worker_id, row.worker_pid, row.preview_path = "", None, None, None
                if row.cancel:
                    row.status, row.finished_at = "cancelled", now()
                    _break_chain(session, row.id)
                elif row.phase == LOADING:  # nothing was done on this job yet; app.loads counts what loading kills
                    row.status, row.phase, row.attempts = "interrupted", "interrupted", max(0, row.attempts - 1)
                elif row.attempts >= max_attempts:
                    row.status, row.finished_at, row.error_kind = "failed", now(), "WorkerLost"
                    row.error = (
                        f"The model's process ended {row.attempts} times while it worked on this, probably for lack of "
                        "memory: close other programs or choose a smaller model, then try again."
                    )
                    _break_chain(session, row.id)
                else:
                    row.status, row.phase = "interrupted", "interrupted"
            session.flush()
            reached("job.taking_over")
        return tuple(taken)


def _break_chain(session: Session, job_id: str) -> None:
    """A job did not come to its end: those that were to go on from it have nothing to go on from."""
    session.flush()
    for (follower,) in session.connection().execute(_FOLLOWERS, {"id": job_id}).all():
        row = session.get(JobRow, follower)
        if row is not None and row.status in OPEN and row.status != "running":
            row.status, row.finished_at, row.error_kind = "cancelled", now(), CHAIN_BROKEN
            row.error = "The scene before was not drawn, so this one was not begun; it can be drawn by itself."
            session.add(row)


def read_job(row: JobRow, ahead: int = 0) -> Job:
    """A snapshot of a row."""
    words = json.loads(row.words_json) if row.words_json else []
    return Job(
        id=row.id,
        owner_id=row.owner_id,
        kind=row.kind,  # type: ignore[arg-type]
        status=row.status,  # type: ignore[arg-type]
        story_id=row.story_id,
        scene_id=row.scene_id,
        group_id=row.group_id,
        payload=json.loads(row.payload_json),
        result=json.loads(row.result_json) if row.result_json else {},
        words=tuple(Words(**entry) for entry in words),
        phase=row.phase,
        step=row.step,
        total=row.total,
        eta_s=row.eta_s,
        preview=row.preview_path,
        cancel=row.cancel,
        attempts=row.attempts,
        worker_id=row.worker_id,
        error=row.error,
        error_kind=row.error_kind,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        ahead=ahead,
    )
