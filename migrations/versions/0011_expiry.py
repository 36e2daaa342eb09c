"""Advice expires: `recommendation_expiries` says which recommendation did, when, and why.

The rows are a log: none is ever changed. This migration changes no row: which recommendations are active is
decided anew by the next write of bars or recommendations.

Revision ID: 0011
Revises: 0010
Create Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import context, op

from boursomatic_assets.database.roles import grants

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the table, which only its owner may change."""
    op.create_table(
        "recommendation_expiries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recommendation_id", sa.Uuid(), nullable=False),
        sa.Column("session", sa.DateTime(), nullable=False),
        sa.Column("reason", sa.String(20), nullable=False),
        sa.Column("decided_at", sa.DateTime(), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recommendation_expiries")),
        sa.ForeignKeyConstraint(
            ["recommendation_id"],
            ["recommendations.id"],
            name=op.f("fk_recommendation_expiries_recommendation_id"),
        ),
        sa.UniqueConstraint(
            "recommendation_id",
            "decided_at",
            name=op.f("uq_recommendation_expiries_recommendation_id_decided_at"),
        ),
        sa.CheckConstraint(
            "reason IN ('horizon', 'inactive', 'renewed')", name=op.f("ck_recommendation_expiries_reason")
        ),
    )
    op.execute(
        "CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON recommendation_expiries"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    if context.is_offline_mode():
        for statement in grants.script():
            op.execute(statement)
    else:
        grants.apply(op.get_bind())


def downgrade() -> None:
    """Drop the log; what it says is lost, and inactive recommendations stay as they are."""
    op.drop_table("recommendation_expiries")
