"""The extensions to the specification, each with its reason.

- `recommendations.as_of`, `model_versions.as_of`: the session that a row speaks for; slices are asked for by
  it, and `generated_at` / `trained_at` must stay the wall clock.
- `recommendations.superseded_at`: of several rows of one session one stands, the others are kept.
- `instruments`: (symbol, exchange) is unique, since deliveries name an instrument by that pair.
- CHECKs on prices, volumes and advice: a NaN that gets in passes every later comparison silently.
- `rejected_bars`: a refused row neither stops the good ones nor is lost.

What happens to rows that are there already. None is lost:
- `as_of` becomes the close of the session that a `features_snapshot` names, the first open of the due date that a
  version is named after; where neither is known, `generated_at` or `trained_at`.
- Recommendations alike in instrument, profile and `as_of`: the active one stands, or the one generated last; the
  others are marked inactive, and superseded when the one after them was generated (if that is not later: now).
- Model versions with the same `trained_at` and no due date: all but the first get an `as_of` some microseconds
  later.
- Instruments alike in symbol and exchange: the oldest stands; the others get `#<id>` after their symbol (cut
  to 13 characters) and become inactive.
- Bars that break a CHECK move to `rejected_bars`.
- Recommendations that break a CHECK stop the migration: advice that was given is for a person to judge.

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-23
"""

import datetime as dt
from collections.abc import Callable

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

LOSES = {
    "refused bars": "SELECT count(*) FROM rejected_bars",
    "times at which recommendations were superseded": (
        "SELECT count(*) FROM recommendations WHERE superseded_at IS NOT NULL"
    ),
    "sessions that recommendations speak for": (
        "SELECT count(*) FROM recommendations WHERE as_of <> generated_at AND features_snapshot->>'ts' IS NULL"
    ),
    "due dates of model versions": (
        "SELECT count(*) FROM model_versions WHERE as_of <> trained_at"
        r" AND version !~ '^v[0-9]{4}\.[0-9]{2}\.[0-9]{2}$'"
    ),
}
"""What an upgrade does not find again after a downgrade, and how much there is of it."""

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
# Closes and first opens are for the calendars to say; what they cannot say is left as it is.
SESSIONS_ADVISED = """
SELECT DISTINCT exchange, left(features_snapshot->>'ts', 10)
FROM recommendations JOIN instruments ON instruments.id = instrument_id
"""
DATE_ADVICE = """
UPDATE recommendations SET as_of = known.closes
FROM instruments, unnest(CAST(:names AS text[]), CAST(:days AS text[]), CAST(:times AS timestamp[]))
    AS known(exchange, day, closes)
WHERE instruments.id = instrument_id AND known.exchange = instruments.exchange
    AND known.day = left(features_snapshot->>'ts', 10) AND generated_at >= known.closes
"""
DUE_DATES = "SELECT version, replace(substr(version, 2), '.', '-') FROM model_versions"
DATE_NAMED_VERSIONS = """
UPDATE model_versions SET as_of = known.opens
FROM unnest(CAST(:names AS text[]), CAST(:days AS text[]), CAST(:times AS timestamp[]))
    AS known(version, day, opens)
WHERE known.version = model_versions.version AND trained_at >= known.opens
"""
SUPERSEDE_DOUBLE_ADVICE = """
UPDATE recommendations SET is_active = false,
    superseded_at = CASE WHEN replaced_at > generated_at THEN replaced_at ELSE timezone('UTC', now()) END
FROM (
    SELECT id AS placed_id, row_number() OVER newest AS place, lag(generated_at) OVER newest AS replaced_at
    FROM recommendations
    WINDOW newest AS (
        PARTITION BY instrument_id, profile, as_of ORDER BY is_active DESC, generated_at DESC, id DESC
    )
) AS placed WHERE id = placed_id AND place > 1
"""


def upgrade() -> None:
    """Add the extensions, keeping every row."""
    _create_rejected_bars()
    _extend_instruments()
    _extend_price_bars()
    _extend_model_versions()
    _extend_recommendations()


def downgrade() -> None:
    """Drop the extensions with what they hold: the refused rows, `as_of` and `superseded_at`.

    An upgrade finds `as_of` and `superseded_at` again, but not of advice that was withdrawn without another.
    """
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
    _date(DATE_NAMED_VERSIONS, DUE_DATES, _first_open)
    op.alter_column("model_versions", "as_of", nullable=False)
    op.create_index(op.f("ix_model_versions_as_of"), "model_versions", ["as_of"], unique=True)


def _extend_recommendations() -> None:
    op.add_column("recommendations", sa.Column("as_of", sa.DateTime()))
    op.add_column("recommendations", sa.Column("superseded_at", sa.DateTime()))
    op.execute("UPDATE recommendations SET as_of = generated_at")
    _date(DATE_ADVICE, SESSIONS_ADVISED, _close)
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


def _date(update: str, named: str, when: Callable[[str, dt.date], dt.datetime | None]) -> None:
    """Give rows the times that the calendars know of names and dates.

    Args:
        update: What sets the times, from the parameters names, days and times.
        named: The query for the names, and dates as text.
        when: The time of a name and date, if there is one.
    """
    if op.get_context().as_sql:  # no row is known when SQL is only written out
        return
    found = [(name, day, _parsed(day)) for name, day in op.get_bind().execute(sa.text(named))]
    timed = [(name, day, when(name, date)) for name, day, date in found if date]
    known = [row for row in timed if row[2]]
    names, days, times = zip(*known, strict=True) if known else ((), (), ())
    given = {"names": [*names], "days": [*days], "times": [*times]}
    op.get_bind().execute(sa.text(update), given)


def _parsed(day: str | None) -> dt.date | None:
    try:
        return dt.date.fromisoformat(day or "")
    except ValueError:
        return None


def _close(exchange: str, session: dt.date) -> dt.datetime | None:
    from boursomatic_assets.calendars.markets import MARKETS  # which loads calendars: not before there is a row

    market = MARKETS["EURONEXT" if exchange == "EURONEXT" else "US"]
    return market.close_time(session) if market.is_session(session) else None


def _first_open(_version: str, due: dt.date) -> dt.datetime | None:
    from boursomatic_assets.calendars.markets import all_sessions, first_open

    return first_open(due) if due in all_sessions().tolist() else None


def _add_checks(table: str, checks: dict[str, str]) -> None:
    for name, rule in checks.items():
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, rule)


def _drop_checks(table: str, checks: dict[str, str]) -> None:
    for name in checks:
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
