"""Merging: a slice becomes the frame, identical rows are not touched, and no reader sees a part of a write."""

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import polars as pl
import psycopg
import pytest
from conftest import Admin
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event
from worlds.frames import (
    IDS,
    bars,
    insert_instruments,
    insert_model_version,
    instruments,
    midnight,
    query_rows,
    recommendation_rows,
    slice_of,
)

from boursomatic_assets import database
from boursomatic_assets.calendars.markets import all_sessions
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.tables import merging, staging
from boursomatic_assets.tables.frames import FrameError
from boursomatic_assets.tables.grains import GRAINS, INSTRUMENTS
from boursomatic_assets.tables.merging import MergeCounts
from boursomatic_assets.tables.reading import read_slice

MONDAY, TUESDAY, WEDNESDAY = "2024-06-10", "2024-06-11", "2024-06-12"
WEEK = slice_of("US", MONDAY, TUESDAY, WEDNESDAY)
VERSIONS = "SELECT instrument_id, ts, interval, ctid, xmin, id, created_at, updated_at FROM {} ORDER BY 1, 2, 3"
CURRENT_ROWS = (
    "SELECT i.symbol, date(r.as_of)::text, r.label"
    " FROM recommendations r JOIN instruments i ON i.id = instrument_id WHERE {} ORDER BY 1, 2, 3"
)


@pytest.fixture
def market(migrated: Engine) -> Engine:
    """A database with instruments and a model."""
    insert_instruments(migrated)
    insert_model_version(migrated)
    return migrated


def write(engine: Engine, part: Slice, frame: pl.DataFrame, table: str = "price_bars") -> MergeCounts:
    grain = GRAINS[table]
    with engine.begin() as connection:
        return (merging.supersede if grain.supersedes else merging.replace)(connection, grain, part, frame)


def stored(part: Slice = WEEK, table: str = "price_bars") -> pl.DataFrame:
    return read_slice(GRAINS[table], part).drop("market")


def versions(engine: Engine) -> list[Any]:
    """Each bar with the place and the transaction of its row version."""
    return query_rows(engine, VERSIONS.format("price_bars"))


