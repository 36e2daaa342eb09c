"""Recommendations are scored from stored rows, whatever range is computed, and again after superseding."""

import datetime as dt
from typing import Any

import dagster as dg
import polars as pl
import pytest
from sqlalchemy import Connection, Engine
from worlds.commands import boursomatic
from worlds.platform import FIRST, INSTRUMENTS, LAST, bring_up_to_date, check, execute, rows, slice_of

from boursomatic_assets.assets.track_record import score_slice, summarise_market
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.database import server_time
from boursomatic_assets.orchestration.io_manager import ChunkWrite, write_chunk
from boursomatic_assets.orchestration.partitions import partition_dates
from boursomatic_assets.tables import computations, merging, performance, staleness
from boursomatic_assets.tables.differences import Difference
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import SliceReader, read_slice

TRACK_RECORD = ("track_record",)
START, END = dt.date(2024, 2, 16), dt.date(2024, 2, 21)
"""In between, on 2024-02-19, New York is closed."""

SCORES = "SELECT (to_jsonb(t) - 'created_at' - 'updated_at')::text AS row FROM track_record t {} ORDER BY id"


def track_record_rows(engine: Engine, where: str = "") -> list[dict[str, Any]]:
    """Rows of the track record, without created_at."""
    return rows(engine, SCORES.format(where))


@pytest.mark.parametrize("market", list(MARKETS))
def test_every_due_recommendation_is_scored_on_the_session_that_ends_its_horizon(
    filled: Engine, market: str
) -> None:
    sessions = [date for date in MARKETS[market].sessions().tolist() if date >= FIRST]
    advised = rows(
        filled,
        "SELECT r.id, r.as_of::date AS day, horizon_days FROM recommendations r JOIN instruments i"
        " ON i.id = r.instrument_id WHERE exchange = ANY(:exchanges)",
        exchanges=list(MARKETS[market].exchanges),
    )
    due = {row["id"]: sessions[sessions.index(row["day"]) + row["horizon_days"]] for row in advised}
    found = rows(
        filled,
        "SELECT recommendation_id, ts::date AS day FROM track_record t JOIN instruments i"
        " ON i.id = t.instrument_id WHERE exchange = ANY(:exchanges)",
        exchanges=list(MARKETS[market].exchanges),
    )
    assert {row["recommendation_id"]: row["day"] for row in found} == {
        advice: session for advice, session in due.items() if session <= LAST
    }
    assert 1000 < len(found) < len(due)


def test_a_row_repeats_the_recommendation_as_published(filled: Engine) -> None:
    same = ("profile", "label", "confidence", "expected_return_pct", "horizon_days", "as_of", "instrument_id")
    differs = " OR ".join(f"t.{name} IS DISTINCT FROM r.{name}" for name in same)
    joined = "track_record t JOIN recommendations r ON r.id = t.recommendation_id"
    assert rows(filled, f"SELECT t.id FROM {joined} WHERE {differs}") == []


@pytest.mark.parametrize("by", ["session", "range"])
def test_any_chunking_gives_the_same_rows(filled: Engine, by: str) -> None:
    before = track_record_rows(filled)
    assert (
        execute(filled, f"DELETE FROM track_record WHERE ts BETWEEN '{START}' AND '{END}'") == 7 * 3 * INSTRUMENTS
    )
    sessions = [(date, date) for date in reversed(partition_dates(START, END))]
    for first, last in [(START, END)] if by == "range" else sessions:
        bring_up_to_date(first, last, TRACK_RECORD, strict=by == "range")
    assert track_record_rows(filled) == before


def test_current_recommendations_are_scored_when_a_session_is_computed_again(filled: Engine) -> None:
    """A recommendation superseded by one with another horizon is scored on another session."""
    of_us = "instrument_id IN (SELECT id FROM instruments WHERE exchange <> 'EURONEXT')"
    on = f"WHERE {of_us} AND profile = 'moderate' AND as_of::date = '2024-01-30'"
    then = rows(filled, f"SELECT id FROM recommendations {on}")
    assert len(track_record_rows(filled, on)) == len(then) == INSTRUMENTS
    execute(
        filled,
        f"UPDATE recommendations SET superseded_at = now(), is_active = false {on}",
        "INSERT INTO recommendations (id, instrument_id, model_version_id, profile, label, confidence,"
        " horizon_days, features_snapshot, is_active, as_of) SELECT gen_random_uuid(), instrument_id,"
        " model_version_id, profile, label, confidence, 10, features_snapshot, false, as_of"
        f" FROM recommendations {on}",
    )
    bring_up_to_date(dt.date(2024, 2, 13), dt.date(2024, 2, 13), TRACK_RECORD, ("US",))
    moved = rows(filled, f"SELECT DISTINCT ts::date, horizon_days FROM track_record {on} ORDER BY ts")
    assert [tuple(row.values()) for row in moved] == [(dt.date(2024, 2, 13), 10), (dt.date(2024, 2, 28), 20)]
    bring_up_to_date(dt.date(2024, 2, 28), dt.date(2024, 2, 28), TRACK_RECORD, ("US",))
    assert len(track_record_rows(filled, on)) == INSTRUMENTS
    assert not track_record_rows(filled, "WHERE ts = '2024-02-28' AND profile = 'moderate' AND " + of_us)


