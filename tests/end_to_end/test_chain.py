"""All assets together: from a vendor's bars to recommendations, repeatedly and after corrections."""

import datetime as dt
import json
import os
import shutil
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from sqlalchemy import Engine
from worlds import platform as platform_of
from worlds.platform import INSTRUMENTS, LAST, bring_up_to_date, contents, execute, midnight, outcomes_of, rows

from boursomatic_assets.advice.snapshots import FEATURE_COLUMNS, parse_snapshot
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.cli import launching
from boursomatic_assets.features.additional_features import MODEL_FEATURES
from boursomatic_assets.vocabulary import PROFILES

START = dt.date(2024, 2, 26)
LATEST = "as_of >= '2024-02-26'"


def write_delivery_with(change: pl.Expr, folder: Path) -> str:
    """Write the platform's bars, with changed US bars, into a new folder."""
    shutil.copytree(os.environ["BOURSOMATIC_FILES"], folder)
    path = folder / "US.parquet"
    pl.read_parquet(path).with_columns(change).write_parquet(path)
    return str(folder)


def test_deleted_sessions_are_computed_again_as_the_command_line_runs_them(
    filled: Engine, dagster_instance: dg.DagsterInstance
) -> None:
    """On Dagster's own storage in PostgreSQL, over a few sessions of both markets."""
    then = {table: len(rows(filled, f"SELECT FROM {table}")) for table in platform_of.TABLES}
    execute(
        filled,
        f"DELETE FROM recommendations WHERE {LATEST}",
        "SELECT restart_audit_chains()",
        "DELETE FROM features WHERE ts >= '2024-02-26'",
        "DELETE FROM price_bars WHERE ts >= '2024-02-26'",
    )
    outcomes = bring_up_to_date(START, LAST, instance=dagster_instance)
    assert {table: len(rows(filled, f"SELECT FROM {table}")) for table in platform_of.TABLES} == then
    assert dagster_instance.get_runs_count() == len(outcomes)
    shown = {run.tags["boursomatic/sessions"] for run in dagster_instance.get_runs()}
    assert shown == {"US 2024-02-26 .. 2024-02-29", "EURONEXT 2024-02-26 .. 2024-02-29"}


def test_a_repeated_run_changes_no_row(filled: Engine) -> None:
    before = contents(filled)
    bring_up_to_date(START, LAST)
    assert contents(filled) == before


def test_a_range_is_run_in_stages_so_that_models_find_both_markets() -> None:
    planned = launching.plan_backfill(launching.ASSETS, ["US", "EURONEXT"], [START, LAST])
    assert sorted({asset for run in planned for asset in run.assets}) == sorted(launching.ASSETS)
    stages = [(("price_bars" in run.assets), run.market) for run in planned]
    assert stages == [(True, "US"), (True, "EURONEXT"), (False, "US"), (False, "EURONEXT")]
    assert all((run.start, run.end) == (START, LAST) for run in planned)


def test_a_plan_with_bars_includes_their_instruments() -> None:
    """Otherwise a fresh database rejects every bar as one of an unknown instrument."""
    planned = launching.plan_backfill(("price_bars", "features", "price_bars_15m"), ["US"], [LAST])
    assert [run.assets for run in planned] == [
        ("instruments", "price_bars", "features"),
        ("instruments", "price_bars_15m"),
    ]
    assert [run.assets for run in launching.plan_backfill(("features",), ["US"], [LAST])] == [("features",)]


