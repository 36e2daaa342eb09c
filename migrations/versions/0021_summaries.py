"""Summaries: what reports ask for again and again, as materialised views.

- `advice_by_sector`: the active recommendations of each market, profile and sector.
- `track_record_by_month`: the scores of each market, profile, horizon and month in which the horizons ended.
- `coverage_by_month`: sessions, bars, and instruments with bars, features and advice, of each market and month.
- `summaries`: a digest of what each view was made from; with another digest today it is out of date.
- `refresh_summary`: PostgreSQL lets nobody but its owner refresh a view. Readers read on meanwhile.

Each row says for which newest session it speaks (`as_of`), and when it was made (`refreshed_at`). The digest is
read in no later snapshot than the view is made in: a view may be called out of date that is not, and never the
other way round. It is of times of deliveries and computations, and of instruments: what somebody changes by hand
in SQL leaves no trace there.

`coverage_by_month` reads through a function whose text is bound when it runs: `boursomatic db partition` replaces
the tables that it reads.

Revision ID: 0021
Revises: 0020
Create Date: 2026-11-30
"""

import sqlalchemy as sa
from alembic import context, op

from boursomatic_assets.database.roles import grants

revision = "0021"
down_revision = "0020"

MARKET = "CASE WHEN i.exchange IN ('NYSE', 'NASDAQ', 'NYSEMKT', 'US') THEN 'US' ELSE i.exchange END"
REFRESHED_AT = "(statement_timestamp() AT TIME ZONE 'UTC') AS refreshed_at"

DIGEST = """
CREATE FUNCTION public.summary_sources() RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, public SET datestyle = 'ISO, YMD' AS $$
SELECT md5(concat_ws(chr(10),
    (SELECT string_agg(concat_ws('|', asset, market, session, changed_at), ',' ORDER BY asset, market, session)
        FROM computed_sessions),
    (SELECT string_agg(concat_ws('|', market, session, kept, delivered_at), ',' ORDER BY market, session)
        FROM delivered_sessions WHERE interval = 'daily'),
    (SELECT string_agg(concat_ws('|', id, exchange, sector), ',' ORDER BY id) FROM instruments)))
$$
"""

COVERAGE = f"""
CREATE FUNCTION public.coverage_of_months() RETURNS TABLE (
    market text, month date, as_of timestamp, sessions bigint, bars bigint, instruments_with_bars bigint,
    instruments_with_features bigint, instruments_with_advice bigint
) LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public AS $$
BEGIN
    RETURN QUERY
    WITH listed AS (SELECT i.id, ({MARKET})::text AS of_market FROM instruments i),
    bars_by_session AS (
        SELECT of_market, ts, count(*) AS n FROM price_bars JOIN listed ON listed.id = instrument_id
        WHERE interval = 'daily' GROUP BY 1, 2
    ),
    sessions AS (
        SELECT of_market, date_trunc('month', ts)::date AS of_month, count(*) AS n, sum(b.n)::bigint AS bars,
            max(ts) AS newest
        FROM bars_by_session b GROUP BY 1, 2
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
    counted AS (
        SELECT of_market, of_month, max(newest) AS newest, count(*) FILTER (WHERE kind = 'bars') AS with_bars,
            count(*) FILTER (WHERE kind = 'features') AS with_features,
            count(*) FILTER (WHERE kind = 'advice') AS with_advice
        FROM having_rows JOIN listed ON listed.id = instrument_id GROUP BY 1, 2
    )
    SELECT c.of_market, c.of_month, c.newest, coalesce(s.n, 0), coalesce(s.bars, 0::bigint), c.with_bars,
        c.with_features, c.with_advice
    FROM counted c LEFT JOIN sessions s USING (of_market, of_month);
END $$
"""

