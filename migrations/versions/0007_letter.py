"""What the specification allows is taken, and what it says is kept.

- `recommendations.as_of`, `model_versions.as_of`: a row that leaves it out gets its `generated_at` or
  `trained_at`, or the first free microsecond after it: an INSERT may know the specification's columns alone.
- `updated_at` of `price_bars`, `features` and `track_record`: the time of a row's last change; `created_at` is
  that of its creation.
- `price_bars.interval`: any number and unit, `daily`, `weekly` or `monthly`; the specification says "etc.".
- An index for each foreign key that had none.

What is there already: no row is written again. `updated_at` is null, so a row is known since its `created_at`,
which until now moved with each change. Bars of other intervals that were moved to `rejected_bars` return.

Revision ID: 0007
Revises: 0006
Create Date: 2026-11-29
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

LOSES = {
    f"times at which {what} were created": f"SELECT count(*) FROM {table} WHERE updated_at IS NOT NULL"  # nosec B608
    for table, what in (("price_bars", "bars"), ("features", "features"), ("track_record", "scores"))
}
"""What an upgrade does not find again after a downgrade: of a changed row only the time of its change stays."""

PATTERN = "^[1-9][0-9]*(s|m|h|d|w|mo)$"
INTERVAL = f"interval IN ('daily', '15m', 'weekly', 'monthly') OR interval ~ '{PATTERN}'"
FORMER_INTERVAL = "interval IN ('daily', '15m')"

CORRECTED = ("price_bars", "features", "track_record")
"""Tables whose rows are corrected in place."""

INDEXED = {
    "instrument_aliases": ("instrument_id",),
    "model_decisions": ("version_id", "speaker_id"),
    "track_record": ("recommendation_id", "instrument_id"),
}
"""Foreign keys without an index until now."""

DERIVED = {
    "model_versions": ("trained_at", "true"),
    "recommendations": (
        "generated_at",
        "t.instrument_id = NEW.instrument_id AND t.profile = NEW.profile AND t.superseded_at IS NULL",
    ),
}
"""The time that `as_of` follows from, and the rows of which no two may have the same."""

# An infinite time has no microsecond after it: there the unique index speaks.
DERIVE_AS_OF = """
CREATE FUNCTION {table}_derive_as_of() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.as_of := NEW.{time};
    WHILE isfinite(NEW.as_of) AND EXISTS (SELECT FROM {table} t WHERE t.as_of = NEW.as_of AND {rivals}) LOOP
        NEW.as_of := NEW.as_of + interval '1 microsecond';
    END LOOP;
    RETURN NEW;
END $$
"""
ON_INSERT = """
CREATE TRIGGER {table}_derive_as_of BEFORE INSERT ON {table}
FOR EACH ROW WHEN (NEW.as_of IS NULL) EXECUTE FUNCTION {table}_derive_as_of()
"""

RETURN_BARS = f"""
WITH returned AS (
    DELETE FROM rejected_bars WHERE id IN (
        SELECT r.id FROM rejected_bars r CROSS JOIN json_populate_record(NULL::price_bars, r.raw) AS b
        WHERE r.source IN ('migration 0002', 'migration 0007')
            AND (b.interval IN ('weekly', 'monthly') OR b.interval <> '15m' AND b.interval ~ '{PATTERN}')
            AND least(b.o, b.h, b.l, b.c) > 0 AND greatest(b.o, b.h, b.l, b.c, b.v) < 'Infinity' AND b.v >= 0
            AND b.h >= greatest(b.o, b.c) AND b.l <= least(b.o, b.c)
            AND EXISTS (SELECT FROM instruments i WHERE i.id = b.instrument_id)
    ) RETURNING raw
)
INSERT INTO price_bars SELECT (json_populate_record(NULL::price_bars, raw)).* FROM returned
"""  # nosec B608
MOVE_BARS = f"""
WITH moved AS (
    DELETE FROM price_bars WHERE NOT ({FORMER_INTERVAL}) RETURNING *
)
INSERT INTO rejected_bars (id, market, session, source, raw, reason, interval)
SELECT gen_random_uuid(), CASE exchange WHEN 'EURONEXT' THEN 'EURONEXT' ELSE 'US' END, date_trunc('day', ts),
    'migration 0007', row_to_json(moved), 'breaks a check of price_bars', interval
FROM moved JOIN instruments ON instruments.id = moved.instrument_id
"""  # nosec B608


def upgrade() -> None:
    """Add columns, indexes and triggers, and let bars of other intervals in."""
    for table in CORRECTED:
        op.add_column(table, sa.Column("updated_at", sa.DateTime()))
    for table, columns in INDEXED.items():
        for column in columns:
            op.create_index(op.f(f"ix_{table}_{column}"), table, [column])
    _check_interval(INTERVAL)
    op.execute(RETURN_BARS)
    for table, (time, rivals) in DERIVED.items():
        op.execute(DERIVE_AS_OF.format(table=table, time=time, rivals=rivals))
        op.execute(ON_INSERT.format(table=table))


def downgrade() -> None:
    """Take them back: bars of other intervals move to `rejected_bars`, and a change moves `created_at` again."""
    for table in DERIVED:
        op.execute(f"DROP TRIGGER {table}_derive_as_of ON {table}")
        op.execute(f"DROP FUNCTION {table}_derive_as_of()")
    op.execute(MOVE_BARS)
    _check_interval(FORMER_INTERVAL)
    for table, columns in INDEXED.items():
        for column in columns:
            op.drop_index(op.f(f"ix_{table}_{column}"), table)
    for table in CORRECTED:
        op.execute(f"UPDATE {table} SET created_at = updated_at WHERE updated_at IS NOT NULL")
        op.drop_column(table, "updated_at")


def _check_interval(rule: str) -> None:
    name = op.f("ck_price_bars_interval")
    op.drop_constraint(name, "price_bars")
    op.create_check_constraint(name, "price_bars", rule)
