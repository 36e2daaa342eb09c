"""Cold storage: of each year in a file the months that `coverage_by_month` tells of.

- `archive_files.months`: newest time, number of sessions, of rows and of instruments, by month.

Revision ID: 0023
Revises: 0022
Create Date: 2026-11-30
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

LOSES = {
    "years in cold storage, put back first by `boursomatic archive restore`": "SELECT count(*) FROM archive_files"
    " WHERE months IS NOT NULL AND superseded_at IS NULL"
}
"""What an upgrade does not find again after a downgrade, and how much there is of it."""

MARKET = "CASE WHEN i.exchange IN ('NYSE', 'NASDAQ', 'NYSEMKT', 'US') THEN 'US' ELSE i.exchange END"

COVERAGE = f"""
CREATE OR REPLACE FUNCTION public.coverage_of_months() RETURNS TABLE (
    market text, month date, as_of timestamp, sessions bigint, bars bigint, instruments_with_bars bigint,
    instruments_with_features bigint, instruments_with_advice bigint
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN QUERY
    WITH listed AS (SELECT i.id, ({MARKET})::text AS of_market FROM instruments i),
    in_files AS (%(in_files)s),
    bars_by_session AS (
        SELECT of_market, ts, count(*) AS n FROM price_bars JOIN listed ON listed.id = instrument_id
        WHERE interval = 'daily' GROUP BY 1, 2
    ),
    sessions AS (
        SELECT of_market, of_month, sum(n)::bigint AS n, sum(with_rows)::bigint AS bars FROM (
            SELECT of_market, date_trunc('month', ts)::date AS of_month, count(*) AS n, sum(b.n) AS with_rows
                FROM bars_by_session b GROUP BY 1, 2
            UNION ALL
            SELECT of_market, of_month, n, with_rows FROM in_files WHERE kind = 'bars'
        ) AS found GROUP BY 1, 2
    ),
    having_rows AS (
        SELECT 'bars' AS kind, instrument_id, date_trunc('month', ts)::date AS of_month, max(ts) AS newest
            FROM price_bars WHERE interval = 'daily' GROUP BY 2, 3
        UNION ALL
        SELECT 'features', instrument_id, date_trunc('month', ts)::date, max(ts) FROM features GROUP BY 2, 3
        UNION ALL
        SELECT 'advice', instrument_id, date_trunc('month', r.as_of)::date, date_trunc('day', max(r.as_of))
            FROM recommendations r WHERE superseded_at IS NULL GROUP BY 2, 3
    ),
    by_kind AS (
        SELECT kind, of_market, of_month, max(newest) AS newest, count(*) AS instruments
            FROM having_rows JOIN listed ON listed.id = instrument_id GROUP BY 1, 2, 3
        UNION ALL
        SELECT kind, of_market, of_month, newest, instruments FROM in_files
    ),
    counted AS (
        SELECT of_market, of_month, max(newest) AS newest,
            coalesce(sum(instruments) FILTER (WHERE kind = 'bars'), 0)::bigint AS with_bars,
            coalesce(sum(instruments) FILTER (WHERE kind = 'features'), 0)::bigint AS with_features,
            coalesce(sum(instruments) FILTER (WHERE kind = 'advice'), 0)::bigint AS with_advice
        FROM by_kind GROUP BY 1, 2
    )
    SELECT c.of_market, c.of_month, c.newest, coalesce(s.n, 0), coalesce(s.bars, 0::bigint), c.with_bars,
        c.with_features, c.with_advice
    FROM counted c LEFT JOIN sessions s USING (of_market, of_month);
END $$
"""

IN_FILES = """
        SELECT CASE f.asset WHEN 'price_bars' THEN 'bars' ELSE f.asset END AS kind, f.market::text AS of_market,
            m.month AS of_month, m.as_of AS newest, m.sessions AS n, m.rows AS with_rows, m.instruments
        FROM archive_files f CROSS JOIN LATERAL json_to_recordset(f.months)
            AS m(month date, as_of timestamp, sessions bigint, rows bigint, instruments bigint)
        WHERE f.superseded_at IS NULL
    """

NONE = """
        SELECT NULL::text AS kind, NULL::text AS of_market, NULL::date AS of_month, NULL::timestamp AS newest,
            NULL::bigint AS n, NULL::bigint AS with_rows, NULL::bigint AS instruments WHERE false
    """


def upgrade() -> None:
    """Add the column, and count what it says."""
    op.add_column("archive_files", sa.Column("months", sa.JSON(none_as_null=True)))
    op.execute(COVERAGE % {"in_files": IN_FILES})


def downgrade() -> None:
    """Drop the column: the view says nothing of years in files any more."""
    op.execute(COVERAGE % {"in_files": NONE})
    op.drop_column("archive_files", "months")