def in_order(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort("instrument_id", "ts")


def run_at_once(*functions: Callable[[], object]) -> None:
    """Run functions in threads that start together; the first failure is raised."""
    barrier, failures = threading.Barrier(len(functions)), []

    def run(function: Callable[[], object]) -> None:
        barrier.wait()
        try:
            function()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


# A slice becomes the frame


def test_new_bars_are_inserted_to_the_last_bit(market: Engine) -> None:
    frame = bars("ACME BOLT", MONDAY, TUESDAY).with_columns(
        o=0.1 + 0.2, l=5e-324, h=1.7976931348623157e308, c=1 / 3, v=1e22
    )
    assert write(market, WEEK, frame) == MergeCounts(inserted=4)
    assert stored().equals(in_order(frame))


def test_what_changed_is_counted(market: Engine) -> None:
    write(market, WEEK, bars("ACME BOLT", MONDAY, TUESDAY))
    corrected = pl.concat(
        [bars("ACME", MONDAY), bars("BOLT", MONDAY, close=20.0), bars("ACME", TUESDAY), bars("ACME", WEDNESDAY)]
    )
    assert write(market, WEEK, corrected) == MergeCounts(inserted=1, changed=1, unchanged=2, removed=1)
    assert stored().equals(in_order(corrected))


def test_identical_data_write_no_row_version(market: Engine) -> None:
    frame = bars("ACME BOLT", MONDAY, TUESDAY)
    write(market, WEEK, frame)
    before = versions(market)
    assert write(market, WEEK, frame.reverse()) == MergeCounts(unchanged=4)
    assert versions(market) == before


def test_a_changed_bar_keeps_its_id_and_says_since_when(market: Engine) -> None:
    write(market, WEEK, bars("ACME BOLT", MONDAY))
    before = {row[0]: row for row in versions(market)}
    write(market, WEEK, pl.concat([bars("ACME", MONDAY, close=20.0), bars("BOLT", MONDAY)]))
    (acme, bolt) = (
        next(row for row in versions(market) if str(row[0]) == IDS[symbol]) for symbol in ("ACME", "BOLT")
    )
    assert bolt == before[bolt[0]]
    assert acme[5:7] == before[acme[0]][5:7], "its id, and when it was created"
    assert bolt[7] is None
    assert acme[7] > acme[6]


def test_a_changed_bar_is_stamped_by_the_database_whatever_the_frame_says(market: Engine) -> None:
    write(market, WEEK, bars("ACME", MONDAY))
    created = versions(market)[0][6]
    long_ago = pl.lit(midnight("2020-01-02")).cast(pl.Datetime("us"))
    corrected = bars("ACME", MONDAY, close=20.0).with_columns(created_at=long_ago, updated_at=long_ago)
    assert write(market, WEEK, corrected) == MergeCounts(changed=1)
    assert versions(market)[0][6] == created < versions(market)[0][7]


def test_adding_changes_and_removes_nothing(market: Engine) -> None:
    write(market, WEEK, bars("ACME BOLT", MONDAY))
    before = versions(market)
    with market.begin() as connection:
        found = merging.add(connection, GRAINS["price_bars"], WEEK, bars("ACME", MONDAY, TUESDAY, close=20.0))
    assert found == MergeCounts(inserted=1, unchanged=1)
    assert versions(market)[:1] + versions(market)[2:] == before
    assert stored(slice_of("US", TUESDAY)).equals(bars("ACME", TUESDAY, close=20.0))


def test_an_empty_frame_deletes_nothing(market: Engine) -> None:
    write(market, WEEK, bars("ACME", MONDAY))
    before = versions(market)
    assert write(market, WEEK, bars("ACME", MONDAY).clear()) == MergeCounts()
    assert versions(market) == before


def test_a_session_that_was_not_delivered_stays(market: Engine) -> None:
    write(market, WEEK, bars("ACME BOLT", MONDAY, TUESDAY))
    assert write(market, WEEK, bars("ACME", TUESDAY)) == MergeCounts(unchanged=1, removed=1)
    assert stored().equals(in_order(pl.concat([bars("ACME BOLT", MONDAY), bars("ACME", TUESDAY)])))


def test_a_then_b_then_a_again_leaves_b_intact(market: Engine) -> None:
    monday, tuesday = slice_of("US", MONDAY), slice_of("US", TUESDAY)
    write(market, monday, bars("ACME BOLT", MONDAY))
    write(market, tuesday, bars("ACME BOLT", TUESDAY))
    before = [row for row in versions(market) if f"{row[1]:%Y-%m-%d}" == TUESDAY]
    write(market, monday, bars("ACME", MONDAY, close=20.0))
    assert [row for row in versions(market) if f"{row[1]:%Y-%m-%d}" == TUESDAY] == before
    assert stored(monday).equals(bars("ACME", MONDAY, close=20.0))


def test_the_other_market_is_not_touched(market: Engine) -> None:
    paris = slice_of("EURONEXT", MONDAY)
    write(market, paris, bars("LUXE VINS", MONDAY))
    write(market, slice_of("US", MONDAY), bars("ACME", MONDAY))
    write(market, paris, bars("LUXE", MONDAY))
    assert stored(paris).equals(bars("LUXE", MONDAY))
    assert stored().equals(bars("ACME", MONDAY))


def test_intraday_bars_of_the_same_session_are_not_touched(market: Engine) -> None:
    write(market, WEEK, bars("ACME BOLT", MONDAY))
    with market.begin() as connection:
        connection.exec_driver_sql("UPDATE price_bars SET interval = '15m', id = gen_random_uuid()")
    before = versions(market)
    write(market, WEEK, bars("ACME", MONDAY, close=20.0))
    assert [row for row in versions(market) if row[2] == "15m"] == before
    assert stored().equals(bars("ACME", MONDAY, close=20.0))


def test_features_are_replaced_with_their_json_and_nulls(market: Engine) -> None:
    names = ["ret_1d", "ret_5d", "ret_20d", "rsi_14", "momentum_5d", "vol_20d", "atr_14", "volume_zscore"]
    frame = bars("ACME", MONDAY).select(
        "instrument_id",
        "ts",
        *(pl.lit(None, pl.Float64).alias(name) for name in names[1:]),
        ret_1d=pl.lit(-1e-17),
        additional_features=pl.lit('{"note": "a \\"word\\", and 1"}'),
    )
    assert write(market, WEEK, frame, "features") == MergeCounts(inserted=1)
    assert write(market, WEEK, frame, "features") == MergeCounts(unchanged=1)
    assert stored(table="features").select(frame.columns).equals(frame)
    assert write(market, WEEK, frame.with_columns(ret_1d=pl.lit(None, pl.Float64)), "features") == MergeCounts(
        changed=1
    )


# Instruments


def test_instruments_are_added_and_changed_but_never_deleted(market: Engine) -> None:
    renamed = instruments().head(2).with_columns(name=pl.Series(['Acme, Inc. "A"', ""]))
    before = query_rows(market, "SELECT symbol, id, created_at, updated_at, ctid FROM instruments ORDER BY 1")
    with market.begin() as connection:
        assert merging.upsert(connection, INSTRUMENTS, renamed) == MergeCounts(changed=2)
    after = query_rows(market, "SELECT symbol, id, created_at, updated_at, ctid FROM instruments ORDER BY 1")
    assert after[2:] == before[2:]
    assert [row[:3] for row in after] == [row[:3] for row in before]
    assert all(new[3] > old[3] for new, old in zip(after[:2], before[:2], strict=True))
    assert query_rows(market, "SELECT name FROM instruments ORDER BY symbol LIMIT 2") == [
        ('Acme, Inc. "A"',),
        ("",),
    ]


def test_a_known_instrument_keeps_its_id_whatever_the_frame_says(market: Engine) -> None:
    with_other_ids = instruments().with_columns(id=pl.col("id").reverse())
    with market.begin() as connection:
        assert merging.upsert(connection, INSTRUMENTS, with_other_ids) == MergeCounts(unchanged=4)
    assert dict(query_rows(market, "SELECT symbol, id::text FROM instruments")) == IDS


# Errors


@pytest.mark.parametrize(
    ("frame", "count"),
    [
        (bars("ACME", MONDAY, "2024-06-13"), 1),
        (bars("ACME", "2024-06-07", MONDAY, "2024-06-13"), 2),
        (bars("ACME LUXE", MONDAY), 1),
        (bars("ACME", MONDAY).with_columns(instrument_id=pl.lit("00000000-0000-4000-8000-000000000000")), 1),
    ],
    ids=["too late", "too early", "another market", "no instrument"],
)
def test_rows_of_another_slice_raise_an_error_and_nothing_is_written(
    market: Engine, frame: pl.DataFrame, count: int
) -> None:
    write(market, WEEK, bars("BOLT", MONDAY))
    with pytest.raises(
        FrameError, match=rf"price_bars: {count} rows .* outside of the slice US {MONDAY} .. {WEDNESDAY}"
    ):
        write(market, WEEK, frame)
    assert stored().equals(bars("BOLT", MONDAY))


def test_a_failure_half_way_leaves_the_old_slice_unchanged(market: Engine) -> None:
    """The vanished row is deleted before the invalid one violates its CHECK."""
    write(market, WEEK, bars("ACME BOLT", MONDAY))
    before = versions(market)
    impossible = pl.concat([bars("ACME", MONDAY, close=20.0), bars("ACME", TUESDAY, h=1.0)])
    with pytest.raises(psycopg.errors.CheckViolation, match="high_is_highest"):
        write(market, WEEK, impossible)
    assert versions(market) == before


def test_recommendations_of_an_unknown_model_leave_the_old_ones_current(market: Engine) -> None:
    part = slice_of("US", MONDAY)
    write(market, part, recommendation_rows("ACME BOLT", "US", MONDAY), "recommendations")
    unknown_model = pl.lit("00000000-0000-4000-8000-000000000000")
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="fk_recommendations_model_version_id"):
        write(
            market,
            part,
            recommendation_rows("ACME", "US", MONDAY).with_columns(model_version_id=unknown_model),
            "recommendations",
        )
    assert current(market) == [("ACME", MONDAY, "HOLD"), ("BOLT", MONDAY, "HOLD")]


