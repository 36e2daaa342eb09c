"""Rejected rows are judged again by today's rules: those that break none are stored, and every count adds up."""

import datetime as dt
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Connection, Engine
from worlds.arbitrary import ARBITRARY_DELIVERIES
from worlds.frames import (
    delivered_bars,
    insert_instruments,
    instruments,
    midnight,
    query_rows,
    slice_of,
)

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.deliveries import reconcile_deliveries
from boursomatic_assets.database import locks
from boursomatic_assets.orchestration.io_manager import ChunkWrite, write_chunk
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.sources import Source
from boursomatic_assets.sources.files.source import Files
from boursomatic_assets.sources.simulated.source import Simulated
from boursomatic_assets.tables import merging, staging, staleness
from boursomatic_assets.tables.deliveries import replay as replaying
from boursomatic_assets.tables.deliveries.replay import Outcome, replay
from boursomatic_assets.tables.deliveries.selection import Selection
from boursomatic_assets.tables.grains import GRAINS, INSTRUMENTS

MONDAY, TUESDAY = "2024-06-10", "2024-06-11"
BOTH = slice_of("US", MONDAY, TUESDAY)
HEADER = "symbol,exchange,ts,o,h,l,c,v"
ACME, BOLT = f"ACME,NYSE,{MONDAY},10,11,9,10,1000", f"BOLT,NASDAQ,{MONDAY},20,21,19,20,500"
ASKED = dt.datetime(2024, 6, 12)
UNKNOWN = "instrument is unknown"
SIMULATED = Simulated()


def know(engine: Engine, symbols: str) -> pl.DataFrame:
    """Let these instruments be known."""
    known = instruments().filter(pl.col("symbol").is_in(symbols.split()))
    with engine.begin() as connection:
        merging.upsert(connection, INSTRUMENTS, known)
    return known


def write(folder: Path, *lines: str, name: str = "bars.csv", header: str = HEADER) -> Files:
    (folder / name).write_text("\n".join([header, *lines, ""]))
    return Files(folder)


def deliver(source: Source, known: pl.DataFrame, part: Slice = BOTH, interval: str = "daily") -> None:
    """Load a slice as a run does."""
    store(source.bars(part.market, part.start, part.end, interval), source, known, part, interval)


def store(
    raw: pl.DataFrame, source: Source, known: pl.DataFrame, part: Slice = BOTH, interval: str = "daily"
) -> None:
    delivery = apply_contract(raw, part, known, source.name, interval, with_raw=source.with_raw)
    asset = "price_bars" if interval == "daily" else "price_bars_15m"
    write_chunk(ChunkWrite(asset, GRAINS[asset], part, "run", ASKED), delivery)


def again(source: Source, dry_run: bool = False, **chosen: Any) -> Outcome:
    return replay(source, Selection(**chosen), dry_run=dry_run)


def bars(engine: Engine) -> list[Any]:
    query = "SELECT symbol, to_char(ts, 'Dy'), c FROM price_bars b JOIN instruments i ON i.id = b.instrument_id"
    return query_rows(engine, f"{query} ORDER BY 2, 1")


def rejected(engine: Engine) -> list[Any]:
    return query_rows(
        engine, "SELECT line, market, to_char(session, 'Dy'), reason FROM rejected_bars ORDER BY 1, 2, raw::text"
    )


def log(engine: Engine, columns: str = "delivered, kept, merged, rejected") -> list[Any]:
    query = f"SELECT market, to_char(session, 'Dy'), {columns} FROM delivered_sessions ORDER BY market, session"
    return query_rows(engine, query)


def contents(engine: Engine) -> list[Any]:
    """All rows that a replay may write, with the transactions that wrote them."""
    tables = ("price_bars", "rejected_bars", "delivered_sessions", "computed_sessions", "price_bar_revisions")
    return [query_rows(engine, f"SELECT t.xmin::text, t::text FROM {table} t ORDER BY id") for table in tables]


def mismatches(engine: Engine, *parts: Slice, interval: str = "daily") -> int:
    with engine.connect() as connection:
        return sum(reconcile_deliveries(connection, interval, part).errors for part in parts or (BOTH,))


