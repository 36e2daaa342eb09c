"""Alerts that were raised, and those that are still to be sent.

- `alerts`: one row for each message and channel.

Revision ID: 0015
Revises: 0014
Create Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import context, op

from boursomatic_assets.database.roles import grants

revision = "0015"
down_revision = "0014"

LOSES = {"alerts": "SELECT count(*) FROM alerts"}
"""What an upgrade does not find again after a downgrade, and how much there is of it."""


def upgrade() -> None:
    """Create the table, and let the roles use it."""
    op.create_table(
        "alerts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(20), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("raised_at", sa.DateTime(), server_default=sa.text("now()"), nullable=False),
        sa.Column("sent_at", sa.DateTime()),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("retry_at", sa.DateTime()),
        sa.Column("error", sa.String(300)),
        sa.CheckConstraint("kind IN ('problem', 'recovery', 'event')", name=op.f("ck_alerts_kind")),
        sa.CheckConstraint("failures >= 0", name=op.f("ck_alerts_failures")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sa.UniqueConstraint("channel", "subject", "raised_at", name=op.f("uq_alerts_channel_subject_raised_at")),
    )
    op.create_index(
        "ix_alerts_unsent", "alerts", ["channel", "raised_at"], postgresql_where=sa.text("sent_at IS NULL")
    )
    if not context.is_offline_mode():  # a printed migration ends with all grants, see `migrations/env.py`
        grants.apply(op.get_bind())


def downgrade() -> None:
    """Drop the table: what was said is forgotten, and may be said again."""
    op.drop_table("alerts")
