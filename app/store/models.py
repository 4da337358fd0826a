"""The tables. Knows nothing of how they are used; changed only together with a migration.

Which values a text column may hold (kinds, roles, states) is said by the Literals of app.story and app.store.jobs, not
by constraints: a new role must not need a table to be rebuilt. Who may exist without whom is said here: every foreign
key names what happens on delete.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import DateTime, ForeignKeyConstraint, Index, MetaData, UniqueConstraint, text
from sqlalchemy.orm import registry
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from app.identity import new_id, now

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMING)


class UTCDateTime(TypeDecorator[datetime]):
    """Aware in Python, UTC in the file. A naive time is a mistake of ours and is refused."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("Times are stored aware and in UTC, got a naive one.")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:  # noqa: ARG002
        return None if value is None else value.replace(tzinfo=UTC)


class Row(SQLModel, registry=registry(metadata=metadata)):
    """Root of all tables. No table uses the global metadata: another package's models must not reach our migrations."""


def _id() -> Any:
    return Field(default_factory=new_id, primary_key=True)


def _ref(
    target: str,
    ondelete: Literal["CASCADE", "SET NULL", "RESTRICT"] = "CASCADE",
    *,
    index: bool = True,
    nullable: bool = False,
) -> Any:
    extra: dict[str, Any] = {"default": None} if nullable else {}
    return Field(foreign_key=target, ondelete=ondelete, index=index, nullable=nullable, **extra)


def _time(*, index: bool = False) -> Any:
    return Field(default_factory=now, sa_type=UTCDateTime, nullable=False, index=index)


def _maybe_time() -> Any:
    return Field(default=None, sa_type=UTCDateTime, nullable=True)


class OwnerRow(Row, table=True):
    """A person. On a laptop there is one, `local`; on a Space one per account, and guests."""

    __tablename__ = "owner"
    id: str = _id()
    kind: str = "local"  # local | account | guest
    subject: str | None = Field(default=None, unique=True)  # the account's own id, never its name
    name: str = ""
    settings_json: str = "{}"
    created_at: datetime = _time()


class StoryRow(Row, table=True):
    __tablename__ = "story"
    __table_args__ = (
        # story -> scene -> story is a circle: the constraint is named and made last
        ForeignKeyConstraint(
            ["head_scene_id"], ["scene.id"], ondelete="SET NULL", name="fk_story_head_scene_id_scene", use_alter=True
        ),
        Index("ix_story_owner_id_updated_at", "owner_id", "updated_at"),
    )
    id: str = _id()
    owner_id: str = _ref("owner.id", index=False)
    title: str
    premise: str = ""
    cast: str = ""
    look: str = ""
    version: int = 1  # one more with every change: two tabs do not overwrite each other
    head_scene_id: str | None = Field(default=None, index=True)  # the scene that was looked at last
    origin: str = "here"  # here | storypack | duplicate
    settings_json: str = "{}"  # how this story is drawn, when not as the model recommends
    created_at: datetime = _time()
    updated_at: datetime = _time()
    opened_at: datetime | None = _maybe_time()
    deleted_at: datetime | None = _maybe_time()


class SceneRow(Row, table=True):
    __tablename__ = "scene"
    __table_args__ = (
        # scene -> job -> scene is a circle, too
        ForeignKeyConstraint(
            ["think_job_id"], ["job.id"], ondelete="SET NULL", name="fk_scene_think_job_id_job", use_alter=True
        ),
        Index("ix_scene_story_id_depth", "story_id", "depth"),
    )
    id: str = _id()
    story_id: str = _ref("story.id", index=False)
    parent_id: str | None = _ref("scene.id", nullable=True)
    kind: str = "next"  # begin | next
    mode: str = "continue"  # continue | cut
    depth: int = 0
    position: int = 0  # among its siblings
    words: str = ""
    words_source: str = "model"  # model | user | edited
    steer: str = ""
    seen: str = ""  # what the model understood of an uploaded beginning
    in_world: bool | None = None
    confidence: float | None = None
    think_job_id: str | None = Field(default=None, index=True)
    anchor_scene_id: str | None = _ref("scene.id", "SET NULL", nullable=True)  # re-anchored on that scene's look
    created_at: datetime = _time()
    deleted_at: datetime | None = _maybe_time()


