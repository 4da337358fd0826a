"""Films: how a person wants the path to a scene to be cut, so that nothing of it is lost on a restart.

Revision: 0003, after: 0002. Once released, never edited.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reel",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("story_id", sa.String(), nullable=False),
        sa.Column("scene_id", sa.String(), nullable=False),
        sa.Column("plan_json", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["scene_id"], ["scene.id"], name=op.f("fk_reel_scene_id_scene"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name=op.f("fk_reel_story_id_story"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reel")),
        sa.UniqueConstraint("scene_id", name=op.f("uq_reel_scene_id")),
    )
    with op.batch_alter_table("reel", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_reel_story_id"), ["story_id"], unique=False)


def downgrade() -> None:
    op.drop_table("reel")
