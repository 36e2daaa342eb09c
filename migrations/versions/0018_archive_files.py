"""Which file of the store stands for which archived rows.

- `archive_files`: one row for each file of the archive; `boursomatic archive adopt` names those of before.

Revision ID: 0018
Revises: 0017
Create Date: 2026-11-30
"""

import sqlalchemy as sa
from alembic import context, op

from boursomatic_assets.database.roles import grants

revision = "0018"
down_revision = "0017"

LOSES = {
    "names of archived files, by which bars are found that were not put back": "SELECT count(*) FROM archive_files"
    " WHERE superseded_at IS NULL"
}
"""What an upgrade does not find again after a downgrade, and how much there is of it."""


def upgrade() -> None:
    """Create the table, and let the roles use it."""
    op.create_table(
        "archive_files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("asset", sa.String(50), nullable=False),
        sa.Column("market", sa.String(50), nullable=False),
        sa.Column("first_session", sa.DateTime(), nullable=False),
        sa.Column("last_session", sa.DateTime(), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("written_at", sa.DateTime(), server_default=sa.text("now()"), nullable=False),
        sa.Column("superseded_at", sa.DateTime(), nullable=True),
        sa.CheckConstraint("first_session <= last_session", name=op.f("ck_archive_files_range")),
        sa.CheckConstraint("size > 0 AND row_count >= 0", name=op.f("ck_archive_files_counts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_archive_files")),
    )
    op.create_index(
        "uq_archive_files_current",
        "archive_files",
        ["asset", "market", "first_session"],
        unique=True,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    if not context.is_offline_mode():  # a printed migration ends with all grants, see `migrations/env.py`
        grants.apply(op.get_bind())


def downgrade() -> None:
    """Drop the table: no upgrade finds archived bars again; put them back before (`archive restore`)."""
    op.drop_table("archive_files")
