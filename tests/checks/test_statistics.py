"""No check or view is slow because PostgreSQL's statistics are wrong: it never compares two tables row by row.

What is counted is what EXPLAIN ANALYZE counts, rows and not seconds, so that a busy machine fails no test.
"""

import json
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text
from worlds.platform import evaluate, midnight, platform

from boursomatic_assets import database
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.tables import performance

SESSIONS = [date for date in MARKETS["EURONEXT"].sessions().tolist() if date.year == 2023][:60]
TABLES = ("instruments", "price_bars", "features", "recommendations", "track_record")
NAMES = f"(relname IN {TABLES} OR relispartition AND relkind = 'r')"
WITH_ROWS = f"SELECT oid::regclass::text FROM pg_class WHERE {NAMES} AND relkind = 'r'"
MOST_VISITS = 10
"""For each stored row; comparing two tables row by row takes a hundred and more."""

LIST = """
INSERT INTO instruments (id, symbol, name, exchange)
SELECT gen_random_uuid(), CAST(:exchange AS text) || n, 'Inc.', :exchange FROM generate_series(1, :count) AS n
"""
LIST_TWICE = "UPDATE instruments SET symbol = 'NYSE1', exchange = 'US' WHERE symbol = 'NYSE2'"
FILL = (
    """
    INSERT INTO model_versions (id, version, params_hash, metrics_json, as_of)
    VALUES (gen_random_uuid(), 'v1', '', '{}', '2020-01-01')
    """,
    """
    INSERT INTO price_bars (id, instrument_id, ts, interval, o, h, l, c, v)
    SELECT gen_random_uuid(), i.id, s.ts, 'daily', 10, 30, 5, 10 + place % 7, 1000
    FROM instruments i, unnest(CAST(:sessions AS timestamp[])) WITH ORDINALITY AS s(ts, place)
    """,
    """
    INSERT INTO features (id, instrument_id, ts) SELECT gen_random_uuid(), instrument_id, ts FROM price_bars
    """,
    """
    INSERT INTO recommendations (id, instrument_id, model_version_id, profile, label, confidence, horizon_days,
        features_snapshot, as_of, is_active)
    SELECT gen_random_uuid(), b.instrument_id, m.id, p.name, 'HOLD', 0.5, p.horizon, '{}',
        b.ts + interval '16 hours', b.ts = max(b.ts) OVER ()
    FROM price_bars b, model_versions m,
        (VALUES ('conservative', 40), ('moderate', 20), ('aggressive', 10)) AS p(name, horizon)
    """,
    """
    WITH sessions AS (SELECT * FROM unnest(CAST(:sessions AS timestamp[])) WITH ORDINALITY AS s(ts, place))
    INSERT INTO track_record (id, recommendation_id, instrument_id, ts, profile, label, as_of, horizon_days,
        confidence, realised_return_pct)
    SELECT r.id, r.id, r.instrument_id, ends.ts, r.profile, r.label, r.as_of, r.horizon_days, 0.5,
        ((10.0 + ends.place % 7) / (10 + begins.place % 7) - 1) * 100
    FROM recommendations r
    JOIN sessions begins ON begins.ts = date_trunc('day', r.as_of)
    JOIN sessions ends ON ends.place = begins.place + r.horizon_days
    """,
)
FORGET = f"DELETE FROM pg_statistic WHERE starelid IN (SELECT oid FROM pg_class WHERE {NAMES})"
STATISTICS = {
    "are of before the second market": (),
    "were never taken": (f"UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE {NAMES}", FORGET),
    "are of one instrument": (
        "UPDATE pg_class SET reltuples = 1, relpages = 1 WHERE relname = 'instruments'",
        "DELETE FROM pg_statistic WHERE starelid = 'instruments'::regclass",
    ),
    "are of one row each": (f"UPDATE pg_class SET reltuples = 1, relpages = 1 WHERE {NAMES}", FORGET),
}

Statement = tuple[str, Any]


