"""Merging instruments: one series, nothing lost, all or nothing, and for good."""

import datetime as dt
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import Engine
from worlds.frames import query_rows, slice_of
from worlds.pep import (
    MONDAY,
    NASDAQ,
    NYSE,
    THURSDAY,
    TUESDAY,
    US,
    WEDNESDAY,
    WEEK,
    bars_of,
    deliver,
    judge,
    list_instruments,
    write,
)

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.checks.deliveries import reconcile_deliveries
from boursomatic_assets.database import server_time
from boursomatic_assets.orchestration.chunk_writes import ChunkWrite, write_chunk
from boursomatic_assets.schema import identifiers
from boursomatic_assets.tables import activity, staleness
from boursomatic_assets.tables.aliases.merge import MergeResult, merge
from boursomatic_assets.tables.aliases.names import Name
from boursomatic_assets.tables.archive import moving, reading
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import read_slice
from boursomatic_assets.tables.revisions import read_bars
from boursomatic_assets.tables.staging import lock_slice, transaction

SERIES = (
    "SELECT symbol || '@' || exchange, to_char(b.ts, 'Dy'), c FROM price_bars b"
    " JOIN instruments i ON i.id = instrument_id ORDER BY 1, b.ts"
)
REVISIONS = (
    "SELECT symbol || '@' || exchange, to_char(r.ts, 'Dy'), c, source FROM price_bar_revisions r"
    " JOIN instruments i ON i.id = instrument_id ORDER BY 1, r.ts, c"
)
COUNTS = (
    "SELECT to_char(session, 'Dy'), delivered, kept, merged, rejected FROM delivered_sessions ORDER BY session"
)
WAITING = (
    "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
    " WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
)
TABLES = (
    "instruments",
    "instrument_aliases",
    "price_bars",
    "price_bar_revisions",
    "features",
    "computed_sessions",
    "delivered_sessions",
)


@pytest.fixture
def pep(migrated: Engine) -> Engine:
    """A database that knows PEP of NYSE, of NASDAQ and of US, and nothing else."""
    list_instruments(migrated, NYSE, NASDAQ, US)
    return migrated


def contents(engine: Engine) -> dict[str, list[Any]]:
    return {table: query_rows(engine, f"SELECT t.*::text FROM {table} t ORDER BY 1") for table in TABLES}


def mismatches(engine: Engine, interval: str = "daily") -> int:
    archived = reading.bar_counts(WEEK) if interval == "15m" else {}
    with engine.connect() as connection:
        return reconcile_deliveries(connection, interval, WEEK, archived).errors


def now(engine: Engine) -> dt.datetime:
    with engine.connect() as connection:
        return server_time.database_time(connection)


def closes(known_at: dt.datetime | None = None) -> list[float]:
    return read_bars(WEEK, known_at=known_at)["c"].to_list()


# One series


def test_bars_move_with_their_times_and_get_the_ids_of_their_instrument(pep: Engine) -> None:
    deliver(pep, bars_of(NYSE, MONDAY, TUESDAY, c=9.5), bars_of(NASDAQ, WEDNESDAY))
    deliver(pep, bars_of(NYSE, MONDAY, TUESDAY, file_id=5, line=7), bars_of(NASDAQ, WEDNESDAY))
    known = "SELECT ts, created_at, updated_at, file_id, line FROM price_bars ORDER BY ts"
    before = query_rows(pep, known)
    assert merge(NYSE, NASDAQ) == MergeResult(
        NYSE, NASDAQ, moved=2, sessions=(dt.date(2017, 12, 18), dt.date(2017, 12, 19))
    )
    assert query_rows(pep, SERIES) == [(str(NASDAQ), day, 10.0) for day in ("Mon", "Tue", "Wed")]
    assert query_rows(pep, known) == before
    stored = read_slice(GRAINS["price_bars"], WEEK, ("id", "instrument_id", "ts", "interval"))
    assert stored["id"].to_list() == identifiers.of_rows(stored.drop("id")).to_list()
    assert mismatches(pep) == 0