@pytest.mark.parametrize("committed", ["after it was read", "while it was read"])
def test_concurrent_superseding_makes_scores_stale_but_violates_no_invariant(
    filled: Engine, committed: str
) -> None:
    """The scoring run uses recommendations as it read them: its scores are stale, but none is missing."""
    scoring, advised = slice_of("US", dt.date(2024, 2, 13), LAST), slice_of("US", *[dt.date(2024, 1, 30)] * 2)
    grain, readers = (
        GRAINS["recommendations"],
        [SliceReader(GRAINS[name]) for name in ("recommendations", "price_bars")],
    )
    other = read_slice(grain, advised).drop("market").with_columns(horizon_days=pl.lit(10, pl.Int32))

    def record_difference(connection: Connection, found: Difference) -> None:
        staleness.record(
            connection,
            "recommendations",
            advised,
            server_time.database_time(connection),
            found.changed_dates("as_of"),
        )

    with filled.connect() as own, filled.connect() as beside:
        if committed == "while it was read":
            merging.supersede(beside, grain, advised, other, record_difference)
        begun = staleness.input_read_time(own, "track_record", scoring)
        rows_ = score_slice(scoring, *readers)
        if committed == "after it was read":
            merging.supersede(beside, grain, advised, other, record_difference)
        beside.commit()
    write_chunk(ChunkWrite("track_record", GRAINS["track_record"], scoring, "run", begun), rows_)
    assert check("all_due_advice_is_scored_once").passed
    assert not check("scores_follow_their_advice").passed
    bring_up_to_date(scoring.dates[0], LAST, TRACK_RECORD, ("US",))


def test_a_return_across_a_price_break_is_missing_and_the_check_agrees(filled: Engine) -> None:
    one, since = "instrument_id = (SELECT id FROM instruments WHERE symbol = 'SIMU001')", dt.date(2024, 2, 14)
    higher = ", ".join(f"{price} = {price} * 90" for price in "ohlc")
    execute(filled, f"UPDATE price_bars SET {higher} WHERE {one} AND ts >= '{since}'")
    across = f"{one} AND as_of < '{since}' AND ts >= '{since}'"
    assert (
        check("scores_agree_with_the_bars").metadata["errors"].value
        == len(track_record_rows(filled, f"WHERE {across}"))
        > 0
    )
    bring_up_to_date(since, LAST, TRACK_RECORD, ("US",))
    assert check("scores_agree_with_the_bars").passed
    assert (
        rows(
            filled,
            f"SELECT id FROM track_record WHERE {one} AND realised_return_pct IS NULL AND ts >= '{since}'"
            f" EXCEPT SELECT id FROM track_record WHERE {across}",
        )
        == []
    )
    assert not rows(filled, f"SELECT id FROM track_record WHERE {across} AND realised_return_pct IS NOT NULL")


def test_the_figures_are_those_of_the_rows(filled: Engine) -> None:
    with filled.connect() as connection:
        found = performance.measure(connection, "aggressive", "US")
    (buys,) = found.labels.filter(label="BUY").to_dicts()
    own = "t JOIN instruments i ON i.id = t.instrument_id WHERE exchange <> 'EURONEXT' AND profile = 'aggressive'"
    of_us = rows(filled, f"SELECT t.* FROM track_record {own}")
    advised = [row for row in of_us if row["label"] == "BUY"]
    assert (buys["profile"], buys["view"], buys["n"]) == ("aggressive", "given", len(advised))
    shares = {
        "hit_rate": [row["hit"] for row in advised],
        "base_rate": [row["outcome"] == "BUY" for row in of_us],
        "relative_pct": [row["relative_return_pct"] for row in advised],
        "realised_pct": [row["realised_return_pct"] for row in advised],
        "expected_pct": [row["expected_return_pct"] for row in advised],
        "stopped": [row["first_touched"] == "stop" for row in advised],
        "reached": [row["first_touched"] == "target" for row in advised],
    }
    assert {name: buys[name] for name in shares} == {
        name: pytest.approx(sum(values) / len(values)) for name, values in shares.items()
    }
    holds = {
        (row["view"], row["stopped"], row["hit_rate"] is None)
        for row in found.labels.filter(label="HOLD").to_dicts()
    }
    assert holds == {("given", None, False), ("none", None, True)}
    judged = [row["hit"] for row in of_us if row["view"] == "given"]
    assert found.hit_rate == pytest.approx(sum(judged) / len(judged))


