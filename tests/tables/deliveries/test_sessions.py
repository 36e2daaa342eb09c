"""The delivery log: the counts of delivered, kept, merged and rejected rows of each session."""

import datetime as dt
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import Connection, Engine
from worlds.arbitrary import ARBITRARY_DELIVERIES
from worlds.frames import delivered_bars, insert_instruments, instruments, query_rows, slice_of

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.deliveries import reconcile_deliveries
from boursomatic_assets.orchestration.io_manager import ChunkWrite, write_chunk
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.tables.deliveries import sessions
from boursomatic_assets.tables.grains import GRAINS

MONDAY, TUESDAY = "2024-06-10", "2024-06-11"
BOTH = slice_of("US", MONDAY, TUESDAY)
OUTCOMES = "delivered, kept, merged, rejected, repaired"


def record(engine: Engine, *raw: pl.DataFrame, part: Slice = BOTH, run: str = "first") -> None:
    with engine.begin() as connection:
        sessions.record(connection, part, apply_contract(pl.concat(raw), part, instruments(), "toy"), run)


def recorded(engine: Engine, columns: str = OUTCOMES) -> list[Any]:
    return query_rows(engine, f"SELECT to_char(session, 'Dy'), {columns} FROM delivered_sessions ORDER BY session")


def test_a_large_delivery_without_newer_sessions_stays_complete() -> None:
    """Its rows were filtered by a predicate without a column, which polars refuses on a large frame."""
    few = apply_contract(delivered_bars("ACME BOLT", MONDAY, TUESDAY), BOTH, instruments(), "toy")
    many = replace(few, kept=pl.concat([few.kept] * 5_000, rechunk=True))
    assert many.outside_slices([]).kept.equals(many.kept)


def test_delivered_rows_are_kept_merged_or_rejected(migrated: Engine) -> None:
    good = delivered_bars("ACME BOLT", MONDAY, TUESDAY)
    twin, bad = delivered_bars("ACME", MONDAY), delivered_bars("ACME", MONDAY, v=-1.0)
    noisy = delivered_bars("BOLT", TUESDAY, h=10.0 - 1e-9)
    record(migrated, good.filter(pl.col("symbol") == "ACME"), delivered_bars("BOLT", MONDAY), twin, bad, noisy)
    assert recorded(migrated) == [("Mon", 4, 2, 1, 1, 0), ("Tue", 2, 2, 0, 0, 1)]


def test_equal_counts_keep_their_first_run_and_other_counts_replace_them(migrated: Engine) -> None:
    record(migrated, delivered_bars("ACME", MONDAY, TUESDAY))
    record(migrated, delivered_bars("ACME BOLT", MONDAY), delivered_bars("ACME", TUESDAY), run="second")
    assert recorded(migrated, "delivered, run_id") == [("Mon", 2, "second"), ("Tue", 1, "first")]


def test_rows_without_a_time_are_counted_until_a_delivery_has_none(migrated: Engine) -> None:
    record(migrated, delivered_bars("ACME", MONDAY), delivered_bars("ACME BOLT", MONDAY, ts=None))
    assert recorded(migrated)[-1] == (None, 2, 0, 0, 2, 0)
    record(migrated, delivered_bars("ACME", MONDAY), delivered_bars("ACME", MONDAY, ts=None))
    assert recorded(migrated)[-1] == (None, 1, 0, 0, 1, 0)
    record(migrated, delivered_bars("ACME", MONDAY))
    assert recorded(migrated) == [("Mon", 1, 1, 0, 0, 0)]


def test_an_empty_delivery_records_nothing(migrated: Engine) -> None:
    record(migrated, delivered_bars("ACME", MONDAY))
    record(migrated, delivered_bars("ACME", MONDAY).clear())
    assert recorded(migrated) == [("Mon", 1, 1, 0, 0, 0)]


def test_a_session_is_provisional_until_it_is_delivered_after_it_has_settled(
    migrated: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [dt.datetime(2024, 6, 11, 20, 59)]  # New York has closed at 20:00
    monkeypatch.setattr(sessions, "database_time", lambda connection: clock[0])
    bars = delivered_bars("ACME", MONDAY, TUESDAY)
    record(migrated, bars)
    assert recorded(migrated, "provisional") == [("Mon", False), ("Tue", True)]
    clock[0] += dt.timedelta(minutes=2)
    record(migrated, bars, run="second")
    assert recorded(migrated, "provisional, run_id") == [("Mon", False, "first"), ("Tue", False, "second")]


def test_the_table_rejects_counts_that_do_not_add_up(migrated: Engine) -> None:
    record(migrated, delivered_bars("ACME", MONDAY))
    connection: Connection
    with migrated.connect() as connection, pytest.raises(Exception, match="ck_delivered_sessions_accounted"):
        connection.exec_driver_sql("UPDATE delivered_sessions SET kept = 2")


THURSDAY_OFF = slice_of("US", "2025-01-08", "2025-01-09", "2025-01-10")
BAD = """
    SELECT count(*) FROM price_bars WHERE NOT (o > 0 AND h < 'Infinity' AND l > 0 AND c > 0
        AND h >= greatest(o, c, l)
        AND l <= least(o, c) AND v >= 0 AND v < 'Infinity' AND ts IN ('2025-01-08', '2025-01-10'))
"""


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ARBITRARY_DELIVERIES)
def test_the_tables_account_for_every_row_of_any_delivery_and_hold_no_invalid_bar(
    migrated: Engine, raw: pl.DataFrame
) -> None:
    with migrated.begin() as connection:
        for table in ("price_bars", "price_bar_revisions", "rejected_bars", "delivered_sessions", "instruments"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    insert_instruments(migrated)
    delivery = apply_contract(raw, THURSDAY_OFF, instruments(), "toy")
    write_chunk(
        ChunkWrite("price_bars", GRAINS["price_bars"], THURSDAY_OFF, "run", dt.datetime(2025, 1, 11)), delivery
    )
    (counts,) = query_rows(
        migrated,
        "SELECT (SELECT count(*) FROM price_bars), (SELECT count(*) FROM rejected_bars),"
        " (SELECT coalesce(sum(merged), 0)::int FROM delivered_sessions)",
    )
    assert sum(counts) == raw.height
    assert query_rows(migrated, BAD) == [(0,)]
    with migrated.connect() as connection:
        assert reconcile_deliveries(connection, "daily", THURSDAY_OFF).errors == 0