def test_a_row_of_an_instrument_that_is_known_now_becomes_a_bar(migrated: Engine, tmp_path: Path) -> None:
    source = write(tmp_path, ACME, BOLT, BOLT.replace("20,21", ",21"), BOLT.replace("20,21", "x,21"))
    deliver(source, know(migrated, "ACME"))
    unread = (5, "US", "Mon", "price is of an unknown form")
    assert rejected(migrated) == [(3, "US", "Mon", UNKNOWN), (4, "US", "Mon", UNKNOWN), unread]
    (first,) = query_rows(migrated, "SELECT computed_at, changed_at FROM computed_sessions")

    know(migrated, "BOLT")
    stay = {"price is missing": 1, "price is of an unknown form": 1}
    assert again(source) == Outcome(stored=1, rejected=stay)
    assert bars(migrated) == [("ACME", "Mon", 10.0), ("BOLT", "Mon", 20.0)]
    assert rejected(migrated) == [(4, "US", "Mon", "price is missing"), unread]
    assert log(migrated, "delivered, kept, merged, rejected, run_id") == [("US", "Mon", 4, 2, 0, 2, "replay")]
    assert mismatches(migrated) == 0
    (then,) = query_rows(migrated, "SELECT computed_at, changed_at FROM computed_sessions")
    assert then[0] == first[0], "the source was not asked again"
    assert then[1] > first[1], "what looks back on the session is stale"
    (known_from,) = query_rows(migrated, "SELECT max(created_at) - min(created_at) > interval '0' FROM price_bars")
    assert known_from == (True,)

    before = contents(migrated)
    assert again(source) == Outcome(rejected=stay)
    assert contents(migrated) == before
    deliver(source, know(migrated, "ACME BOLT"))
    assert contents(migrated) == before, "a delivery by the same rules finds everything as it would be"


def test_what_was_computed_without_a_replayed_bar_is_stale(migrated: Engine, tmp_path: Path) -> None:
    source = write(tmp_path, ACME, BOLT)
    deliver(source, know(migrated, "ACME"))
    with migrated.begin() as connection:
        now = staleness.input_read_time(connection, "features", BOTH)
        staleness.record(connection, "features", BOTH, now, pl.Series([midnight(MONDAY), midnight(TUESDAY)]))
    with migrated.connect() as connection:
        assert staleness.stale_sessions(connection, "features", BOTH) == []
    know(migrated, "BOLT")
    again(source)
    with migrated.connect() as connection:
        assert staleness.stale_sessions(connection, "features", BOTH) == [*BOTH.sessions]


def test_a_dry_run_tells_the_same_and_writes_nothing(migrated: Engine, tmp_path: Path) -> None:
    source = write(tmp_path, ACME, BOLT)
    deliver(source, know(migrated, "ACME"))
    know(migrated, "BOLT")
    before = contents(migrated)
    told = again(source, dry_run=True)
    assert contents(migrated) == before
    assert told == again(source) == Outcome(stored=1)


def test_only_the_chosen_rows_are_replayed(migrated: Engine, tmp_path: Path) -> None:
    write(tmp_path, BOLT, name="a_b.csv")
    source = write(tmp_path, BOLT.replace(MONDAY, TUESDAY), name="aXb.csv")
    deliver(source, know(migrated, "ACME"))
    know(migrated, "BOLT")
    assert again(source, file="A_B", reason="UNKNOWN", market="US") == Outcome(stored=1)
    assert bars(migrated) == [("BOLT", "Mon", 20.0)]
    assert again(source, date=dt.date(2024, 6, 11)) == Outcome(stored=1)
    assert mismatches(migrated) == 0


def test_a_row_that_repeats_a_bar_is_merged_and_one_that_contradicts_it_stays_rejected(
    migrated: Engine, tmp_path: Path
) -> None:
    source = write(tmp_path, BOLT, BOLT.replace("500", "501").replace(MONDAY, TUESDAY), BOLT)
    deliver(source, know(migrated, "ACME"))
    with migrated.begin() as connection:
        merging.upsert(connection, INSTRUMENTS, know(migrated, "BOLT"))
        merging.add(connection, GRAINS["price_bars"], BOTH, bars_of_bolt())
    assert again(source) == Outcome(merged=2, rejected={"two different bars for one session": 1})
    assert rejected(migrated) == [(3, "US", "Tue", "two different bars for one session")]
    assert [row[2:] for row in log(migrated)] == [(2, 0, 2, 0), (1, 0, 0, 1)]
    assert mismatches(migrated) == 0
    before = contents(migrated)
    assert again(source) == Outcome(rejected={"two different bars for one session": 1})
    assert contents(migrated) == before


def test_a_chosen_row_is_stored_though_its_twin_is_not_chosen(migrated: Engine, tmp_path: Path) -> None:
    write(tmp_path, BOLT, name="a.csv")
    source = write(tmp_path, BOLT, name="b.csv")
    deliver(source, know(migrated, "ACME"))
    know(migrated, "BOLT")
    assert again(source, file="b.csv") == Outcome(stored=1)
    assert query_rows(migrated, "SELECT file FROM rejected_bars") == [("a.csv",)]
    assert again(source) == Outcome(merged=1)
    assert log(migrated) == [("US", "Mon", 2, 1, 1, 0)]
    assert mismatches(migrated) == 0


