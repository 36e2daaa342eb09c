"""A bar says which line of which file it came from.

- `price_bars.file_id`, `price_bars.line`: of the delivery that wrote the bar as it is; a bar that is delivered
  again unchanged keeps them. Null of bars that came from no file, and of those that are there already.
- `price_bar_revisions.file_id`, `price_bar_revisions.line`: the same of an earlier version. Its `file` names the
  delivery that replaced it.
- `delivered_files.digest`, `delivered_files.file_id`: what the file held when it was read, and the number by which
  bars name it. Twelve bytes a bar, where a name and a digest would take more than the bar itself.

The columns are null, so no table is written again.

Revision ID: 0014
Revises: 0013
Create Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

LOSES = {
    "lines that bars came from": (
        "SELECT (SELECT count(*) FROM price_bars WHERE coalesce(file_id, line) IS NOT NULL)"
        " + (SELECT count(*) FROM price_bar_revisions WHERE coalesce(file_id, line) IS NOT NULL)"
    ),
    "digests of delivered files": (
        "SELECT count(*) FROM delivered_files WHERE coalesce(digest, file_id::text) IS NOT NULL"
    ),
}
"""What an upgrade does not find again after a downgrade, and how much there is of it."""

OF_BARS = ("price_bars", "price_bar_revisions")


def upgrade() -> None:
    """Add the columns."""
    for table in OF_BARS:
        op.add_column(table, sa.Column("file_id", sa.BigInteger()))
        op.add_column(table, sa.Column("line", sa.Integer()))
    op.add_column("delivered_files", sa.Column("digest", sa.String(64)))
    op.add_column("delivered_files", sa.Column("file_id", sa.BigInteger()))
    op.create_index("ix_delivered_files_file_id", "delivered_files", ["file_id"])


def downgrade() -> None:
    """Drop the columns: where bars came from is forgotten."""
    op.drop_index("ix_delivered_files_file_id", "delivered_files")
    for table, names in {
        **dict.fromkeys(OF_BARS, ("line", "file_id")),
        "delivered_files": ("file_id", "digest"),
    }.items():
        for name in names:
            op.drop_column(table, name)