# Concurrent readers and writers


def test_a_reader_never_sees_a_part_of_a_write(market: Engine) -> None:
    """Every second write has half of the bars, at another price: a reader finds one of two states."""
    many, few = bars("ACME BOLT", MONDAY, TUESDAY), bars("ACME", MONDAY, TUESDAY, close=20.0)
    write(market, WEEK, many)
    observed, done = set(), threading.Event()

    def rewrite() -> None:
        for frame in [few, many] * 15:
            write(market, WEEK, frame)
        done.set()

    def watch() -> None:
        with market.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while not done.is_set():
                found = connection.exec_driver_sql("SELECT count(*), min(c), max(c) FROM price_bars").one()
                observed.add(tuple(found))

    run_at_once(rewrite, watch)
    assert observed == {(4, 10.0, 10.0), (2, 20.0, 20.0)}


@pytest.mark.parametrize("part", [slice_of("US", MONDAY), WEEK], ids=str)
def test_concurrent_writers_of_a_slice_leave_the_frame_of_one(market: Engine, part: Slice) -> None:
    frames = [bars("ACME BOLT", MONDAY, close=close) for close in (10.0, 20.0, 30.0)]
    run_at_once(*(lambda frame=frame: write(market, part, frame) for frame in frames))
    assert any(stored().equals(in_order(frame)) for frame in frames)


