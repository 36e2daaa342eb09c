"""The extensions to the specification, each with its reason.

- `recommendations.as_of`, `model_versions.as_of`: the session that a row speaks for; slices are asked for by
  it, and `generated_at` / `trained_at` must stay the wall clock.
- `recommendations.superseded_at`: of several rows of one session one stands, the others are kept.
- `instruments`: (symbol, exchange) is unique, since deliveries name an instrument by that pair.
- CHECKs on prices, volumes and advice: a NaN that gets in passes every later comparison silently.
- `rejected_bars`: a refused row neither stops the good ones nor is lost.

What happens to rows that are there already. None is lost:
- `as_of` becomes `generated_at` or `trained_at`.
- Recommendations alike in instrument, profile and `as_of`: the active one stands, or the one with the highest
  id; the others are marked superseded now, and inactive.
- Model versions with the same `trained_at`: all but the first get an `as_of` some microseconds later.
- Instruments alike in symbol and exchange: the oldest stands; the others get `#<id>` after their symbol (cut
  to 13 characters) and become inactive.
- Bars that break a CHECK move to `rejected_bars`.
- Recommendations that break a CHECK stop the migration: advice that was given is for a person to judge.

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-23
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BAR_CHECKS = {
    "o": "o > 0 AND o < 'Infinity'",
    "h": "h > 0 AND h < 'Infinity'",
    "l": "l > 0 AND l < 'Infinity'",
    "c": "c > 0 AND c < 'Infinity'",
    "v": "v >= 0 AND v < 'Infinity'",
    "high_is_highest": "h >= greatest(o, c, l)",
    "low_is_lowest": "l <= least(o, c, h)",
    "interval": "interval IN ('daily', '15m')",
}
ADVICE_CHECKS = {
    "stop_loss": "stop_loss > 0 AND stop_loss < 'Infinity'",
    "take_profit": "take_profit > 0 AND take_profit < 'Infinity'",
    "horizon_days": "horizon_days > 0",
    "superseded_is_inactive": "superseded_at IS NULL OR NOT is_active",
}

RENAME_DOUBLE_INSTRUMENTS = """
UPDATE instruments SET symbol = left(symbol, 13) || '#' || id, is_active = false
WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY symbol, exchange ORDER BY created_at, id) AS place
        FROM instruments
    ) AS placed WHERE place > 1
)
"""
GOOD_BAR = " AND ".join(f"({rule})" for rule in BAR_CHECKS.values())
MOVE_BAD_BARS = f"""
WITH refused AS (
    DELETE FROM price_bars WHERE NOT ({GOOD_BAR}) RETURNING *
)
INSERT INTO rejected_bars (id, market, session, source, raw, reason)
SELECT gen_random_uuid(), CASE exchange WHEN 'EURONEXT' THEN 'EURONEXT' ELSE 'US' END, date_trunc('day', ts),
    'migration 0002', row_to_json(refused), 'breaks a check of price_bars'
FROM refused JOIN instruments ON instruments.id = refused.instrument_id
"""  # nosec B608
# In order of training, the n-th version gets n plus the latest (trained_at - m) of the versions m <= n, in
# microseconds: strictly rising, and trained_at itself wherever that is free.
DATE_VERSIONS = """
UPDATE model_versions SET as_of = dated.as_of
FROM (
    SELECT id, place + max(trained_at - place) OVER (ORDER BY trained_at, id) AS as_of
    FROM (
        SELECT id, trained_at, row_number() OVER (ORDER BY trained_at, id) * interval '1 microsecond' AS place
        FROM model_versions
    ) AS placed
) AS dated
WHERE model_versions.id = dated.id
"""
SUPERSEDE_DOUBLE_ADVICE = """
UPDATE recommendations SET is_active = false, superseded_at = timezone('UTC', now())
WHERE id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (
            PARTITION BY instrument_id, profile, as_of ORDER BY is_active DESC, id DESC
        ) AS place
        FROM recommendations
    ) AS placed WHERE place > 1
)
"""


def upgrade() -> None:
    """Add the extensions, keeping every row."""
    _create_rejected_bars()
    _extend_instruments()
    _extend_price_bars()
    _extend_model_versions()
    _extend_recommendations()


def downgrade() -> None:
    """Drop the extensions with what they hold: the refused rows, `as_of` and `superseded_at`."""
    _drop_checks("recommendations", ADVICE_CHECKS)
    op.drop_index("uq_recommendations_current", "recommendations")
    op.drop_index(op.f("ix_recommendations_as_of"), "recommendations")
    op.drop_column("recommendations", "superseded_at")
    op.drop_column("recommendations", "as_of")
    op.drop_index(op.f("ix_model_versions_as_of"), "model_versions")
    op.drop_column("model_versions", "as_of")
    _drop_checks("price_bars", BAR_CHECKS)
    op.drop_constraint(op.f("uq_instruments_symbol_exchange"), "instruments")
    op.drop_table("rejected_bars")


def _create_rejected_bars() -> None:
    op.create_table(
        "rejected_bars",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("market", sa.String(50), nullable=False),
        sa.Column("session", sa.DateTime()),
        sa.Column("source", sa.String(50), nullable=False),
        sa.Column("file", sa.String(500)),
        sa.Column("line", sa.BigInteger()),
        sa.Column("raw", sa.JSON(), nullable=False),
        sa.Column("reason", sa.String(100), nullable=False),
        sa.Column("run_id", sa.String(50)),
        sa.Column("rejected_at", sa.DateTime(), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejected_bars")),
    )
    op.create_index("ix_rejected_bars_market_session", "rejected_bars", ["market", "session"])
    op.create_index(op.f("ix_rejected_bars_reason"), "rejected_bars", ["reason"])


def _extend_instruments() -> None:
    op.execute(RENAME_DOUBLE_INSTRUMENTS)
    op.create_unique_constraint(op.f("uq_instruments_symbol_exchange"), "instruments", ["symbol", "exchange"])


def _extend_price_bars() -> None:
    op.execute(MOVE_BAD_BARS)
    _add_checks("price_bars", BAR_CHECKS)


def _extend_model_versions() -> None:
    op.add_column("model_versions", sa.Column("as_of", sa.DateTime()))
    op.execute(DATE_VERSIONS)
    op.alter_column("model_versions", "as_of", nullable=False)
    op.create_index(op.f("ix_model_versions_as_of"), "model_versions", ["as_of"], unique=True)


def _extend_recommendations() -> None:
    op.add_column("recommendations", sa.Column("as_of", sa.DateTime()))
    op.add_column("recommendations", sa.Column("superseded_at", sa.DateTime()))
    op.execute("UPDATE recommendations SET as_of = generated_at")
    op.execute(SUPERSEDE_DOUBLE_ADVICE)
    op.alter_column("recommendations", "as_of", nullable=False)
    op.create_index(op.f("ix_recommendations_as_of"), "recommendations", ["as_of"])
    op.create_index(
        "uq_recommendations_current",
        "recommendations",
        ["instrument_id", "profile", "as_of"],
        unique=True,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    _add_checks("recommendations", ADVICE_CHECKS)


def _add_checks(table: str, checks: dict[str, str]) -> None:
    for name, rule in checks.items():
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, rule)


def _drop_checks(table: str, checks: dict[str, str]) -> None:
    for name in checks:
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