class TakeRow(Row, table=True):
    __tablename__ = "take"
    __table_args__ = (
        UniqueConstraint("scene_id", "number"),
        Index("uq_take_chosen", "scene_id", unique=True, sqlite_where=text("chosen = 1 AND deleted_at IS NULL")),
    )
    id: str = _id()
    scene_id: str = _ref("scene.id", index=False)
    number: int
    kind: str = "drawn"  # drawn | uploaded | still
    chosen: bool = False
    starred: bool = False
    rank: int | None = None
    width: int
    height: int
    frame_count: int
    fps: int
    draw_seconds: float | None = None
    drift_json: str | None = None  # colour, contrast, sharpness, identity against the anchor
    parent_take_id: str | None = _ref("take.id", "SET NULL", nullable=True)  # the take that it was drawn after
    job_id: str | None = _ref("job.id", "SET NULL", nullable=True)
    created_at: datetime = _time()
    deleted_at: datetime | None = _maybe_time()


class RecipeRow(Row, table=True):
    """All that is needed to draw a take again, and the hash that says whether it is the same."""

    __tablename__ = "recipe"
    id: str = _id()
    take_id: str = Field(foreign_key="take.id", ondelete="CASCADE", unique=True)
    model: str
    fingerprint: str
    adapter: str | None = None
    adapter_strength: float | None = None
    seed: int
    settings_json: str  # SamplingOptions as they were used
    mode: str
    words: str
    steer: str = ""
    bible: str = ""
    parents_json: str = "[]"  # [{"scene", "take", "words", "frames", "latents"}], oldest first
    device: str
    threads: int
    dtype: str
    versions_json: str
    frames_sha256: str  # of the raw bytes of the frames, not of a file
    latents_sha256: str | None = None
    created_at: datetime = _time()


class VerdictRow(Row, table=True):
    """What a judge said of a take. A judge that could not answer leaves `missing`, never pass or fail."""

    __tablename__ = "verdict"
    id: str = _id()
    take_id: str = _ref("take.id")
    value: str  # pass | fail | missing
    reason: str = ""
    judge: str
    template: str = ""
    score: float | None = None
    votes_json: str = "[]"
    cost_usd: float | None = None
    created_at: datetime = _time()


class JobRow(Row, table=True):
    """Something asked of the model. Outlives the tab and the process that asked."""

    __tablename__ = "job"
    __table_args__ = (
        Index("ix_job_status_priority", "status", "priority", "position", "id"),
        Index("ix_job_story_id_created_at", "story_id", "created_at"),
    )
    id: str = _id()
    owner_id: str = _ref("owner.id")
    kind: str  # describe | think | draw | load | export
    story_id: str | None = _ref("story.id", index=False, nullable=True)
    scene_id: str | None = _ref("scene.id", nullable=True)
    after_job_id: str | None = _ref("job.id", "SET NULL", nullable=True)  # waits for that one
    group_id: str | None = Field(default=None, index=True)  # the takes that were asked for together
    status: str = "pending"  # pending | running | done | failed | cancelled | interrupted | paused
    priority: int = 0
    position: float = 0.0  # order among equals, then age
    device: str = ""  # "" : whichever is free
    payload_json: str = "{}"
    words_json: str | None = None  # words so far
    result_json: str | None = None
    phase: str = ""
    step: int = 0
    total: int = 0
    eta_s: float | None = None
    preview_path: str | None = None  # inside the data folder
    cancel: int = 0  # 1: stop; 2: stop and keep what is finished
    attempts: int = 0
    worker_id: str | None = None
    worker_pid: int | None = None
    heartbeat_at: datetime | None = _maybe_time()
    error: str | None = None  # one sentence
    error_kind: str | None = None  # the class of the error, for the page to offer the right way out
    created_at: datetime = _time()
    started_at: datetime | None = _maybe_time()
    finished_at: datetime | None = _maybe_time()