def test_bars_of_intervals_that_are_not_loaded_move_with_their_ids(pep: Engine) -> None:
    """Another program wrote them: one that both have, and one that the target lacks."""
    deliver(pep, bars_of(NYSE, MONDAY))
    with pep.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO price_bars (id, instrument_id, ts, o, h, l, c, v, interval)"
            f" SELECT gen_random_uuid(), id, '{MONDAY} 15:00', 10, 12, 9, 11, 0, '1h' FROM instruments;"
            "INSERT INTO price_bars (id, instrument_id, ts, o, h, l, c, v, interval)"
            f" SELECT gen_random_uuid(), id, '{MONDAY} 16:00', 10, 12, 9, 11, 0, '1h' FROM instruments"
            " WHERE exchange = 'NYSE'"
        )
    hours = (
        "SELECT b.id, ts, b.created_at FROM price_bars b JOIN instruments i ON i.id = instrument_id"
        " WHERE interval = '1h' AND exchange = '{}' ORDER BY ts"
    )
    (_, moved), (own,) = (query_rows(pep, hours.format(name.exchange)) for name in (NYSE, NASDAQ))
    assert merge(NYSE, NASDAQ).moved == 2
    assert query_rows(pep, hours.format("NASDAQ")) == [own, moved]


def test_a_bar_that_both_have_is_dropped_and_counted_as_merged(pep: Engine) -> None:
    deliver(pep, bars_of(NASDAQ, WEDNESDAY, THURSDAY), bars_of(US, THURSDAY))
    assert merge(US, NASDAQ).repeated == 1
    assert query_rows(pep, SERIES) == [(str(NASDAQ), day, 10.0) for day in ("Wed", "Thu")]
    assert query_rows(pep, REVISIONS) == []
    assert query_rows(pep, COUNTS) == [("Wed", 1, 1, 0, 0), ("Thu", 2, 1, 1, 0)]
    assert mismatches(pep) == 0


def test_a_bar_that_was_lacking_before_is_still_found_to_be_lacking(pep: Engine) -> None:
    other = Name("KO", "NYSE")
    list_instruments(pep, other)
    deliver(pep, bars_of(NASDAQ, THURSDAY), bars_of(US, THURSDAY), bars_of(other, THURSDAY))
    with pep.begin() as connection:
        connection.exec_driver_sql(
            "DELETE FROM price_bars WHERE instrument_id = (SELECT id FROM instruments WHERE symbol = 'KO')"
        )
    assert mismatches(pep) == 1
    merge(US, NASDAQ)
    assert mismatches(pep) == 1


def test_bars_that_are_older_than_the_log_of_deliveries_still_need_no_delivery(pep: Engine) -> None:
    deliver(pep, bars_of(NYSE, MONDAY))
    with pep.begin() as connection:
        connection.exec_driver_sql("DELETE FROM delivered_sessions")
        connection.exec_driver_sql("UPDATE computed_sessions SET computed_at = changed_at")
    merge(NYSE, NASDAQ)
    assert mismatches(pep) == 0


def test_a_bar_that_differs_is_kept_as_a_revision(pep: Engine) -> None:
    deliver(pep, bars_of(NASDAQ, THURSDAY), bars_of(US, THURSDAY, c=10.5, file_id=5, line=7))
    before = now(pep)
    assert merge(US, NASDAQ).differing == 1
    assert query_rows(pep, SERIES) == [(str(NASDAQ), "Thu", 10.0)]
    assert query_rows(pep, REVISIONS) == [(str(NASDAQ), "Thu", 10.5, "merge of instruments")]
    times = "SELECT r.known_from = b.created_at, r.known_until > :before FROM price_bar_revisions r, price_bars b"
    assert query_rows(pep, times, before=before) == [(True, True)]
    assert query_rows(pep, "SELECT file_id, line FROM price_bar_revisions") == [(5, 7)]
    assert closes(before) == [10.0], "of two versions known at once the instrument's own is read"
    assert mismatches(pep) == 0


def test_what_was_known_under_another_name_was_known(pep: Engine) -> None:
    """The same bar came first under US, then under NASDAQ; between the two it was known."""
    deliver(pep, bars_of(US, THURSDAY))
    between = now(pep)
    with pep.begin() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(0.002)")
    deliver(pep, bars_of(US, THURSDAY), bars_of(NASDAQ, THURSDAY))
    assert merge(US, NASDAQ).repeated == 1
    assert closes(between) == closes() == [10.0]