def test_one_changed_bar_supersedes_the_recommendations_that_depend_on_it(
    filled: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vendor corrects one close: ranks of its market change from then on; superseded rows stay."""
    before = {row["id"]: row for row in rows(filled, "SELECT * FROM recommendations")}
    corrected = (pl.col("symbol") == "SIMU001") & (pl.col("ts") == dt.datetime(2024, 2, 27))
    bars = write_delivery_with(
        pl.when(corrected).then(pl.col("c") * 0.999).otherwise("c").alias("c"), tmp_path / "bars"
    )
    monkeypatch.setenv("BOURSOMATIC_FILES", bars)
    bring_up_to_date(START, LAST)
    after = {row["id"]: row for row in rows(filled, "SELECT * FROM recommendations")}
    superseded = {key for key in before if after[key]["superseded_at"] is not None}
    touched = rows(
        filled,
        "SELECT r.id, symbol FROM recommendations r JOIN instruments i ON i.id = instrument_id"
        " WHERE exchange <> 'EURONEXT' AND as_of >= '2024-02-27' AND superseded_at IS NOT NULL",
    )
    assert superseded == {row["id"] for row in touched}
    own = [row for row in touched if row["symbol"] == "SIMU001"]
    assert len(own) == 3 * 3, "three sessions in three profiles"
    assert len(after) == len(before) + len(superseded)
    volatile = {"superseded_at", "is_active"}
    for key, row in before.items():
        kept = {name: value for name, value in after[key].items() if key not in superseded or name not in volatile}
        assert kept == {name: row[name] for name in kept}
    assert not any(after[key]["is_active"] for key in superseded)
    assert sum(row["is_active"] for row in after.values()) == 2 * INSTRUMENTS * 3


def test_every_recommendation_is_complete(filled: Engine) -> None:
    recommendations = rows(
        filled,
        "SELECT r.*, i.exchange, b.c FROM recommendations r JOIN instruments i ON i.id = r.instrument_id"
        " JOIN price_bars b ON b.instrument_id = r.instrument_id AND b.ts = date_trunc('day', r.as_of)",
    )
    assert len(recommendations) == len(rows(filled, "SELECT FROM recommendations"))
    assert {row["profile"] for row in recommendations} == set(PROFILES)
    assert {row["label"] for row in recommendations} == {"BUY", "HOLD", "SELL"}
    for row in recommendations:
        market = next(market for market in MARKETS.values() if row["exchange"] in market.exchanges)
        assert row["as_of"] == market.close_time(row["as_of"].date())
        assert 0 < row["confidence"] <= 1
        assert row["horizon_days"] == {"conservative": 40, "moderate": 20, "aggressive": 10}[row["profile"]]
        assert row["expected_return_pct"] is not None
        assert row["justification"].startswith(row["label"])
        low, high = sorted((row["stop_loss"] or 0, row["take_profit"] or 0))
        assert (low == high == 0) if row["label"] == "HOLD" else (0 < low < row["c"] < high)
        assert (row["stop_loss"] or 0) <= (row["take_profit"] or 0) or row["label"] == "SELL"


def test_each_instrument_has_one_recommendation_per_profile_and_session(filled: Engine) -> None:
    counts = rows(
        filled,
        "SELECT as_of::date AS day, exchange = 'EURONEXT' AS paris, count(*) AS n FROM recommendations r"
        " JOIN instruments i ON i.id = instrument_id GROUP BY 1, 2",
    )
    assert {row["n"] for row in counts} == {INSTRUMENTS * 3}
    first, last = dt.date(2023, 8, 1), LAST
    sessions = {
        (date, name == "EURONEXT")
        for name, market in MARKETS.items()
        for date in market.sessions().tolist()
        if first <= date <= last
    }
    assert {(row["day"], row["paris"]) for row in counts} == sessions


def test_a_snapshot_is_the_features_row_to_the_last_bit(filled: Engine) -> None:
    recommendations = rows(
        filled,
        "SELECT r.features_snapshot::text AS snapshot, m.version, f.*, additional_features::text"
        " FROM recommendations r"
        " JOIN model_versions m ON m.id = r.model_version_id"
        " JOIN features f ON f.instrument_id = r.instrument_id AND f.ts = date_trunc('day', r.as_of)",
    )
    assert len(recommendations) == len(rows(filled, "SELECT FROM recommendations"))
    for row in recommendations:
        snapshot = parse_snapshot(row["snapshot"])
        assert (snapshot.ts, snapshot.model_version) == (row["ts"], row["version"])
        assert snapshot.features.keys() == {*FEATURE_COLUMNS, *MODEL_FEATURES}
        known = row | json.loads(row["additional_features"])
        assert snapshot.features == {name: known[name] for name in snapshot.features}


def test_the_newest_session_is_active_and_no_other(filled: Engine) -> None:
    (active,) = rows(
        filled, "SELECT count(*) AS n, min(as_of::date) AS first FROM recommendations WHERE is_active"
    )
    assert (active["n"], active["first"]) == (2 * INSTRUMENTS * 3, LAST)


def test_a_session_before_the_first_version_succeeds_without_recommendations(filled: Engine) -> None:
    early = dt.date(2023, 3, 15)
    before = contents(filled)
    bring_up_to_date(early, early)
    assert not rows(filled, "SELECT FROM recommendations WHERE as_of < '2023-08-01'")
    assert contents(filled) == before


@pytest.mark.parametrize(("date", "market"), [(dt.date(2023, 7, 4), "US"), (dt.date(2023, 5, 1), "EURONEXT")])
def test_a_date_on_which_the_market_is_closed_succeeds(filled: Engine, date: dt.date, market: str) -> None:
    before = contents(filled)
    bring_up_to_date(date, date, markets=(market,))
    assert contents(filled) == before


def test_an_empty_delivery_leaves_the_tables_unchanged(
    filled: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(filled)
    late = pl.col("ts") >= midnight(START)
    moved = pl.when(late).then(pl.lit(dt.datetime(2030, 1, 1))).otherwise("ts").alias("ts")
    monkeypatch.setenv("BOURSOMATIC_FILES", write_delivery_with(moved, tmp_path / "bars"))
    (outcome,) = outcomes_of(START, LAST, ("price_bars", "features"), ("US",))
    assert outcome.success
    assert contents(filled) == before


def test_a_session_that_has_not_closed_raises_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from boursomatic_assets.calendars import slices

    monkeypatch.setattr(slices, "utc_now", lambda: dt.datetime(2024, 2, 29, 17))
    assert launching.plan_backfill(("price_bars",), ["EURONEXT"], [LAST])
    with pytest.raises(ValueError, match=r"^the US session 2024-02-29 closes at 2024-02-29 21:00 UTC: ask for it"):
        launching.plan_backfill(("price_bars",), ["US", "EURONEXT"], [LAST])