VIEWS = {
    "advice_by_sector": (
        ("market", "profile", "sector"),
        f"""
SELECT ({MARKET})::text AS market, r.profile::text, coalesce(i.sector, 'unknown')::text AS sector,
    max(r.as_of) AS as_of, count(*) AS recommendations, count(*) FILTER (WHERE r.label = 'BUY') AS buys,
    count(*) FILTER (WHERE r.label = 'HOLD') AS holds, count(*) FILTER (WHERE r.label = 'SELL') AS sells,
    avg(r.confidence) AS mean_confidence, avg(r.expected_return_pct) AS mean_expected_return_pct, {REFRESHED_AT}
FROM public.recommendations r JOIN public.instruments i ON i.id = r.instrument_id
WHERE r.is_active GROUP BY 1, 2, 3
""",
    ),
    "track_record_by_month": (
        ("market", "profile", "horizon_days", "month"),
        f"""
SELECT ({MARKET})::text AS market, t.profile::text, t.horizon_days, date_trunc('month', t.ts)::date AS month,
    max(t.ts) AS as_of, count(*) AS scores, count(t.realised_return_pct) AS with_return, count(t.hit) AS judged,
    count(*) FILTER (WHERE t.hit) AS hits, avg(t.hit::int)::float AS hit_rate,
    avg(t.realised_return_pct) AS mean_return_pct, avg(t.relative_return_pct) AS mean_relative_return_pct,
    count(*) FILTER (WHERE t.first_touched = 'stop') AS stops,
    count(*) FILTER (WHERE t.first_touched = 'target') AS targets, {REFRESHED_AT}
FROM public.track_record t JOIN public.instruments i ON i.id = t.instrument_id GROUP BY 1, 2, 3, 4
""",
    ),
    "coverage_by_month": (
        ("market", "month"),
        f"SELECT c.*, {REFRESHED_AT} FROM public.coverage_of_months() c",
    ),
}
"""Of each view what identifies a row, and its query."""

REFRESH = """
CREATE FUNCTION public.refresh_summary(summary text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET work_mem = '64MB' AS $$
DECLARE
    sources text;
    populated boolean;
BEGIN
    SELECT ispopulated INTO populated FROM pg_matviews WHERE schemaname = 'public' AND matviewname = summary
        AND pg_has_role(matviewowner, 'USAGE');
    IF NOT FOUND THEN
        RAISE EXCEPTION '% is no summary', summary USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('refresh ' || summary));
    sources := summary_sources();
    EXECUTE format('REFRESH MATERIALIZED VIEW %s public.%I',
        CASE WHEN populated THEN 'CONCURRENTLY' ELSE '' END, summary);
    INSERT INTO summaries (id, name, sources) VALUES (md5(summary)::uuid, summary, sources)
        ON CONFLICT (name) DO UPDATE SET sources = excluded.sources;
END $$
"""


def upgrade() -> None:
    """Make the views, with what is there now, and what refreshes them."""
    op.create_table(
        "summaries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("sources", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_summaries")),
        sa.UniqueConstraint("name", name=op.f("uq_summaries_name")),
    )
    for function in (DIGEST, COVERAGE):
        op.execute(function)
    for name, (key, query) in VIEWS.items():
        op.execute(
            f"INSERT INTO summaries (id, name, sources) VALUES (md5('{name}')::uuid, '{name}', summary_sources())"
        )
        op.execute(f"CREATE MATERIALIZED VIEW public.{name} AS {query}")
        op.execute(f"CREATE UNIQUE INDEX uq_{name} ON public.{name} ({', '.join(key)})")
    op.execute(REFRESH)
    if not context.is_offline_mode():  # a printed migration ends with all grants, see `migrations/env.py`
        grants.apply(op.get_bind())


def downgrade() -> None:
    """Drop the views, their functions and the table."""
    op.execute("DROP FUNCTION public.refresh_summary(text)")
    for name in reversed(VIEWS):
        op.execute(f"DROP MATERIALIZED VIEW public.{name}")
    for function in ("coverage_of_months", "summary_sources"):
        op.execute(f"DROP FUNCTION public.{function}()")
    op.drop_table("summaries")