def test_earlier_versions_of_both_are_kept_though_one_delivery_replaced_them(pep: Engine) -> None:
    """The end of a version is part of its key."""
    deliver(pep, bars_of(NASDAQ, THURSDAY, c=9.5), bars_of(US, THURSDAY, c=9.6), bars_of(NYSE, THURSDAY, c=9.7))
    before = now(pep)
    deliver(pep, bars_of(NASDAQ, THURSDAY), bars_of(US, THURSDAY), bars_of(NYSE, THURSDAY))
    merge(US, NASDAQ)
    merge(NYSE, NASDAQ)
    assert [row[:3] for row in query_rows(pep, REVISIONS)] == [(str(NASDAQ), "Thu", c) for c in (9.5, 9.6, 9.7)]
    assert len(closes(before)) == 1
    assert closes() == [10.0]


def test_sessions_with_moved_or_dropped_bars_make_what_is_computed_from_them_stale(pep: Engine) -> None:
    deliver(pep, bars_of(NYSE, MONDAY), bars_of(NASDAQ, TUESDAY, WEDNESDAY), bars_of(US, WEDNESDAY))
    computed = (
        "INSERT INTO computed_sessions (id, asset, market, session, computed_at, changed_at) SELECT"
        " gen_random_uuid(), 'recommendations', market, session, clock_timestamp(), clock_timestamp()"
        " FROM computed_sessions WHERE asset = 'price_bars'"
    )
    with pep.begin() as connection:
        connection.exec_driver_sql(computed)
    merge(NYSE, NASDAQ)
    merge(US, NASDAQ)
    with pep.connect() as connection:
        stale = staleness.stale_sessions(connection, "recommendations", WEEK)
    assert [str(session) for session in stale] == [MONDAY, WEDNESDAY]


# Bars to come


def test_deliveries_under_every_name_go_to_the_instrument(pep: Engine) -> None:
    merge(NYSE, NASDAQ)
    merge(US, NASDAQ)
    delivery = deliver(
        pep, *(bars_of(name, day) for name, day in ((NYSE, MONDAY), (NASDAQ, TUESDAY), (US, WEDNESDAY)))
    )
    assert delivery.rejected.is_empty()
    assert query_rows(pep, SERIES) == [(str(NASDAQ), day, 10.0) for day in ("Mon", "Tue", "Wed")]
    assert mismatches(pep) == 0


def test_under_two_names_the_same_bar_is_one_and_different_ones_contradict_each_other(pep: Engine) -> None:
    merge(US, NASDAQ)
    delivery = deliver(
        pep, bars_of(NASDAQ, WEDNESDAY, THURSDAY), bars_of(US, WEDNESDAY), bars_of(US, THURSDAY, c=10.5)
    )
    assert delivery.rejected["reason"].to_list() == ["two different bars for one session"] * 2
    assert query_rows(pep, SERIES) == [(str(NASDAQ), "Wed", 10.0)]
    assert query_rows(pep, COUNTS) == [("Wed", 2, 1, 1, 0), ("Thu", 2, 0, 0, 2)]
    assert mismatches(pep) == 0


def test_the_same_delivery_again_writes_nothing(pep: Engine) -> None:
    raw = bars_of(NYSE, MONDAY), bars_of(NASDAQ, THURSDAY), bars_of(US, THURSDAY)
    deliver(pep, *raw)
    merge(NYSE, NASDAQ)
    merge(US, NASDAQ)
    before = contents(pep)
    deliver(pep, *raw)
    assert contents(pep) == before


def test_a_name_that_was_not_delivered_excuses_the_bars_of_its_instrument(pep: Engine) -> None:
    """A share that was renamed, and a service that still asks for the old name and gets no answer."""
    facebook, meta = Name("FB", "NASDAQ"), Name("META", "NASDAQ")
    list_instruments(pep, facebook, meta)
    deliver(pep, bars_of(facebook, MONDAY), bars_of(NASDAQ, MONDAY))
    merge(facebook, meta)
    gone = dict.fromkeys(("o", "h", "l", "c", "v")) | {"raw": '{"symbol": "FB", "error": "gone"}'}
    deliver(pep, bars_of(NASDAQ, MONDAY), bars_of(facebook, MONDAY, **gone))
    assert query_rows(pep, SERIES) == [(str(meta), "Mon", 10.0), (str(NASDAQ), "Mon", 10.0)]
    assert mismatches(pep) == 0