class MediaRow(Row, table=True):
    """A file under media/, named by its content. The row is written after the file."""

    __tablename__ = "media"
    sha256: str = Field(primary_key=True)
    ext: str
    bytes: int
    width: int | None = None
    height: int | None = None
    frame_count: int | None = None
    fps: float | None = None
    seconds: float | None = None
    has_audio: bool | None = None
    created_at: datetime = _time()


class MediaLinkRow(Row, table=True):
    """Who uses a file, and as what. A file without links may be removed; a link names exactly one user of the file."""

    __tablename__ = "media_link"
    __table_args__ = (
        Index("ix_media_link_take_id_role", "take_id", "role"),
        Index("ix_media_link_scene_id_role", "scene_id", "role"),
        Index("ix_media_link_job_id_role", "job_id", "role"),
        Index("ix_media_link_media_sha256_owner_id", "media_sha256", "owner_id"),
    )
    id: str = _id()
    owner_id: str = _ref("owner.id")
    media_sha256: str = _ref("media.sha256", "RESTRICT", index=False)
    role: str
    number: int = 0  # when one user has several files in one role
    name: str = ""  # what the person called the file
    take_id: str | None = _ref("take.id", index=False, nullable=True)
    scene_id: str | None = _ref("scene.id", index=False, nullable=True)
    job_id: str | None = _ref("job.id", index=False, nullable=True)
    created_at: datetime = _time()


class OpRow(Row, table=True):
    """One change of a story, append only: what undo and redo walk along. Only `undone` ever changes."""

    __tablename__ = "op"
    __table_args__ = (Index("ix_op_story_id_number", "story_id", "number"),)
    number: int | None = Field(default=None, primary_key=True)  # rises with time
    story_id: str = _ref("story.id", index=False)
    owner_id: str = _ref("owner.id")
    group_id: str | None = Field(default=None, index=True)  # undone together
    kind: str
    actor: str = "user"  # user | model
    before_json: str  # {"scene:<id>": {"words": ...}}
    after_json: str
    undone: bool = False
    at: datetime = _time()


class ReelRow(Row, table=True):
    """How the film of the path to a scene is cut; what a plan says is app.reel.plan's affair."""

    __tablename__ = "reel"
    id: str = _id()
    story_id: str = _ref("story.id")
    scene_id: str = Field(foreign_key="scene.id", ondelete="CASCADE", unique=True)
    plan_json: str
    version: int = 1
    changed_at: datetime = _time()


class PreferenceRow(Row, table=True):
    """What a person chose, starred, rewrote or threw away: visible, exportable, erasable, never sent anywhere."""

    __tablename__ = "preference"
    id: str = _id()
    owner_id: str = _ref("owner.id")
    story_id: str = _ref("story.id")
    scene_id: str | None = _ref("scene.id", nullable=True)
    kind: str  # chose | starred | ranked | rewrote | kept | threw_away
    take_id: str | None = _ref("take.id", nullable=True)
    other_take_id: str | None = _ref("take.id", nullable=True)  # the one it was preferred to
    words_before: str = ""
    words_after: str = ""
    context_json: str = "{}"
    at: datetime = _time(index=True)


class ProcessRow(Row, table=True):
    """A living page or worker: how they find each other, and how each learns that the other is gone."""

    __tablename__ = "process"
    id: str = _id()
    role: str = Field(index=True)  # page | worker
    pid: int
    device: str = ""
    model_key: str = ""
    fingerprint: str = ""
    state: str = "starting"  # starting | loading | idle | busy | stopped
    message: str = ""
    memory_bytes: int | None = None
    stop: bool = False  # please end
    started_at: datetime = _time()
    heartbeat_at: datetime = _time()
    active_at: datetime = _time()  # page: when a person last did something
