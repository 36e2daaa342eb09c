"""Which runs go on, where, and which may still write.

- `run_claims`: one row for each run that goes on, or that was given up.

Revision ID: 0017
Revises: 0016
Create Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import context, op

from boursomatic_assets.database.roles import grants

revision = "0017"
down_revision = "0016"

LOSES = {"claims of runs that go on or were given up": "SELECT count(*) FROM run_claims"}
"""What an upgrade does not find again after a downgrade, and how much there is of it."""


def upgrade() -> None:
    """Create the table, and let the roles use it."""
    op.create_table(
        "run_claims",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("epoch", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(), server_default=sa.text("now()"), nullable=False),
        sa.Column("seen_at", sa.DateTime(), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("epoch >= 0", name=op.f("ck_run_claims_epoch")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_claims")),
        sa.UniqueConstraint("run_id", name=op.f("uq_run_claims_run_id")),
    )
    if not context.is_offline_mode():  # a printed migration ends with all grants, see `migrations/env.py`
        grants.apply(op.get_bind())


def downgrade() -> None:
    """Drop the table: runs that go on cannot write any more; upgrade again, or start them again."""
    op.drop_table("run_claims")