def test_the_bins_hold_the_share_of_hits_by_confidence(filled: Engine) -> None:
    execute(
        filled,
        "UPDATE track_record SET hit = NULL, outcome = NULL",
        "UPDATE track_record SET confidence = 0.75, hit = true WHERE id IN (SELECT id FROM track_record LIMIT 4)",
        "UPDATE track_record SET confidence = 0.7, hit = false WHERE id IN"
        " (SELECT id FROM track_record WHERE hit IS NULL LIMIT 1)",
        "UPDATE track_record SET confidence = 1.0, hit = true WHERE id IN"
        " (SELECT id FROM track_record WHERE hit IS NULL LIMIT 1)",
    )
    with filled.connect() as connection:
        found = performance.measure(connection)
    assert found.bins.rows() == [
        ("70 - 80 %", 5, pytest.approx(0.74), pytest.approx(0.8)),
        ("90 - 100 %", 1, 1.0, 1.0),
    ]
    assert found.calibration_error == pytest.approx(0.06 * 5 / 6)


def test_a_run_reports_figures_until_its_newest_session(
    filled: Engine, dagster_instance: dg.DagsterInstance
) -> None:
    middle = dt.date(2023, 12, 15)
    bring_up_to_date(dt.date(2023, 12, 13), middle, TRACK_RECORD, ("US",), dagster_instance, strict=False)
    events = dagster_instance.fetch_materializations(dg.AssetKey("track_record"), limit=10).records
    shown = {one.partition_key: one.asset_materialization.metadata for one in events if one.asset_materialization}
    newest = shown.pop("2023-12-15|US")
    until = rows(
        filled,
        "SELECT count(*) AS n FROM track_record t JOIN instruments i ON i.id = t.instrument_id"
        " WHERE exchange <> 'EURONEXT' AND ts <= '2023-12-15'",
    )
    assert newest["so_far"].value["scored"] == until[0]["n"] < len(track_record_rows(filled)) / 2
    assert "| aggressive | BUY |" in str(newest["by_profile_and_label"].value)
    assert "| aggressive | US | HOLD |" in str(newest["expected"].value)
    assert "data:image/svg+xml;base64," in str(newest["reliability"].value)
    assert [set(metadata) & {"so_far", "reliability"} for metadata in shown.values()] == [set(), set()]


def test_without_scores_there_is_no_summary(filled: Engine) -> None:
    early = dt.date(2023, 3, 15)
    bring_up_to_date(early, early, TRACK_RECORD)
    assert summarise_market(slice_of("US", FIRST, early)) == {}


SPLIT = dt.date(2024, 2, 20)
SPLIT_BARS = (
    "UPDATE price_bars SET o = o / 4, h = h / 4, l = l / 4, c = c / 4, v = v * 4, updated_at = clock_timestamp()"
    " WHERE interval = 'daily' AND ts {} '2024-02-20' AND instrument_id IN"
    " (SELECT id FROM instruments WHERE symbol = 'SIMU003')"
)
OF_SPLIT = (
    "JOIN instruments i ON i.id = t.instrument_id WHERE symbol = 'SIMU003' AND as_of < '2024-02-20'"
    " AND ts BETWEEN '2024-02-20' AND '2024-02-29'"
)


def score_again(engine: Engine) -> None:
    """Score the sessions from the split on, once their bars were changed by hand."""
    with engine.begin() as connection:
        moment = server_time.database_time(connection)
        sessions = pl.Series(slice_of("US", dt.date(2024, 1, 2), LAST).sessions).cast(pl.Datetime("us"))
        computations.mark_changed(connection, "price_bars", MARKETS["US"], sessions, moment)
    bring_up_to_date(SPLIT, LAST, TRACK_RECORD, ("US",), strict=False)


def test_a_split_suspends_the_scores_across_it_until_the_bars_are_restated(filled: Engine) -> None:
    score = f"SELECT realised_return_pct AS realised, unscored, hit FROM track_record t {OF_SPLIT} ORDER BY t.id"
    before = rows(filled, score)
    assert len(before) > 10
    execute(filled, SPLIT_BARS.format(">="))
    score_again(filled)
    suspended = rows(filled, score)
    assert len(suspended) == len(before)
    assert all(row == {"realised": None, "unscored": "price basis", "hit": None} for row in suspended)
    assert "scores of SIMU003@" in boursomatic("status").stdout
    assert check("scores_agree_with_the_bars", "US", SPLIT, LAST).passed
    execute(filled, SPLIT_BARS.format("<"))
    score_again(filled)
    restated = rows(filled, score)
    assert [row["realised"] for row in restated] == pytest.approx([row["realised"] for row in before])
    assert {row["unscored"] for row in restated} == {None}