def test_a_range_and_one_of_its_sessions_wait_for_each_other(market: Engine) -> None:
    """The session's writer holds its slice open; the range cannot get in before it commits."""
    with market.begin() as connection:
        merging.replace(connection, GRAINS["price_bars"], slice_of("US", MONDAY), bars("ACME", MONDAY))
        assert waits(market, WEEK)
        assert waits(market, slice_of("US", MONDAY))
        assert not waits(market, slice_of("US", TUESDAY))
        assert not waits(market, slice_of("EURONEXT", MONDAY))


def waits(engine: Engine, part: Slice) -> bool:
    """Whether another transaction holds the lock of the slice."""
    frame = bars("ACME", MONDAY).clear()
    with engine.connect() as connection:
        connection.exec_driver_sql("SET lock_timeout = '100ms'")
        try:
            merging.replace(connection, GRAINS["price_bars"], part, frame)
        except Exception as error:
            assert isinstance(error.__cause__, psycopg.errors.LockNotAvailable)
            return True
    return False


# Recommendations are archived, never lost


def test_rows_are_generated_in_the_order_in_which_they_replace_each_other(market: Engine) -> None:
    """A run that began first, and waited for another, writes last: its rows are the later ones."""
    grain, part = GRAINS["recommendations"], slice_of("US", TUESDAY)
    with market.begin() as first:
        first.exec_driver_sql("SELECT now()")
        write(market, part, recommendation_rows("ACME", "US", TUESDAY, label="BUY"), "recommendations")
        merging.supersede(first, grain, part, recommendation_rows("ACME", "US", TUESDAY, label="SELL"))
    rows = query_rows(
        market, "SELECT label, generated_at, superseded_at FROM recommendations ORDER BY generated_at"
    )
    assert [label for label, _, _ in rows] == ["BUY", "SELL"]
    assert rows[0][2] == rows[1][1], "one ends at the moment at which the other begins"


def current(engine: Engine, condition: str = "superseded_at IS NULL") -> list[Any]:
    return query_rows(engine, CURRENT_ROWS.format(condition))


def active(engine: Engine) -> list[Any]:
    return current(engine, "r.is_active")


def recommend(engine: Engine, date: str, symbols: str = "ACME", label: str = "HOLD") -> MergeCounts:
    return write(
        engine, slice_of("US", date), recommendation_rows(symbols, "US", date, label=label), "recommendations"
    )


def test_recommendations_are_read_as_they_were_written(market: Engine) -> None:
    frame = pl.concat(
        [recommendation_rows("ACME", "US", MONDAY, profile=profile) for profile in ("aggressive", "moderate")]
    )
    assert write(market, WEEK, frame, "recommendations") == MergeCounts(inserted=2)
    assert stored(table="recommendations").select(frame.columns).sort("profile").equals(frame)


def test_identical_recommendations_write_no_row_version(market: Engine) -> None:
    recommend(market, MONDAY, "ACME BOLT")
    before = query_rows(market, "SELECT id, ctid, xmin, generated_at, is_active FROM recommendations ORDER BY 1")
    assert recommend(market, MONDAY, "ACME BOLT") == MergeCounts(unchanged=2)
    after = query_rows(market, "SELECT id, ctid, xmin, generated_at, is_active FROM recommendations ORDER BY 1")
    assert after == before