def test_a_number_that_json_cannot_hold_keeps_its_reason(migrated: Engine) -> None:
    rows = [delivered_bars("ACME", MONDAY, c=math.inf), delivered_bars("ACME", TUESDAY, v=math.nan)]
    store(pl.concat(rows), SIMULATED, know(migrated, "ACME"))
    before = contents(migrated)
    assert again(SIMULATED).rejected == {"price is not finite": 1, "volume is negative or not finite": 1}
    assert contents(migrated) == before


def bars_of_bolt() -> pl.DataFrame:
    raw = delivered_bars("BOLT", MONDAY, TUESDAY, o=20.0, h=21.0, l=19.0, c=20.0, v=500.0)
    return apply_contract(raw, BOTH, instruments(), "toy").kept.drop("market", "file")


def test_of_two_rows_that_contradict_each_other_none_is_stored_though_one_alone_is_chosen(
    migrated: Engine, tmp_path: Path
) -> None:
    write(tmp_path, BOLT, name="a.csv")
    source = write(tmp_path, BOLT.replace("500", "501"), name="b.csv")
    deliver(source, know(migrated, "ACME"))
    know(migrated, "BOLT")
    assert again(source, file="a.csv") == Outcome(rejected={"two different bars for one session": 1})
    assert [reason for *_, reason in rejected(migrated)] == ["two different bars for one session", UNKNOWN]
    assert bars(migrated) == []
    assert mismatches(migrated) == 0


def test_bars_of_an_earlier_delivery_are_counted_with_the_first_that_is_kept(
    migrated: Engine, tmp_path: Path
) -> None:
    deliver(write(tmp_path, ACME), know(migrated, "ACME"))
    source = write(tmp_path, BOLT)
    deliver(source, know(migrated, "ACME"))
    assert log(migrated) == [("US", "Mon", 1, 0, 0, 1)]
    know(migrated, "BOLT")
    assert again(source) == Outcome(stored=1)
    assert log(migrated) == [("US", "Mon", 2, 2, 0, 0)]
    assert mismatches(migrated) == 0


def test_a_new_statement_moves_rows_to_the_market_and_session_that_it_names(
    migrated: Engine, tmp_path: Path
) -> None:
    day = "Jour,o,h,l,c,v,symbol,exchange"
    source = write(tmp_path, ",10,11,9,10,1,LUXE,MARS", "11/06/2024,20,21,19,20,2,LUXE,MARS", header=day)
    (tmp_path / "columns.yaml").write_text("bars.csv: {columns: {ts: Jour}, dates: dmy}")
    paris = slice_of("EURONEXT", MONDAY, TUESDAY)
    known = know(migrated, "ACME LUXE")
    deliver(source, known)
    deliver(source, known, paris)
    elsewhere = "exchange is not of a known market"
    assert rejected(migrated) == [(2, "US", None, elsewhere), (3, "US", "Tue", elsewhere)]
    (tmp_path / "columns.yaml").write_text("bars.csv: {columns: {ts: Jour}, dates: dmy, exchange: EURONEXT}")
    assert again(source) == Outcome(stored=1, rejected={"time is missing or unreadable": 1})
    assert bars(migrated) == [("LUXE", "Tue", 20.0)]
    assert rejected(migrated) == [(2, "EURONEXT", None, "time is missing or unreadable")]
    assert log(migrated) == [
        ("EURONEXT", "Tue", 1, 1, 0, 0),
        ("EURONEXT", None, 1, 0, 0, 1),
        ("US", "Tue", 0, 0, 0, 0),
    ]
    assert mismatches(migrated, BOTH, paris) == 0


def test_rows_that_cannot_be_judged_are_counted_with_the_reason(migrated: Engine, tmp_path: Path) -> None:
    write(tmp_path, "ACME,NYSE,10,11,9,10,1", header="symbol,exchange,o,h,l,c,v", name="no_dates.csv")
    write(tmp_path, BOLT.replace(MONDAY, "13/06/2024"), BOLT.replace(MONDAY, "10/06/2024"), name="dmy.csv")
    source = write(tmp_path, BOLT)
    known = know(migrated, "ACME")
    store(delivered_bars("BOLT", TUESDAY, v=None), SIMULATED, known, slice_of("US", TUESDAY))
    deliver(source, known)
    know(migrated, "BOLT")
    outcome = again(source)
    assert outcome.stored == 1
    assert sorted(outcome.left.items()) == [
        ("comes from the source simulated: set BOURSOMATIC_SOURCE to it", 1),
        (
            "dmy.csv: day and month cannot be told apart: 1 dates such as 10/06/2024 fit both ways: state"
            " `dates: dmy` or `dates: mdy` for it in columns.yaml",
            1,
        ),
        (replaying.STANDS_FOR_MORE, 1),
    ]
    assert mismatches(migrated) == 0