def test_a_merged_instrument_stays_and_stays_inactive(pep: Engine) -> None:
    sessions = [date for date in MARKETS["US"].sessions().tolist() if date.year == 2018][:25]
    deliver(pep, bars_of(NYSE, MONDAY), bars_of(NASDAQ, THURSDAY))
    merge(NYSE, NASDAQ)
    list_instruments(pep, NYSE, NASDAQ, US)
    with pep.begin() as connection:
        for date in sessions:
            connection.exec_driver_sql(
                "INSERT INTO computed_sessions (id, asset, market, session, computed_at, changed_at)"
                f" VALUES (gen_random_uuid(), 'price_bars', 'US', '{date}', now(), now())"
            )
        activity.update_activity(connection, MARKETS["US"])
    active = "SELECT symbol || '@' || exchange, is_active FROM instruments ORDER BY 1"
    assert query_rows(pep, active) == [(str(NASDAQ), False), (str(NYSE), False), (str(US), True)]


def test_rows_that_were_computed_before_the_merge_are_refused(pep: Engine) -> None:
    """A run reads the instruments, waits for the merge, and would write bars of an instrument that has none."""
    delivery = judge(bars_of(NYSE, MONDAY))
    merge(NYSE, NASDAQ)
    features = delivery.kept.select("instrument_id", "ts")
    for rows, asset in ((delivery, "price_bars"), (features, "features")):
        with pytest.raises(RuntimeError, match="PEP@NYSE was merged into PEP@NASDAQ while this was computed: run"):
            write(pep, rows, asset)
    assert query_rows(pep, SERIES) == []


# All or nothing, and for good