def test_a_changed_recommendation_archives_the_old_row(market: Engine) -> None:
    recommend(market, MONDAY, "ACME BOLT")
    assert write(
        market,
        slice_of("US", MONDAY),
        pl.concat(
            [recommendation_rows("ACME", "US", MONDAY, label="BUY"), recommendation_rows("BOLT", "US", MONDAY)]
        ),
        "recommendations",
    ) == MergeCounts(changed=1, unchanged=1)
    assert current(market) == active(market) == [("ACME", MONDAY, "BUY"), ("BOLT", MONDAY, "HOLD")]
    assert current(market, "superseded_at >= generated_at AND NOT r.is_active") == [("ACME", MONDAY, "HOLD")]


def test_a_recommendation_that_changes_back_leaves_three_rows(market: Engine) -> None:
    for label in ("HOLD", "BUY", "HOLD"):
        recommend(market, MONDAY, label=label)
    assert current(market, "true") == [("ACME", MONDAY, label) for label in ("BUY", "HOLD", "HOLD")]
    assert active(market) == current(market) == [("ACME", MONDAY, "HOLD")]


def test_a_vanished_recommendation_is_archived_and_the_session_before_is_active_again(market: Engine) -> None:
    recommend(market, MONDAY, "ACME BOLT", "BUY")
    recommend(market, TUESDAY, "ACME BOLT", "SELL")
    assert recommend(market, TUESDAY, "BOLT", "SELL") == MergeCounts(unchanged=1, removed=1)
    assert active(market) == [("ACME", MONDAY, "BUY"), ("BOLT", TUESDAY, "SELL")]
    assert current(market, "superseded_at IS NOT NULL") == [("ACME", TUESDAY, "SELL")]


def test_an_empty_frame_archives_no_recommendation(market: Engine) -> None:
    recommend(market, MONDAY)
    empty = recommendation_rows("ACME", "US", MONDAY).clear()
    assert write(market, slice_of("US", MONDAY), empty, "recommendations") == MergeCounts()
    assert active(market) == [("ACME", MONDAY, "HOLD")]


def test_a_correction_of_the_past_does_not_become_active(market: Engine) -> None:
    recommend(market, TUESDAY)
    recommend(market, MONDAY)
    assert recommend(market, MONDAY, label="BUY") == MergeCounts(changed=1)
    assert current(market) == [("ACME", MONDAY, "BUY"), ("ACME", TUESDAY, "HOLD")]
    assert active(market) == [("ACME", TUESDAY, "HOLD")]


def test_each_profile_and_market_has_its_own_active_row(market: Engine) -> None:
    recommend(market, TUESDAY)
    risky = recommendation_rows("ACME", "US", MONDAY, label="BUY", profile="aggressive")
    write(market, slice_of("US", MONDAY), risky, "recommendations")
    write(market, slice_of("EURONEXT", MONDAY), recommendation_rows("LUXE", "EURONEXT", MONDAY), "recommendations")
    assert active(market) == [("ACME", MONDAY, "BUY"), ("ACME", TUESDAY, "HOLD"), ("LUXE", MONDAY, "HOLD")]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations([MONDAY, TUESDAY, WEDNESDAY, "2024-06-13"]),
    again=st.sampled_from([MONDAY, "2024-06-13"]),
)
def test_the_newest_session_is_active_whatever_order_they_are_written_in(
    market: Engine, order: list[str], again: str
) -> None:
    with market.begin() as connection:
        connection.exec_driver_sql("TRUNCATE recommendations CASCADE")
    for done, date in enumerate(order, 1):
        recommend(market, date, "ACME BOLT")
        newest = max(order[:done])
        assert active(market) == [("ACME", newest, "HOLD"), ("BOLT", newest, "HOLD")]
    recommend(market, again, "ACME", "SELL")
    left = {"2024-06-13": ("SELL", WEDNESDAY), MONDAY: ("HOLD", "2024-06-13")}[again]
    assert active(market) == [("ACME", "2024-06-13", left[0]), ("BOLT", left[1], "HOLD")]
    assert query_rows(market, "SELECT count(*) FROM recommendations") == [(9,)]


def test_sessions_written_at_once_leave_one_active_row(market: Engine) -> None:
    dates = [MONDAY, TUESDAY, WEDNESDAY]
    for _ in range(3):
        for label in ("BUY", "SELL"):
            run_at_once(*(lambda date=date, label=label: recommend(market, date, label=label) for date in dates))
            assert active(market) == [("ACME", WEDNESDAY, label)]


