"""The first tables, meant to be the last: what later work asks of them is already here.

Revision: 0001, after: nothing. Once released, never edited.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "media",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("ext", sa.String(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("frame_count", sa.Integer(), nullable=True),
        sa.Column("fps", sa.Float(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("has_audio", sa.Boolean(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_media")),
    )
    op.create_table(
        "owner",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("settings_json", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_owner")),
        sa.UniqueConstraint("subject", name=op.f("uq_owner_subject")),
    )
    op.create_table(
        "process",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("model_key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("memory_bytes", sa.Integer(), nullable=True),
        sa.Column("stop", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(), nullable=False),
        sa.Column("active_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_process")),
    )
    with op.batch_alter_table("process", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_process_role"), ["role"], unique=False)

    op.create_table(
        "story",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("premise", sa.String(), nullable=False),
        sa.Column("cast", sa.String(), nullable=False),
        sa.Column("look", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("head_scene_id", sa.String(), nullable=True),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("settings_json", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.Column("opened_at", sa.DateTime(), nullable=True),
        sa.Column("deleted_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["head_scene_id"], ["scene.id"], name="fk_story_head_scene_id_scene", ondelete="SET NULL", use_alter=True
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["owner.id"], name=op.f("fk_story_owner_id_owner"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_story")),
    )
    with op.batch_alter_table("story", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_story_head_scene_id"), ["head_scene_id"], unique=False)
        batch_op.create_index("ix_story_owner_id_updated_at", ["owner_id", "updated_at"], unique=False)

    op.create_table(
        "op",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("story_id", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("group_id", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("before_json", sa.String(), nullable=False),
        sa.Column("after_json", sa.String(), nullable=False),
        sa.Column("undone", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["owner.id"], name=op.f("fk_op_owner_id_owner"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name=op.f("fk_op_story_id_story"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_op")),
    )
    with op.batch_alter_table("op", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_op_group_id"), ["group_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_op_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index("ix_op_story_id_number", ["story_id", "number"], unique=False)

    op.create_table(
        "scene",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("story_id", sa.String(), nullable=False),
        sa.Column("parent_id", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("words_source", sa.String(), nullable=False),
        sa.Column("steer", sa.String(), nullable=False),
        sa.Column("seen", sa.String(), nullable=False),
        sa.Column("in_world", sa.Boolean(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("think_job_id", sa.String(), nullable=True),
        sa.Column("anchor_scene_id", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["anchor_scene_id"], ["scene.id"], name=op.f("fk_scene_anchor_scene_id_scene"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["parent_id"], ["scene.id"], name=op.f("fk_scene_parent_id_scene"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name=op.f("fk_scene_story_id_story"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["think_job_id"], ["job.id"], name="fk_scene_think_job_id_job", ondelete="SET NULL", use_alter=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scene")),
    )
    with op.batch_alter_table("scene", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_scene_anchor_scene_id"), ["anchor_scene_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_scene_parent_id"), ["parent_id"], unique=False)
        batch_op.create_index("ix_scene_story_id_depth", ["story_id", "depth"], unique=False)
        batch_op.create_index(batch_op.f("ix_scene_think_job_id"), ["think_job_id"], unique=False)

    op.create_table(
        "job",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("story_id", sa.String(), nullable=True),
        sa.Column("scene_id", sa.String(), nullable=True),
        sa.Column("after_job_id", sa.String(), nullable=True),
        sa.Column("group_id", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("position", sa.Float(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("payload_json", sa.String(), nullable=False),
        sa.Column("words_json", sa.String(), nullable=True),
        sa.Column("result_json", sa.String(), nullable=True),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("eta_s", sa.Float(), nullable=True),
        sa.Column("preview_path", sa.String(), nullable=True),
        sa.Column("cancel", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.String(), nullable=True),
        sa.Column("worker_pid", sa.Integer(), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("error_kind", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=True),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["after_job_id"], ["job.id"], name=op.f("fk_job_after_job_id_job"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["owner.id"], name=op.f("fk_job_owner_id_owner"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["scene_id"], ["scene.id"], name=op.f("fk_job_scene_id_scene"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name=op.f("fk_job_story_id_story"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_job_after_job_id"), ["after_job_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_job_group_id"), ["group_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_job_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_job_scene_id"), ["scene_id"], unique=False)
        batch_op.create_index("ix_job_status_priority", ["status", "priority", "position", "id"], unique=False)
        batch_op.create_index("ix_job_story_id_created_at", ["story_id", "created_at"], unique=False)

    op.create_table(
        "take",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("scene_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("chosen", sa.Boolean(), nullable=False),
        sa.Column("starred", sa.Boolean(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=True),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("frame_count", sa.Integer(), nullable=False),
        sa.Column("fps", sa.Integer(), nullable=False),
        sa.Column("draw_seconds", sa.Float(), nullable=True),
        sa.Column("drift_json", sa.String(), nullable=True),
        sa.Column("parent_take_id", sa.String(), nullable=True),
        sa.Column("job_id", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_take_job_id_job"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["parent_take_id"], ["take.id"], name=op.f("fk_take_parent_take_id_take"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["scene_id"], ["scene.id"], name=op.f("fk_take_scene_id_scene"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_take")),
        sa.UniqueConstraint("scene_id", "number", name=op.f("uq_take_scene_id_number")),
    )
    with op.batch_alter_table("take", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_take_job_id"), ["job_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_take_parent_take_id"), ["parent_take_id"], unique=False)
        batch_op.create_index(
            "uq_take_chosen", ["scene_id"], unique=True, sqlite_where=sa.text("chosen = 1 AND deleted_at IS NULL")
        )

    op.create_table(
        "media_link",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("media_sha256", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("take_id", sa.String(), nullable=True),
        sa.Column("scene_id", sa.String(), nullable=True),
        sa.Column("job_id", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_media_link_job_id_job"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["media_sha256"], ["media.sha256"], name=op.f("fk_media_link_media_sha256_media"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["owner.id"], name=op.f("fk_media_link_owner_id_owner"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["scene_id"], ["scene.id"], name=op.f("fk_media_link_scene_id_scene"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["take_id"], ["take.id"], name=op.f("fk_media_link_take_id_take"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media_link")),
    )
    with op.batch_alter_table("media_link", schema=None) as batch_op:
        batch_op.create_index("ix_media_link_job_id_role", ["job_id", "role"], unique=False)
        batch_op.create_index("ix_media_link_media_sha256_owner_id", ["media_sha256", "owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_media_link_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index("ix_media_link_scene_id_role", ["scene_id", "role"], unique=False)
        batch_op.create_index("ix_media_link_take_id_role", ["take_id", "role"], unique=False)

    op.create_table(
        "preference",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("story_id", sa.String(), nullable=False),
        sa.Column("scene_id", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("take_id", sa.String(), nullable=True),
        sa.Column("other_take_id", sa.String(), nullable=True),
        sa.Column("words_before", sa.String(), nullable=False),
        sa.Column("words_after", sa.String(), nullable=False),
        sa.Column("context_json", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["other_take_id"], ["take.id"], name=op.f("fk_preference_other_take_id_take"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["owner.id"], name=op.f("fk_preference_owner_id_owner"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["scene_id"], ["scene.id"], name=op.f("fk_preference_scene_id_scene"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["story_id"], ["story.id"], name=op.f("fk_preference_story_id_story"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["take_id"], ["take.id"], name=op.f("fk_preference_take_id_take"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_preference")),
    )
    with op.batch_alter_table("preference", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_preference_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_preference_other_take_id"), ["other_take_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_preference_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_preference_scene_id"), ["scene_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_preference_story_id"), ["story_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_preference_take_id"), ["take_id"], unique=False)

    op.create_table(
        "recipe",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("take_id", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("adapter", sa.String(), nullable=True),
        sa.Column("adapter_strength", sa.Float(), nullable=True),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("settings_json", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("steer", sa.String(), nullable=False),
        sa.Column("bible", sa.String(), nullable=False),
        sa.Column("parents_json", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("threads", sa.Integer(), nullable=False),
        sa.Column("dtype", sa.String(), nullable=False),
        sa.Column("versions_json", sa.String(), nullable=False),
        sa.Column("frames_sha256", sa.String(), nullable=False),
        sa.Column("latents_sha256", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["take_id"], ["take.id"], name=op.f("fk_recipe_take_id_take"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipe")),
        sa.UniqueConstraint("take_id", name=op.f("uq_recipe_take_id")),
    )
    op.create_table(
        "verdict",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("take_id", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("judge", sa.String(), nullable=False),
        sa.Column("template", sa.String(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("votes_json", sa.String(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["take_id"], ["take.id"], name=op.f("fk_verdict_take_id_take"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdict")),
    )
    with op.batch_alter_table("verdict", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_verdict_take_id"), ["take_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("verdict", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_verdict_take_id"))

    op.drop_table("verdict")
    op.drop_table("recipe")
    with op.batch_alter_table("preference", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_preference_take_id"))
        batch_op.drop_index(batch_op.f("ix_preference_story_id"))
        batch_op.drop_index(batch_op.f("ix_preference_scene_id"))
        batch_op.drop_index(batch_op.f("ix_preference_owner_id"))
        batch_op.drop_index(batch_op.f("ix_preference_other_take_id"))
        batch_op.drop_index(batch_op.f("ix_preference_at"))

    op.drop_table("preference")
    with op.batch_alter_table("media_link", schema=None) as batch_op:
        batch_op.drop_index("ix_media_link_take_id_role")
        batch_op.drop_index("ix_media_link_scene_id_role")
        batch_op.drop_index(batch_op.f("ix_media_link_owner_id"))
        batch_op.drop_index("ix_media_link_media_sha256_owner_id")
        batch_op.drop_index("ix_media_link_job_id_role")

    op.drop_table("media_link")
    with op.batch_alter_table("take", schema=None) as batch_op:
        batch_op.drop_index("uq_take_chosen", sqlite_where=sa.text("chosen = 1 AND deleted_at IS NULL"))
        batch_op.drop_index(batch_op.f("ix_take_parent_take_id"))
        batch_op.drop_index(batch_op.f("ix_take_job_id"))

    op.drop_table("take")
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_index("ix_job_story_id_created_at")
        batch_op.drop_index("ix_job_status_priority")
        batch_op.drop_index(batch_op.f("ix_job_scene_id"))
        batch_op.drop_index(batch_op.f("ix_job_owner_id"))
        batch_op.drop_index(batch_op.f("ix_job_group_id"))
        batch_op.drop_index(batch_op.f("ix_job_after_job_id"))

    op.drop_table("job")
    with op.batch_alter_table("scene", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_scene_think_job_id"))
        batch_op.drop_index("ix_scene_story_id_depth")
        batch_op.drop_index(batch_op.f("ix_scene_parent_id"))
        batch_op.drop_index(batch_op.f("ix_scene_anchor_scene_id"))

    op.drop_table("scene")
    with op.batch_alter_table("op", schema=None) as batch_op:
        batch_op.drop_index("ix_op_story_id_number")
        batch_op.drop_index(batch_op.f("ix_op_owner_id"))
        batch_op.drop_index(batch_op.f("ix_op_group_id"))

    op.drop_table("op")
    with op.batch_alter_table("story", schema=None) as batch_op:
        batch_op.drop_index("ix_story_owner_id_updated_at")
        batch_op.drop_index(batch_op.f("ix_story_head_scene_id"))

    op.drop_table("story")
    with op.batch_alter_table("process", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_process_role"))

    op.drop_table("process")
    op.drop_table("owner")
    op.drop_table("media")