def test_a_row_that_another_run_has_cleared_meanwhile_is_not_stored(
    migrated: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path, BOLT)
    deliver(source, know(migrated, "ACME"))
    know(migrated, "BOLT")
    with monkeypatch.context() as patched:
        patched.setattr(replaying, "_lock", lambda connection, _: clear(connection))
        assert again(source) == Outcome()
    assert bars(migrated) == []


def clear(connection: Connection) -> None:
    connection.exec_driver_sql("DELETE FROM rejected_bars")


def test_a_replay_waits_for_the_run_that_holds_its_session(
    migrated: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path, BOLT.replace("20,21", ",21"))
    deliver(source, know(migrated, "ACME"))
    know(migrated, "BOLT")
    monkeypatch.setattr(locks, "patience", 0.2)
    for part in (slice_of("US", MONDAY), BOTH):
        with migrated.begin() as connection, pytest.raises(locks.LockWaitError, match="gave up after"):
            staging.lock_slice(connection, "price_bars", part)
            again(source)
    assert rejected(migrated) == [(2, "US", "Mon", UNKNOWN)]
    with migrated.begin() as connection:
        staging.lock_slice(connection, "price_bars", slice_of("US", TUESDAY))
        assert again(source) == Outcome(rejected={"price is missing": 1})


def test_a_session_that_has_not_closed_is_left_alone(
    migrated: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path, BOLT)
    deliver(source, know(migrated, "ACME"))
    know(migrated, "BOLT")
    monkeypatch.setattr(
        replaying, "utc_now", lambda: MARKETS["US"].close_time(dt.date(2024, 6, 10)) - dt.timedelta(1)
    )
    assert again(source) == Outcome(left={replaying.NOT_CLOSED: 1})


def test_15m_bars_are_replayed_unless_their_session_is_archived(
    migrated: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        f"BOLT,NASDAQ,{day}T{clock}Z,20,21,19,20,5" for day in (MONDAY, TUESDAY) for clock in ("14:30", "14:45")
    ]
    source = write(tmp_path, *lines)
    deliver(source, know(migrated, "ACME"), interval="15m")
    know(migrated, "BOLT")
    monkeypatch.setattr(
        replaying.files, "archived_sessions", lambda part: [part] if str(part.dates[0]) == MONDAY else []
    )
    assert again(source) == Outcome(stored=2, left={replaying.ARCHIVED: 2})
    assert query_rows(migrated, "SELECT interval, to_char(ts, 'Dy HH24:MI') FROM price_bars ORDER BY ts") == [
        ("15m", "Tue 14:30"),
        ("15m", "Tue 14:45"),
    ]
    assert query_rows(migrated, "SELECT DISTINCT asset FROM computed_sessions") == [("price_bars_15m",)]
    assert mismatches(migrated, slice_of("US", TUESDAY), interval="15m") == 0


THURSDAY_OFF = slice_of("US", "2025-01-08", "2025-01-09", "2025-01-10")
EXPECTED = (
    pl.col("exchange").ne_missing("EURONEXT"),
    pl.col("interval").ne_missing("15m"),
    (pl.col("ts") >= THURSDAY_OFF.start).fill_null(True),
    *(pl.col(name).is_finite().fill_null(True) for name in "ohlcv"),
)
"""Rows that a source delivers for that slice; JSON has no NaN."""


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ARBITRARY_DELIVERIES)
def test_by_the_same_rules_a_replay_changes_nothing_and_by_others_it_does_what_a_delivery_does(
    migrated: Engine, raw: pl.DataFrame
) -> None:
    raw = raw.filter(*EXPECTED).with_columns(file=pl.lit("a service"))
    with migrated.begin() as connection:
        for table in (
            *("price_bars", "price_bar_revisions", "rejected_bars", "delivered_sessions", "computed_sessions"),
            "instruments",
        ):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    store(raw, SIMULATED, know(migrated, "BOLT"), THURSDAY_OFF)
    before = contents(migrated)
    again(SIMULATED)
    assert contents(migrated) == before
    insert_instruments(migrated)
    again(SIMULATED)
    assert mismatches(migrated, THURSDAY_OFF) == 0
    replayed = ledgers(migrated)
    store(raw, SIMULATED, instruments(), THURSDAY_OFF)
    assert ledgers(migrated) == replayed


def ledgers(engine: Engine) -> list[Any]:
    counts = "session, delivered, kept, merged, rejected, repaired"
    return [
        query_rows(engine, f"SELECT {columns} FROM {table} t ORDER BY 1")
        for columns, table in (
            ("t::text", "price_bars"),
            ("id, reason", "rejected_bars"),
            (counts, "delivered_sessions"),
        )
    ]
