"""Point in time: what a session publishes depends on data known at its close, and on nothing later."""

import datetime as dt
import random
import shutil

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sqlalchemy import Engine
from worlds.platform import FIRST, bring_up_to_date, execute, frame, midnight

from boursomatic_assets import settings
from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.orchestration.partitions import partition_dates
from boursomatic_assets.schema import Table

DUE = dt.date(2024, 1, 2)
"""A due date: its version is trained before any market opens, and Paris publishes before New York closes.

The platform has trained it together with February's, so with later bars at hand.
"""

MODEL_ASSETS = ("model_versions", "recommendations", "track_record")

EMPTY = tuple(
    f"DELETE FROM {table}"
    for table in (
        "track_record",
        "recommendation_expiries",
        "recommendations",
        "model_decisions",
        "model_versions",
        "features",
    )
)

IGNORED_COLUMNS = {
    *("id", "recommendation_id", "model_version_id", "version_id", "speaker_id"),  # random; names are compared
    *("created_at", "updated_at", "generated_at", "trained_at", "decided_at", "history_read_at"),  # wall clocks
    *("is_active", "superseded_at"),  # later sessions decide
}

IN_MARKET = (
    "JOIN instruments i ON i.id = t.instrument_id WHERE i.exchange = ANY(:exchanges)"
    " AND {time} >= :first AND {time} < :end"
)
IN_TIME = "WHERE t.{time} >= :first AND t.{time} < :end"

PUBLISHED_CONDITIONS = {
    "features": IN_MARKET.format(time="t.ts"),
    "model_versions": IN_TIME.format(time="as_of"),
    "model_decisions": "JOIN model_versions m ON m.id = t.version_id"
    " LEFT JOIN model_versions s ON s.id = t.speaker_id " + IN_TIME.format(time="effective_at"),
    "recommendations": "JOIN model_versions m ON m.id = t.model_version_id "
    + IN_MARKET.format(time="t.as_of")
    + " AND superseded_at IS NULL",
    "track_record": IN_MARKET.format(time="t.ts"),
}
"""Joins and conditions for the rows of a table `t` that a market published in some sessions."""

NAMES = {"recommendations": ("m.version",), "model_decisions": ("m.version", "s.version AS speaker")}
"""Names that are compared instead of ids."""


def published_rows(engine: Engine, market: str, last: dt.date, first: dt.date = FIRST) -> dict[str, pl.DataFrame]:
    """The rows that a market published in some sessions: as text, without ids and wall-clock times."""
    parameters = {
        "exchanges": list(MARKETS[market].exchanges),
        "first": midnight(first),
        "end": midnight(last + dt.timedelta(1)),
    }
    found = {}
    for table, which in PUBLISHED_CONDITIONS.items():
        names = [
            column.name for column in Table.metadata.tables[table].columns if column.name not in IGNORED_COLUMNS
        ]
        columns = [*(f"t.{name}::text" for name in names), *NAMES.get(table, ())]
        found[table] = frame(engine, f"SELECT {', '.join(columns)} FROM {table} t {which}", **parameters)
    return {table: rows.sort(rows.columns) for table, rows in found.items()}


def assert_same(now: dict[str, pl.DataFrame], then: dict[str, pl.DataFrame]) -> None:
    for table, rows in then.items():
        assert rows.height > 0, f"{table}: no rows to compare"
        assert_frame_equal(now[table], rows)


def random_sessions(count: int, seed: int) -> list[tuple[str, dt.date]]:
    """Random sessions of both markets in turn, from the first promotion to the last due date."""
    generator, found = random.Random(seed), []
    for place in range(count):
        name = list(MARKETS)[place % len(MARKETS)]
        sessions = [
            s for s in MARKETS[name].sessions().tolist() if dt.date(2023, 11, 1) <= s < dt.date(2024, 2, 1)
        ]
        found.append((name, generator.choice(sessions)))
    return found


def last_closed_sessions(market: str, session: dt.date) -> dict[str, dt.date]:
    """The last session of each market that had closed when this one closed."""
    close = MARKETS[market].close_time(session)
    return {
        name: max(s for s in one.sessions().tolist() if FIRST <= s <= session and one.close_time(s) <= close)
        for name, one in MARKETS.items()
    }


def tamper_statements(market: Market, end: dt.date) -> list[str]:
    """Statements that change every bar of a market after a date, delete a fifth, and add a new instrument."""
    own = f"SELECT id FROM instruments WHERE exchange = ANY('{{{','.join(market.exchanges)}}}')"
    later = f"ts > '{end}' AND instrument_id IN ({own})"
    between = "l / 3 + random() * (3 * h - l / 3)"
    newcomer = f"'LATE{market.name}'"
    return [
        f"UPDATE price_bars SET h = 3 * h, l = l / 3, o = {between}, c = {between}, v = v + floor(9 * random())"
        f" WHERE {later}",
        f"DELETE FROM price_bars WHERE {later} AND random() < 0.2",
        "INSERT INTO instruments (id, symbol, exchange)"
        f" VALUES (gen_random_uuid(), {newcomer}, '{market.exchanges[0]}')",
        "INSERT INTO price_bars (id, instrument_id, ts, o, h, l, c, v, interval) SELECT gen_random_uuid(),"
        f" (SELECT id FROM instruments WHERE symbol = {newcomer}), ts, 1, 2, 1, 2, 7, 'daily'"
        f" FROM (SELECT DISTINCT ts FROM price_bars WHERE {later}) AS sessions",
    ]