def test_an_error_midway_leaves_everything_as_it_was(pep: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    deliver(pep, bars_of(NYSE, MONDAY, THURSDAY), bars_of(NASDAQ, THURSDAY, c=10.5))
    before = contents(pep)

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(activity, "update_activity", fail)
    with pytest.raises(OSError, match="the disk is full"):
        merge(NYSE, NASDAQ)
    assert contents(pep) == before


def test_a_dry_run_tells_all_and_changes_nothing(pep: Engine) -> None:
    deliver(pep, bars_of(NYSE, MONDAY, THURSDAY), bars_of(NASDAQ, THURSDAY, c=10.5))
    before = contents(pep)
    told = merge(NYSE, NASDAQ, dry_run=True)
    assert (told.moved, told.differing) == (1, 1)
    assert contents(pep) == before
    assert merge(NYSE, NASDAQ) == told


def test_a_second_merge_is_done_already(pep: Engine) -> None:
    deliver(pep, bars_of(NYSE, MONDAY))
    merge(NYSE, NASDAQ)
    before = contents(pep)
    assert merge(NYSE, NASDAQ).was_done
    assert contents(pep) == before


def test_an_alias_never_names_an_alias(pep: Engine) -> None:
    deliver(pep, bars_of(US, MONDAY), bars_of(NYSE, TUESDAY), bars_of(NASDAQ, WEDNESDAY))
    merge(US, NYSE)
    merge(NYSE, NASDAQ)
    aliases = "SELECT DISTINCT i.exchange FROM instrument_aliases a JOIN instruments i ON i.id = instrument_id"
    assert query_rows(pep, aliases) == [("NASDAQ",)]
    deliver(pep, bars_of(US, MONDAY), bars_of(NYSE, TUESDAY), bars_of(NASDAQ, WEDNESDAY))
    assert query_rows(pep, SERIES) == [(str(NASDAQ), day, 10.0) for day in ("Mon", "Tue", "Wed")]


@pytest.mark.parametrize(
    ("merged", "target", "why"),
    [
        (NASDAQ, NASDAQ, "PEP@NASDAQ cannot be merged into itself: name two instruments"),
        (Name("PEP", "AMEX"), NASDAQ, "PEP@AMEX and PEP@NASDAQ are not of one market: choose exchanges of one"),
        (Name("PEP", "EURONEXT"), NASDAQ, "are not of one market"),
        (Name("PEPE", "US"), NASDAQ, "there is no instrument PEPE@US: `boursomatic instruments list` lists them"),
        (US, NASDAQ, "PEP@US was merged into PEP@NYSE before, and a merge is final: name PEP@NYSE instead"),
        (NASDAQ, US, "PEP@US was merged into PEP@NYSE before, and a merge is final: name PEP@NYSE instead"),
    ],
)
def test_what_cannot_be_merged_is_refused(pep: Engine, merged: Name, target: Name, why: str) -> None:
    merge(US, NYSE)
    before = contents(pep)
    with pytest.raises(ValueError, match=why):
        merge(merged, target)
    assert contents(pep) == before


# Beside other writers


@pytest.mark.parametrize("table", ["price_bars", "features", "recommendations", "track_record"])
def test_a_merge_waits_for_a_run_that_writes_a_session(pep: Engine, table: str) -> None:
    with transaction() as writing:
        lock_slice(writing, table, slice_of("US", MONDAY))
        thread = threading.Thread(target=merge, args=(NYSE, NASDAQ))
        thread.start()
        while query_rows(pep, WAITING) == [(0,)]:
            assert thread.is_alive(), "it did not wait"
    thread.join()
    assert query_rows(pep, "SELECT count(*) FROM instrument_aliases") == [(1,)]


def test_merges_and_runs_at_once_wait_for_each_other_and_all_end(pep: Engine) -> None:
    def deliver_session(day: str) -> None:
        part = slice_of("US", day)
        delivery = judge(bars_of(NASDAQ, day)).for_slice(part)
        chunk = ChunkWrite("price_bars", GRAINS["price_bars"], part, "run", now(pep))
        write_chunk(chunk, delivery)

    with ThreadPoolExecutor(8) as pool:
        days = (MONDAY, TUESDAY, WEDNESDAY, THURSDAY)
        tasks = [pool.submit(deliver_session, day) for day in days]
        tasks += [pool.submit(merge, name, NASDAQ) for name in (NYSE, US)]
        tasks += [
            pool.submit(list_instruments, pep, NYSE, NASDAQ, US),
            pool.submit(deliver, pep, bars_of(NASDAQ, MONDAY)),
        ]
    assert [task.exception() for task in tasks] == [None] * 8
    assert query_rows(pep, SERIES) == [(str(NASDAQ), day, 10.0) for day in ("Mon", "Tue", "Wed", "Thu")]


# Archived 15m bars


def quarters(name: Name, *quarters: int, **changed: Any) -> pl.DataFrame:
    """15m bars of Monday, by their place in the session."""
    opens = MARKETS["US"].trading_hours(dt.date.fromisoformat(MONDAY))[0]
    return pl.concat(
        bars_of(name, MONDAY, ts=opens + quarter * dt.timedelta(minutes=15), interval="15m", **changed)
        for quarter in quarters
    )


def shown(known_at: dt.datetime | None = None) -> list[Any]:
    """The 15m bars of the week, in the table or in the archive: exchange and close."""
    bars = reading.read_bars(WEEK, "15m", known_at)
    return bars.sort("ts").select("exchange", "c").rows()


def retire() -> None:
    moving.move_to_archive(dt.date(2018, 3, 1))


def restore() -> None:
    moving.restore("US", WEEK.dates[0], WEEK.dates[-1])


def test_archived_bars_are_read_restored_and_archived_again_under_the_present_name(
    pep: Engine, home: Path
) -> None:
    deliver(pep, quarters(NYSE, 0, 1), interval="15m")
    retire()
    assert query_rows(pep, SERIES) == []
    assert merge(NYSE, NASDAQ).archived == 2
    for step in (restore, retire):
        assert shown() == [("NASDAQ", 10.0)] * 2
        assert mismatches(pep, "15m") == 0
        step()
    (name,) = query_rows(pep, "SELECT name FROM archive_files WHERE superseded_at IS NULL")
    file = home / "archive" / str(name[0])
    assert pl.read_parquet(file, hive_partitioning=False)["exchange"].to_list() == ["NASDAQ"] * 2


@pytest.mark.parametrize("steps", [(), (restore,), (restore, retire), (restore, retire, restore)])
def test_of_two_archived_bars_of_one_time_the_other_is_a_revision(
    pep: Engine, steps: tuple[Callable[[], None], ...]
) -> None:
    own, other = quarters(NASDAQ, 0, 1), [quarters(US, 0), quarters(US, 1, c=10.5), quarters(US, 2, c=10.7)]
    deliver(pep, own, *other, interval="15m")
    before = now(pep)
    retire()
    assert merge(US, NASDAQ).archived == 1
    for step in steps:
        step()
    assert shown() == shown(before) == [("NASDAQ", 10.0), ("NASDAQ", 10.0), ("NASDAQ", 10.7)]
    assert query_rows(pep, REVISIONS) == [(str(NASDAQ), "Mon", 10.5, "merge of instruments")]
    assert query_rows(pep, COUNTS) == [("Mon", 5, 3, 2, 0)]
    assert mismatches(pep, "15m") == 0
