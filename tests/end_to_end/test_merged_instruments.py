"""A share that moved to another exchange, through all assets: one series, and published rows as they were."""

import datetime as dt
import os
import shutil
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import Engine
from worlds.commands import boursomatic
from worlds.platform import FIRST, INSTRUMENTS, LAST, evaluate, outcomes_of, platform, rows

from boursomatic_assets.checks.invariant import UNPARTITIONED_ASSETS
from boursomatic_assets.schema.identifiers import PUBLISHED_COLUMNS
from boursomatic_assets.tables.summaries.refreshing import SUMMARIES

MOVED, TWICE = dt.datetime(2024, 2, 15), dt.datetime(2024, 2, 27)
"""From then on SIMU001 is of NASDAQ, no longer of NYSE; and from then on it is delivered under US as well."""

MERGE = ("instruments", "merge", "SIMU001@NYSE", "SIMU001@US", "--into", "SIMU001@NASDAQ")
PUBLISHED = f"SELECT id, {', '.join(PUBLISHED_COLUMNS)}, superseded_at FROM recommendations ORDER BY id"
SCORES = "SELECT (to_jsonb(t) - 'created_at' - 'updated_at')::text FROM track_record t ORDER BY id"
ACTIVE = (
    "SELECT exchange, count(*) AS n FROM recommendations r JOIN instruments i ON i.id = instrument_id"
    " WHERE symbol = 'SIMU001' AND r.is_active GROUP BY 1 ORDER BY 1"
)
LENGTH = (
    "SELECT count(*) AS n FROM {} t JOIN instruments i ON i.id = instrument_id"
    " WHERE symbol = 'SIMU001' AND exchange = 'NASDAQ'"
)
NAMES = {
    key.name: key.asset_key.path[-1] in UNPARTITIONED_ASSETS
    for key in platform.resolve_asset_graph().asset_check_keys
    if key.asset_key.path[-1] not in ("price_bars_15m", "archive_15m", "current_advice", *SUMMARIES)
}
TRAINED_BEFORE = "versions_follow_what_they_learned_from"


def moved_share(folder: Path) -> str:
    """The platform's bars, in which SIMU001 moves from NYSE to NASDAQ, and has two names in the end."""
    shutil.copytree(os.environ["BOURSOMATIC_FILES"], folder)
    bars = pl.read_parquet(folder / "US.parquet")
    share, times = pl.col("symbol") == "SIMU001", pl.col("ts")
    nasdaq, elsewhere = (pl.lit(name, bars.schema["exchange"]) for name in ("NASDAQ", "US"))
    exchange = pl.when(share & (times >= MOVED)).then(nasdaq).otherwise("exchange").alias("exchange")
    again = bars.filter(share, times >= TWICE).with_columns(exchange=elsewhere)
    pl.concat([bars.with_columns(exchange), again]).write_parquet(folder / "US.parquet")
    return str(folder)


def failed_checks() -> dict[str, int]:
    """The checks of US that do not pass, with their errors."""
    found = [
        *evaluate({name for name, undated in NAMES.items() if not undated}, "US"),
        *evaluate({name for name, undated in NAMES.items() if undated}, "US"),
    ]
    return {one.check_name: int(str(one.metadata["errors"].value)) for one in found if not one.passed}


def test_a_share_with_three_names_becomes_one_series(
    filled: Engine, dagster_instance: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores_of_one_series = rows(filled, SCORES)
    monkeypatch.setenv("BOURSOMATIC_FILES", moved_share(tmp_path / "bars"))
    for outcome in outcomes_of(MOVED.date(), LAST, markets=("US",)):
        assert outcome.success, outcome.problems
    assert failed_checks() == {"no_symbol_has_two_instruments": 0, "every_tracked_instrument_has_its_bar": 0}
    active = {"NASDAQ": 3, "NYSE": 2, "US": 3}
    assert rows(filled, ACTIVE) == [{"exchange": name, "n": n} for name, n in active.items()], (
        "10 sessions are over"
    )
    published = rows(filled, PUBLISHED)
    assert rows(filled, SCORES) != scores_of_one_series, "NYSE has no close after the move"

    assert boursomatic(*MERGE).exit_code == 0
    stale = {
        "features_follow_their_bars",
        "advice_follows_its_features",
        "scores_follow_their_advice",
        TRAINED_BEFORE,
    }
    assert failed_checks() == dict.fromkeys(stale, 0), "what is stale is a warning, and nothing else is wrong"
    assert rows(filled, ACTIVE) == [{"exchange": "NASDAQ", "n": 3}]
    assert rows(filled, PUBLISHED) == published

    assert boursomatic("refresh").exit_code == 0
    assert set(failed_checks()) == {"advice_follows_its_features", "snapshots_are_valid", TRAINED_BEFORE}
    assert rows(filled, PUBLISHED) == published
    assert rows(filled, SCORES) == scores_of_one_series, "what was published of NYSE is scored as if it had stayed"

    (outcome,) = outcomes_of(LAST, LAST, ("recommendations",), ("US",))
    assert outcome.success, outcome.problems
    assert rows(filled, ACTIVE) == [{"exchange": "NASDAQ", "n": 3}], "what is computed later activates no other"

    span = ("--from", str(FIRST), "--to", str(LAST), "--market", "US")
    assert boursomatic("backfill", *span, "--assets", "recommendations,track_record").exit_code == 0
    for outcome in outcomes_of(MOVED.date(), LAST, ("price_bars", "features"), ("US",)):
        assert outcome.success, outcome.problems
    assert set(failed_checks()) == {TRAINED_BEFORE}
    counts = (
        "SELECT count(*) AS n FROM {} WHERE instrument_id IN (SELECT id FROM instruments WHERE symbol = 'SIMU001')"
    )
    assert rows(filled, counts.format("price_bars")) == rows(filled, counts.format("features")) == [{"n": 291}]
    assert rows(filled, "SELECT count(*) AS n FROM recommendations WHERE is_active") == [
        {"n": 2 * INSTRUMENTS * 3}
    ]
    before = {row["id"]: row["instrument_id"] for row in published}
    after = {row["id"]: row["instrument_id"] for row in rows(filled, PUBLISHED)}
    assert before.items() <= after.items(), "no published row is lost, or gets another instrument"
