"""Advice expires, and a score without a return says why.

`recommendation_expiries` says which recommendation expired, when, and why; `track_record.unscored` why there is no
return. The rows of the first are a log: none is ever changed. Which recommendations are active
is decided anew by the next write of bars or recommendations.

Revision ID: 0011
Revises: 0010
Create Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import context, op

from boursomatic_assets.database.roles import grants

revision = "0011"
down_revision = "0010"

LOSES = {"expiries of recommendations": "SELECT count(*) FROM recommendation_expiries"}
"""What an upgrade does not find again after a downgrade, and how much there is of it."""


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
    op.create_index(
        "ix_recommendations_active",
        "recommendations",
        ["instrument_id"],
        postgresql_where=sa.text("is_active"),
    )
    _say_why_unscored()
    if not context.is_offline_mode():  # a printed migration ends with all grants, see `migrations/env.py`
        grants.apply(op.get_bind())


def _say_why_unscored() -> None:
    """Scores without a return say why; of those that are there, whether their bar is."""
    op.add_column("track_record", sa.Column("unscored", sa.String(20)))
    op.create_check_constraint(
        op.f("ck_track_record_unscored"), "track_record", "unscored IN ('no bar', 'price basis')"
    )
    op.execute(
        "UPDATE track_record t SET unscored = CASE WHEN EXISTS (SELECT FROM price_bars b"
        " WHERE b.instrument_id = t.instrument_id AND b.interval = 'daily' AND b.ts = date_trunc('day', t.as_of))"
        " THEN 'price basis' ELSE 'no bar' END WHERE realised_return_pct IS NULL"
    )


def downgrade() -> None:
    """Drop the log; what it says is lost, and inactive recommendations stay as they are."""
    op.drop_index("ix_recommendations_active", "recommendations")
    op.drop_column("track_record", "unscored")
    op.drop_table("recommendation_expiries")
