"""Where bars came from, what was known when, and what was computed from it.

- `price_bar_revisions`: a bar that changed or vanished, as it was known; "what did we know when we said BUY".
- `delivered_sessions`: how many rows a delivery held, and what became of them.
- `computed_sessions`: when an asset's sessions were computed and last changed, so that what a correction made
  stale can be named through look-backs of any length.
- `rejected_bars.interval`: daily and 15m bars of a session are delivered apart, and so refused apart.

What is there already: refused rows are of daily deliveries; rows of bars, features and advice count as computed
when the newest of their session was written. How many rows were delivered is not known of the past.

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-24
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

LOSES = {
    "former bars": "SELECT count(*) FROM price_bar_revisions",
    "delivered sessions": "SELECT count(*) FROM delivered_sessions",
    "times at which sessions were computed": "SELECT count(*) FROM computed_sessions",
    "intervals of refused bars": "SELECT count(*) FROM rejected_bars WHERE interval <> 'daily'",
}
"""What an upgrade does not find again after a downgrade, and how much there is of it."""

WRITTEN = {
    "price_bars": ("ts", "created_at", "t.interval = 'daily'"),
    "features": ("ts", "created_at", "true"),
    "recommendations": ("as_of", "generated_at", "t.superseded_at IS NULL"),
}
"""Each asset's time, the time its rows were written, and which rows count."""


def upgrade() -> None:
    """Add the tables and the column, keeping every row."""
    _create_revisions()
    _create_delivered_sessions()
    _create_computed_sessions()
    op.add_column("rejected_bars", sa.Column("interval", sa.String(10), server_default="daily", nullable=False))
    for asset, (time, written, counts) in WRITTEN.items():
        op.execute(
            "INSERT INTO computed_sessions (id, asset, market, session, computed_at, changed_at)"
            f" SELECT gen_random_uuid(), '{asset}', market, session, written, written FROM ("
            "  SELECT CASE exchange WHEN 'EURONEXT' THEN 'EURONEXT' ELSE 'US' END AS market,"
            f"  date_trunc('day', t.{time}) AS session, max(t.{written}) AS written"
            f"  FROM {asset} t JOIN instruments ON instruments.id = t.instrument_id WHERE {counts} GROUP BY 1, 2"
            " ) AS sessions"
        )


def downgrade() -> None:
    """Drop the tables and the column with what they hold."""
    op.drop_column("rejected_bars", "interval")
    for table in ("computed_sessions", "delivered_sessions", "price_bar_revisions"):
        op.drop_table(table)


def _create_revisions() -> None:
    op.create_table(
        "price_bar_revisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instrument_id", sa.Uuid(), nullable=False),
        sa.Column("ts", sa.DateTime(), nullable=False),
        sa.Column("interval", sa.String(10), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in "ohlcv"),
        sa.Column("known_from", sa.DateTime(), nullable=False),
        sa.Column("known_until", sa.DateTime(), nullable=False),
        sa.Column("source", sa.String(50)),
        sa.Column("file", sa.String(500)),
        sa.Column("run_id", sa.String(50)),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_price_bar_revisions")),
        sa.ForeignKeyConstraint(
            ["instrument_id"], ["instruments.id"], name=op.f("fk_price_bar_revisions_instrument_id")
        ),
    )
    op.create_index(op.f("ix_price_bar_revisions_ts"), "price_bar_revisions", ["ts"])
    op.create_index(
        "idx_price_bar_revisions_instrument_ts_interval",
        "price_bar_revisions",
        ["instrument_id", "ts", "interval", "known_until"],
        unique=True,
    )


def _create_delivered_sessions() -> None:
    op.create_table(
        "delivered_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("market", sa.String(50), nullable=False),
        sa.Column("session", sa.DateTime()),
        sa.Column("interval", sa.String(10), nullable=False),
        sa.Column("source", sa.String(50), nullable=False),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("delivered", "kept", "merged", "rejected", "repaired")
        ),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("run_id", sa.String(50)),
        sa.Column("delivered_at", sa.DateTime(), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivered_sessions")),
        sa.CheckConstraint("delivered = kept + merged + rejected", name=op.f("ck_delivered_sessions_accounted")),
    )
    op.create_index(
        "uq_delivered_sessions",
        "delivered_sessions",
        ["market", "session", "interval"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )


def _create_computed_sessions() -> None:
    op.create_table(
        "computed_sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("asset", sa.String(50), nullable=False),
        sa.Column("market", sa.String(50), nullable=False),
        sa.Column("session", sa.DateTime(), nullable=False),
        sa.Column("computed_at", sa.DateTime(), nullable=False),
        sa.Column("changed_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_computed_sessions")),
        sa.UniqueConstraint("asset", "market", "session", name=op.f("uq_computed_sessions_asset_market_session")),
    )
