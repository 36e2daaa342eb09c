"""How long a search of a million pieces of advice takes, and what its words cost whoever writes advice.

What belongs here: frequent and rare words, with statistics and without; a session's advice with words and without.
Kept elsewhere: why words are kept as they are (migration 0019).

Times are wall times in this process, the connection being open: a command starts up besides.
"""

import statistics
from collections.abc import Iterator
from functools import partial

import polars as pl
from helpers.harness import Line, interleaved, ratio, server, times
from helpers.universe import US, execute, slice_of
from sqlalchemy import text

from boursomatic_assets import database
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.language.english import FEATURES
from boursomatic_assets.tables import merging
from boursomatic_assets.tables.frames import required_columns
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import read_slice
from boursomatic_assets.tables.search.advice import search

GRAIN = GRAINS["recommendations"]
SESSIONS, INSTRUMENTS, ROUNDS = 667, 500, 40
AIM = "p95 under 50 ms"

SEARCHES = {
    "a word of each text": "session",
    "a frequent word": "volatility",
    "two words of one text in a hundred": "overnight skewness",
    "a phrase": '"its mean overnight return"',
    "a number": "9.99",
    "a word of nine texts": "windfall",
    "a sector and a frequent word": "volatility energy",
    "a sector and a word of nine texts": "windfall energy",
    "a symbol and a frequent word": "SIM12 volatility",
    "a symbol and a word of nine texts": "SIM12 windfall",
    "a rare word, and no sector": "windfall -energy",
    "a word that nothing has": "zebra",
}

LIST = """
INSERT INTO instruments (id, symbol, exchange, name, sector)
SELECT gen_random_uuid(), 'SIM' || n, CASE WHEN n % 2 = 0 THEN 'NASDAQ' ELSE 'EURONEXT' END, 'Company ' || n,
    (ARRAY['Energy', 'Technology', 'Financials', 'Health Care', 'Industrials', 'Utilities', 'Materials',
        'Consumer Staples', 'Real Estate', 'Communication Services'])[1 + n % 10]
FROM generate_series(1, :instruments) n
"""
VERSION = """
INSERT INTO model_versions (id, version, params_hash, metrics_json, as_of)
VALUES (gen_random_uuid(), '2015-01', '0', '{}', '2015-01-02')
"""
ADVISE = """
INSERT INTO recommendations (id, instrument_id, model_version_id, profile, label, confidence, horizon_days,
    justification, features_snapshot, as_of, generated_at, is_active, view)
SELECT gen_random_uuid(), i.id, m.id, profile, label, 0.4, 20,
    format('%s: %s %% to end the next 20 sessions in the best third of its market (33.3 %% by chance). %s (%s,'
        ' higher than %s %% of its market) and %s (%s) speak for it; %s (%s) speaks against it. Evidence %s to'
        ' 1.%s',
        label, round(33 + r[1] * 20, 1), f[1 + mod(r[2], 1) * 23], round(r[3] * 10, 2), round(r[4] * 100),
        f[1 + r[5] * 23], round(r[6] * 10, 2), f[1 + r[7] * 23], round(r[8] * 10, 2), round(r[9] * 30),
        CASE WHEN (s * 500 + i.n) % 100003 = 7 THEN ' An unusual windfall.' END),
    json_build_object('score', r[1], 'features', (SELECT json_object_agg(f[k], r[1 + k % 9]) FROM
        generate_series(1, 24) k)),
    timestamp '2015-01-01 21:00' + s * interval '1 day', timestamp '2015-01-01 22:00' + s * interval '1 day',
    false, 'given'
FROM generate_series(1, :sessions) s
CROSS JOIN (SELECT id, row_number() OVER (ORDER BY symbol) n FROM instruments) i
CROSS JOIN (VALUES ('conservative'), ('moderate'), ('aggressive')) p (profile)
CROSS JOIN (SELECT id FROM model_versions) m
CROSS JOIN (SELECT CAST(:features AS text[]) f) named
CROSS JOIN LATERAL (SELECT (ARRAY['BUY', 'HOLD', 'SELL'])[1 + (s + i.n) % 3] label) l
CROSS JOIN LATERAL (SELECT array_agg(random()::numeric) r FROM generate_series(1, 9) WHERE s + i.n > 0) drawn
"""
WORDS = """
INSERT INTO recommendation_words (id, instrument_id, profile, as_of, words)
SELECT id, instrument_id, profile, as_of, words_of(justification) FROM recommendations ORDER BY as_of
"""
FORGET_STATISTICS = (
    "ALTER TABLE recommendation_words SET (autovacuum_enabled = off)",
    "DELETE FROM pg_statistic WHERE starelid IN ('recommendation_words'::regclass, 'instruments'::regclass)",
    "UPDATE pg_class SET reltuples = 1, relpages = 1"
    " WHERE oid IN ('recommendation_words'::regclass, 'instruments'::regclass)",
)


def lines() -> Iterator[Line]:
    """The times of each search, with statistics and with wrong ones; then what words cost a writer."""
    with server():
        _fill()
        rows = database.engine().connect().scalar(text("SELECT count(*) FROM recommendation_words")) or 0
        for statistics_are in ("as ANALYZE leaves them", "of a table of one row"):
            works = [partial(search, typed) for typed in SEARCHES.values()]
            taken = interleaved(*works, rounds=ROUNDS)
            for (kind, typed), seconds in zip(SEARCHES.items(), taken, strict=True):
                found = search(typed)
                note = f"{len(found.ids)} found{', and there are more' if found.is_more else ''}"
                yield Line(
                    f"{kind}: `{typed}`",
                    f"{rows:,} recommendations, statistics {statistics_are}",
                    f"p50 {1e3 * statistics.median(seconds):.0f} ms, p95 {1e3 * _p95(seconds):.0f} ms",
                    AIM,
                    note,
                )
            execute(*FORGET_STATISTICS)
        yield _writing()


def _p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


def _fill() -> None:
    with database.engine("owner").begin() as connection:
        connection.execute(text(LIST), {"instruments": INSTRUMENTS})
        connection.execute(text(VERSION))
        connection.execute(text("ALTER TABLE recommendations DISABLE TRIGGER USER"))  # of a million rows at once
        connection.execute(text(ADVISE), {"sessions": SESSIONS, "features": [*FEATURES.values()]})
        connection.execute(text("ALTER TABLE recommendations ENABLE TRIGGER USER"))
        connection.execute(text(WORDS))
    with database.engine("owner").connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def _writing() -> Line:
    part = slice_of(US, 1, first=slice_of(US, 300).dates[-1])
    written = read_slice(GRAIN, slice_of(US, 1), tuple(required_columns(GRAIN.table))).drop("market")
    written = written.with_columns(as_of=pl.lit(part.start).dt.offset_by("21h"))
    write, disable = partial(_write, part, written), "ALTER TABLE recommendations DISABLE TRIGGER add_words"
    with_words, without = interleaved(write, partial(write, disable), rounds=15)
    seconds = [statistics.median(one) for one in (with_words, without)]
    note = f"{1e3 * seconds[0]:.0f} ms and {1e3 * seconds[1]:.0f} ms"
    return Line(
        f"a session's advice of {written.height:,} rows",
        "without their words",
        times(ratio(with_words, without)),
        "stated",
        note,
    )


def _write(part: Slice, rows: pl.DataFrame, *before: str) -> None:
    """Write a session's advice, and take it back."""
    with database.engine("owner").connect() as connection:
        for statement in before:
            connection.execute(text(statement))
        merging.supersede(connection, GRAIN, part, rows)
        connection.rollback()