@pytest.mark.parametrize("preferred", ["read committed", "repeatable read"])
def test_a_session_is_not_activated_beside_one_that_is_being_written(
    market: Engine, admin: Admin, preferred: str
) -> None:
    """Monday's writer cannot see Tuesday's rows yet: it waits for their commit before it chooses.

    Whatever isolation the server prefers: with a snapshot from before it waited, it would not see them after.
    """
    set_for_all(admin, market, f"default_transaction_isolation = '{preferred}'")
    monday = threading.Thread(target=recommend, args=(market, MONDAY))
    with market.begin() as connection:
        grain, part = GRAINS["recommendations"], slice_of("US", TUESDAY)
        merging.supersede(connection, grain, part, recommendation_rows("ACME", "US", TUESDAY))
        monday.start()
        monday.join(timeout=0.5)
    monday.join()
    assert active(market) == [("ACME", TUESDAY, "HOLD")]


def test_a_run_waits_for_another_whatever_the_timeouts_of_the_server(market: Engine, admin: Admin) -> None:
    set_for_all(admin, market, *(f"{name} = '100ms'" for name in TIMEOUTS))
    monday, held = slice_of("US", MONDAY), threading.Event()

    def hold() -> None:
        with staging.transaction() as connection:
            staging.lock_slice(connection, "price_bars", monday)
            held.set()
            time.sleep(0.4)

    def wait() -> None:
        held.wait()
        with staging.transaction() as connection:
            merging.replace(connection, GRAINS["price_bars"], monday, bars("ACME", MONDAY))

    run_at_once(hold, wait)
    assert stored(monday).height == 1


def test_statements_that_hold_a_slice_have_a_time_limit(market: Engine) -> None:
    with staging.transaction() as connection:
        staging.lock_slice(connection, "price_bars", WEEK)
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == staging.LONGEST_STATEMENT
        assert connection.exec_driver_sql("SHOW work_mem").scalar() == staging.LIMITS["work_mem"]


TIMEOUTS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


def set_for_all(admin: Admin, engine: Engine, *settings: str) -> None:
    """Set a database's own defaults, for every connection from now on."""
    admin.execute(*(f'ALTER DATABASE "{engine.url.database}" SET {setting}' for setting in settings))
    database.disconnect()


def test_advice_of_another_program_is_superseded_when_its_session_is_computed(market: Engine) -> None:
    """It knows the specification alone, and no close of a session."""
    with market.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO recommendations (id, instrument_id, model_version_id, profile, label, confidence,"
            " features_snapshot, generated_at) SELECT gen_random_uuid(), i.id, m.id, 'moderate', 'BUY', 1, '{}',"
            f" '{MONDAY} 21:30' FROM instruments i, model_versions m WHERE symbol = 'ACME'"
        )
    assert active(market) == current(market) == [("ACME", MONDAY, "BUY")]
    recommend(market, MONDAY)
    assert active(market) == current(market) == [("ACME", MONDAY, "HOLD")]
    assert query_rows(market, CURRENT_ROWS.format("superseded_at IS NOT NULL")) == [("ACME", MONDAY, "BUY")]


def test_the_same_session_written_at_once_leaves_one_current_row(market: Engine) -> None:
    for _ in range(3):
        run_at_once(
            *(lambda label=label: recommend(market, MONDAY, label=label) for label in ("BUY", "HOLD", "SELL"))
        )
        assert len(current(market)) == 1
        assert active(market) == current(market)


# Cost


def long_slice(first: str, dates: int) -> Slice:
    """So many partition dates of the US market."""
    return slice_of("US", *[str(date) for date in all_sessions().tolist() if str(date) >= first][:dates])


def test_identical_data_write_nothing(market: Engine) -> None:
    """PostgreSQL assigns a transaction its id when it first writes; this one has none."""
    frame = bars("ACME BOLT", MONDAY, TUESDAY)
    write(market, WEEK, frame)
    with market.begin() as connection:
        assert merging.replace(connection, GRAINS["price_bars"], WEEK, frame) == MergeCounts(unchanged=4)
        assert connection.exec_driver_sql("SELECT pg_current_xact_id_if_assigned()").scalar() is None


