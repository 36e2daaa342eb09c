"""The first law: what a session publishes depends on what was known at its close, and on nothing later."""

import datetime as dt
import random

import polars as pl
import pytest
from platform_of import FIRST, LAST, bring_up_to_date, execute, frame, midnight
from polars.testing import assert_frame_equal
from sqlalchemy import Engine

from boursomatic_assets.markets import MARKETS
from boursomatic_assets.partitions import partition_dates

CUT = dt.date(2024, 1, 10)
"""The session that is looked at: three versions after the first, in the middle of a month."""

MADE = ("features", "model_versions", "recommendations")
EMPTY = tuple(
    f"DELETE FROM {table}"
    for table in ("track_record", "recommendations", "model_decisions", "model_versions", "features")
)


def published(engine: Engine, market: str, last: dt.date = CUT, first: dt.date = FIRST) -> dict[str, pl.DataFrame]:
    """Every column that is not an id or a wall clock, up to a session of a market."""
    given = {
        "exchanges": list(MARKETS[market].exchanges),
        "first": midnight(first),
        "end": midnight(last + dt.timedelta(1)),
    }
    return {
        "features": frame(
            engine,
            "SELECT i.symbol, f.ts, ret_1d, ret_5d, ret_20d, rsi_14, momentum_5d, vol_20d, atr_14, volume_zscore,"
            " additional_features::text FROM features f JOIN instruments i ON i.id = f.instrument_id"
            " WHERE exchange = ANY(:exchanges) AND ts >= :first AND ts < :end ORDER BY ts, symbol",
            **given,
        ),
        "model_versions": frame(
            engine,
            "SELECT version, params_hash, metrics_json::text, model_path, as_of FROM model_versions"
            " WHERE as_of < :end ORDER BY as_of",
            end=given["end"],
        ),
        "recommendations": frame(
            engine,
            "SELECT i.symbol, m.version, profile, label, confidence, expected_return_pct, horizon_days, stop_loss,"
            " take_profit, justification, features_snapshot::text, r.as_of"
            " FROM recommendations r JOIN instruments i ON i.id = r.instrument_id"
            " JOIN model_versions m ON m.id = r.model_version_id WHERE superseded_at IS NULL"
            " AND exchange = ANY(:exchanges) AND r.as_of >= :first AND r.as_of < :end"
            " ORDER BY r.as_of, symbol, profile",
            **given,
        ),
    }


def assert_same(now: dict[str, pl.DataFrame], then: dict[str, pl.DataFrame]) -> None:
    for table, rows in then.items():
        assert rows.height > 0, f"{table}: there was nothing to compare"
        assert_frame_equal(now[table], rows, check_exact=True)


@pytest.mark.parametrize("market", ["US", "EURONEXT"])
def test_nothing_later_changes_what_was_published(filled: Engine, market: str) -> None:
    """Later bars are changed and deleted, others appear, and everything is made again from nothing."""
    then = published(filled, market)
    execute(
        filled,
        *EMPTY,
        "UPDATE price_bars SET o = o * 3, h = h * 4, l = l / 2, c = c * 3, v = v + 1 WHERE ts > '2024-01-10'",
        "DELETE FROM price_bars WHERE ts BETWEEN '2024-01-20' AND '2024-01-31'",
        "INSERT INTO instruments (id, symbol, exchange) VALUES (gen_random_uuid(), 'LATE', 'NYSE')",
        "INSERT INTO price_bars (id, instrument_id, ts, o, h, l, c, v, interval) SELECT gen_random_uuid(),"
        " (SELECT id FROM instruments WHERE symbol = 'LATE'), ts, 1, 2, 1, 2, 7, 'daily'"
        " FROM (SELECT DISTINCT b.ts FROM price_bars b JOIN instruments i ON i.id = b.instrument_id"
        " WHERE exchange = 'NYSE' AND b.ts > '2024-02-01') AS later",
    )
    bring_up_to_date(assets=("features",), strict=False)
    bring_up_to_date(assets=("model_versions", "recommendations"), markets=(market,), strict=False)
    assert_same(published(filled, market), then)
    assert not published(filled, market, LAST)["recommendations"].equals(then["recommendations"]), (
        "what came after was published too"
    )


def test_paris_publishes_without_knowing_new_york_of_the_same_date(filled: Engine) -> None:
    """2024-02-01 is a due date as well: its model must not see New York's bars of that date."""
    due = dt.date(2024, 2, 1)
    then = published(filled, "EURONEXT", due, due)
    execute(
        filled,
        "DELETE FROM track_record WHERE as_of >= '2024-02-01'",
        "DELETE FROM recommendations WHERE as_of >= '2024-02-01'",
        "DELETE FROM model_decisions WHERE effective_at >= '2024-02-01'",
        "DELETE FROM model_versions WHERE as_of >= '2024-02-01'",
        "DELETE FROM features f USING instruments i WHERE i.id = f.instrument_id"
        " AND exchange <> 'EURONEXT' AND ts >= '2024-02-01'",
        "DELETE FROM price_bars b USING instruments i WHERE i.id = b.instrument_id"
        " AND exchange <> 'EURONEXT' AND ts >= '2024-02-01'",
    )
    bring_up_to_date(due, due, MADE, ("EURONEXT",), strict=False)
    assert_same(published(filled, "EURONEXT", due, due), then)


@pytest.mark.parametrize("order", ["one by one", "shuffled", "as one range"])
def test_any_order_and_chunking_gives_the_same_rows(filled: Engine, order: str) -> None:
    start = dt.date(2024, 2, 26)
    then = {market: published(filled, market, LAST, start) for market in MARKETS}
    execute(
        filled,
        "DELETE FROM recommendations WHERE as_of >= '2024-02-26'",
        "DELETE FROM features WHERE ts >= '2024-02-26'",
    )
    dates = partition_dates(start, LAST)
    ranges = [(start, LAST)] if order == "as one range" else [(date, date) for date in dates]
    if order == "shuffled":
        random.Random(7).shuffle(ranges)
    for assets in (("features",), ("recommendations",)):
        for first, last in ranges:
            bring_up_to_date(first, last, assets, strict=False)
    for market in MARKETS:
        assert_same(published(filled, market, LAST, start), then[market])
    (newest,) = frame(filled, "SELECT DISTINCT as_of::date AS day FROM recommendations WHERE is_active")["day"]
    assert newest == LAST, "the newest session is active, whatever was computed last"