@pytest.fixture
def two_markets(migrated: Engine) -> Engine:
    """24 instruments of New York, analysed, then 16 of Euronext, of which the table's statistics know nothing.

    One of New York is there under two exchanges.
    """
    given = {"sessions": [midnight(date) for date in SESSIONS]}
    with migrated.begin() as connection:
        for table in connection.scalars(text(WITH_ROWS)).all():
            connection.exec_driver_sql(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        connection.execute(text(LIST), {"exchange": "NYSE", "count": 24})
        connection.exec_driver_sql("ANALYZE instruments")
        connection.execute(text(LIST), {"exchange": "EURONEXT", "count": 16})
        connection.exec_driver_sql(
            "UPDATE instruments SET symbol = 'NYSE1', exchange = 'US' WHERE symbol = 'NYSE2'"
        )
        for statement in FILL:
            connection.execute(text(statement), given if ":sessions" in statement else {})
        for table in TABLES[1:]:
            connection.exec_driver_sql(f"ANALYZE {table}")
    return migrated


def asked_of() -> list[Statement]:
    """What all checks of what is partitioned by session, and the figures of past advice, ask of a database."""
    asked: dict[str, Statement] = {}

    def note(_connection: Any, _cursor: Any, statement: str, given: Any, *_: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            asked[statement] = (statement, given)

    keys = platform.resolve_asset_graph().asset_check_keys
    names = {key.name for key in keys if key.asset_key.path[-1] in TABLES}
    writer = database.engine()
    event.listen(writer, "before_cursor_execute", note)
    evaluate(names, "EURONEXT", SESSIONS[0], SESSIONS[-1])
    with writer.connect() as connection:
        performance.measure(connection)
    event.remove(writer, "before_cursor_execute", note)
    return list(asked.values())


def visits(plan: dict[str, Any]) -> float:
    """How many rows the nodes of a plan looked at, in all of their loops."""
    removed = sum(rows for name, rows in plan.items() if name.startswith("Rows Removed by"))
    own = plan["Actual Loops"] * (plan["Actual Rows"] + removed)
    return float(own + sum(visits(one) for one in plan.get("Plans", ())))


def explained(connection: Connection, statement: Statement) -> dict[str, Any]:
    plan = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement[0]}", statement[1])
    found = plan.scalar_one()
    top: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return top


def test_no_statement_is_slow_whatever_the_statistics_are(two_markets: Engine) -> None:
    statements = asked_of()
    assert len(statements) > 30
    with two_markets.connect() as connection:
        stored = sum(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() for table in TABLES)
    slow = []
    for name, lies in STATISTICS.items():
        with two_markets.connect() as connection:
            connection.exec_driver_sql("SET LOCAL statement_timeout = '60s'")  # far beyond MOST_VISITS
            for lie in lies:
                connection.exec_driver_sql(lie)
            visited = {statement[0]: visits(explained(connection, statement)) for statement in statements}
            connection.rollback()
        slow += [(name, rows / stored, said) for said, rows in visited.items() if rows > MOST_VISITS * stored]
    assert slow == []


@pytest.mark.parametrize(
    ("check", "damage", "errors"),
    [
        ("newest_advice_is_active", "UPDATE recommendations SET is_active = NOT is_active WHERE id = '{}'", 1),
        ("all_due_advice_is_scored_once", "DELETE FROM track_record WHERE id = '{}'", 1),
        ("all_due_advice_is_scored_once", "UPDATE track_record SET ts = ts + interval '1 day' WHERE id = '{}'", 2),
        ("scores_agree_with_the_bars", "UPDATE track_record SET realised_return_pct = 77 WHERE id = '{}'", 1),
        ("scores_agree_with_the_bars", "UPDATE track_record SET realised_return_pct = NULL WHERE id = '{}'", 1),
    ],
)
def test_the_answer_is_right_too(two_markets: Engine, check: str, damage: str, errors: int) -> None:
    def found() -> object:
        (evaluation,) = evaluate({check}, "EURONEXT", SESSIONS[0], SESSIONS[-1])
        return evaluation.metadata["errors"].value

    assert found() == 0
    with two_markets.begin() as connection:
        some = (
            "SELECT t.id FROM track_record t JOIN instruments i ON i.id = t.instrument_id"
            f" WHERE exchange = 'EURONEXT' AND t.ts = '{SESSIONS[45]}' LIMIT 1"
        )
        connection.exec_driver_sql(damage.format(connection.exec_driver_sql(some).scalar_one()))
    assert found() == errors