RANDOM = random_sessions(3, seed=6)
"""Those after the first are a drill; the short twin has one session of each market."""


@pytest.mark.parametrize(
    ("market", "session"),
    [("EURONEXT", DUE), RANDOM[0], *(pytest.param(*one, marks=pytest.mark.drill) for one in RANDOM[1:])],
    ids=str,
)
def test_later_bars_do_not_change_published_rows(
    filled: Engine, dagster_instance: dg.DagsterInstance, market: str, session: dt.date
) -> None:
    """All later bars are changed, deleted or new, New York's of the same date too; then all is computed anew.

    Files of models are named after what they hold, so they are the same to the last byte.
    """
    last = last_closed_sessions(market, session)
    then = {name: published_rows(filled, name, last[name]) for name in MARKETS}
    following = min(later for later in MARKETS[market].sessions().tolist() if later > session)
    after = published_rows(filled, market, following, following)["features"]

    statements = [statement for name, one in MARKETS.items() for statement in tamper_statements(one, last[name])]
    execute(filled, *EMPTY, "SELECT restart_audit_chains()", "SELECT setseed(0.5)", *statements)
    shutil.rmtree(settings.home() / "models")
    for name, end in last.items():
        bring_up_to_date(FIRST, end, ("features",), (name,), dagster_instance, strict=False)
    bring_up_to_date(FIRST, session, MODEL_ASSETS, (market,), dagster_instance, strict=False)

    assert_same(published_rows(filled, market, session), then[market])
    for name, end in last.items():
        assert_same(
            {"features": published_rows(filled, name, end)["features"]}, {"features": then[name]["features"]}
        )
    bring_up_to_date(following, following, ("features",), (market,), dagster_instance, strict=False)
    assert not published_rows(filled, market, following, following)["features"].equals(after), (
        "the changed bars had no effect"
    )


def test_paris_does_not_depend_on_new_york_of_the_same_date(
    filled: Engine, dagster_instance: dg.DagsterInstance
) -> None:
    """Without New York's bars from a due date on, Paris publishes the same versions, rows and scores."""
    then = published_rows(filled, "EURONEXT", DUE, DUE)
    new_york = "USING instruments i WHERE i.id = t.instrument_id AND exchange <> 'EURONEXT' AND ts >= '2024-01-02'"
    execute(
        filled,
        "DELETE FROM track_record WHERE ts >= '2024-01-02'",
        "DELETE FROM recommendation_expiries",
        "DELETE FROM recommendations WHERE as_of >= '2024-01-02'",
        "DELETE FROM model_decisions WHERE effective_at >= '2024-01-02'",
        "DELETE FROM model_versions WHERE as_of >= '2024-01-02'",
        "SELECT restart_audit_chains()",
        f"DELETE FROM features t {new_york}",
        f"DELETE FROM price_bars t {new_york}",
    )
    bring_up_to_date(DUE, DUE, ("features", *MODEL_ASSETS), ("EURONEXT",), dagster_instance, strict=False)
    assert_same(published_rows(filled, "EURONEXT", DUE, DUE), then)


@pytest.mark.parametrize("order", ["one by one, newest first", "as one range"])
def test_any_order_and_chunking_gives_the_same_rows(
    filled: Engine, dagster_instance: dg.DagsterInstance, order: str
) -> None:
    """Over a due date; both markets in any order of dates, each asset after its upstream assets."""
    start, end = dt.date(2023, 12, 29), dt.date(2024, 1, 3)
    then = {market: published_rows(filled, market, end, start) for market in MARKETS}
    execute(
        filled,
        "DELETE FROM track_record WHERE ts >= '2023-12-29'",
        "DELETE FROM recommendation_expiries",
        "DELETE FROM recommendations WHERE as_of >= '2023-12-29'",
        "DELETE FROM model_decisions WHERE effective_at >= '2023-12-29'",
        "DELETE FROM model_versions WHERE as_of >= '2023-12-29'",
        "SELECT restart_audit_chains()",
        "UPDATE model_versions SET is_active = true WHERE version = 'v2023.12.01'",
        "DELETE FROM features WHERE ts >= '2023-12-29'",
    )
    ranges = [(date, date) for date in reversed(partition_dates(start, end))]
    if order == "as one range":
        ranges = [(start, end)]
    for asset in ("features", *MODEL_ASSETS):
        for first, last in ranges:
            bring_up_to_date(first, last, (asset,), instance=dagster_instance, strict=False)
    for market in MARKETS:
        assert_same(published_rows(filled, market, end, start), then[market])
    (newest,) = frame(filled, "SELECT DISTINCT as_of::date AS day FROM recommendations WHERE is_active")["day"]
    assert newest == end, "the newest session is active, whatever was computed last"
