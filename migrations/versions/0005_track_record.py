"""What became of past advice.

- `track_record`: one row per piece of advice whose horizon has ended; "was it right" must have an answer.

What is there already is scored when its sessions are computed.

Revision ID: 0005
Revises: 0004
Create Date: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

LOSES = {"scores of recommendations": "SELECT count(*) FROM track_record"}
"""What an upgrade does not find again after a downgrade, and how much there is of it."""


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "track_record",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recommendation_id", sa.Uuid(), nullable=False),
        sa.Column("instrument_id", sa.Uuid(), nullable=False),
        sa.Column("ts", sa.DateTime(), nullable=False),
        sa.Column("profile", sa.String(50), nullable=False),
        sa.Column("label", sa.String(10), nullable=False),
        sa.Column("as_of", sa.DateTime(), nullable=False),
        sa.Column("horizon_days", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("expected_return_pct", sa.Float()),
        sa.Column("realised_return_pct", sa.Float()),
        sa.Column("outcome", sa.String(10)),
        sa.Column("hit", sa.Boolean()),
        sa.Column("first_touched", sa.String(10)),
        sa.Column("touched_on", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_track_record")),
        sa.ForeignKeyConstraint(
            ["recommendation_id"], ["recommendations.id"], name=op.f("fk_track_record_recommendation_id")
        ),
        sa.ForeignKeyConstraint(["instrument_id"], ["instruments.id"], name=op.f("fk_track_record_instrument_id")),
        *(
            sa.CheckConstraint(rule, name=op.f(f"ck_track_record_{name}"))
            for name, rule in {
                "profile": "profile IN ('conservative', 'moderate', 'aggressive')",
                "label": "label IN ('BUY', 'HOLD', 'SELL')",
                "outcome": "outcome IN ('BUY', 'HOLD', 'SELL')",
                "first_touched": "first_touched IN ('stop', 'target')",
                "touched_on": "(first_touched IS NULL) = (touched_on IS NULL)",
            }.items()
        ),
    )
    op.create_index("uq_track_record_ts_recommendation", "track_record", ["ts", "recommendation_id"], unique=True)


def downgrade() -> None:
    """Drop the table with what it holds; computed again, it is the same."""
    op.drop_table("track_record")