@pytest.mark.parametrize("sessions", [1, 60])
def test_a_slice_of_any_length_takes_the_same_statements(market: Engine, sessions: int) -> None:
    part, statements = long_slice("2024-01-02", sessions), []
    event.listen(market, "before_cursor_execute", lambda *given: statements.append(given[2].split()[0]))
    frame = bars("ACME BOLT", *map(str, part.sessions))
    write(market, part, frame)
    reads_and_settings = {"SELECT", "SET"}
    assert set(statements) <= reads_and_settings, "COPY is all that writes a new slice"
    assert len(statements) <= 8
    statements.clear()
    write(market, part, frame.with_columns(pl.col("c") + 0.5))
    assert [word for word in statements if word not in reads_and_settings] == [
        "DROP",
        "CREATE",
        "ANALYZE",
        "UPDATE",
    ]


def test_only_the_rows_that_changed_are_touched(market: Engine) -> None:
    write(market, WEEK, bars("ACME BOLT", MONDAY, TUESDAY, WEDNESDAY))
    before = {row[3] for row in versions(market)}
    corrected = pl.concat([bars("ACME BOLT", MONDAY, TUESDAY), bars("ACME", WEDNESDAY, close=20.0)])
    write(market, WEEK, corrected)
    assert len({row[3] for row in versions(market)} - before) == 1


def test_a_row_that_is_delivered_again_has_its_former_id(market: Engine) -> None:
    frame = bars("ACME BOLT", MONDAY)
    write(market, WEEK, frame)
    before = {row[0]: row[5] for row in versions(market)}
    write(market, WEEK, bars("ACME", MONDAY))
    write(market, WEEK, frame)
    assert {row[0]: row[5] for row in versions(market)} == before


KNOWN_ROWS = "SELECT reltuples FROM pg_class WHERE relname = '{}'"


def test_a_table_that_grows_by_much_is_analysed(market: Engine) -> None:
    part = long_slice("2000-01-03", 5300)
    write(market, part, bars("ACME BOLT", *map(str, part.sessions)))
    assert query_rows(market, KNOWN_ROWS.format("price_bars")) == [(2 * len(part.sessions),)]


def test_a_table_that_grows_by_little_is_not_analysed(market: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "WORTH_ANALYSING", 10)
    first, grown = long_slice("2024-01-02", 100), long_slice("2024-01-02", 115)
    write(market, first, bars("ACME BOLT", *map(str, first.sessions)))
    write(market, grown, bars("ACME BOLT", *map(str, grown.sessions)))
    assert query_rows(market, KNOWN_ROWS.format("price_bars")) == [(2 * len(first.sessions),)]


def test_a_load_does_not_wait_for_another_that_analyses_its_table(
    market: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "WORTH_ANALYSING", 1)
    with market.begin() as other, market.begin() as own:
        other.exec_driver_sql("ANALYZE price_bars")
        own.exec_driver_sql("SET LOCAL lock_timeout = '5s'")
        assert merging.replace(own, GRAINS["price_bars"], WEEK, bars("ACME BOLT", MONDAY)).inserted == 2


def test_added_instruments_are_analysed_however_few(market: Engine) -> None:
    """Or checks of a market that came later are planned for a market of one instrument."""
    assert query_rows(market, KNOWN_ROWS.format("instruments")) == [(4,)]
    listed = instruments().head(1).with_columns(symbol=pl.lit("NEW"), id=pl.lit(str(uuid.uuid4())))
    with market.begin() as connection:
        assert merging.upsert(connection, INSTRUMENTS, listed) == MergeCounts(inserted=1)
    assert query_rows(market, KNOWN_ROWS.format("instruments")) == [(5,)]


def test_a_writer_who_does_not_own_a_table_analyses_it(market: Engine) -> None:
    listed = instruments().head(1).with_columns(symbol=pl.lit("NEW"), id=pl.lit(str(uuid.uuid4())))
    with database.engine("writer").begin() as connection:
        assert merging.upsert(connection, INSTRUMENTS, listed) == MergeCounts(inserted=1)
    assert query_rows(market, KNOWN_ROWS.format("instruments")) == [(5,)]


def test_a_writer_may_analyse_no_table_that_is_not_the_platforms(market: Engine) -> None:
    with database.engine("writer").connect() as connection, pytest.raises(Exception, match="no table of the plat"):
        staging.analyze(connection, "pg_catalog.pg_class")
