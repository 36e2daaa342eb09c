"""What became of each file, and further names of instruments.

- `delivered_files`: one row per delivered file; "was any line lost" must have an answer.
- `instrument_aliases`: further names of an instrument; bars delivered under them must go to one series.

Revision ID: 0006
Revises: 0005
Create Date: 2026-11-28
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

LOSES = {
    "delivered files": "SELECT count(*) FROM delivered_files",
    "further names of instruments": "SELECT count(*) FROM instrument_aliases",
}
"""What an upgrade does not find again after a downgrade, and how much there is of it."""


def upgrade() -> None:
    """Add both tables."""
    op.create_table(
        "delivered_files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(50), nullable=False),
        sa.Column("file", sa.String(500), nullable=False),
        sa.Column("recognised", sa.String(200)),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("lines", "header", "blank", "comments", "footer", "delivered")
        ),
        sa.Column("problem", sa.String(1000)),
        sa.Column("passed_over", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.String(50)),
        sa.Column("read_at", sa.DateTime(), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivered_files")),
        sa.UniqueConstraint("source", "file", name=op.f("uq_delivered_files_source_file")),
    )
    op.create_table(
        "instrument_aliases",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("symbol", sa.String(50), nullable=False),
        sa.Column("exchange", sa.String(50), nullable=False),
        sa.Column("instrument_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instrument_aliases")),
        sa.UniqueConstraint("symbol", "exchange", name=op.f("uq_instrument_aliases_symbol_exchange")),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instruments.id"], name=op.f("fk_instrument_aliases_instrument_id")
        ),
    )


def downgrade() -> None:
    """Drop both tables; the files can be read again, and instruments be merged again."""
    op.drop_table("instrument_aliases")
    op.drop_table("delivered_files")
