"""Rejected rows are kept as delivered, and deleted when a later delivery has them without a fault."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl
import pytest
from sqlalchemy import Engine
from worlds.frames import delivered_bars, instruments, midnight, query_rows, slice_of

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.deliveries import count_rejected_rows
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.sources.network.services import rows_without_bars
from boursomatic_assets.tables.deliveries import rejected_rows

MONDAY, TUESDAY = "2024-06-10", "2024-06-11"
BOTH = slice_of("US", MONDAY, TUESDAY)


def record(engine: Engine, raw: pl.DataFrame, part: Slice = BOTH, run: str = "first") -> int:
    delivery = apply_contract(raw, part, instruments(), "toy")
    with engine.begin() as connection:
        return rejected_rows.record(connection, part, delivery, run)


def bad(*dates: str, **changed: Any) -> pl.DataFrame:
    return delivered_bars("ACME", *dates, **({"c": None} | changed))


def good(*dates: str) -> pl.DataFrame:
    return delivered_bars("ACME", *dates)


def recorded(engine: Engine) -> list[Any]:
    return query_rows(
        engine,
        "SELECT date(session)::text, reason, run_id, market FROM rejected_bars ORDER BY session, reason, run_id",
    )


PRICE, TIME = "price is missing", "time is missing or unreadable"


def test_a_rejected_row_is_kept_raw_with_its_location_reason_and_run(migrated: Engine) -> None:
    raw = '{"symbol": "ACME", "c": "t\\u00e9n, \\"x\\"\\n"}'
    assert record(migrated, bad(MONDAY, raw=raw, file="a, b.csv", line=3)) == 1
    query = "SELECT market, session::text, source, file, line, raw, reason, run_id FROM rejected_bars"
    assert query_rows(migrated, query) == [
        ("US", f"{MONDAY} 00:00:00", "toy", "a, b.csv", 3, json.loads(raw), PRICE, "first")
    ]


def test_a_row_rejected_again_keeps_its_first_run(migrated: Engine) -> None:
    record(migrated, bad(MONDAY))
    before = query_rows(migrated, "SELECT id, rejected_at, ctid FROM rejected_bars")
    assert record(migrated, bad(MONDAY), run="second") == 1
    assert recorded(migrated) == [(MONDAY, PRICE, "first", "US")]
    assert query_rows(migrated, "SELECT id, rejected_at, ctid FROM rejected_bars") == before


def test_a_row_delivered_without_a_fault_is_no_longer_rejected(migrated: Engine) -> None:
    record(migrated, bad(MONDAY, TUESDAY))
    assert record(migrated, good(MONDAY), run="second") == 0
    assert recorded(migrated) == [(TUESDAY, PRICE, "first", "US")]


def test_a_row_rejected_for_another_reason_replaces_the_first(migrated: Engine) -> None:
    record(migrated, bad(MONDAY))
    record(migrated, bad(MONDAY, c=10.0, v=-1.0), run="second")
    assert recorded(migrated) == [(MONDAY, "volume is negative or not finite", "second", "US")]


def test_an_empty_delivery_deletes_nothing(migrated: Engine) -> None:
    record(migrated, pl.concat([bad(MONDAY), bad(TUESDAY, ts=None)]))
    assert record(migrated, good(MONDAY).clear(), run="second") == 0
    assert len(recorded(migrated)) == 2


def test_a_slice_records_its_own_rows_only(migrated: Engine) -> None:
    monday = slice_of("US", MONDAY)
    delivery = apply_contract(bad(MONDAY, TUESDAY), BOTH, instruments(), "toy")
    paris = delivery.rejected.with_columns(market=pl.lit("EURONEXT"))
    both = replace(delivery, rejected=pl.concat([delivery.rejected, paris]))
    with migrated.begin() as connection:
        rejected_rows.record(connection, monday, both, "first")
    assert recorded(migrated) == [(MONDAY, PRICE, "first", "US")]


def test_the_other_markets_rejected_rows_are_not_touched(migrated: Engine) -> None:
    record(migrated, delivered_bars("LUXE", MONDAY, c=None), slice_of("EURONEXT", MONDAY))
    record(migrated, good(MONDAY))
    assert recorded(migrated) == [(MONDAY, PRICE, "first", "EURONEXT")]


def test_a_row_without_a_time_is_replaced_with_the_next_delivery(migrated: Engine) -> None:
    record(migrated, pl.concat([good(MONDAY), bad(MONDAY, ts=None)]))
    assert recorded(migrated) == [(None, TIME, "first", "US")]
    record(migrated, good(TUESDAY), run="second")
    assert recorded(migrated) == []


def test_a_delivery_without_one_readable_time_is_not_lost(migrated: Engine) -> None:
    """A file whose dates are all in an unknown format: every row is rejected."""
    assert record(migrated, bad(MONDAY, TUESDAY, ts=None)) == 2
    assert [row[1] for row in recorded(migrated)] == [TIME, TIME]


def test_a_row_without_a_time_that_two_slices_deliver_is_rejected_once(migrated: Engine) -> None:
    """Scattered dates are several slices of one run, and a source hands such a row to each."""
    parts = [slice_of("US", MONDAY), slice_of("US", "2024-06-13")]
    raw = [pl.concat([good(str(part.dates[0])), bad(MONDAY, ts=None, file="a.csv", line=2)]) for part in parts]
    deliveries = [apply_contract(rows, part, instruments(), "toy") for rows, part in zip(raw, parts, strict=True)]
    delivery = deliveries[0] + deliveries[1]
    for part in parts:
        with migrated.begin() as connection:
            rejected_rows.record(connection, part, delivery, "first")
    assert recorded(migrated) == [(None, TIME, "first", "US")]


@pytest.mark.parametrize("cell", ["\\.", "", "a,b", 'say "hi"', "two\nlines", "NUL\x00"])
def test_any_text_survives_as_raw(migrated: Engine, cell: str) -> None:
    record(migrated, bad(MONDAY, raw=json.dumps({"symbol": cell})))
    (raw,) = query_rows(migrated, "SELECT raw::text FROM rejected_bars")[0]
    assert json.loads(raw) == {"symbol": cell}


# How they are described


def described(engine: Engine, *parts: Slice) -> dict[str, Any]:
    with engine.connect() as connection:
        finding = count_rejected_rows(connection, "daily", parts)
    assert finding.errors == 0
    return {"warnings": finding.warnings, **finding.figures}


UNREAD = dict.fromkeys(("symbol", "exchange", "ts"), None)
WHY = json.dumps({"error": "notes.txt: the columns ['ts'] are missing"})


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (bad(MONDAY, file="a.csv", line=3, raw='{"symbol": "ACME"}'), "a.csv:3 ACME 2024-06-10: price is missing"),
        (bad(MONDAY, file="a.csv", line=3, raw='{"Ticker": "ACME"}'), "a.csv:3 2024-06-10: price is missing"),
        (bad(MONDAY, file="a.csv", line=3, ts=None, raw="{}"), "a.csv:3: time is missing or unreadable"),
        (bad(MONDAY), "ACME 2024-06-10: price is missing"),
        (
            bad(MONDAY, ts=datetime(2024, 6, 11, 9, 30)),
            "ACME 2024-06-11 09:30:00: date is not a session of the market",
        ),
        (bad(MONDAY, **UNREAD, file="notes.txt", raw=WHY), "notes.txt: the columns ['ts'] are missing"),
        (
            rows_without_bars([("ACME", "NYSE", "yahoo: no data")], midnight(MONDAY)),
            "ACME 2024-06-10: yahoo: no data",
        ),
    ],
    ids=["row", "row of a vendor", "row without a time", "row of no file", "time", "file", "instrument"],
)
def test_a_rejected_row_is_described(migrated: Engine, row: pl.DataFrame, name: str) -> None:
    record(migrated, row)
    assert described(migrated, BOTH)["refused"] == [name]


def test_rows_of_one_file_and_reason_are_described_by_the_first_and_a_count(migrated: Engine) -> None:
    many = [bad(MONDAY, file="a.csv", line=line) for line in range(1, 1_101)]
    volume = [bad(TUESDAY, v=-1.0, c=10.0, file="a.csv", line=line) for line in (2_000, 2_001)]
    record(migrated, pl.concat([*many, *volume, bad(MONDAY, **UNREAD, file="notes.txt", raw=WHY)]))
    assert described(migrated, slice_of("US", MONDAY), slice_of("US", TUESDAY)) == {
        "warnings": 1_103,
        PRICE: 1_100,
        "file cannot be understood": 1,
        "volume is negative or not finite": 2,
        "refused": [
            "notes.txt: the columns ['ts'] are missing",
            "a.csv:1 ACME 2024-06-10: price is missing, and 1,099 more rows of a.csv",
            "a.csv:2000 ACME 2024-06-11: volume is negative or not finite, and 1 more row of a.csv",
        ],
    }


def test_the_first_20_files_are_described_with_missing_ones_first(migrated: Engine) -> None:
    many = [bad(MONDAY, file=f"{number:02}.csv", line=line) for number in range(30) for line in (2, 3)]
    record(migrated, pl.concat([*many, bad(MONDAY, **UNREAD, file="notes.txt", raw=WHY)]))
    names = described(migrated, BOTH)["refused"]
    assert len(names) == 20
    assert names[:2] == [
        "notes.txt: the columns ['ts'] are missing",
        "00.csv:2 ACME 2024-06-10: price is missing, and 1 more row of 00.csv",
    ]


def test_a_file_that_is_recorded_for_both_markets_is_described_once(migrated: Engine) -> None:
    notes = bad(MONDAY, **UNREAD, file="notes.txt", raw=WHY)
    for market in ("US", "EURONEXT"):
        record(migrated, notes, slice_of(market, MONDAY))
    assert described(migrated, slice_of("US", MONDAY), slice_of("EURONEXT", MONDAY))["refused"] == [
        "notes.txt: the columns ['ts'] are missing"
    ]


def test_rows_of_no_file_are_each_described(migrated: Engine) -> None:
    record(
        migrated, rows_without_bars([(s, "NYSE", "yahoo: no data") for s in ("ACME", "BOLT")], midnight(MONDAY))
    )
    assert described(migrated, BOTH)["refused"] == [
        "ACME 2024-06-10: yahoo: no data",
        "BOLT 2024-06-10: yahoo: no data",
    ]


def test_a_file_with_an_odd_or_long_name_is_recorded_by_what_can_be_stored(migrated: Engine) -> None:
    names = ("two\nlines.csv", "f/" * 300 + "bars.csv")
    record(migrated, pl.concat([bad(MONDAY, file=name, line=2) for name in names]))
    (long,), (odd,) = query_rows(migrated, "SELECT file FROM rejected_bars ORDER BY length(file) DESC")
    assert (odd, len(long), long[0], long[-8:]) == (r"two\nlines.csv", 500, "…", "bars.csv")


def test_rejected_rows_of_other_sessions_and_markets_are_not_described(migrated: Engine) -> None:
    record(migrated, delivered_bars("LUXE", MONDAY, c=None), slice_of("EURONEXT", MONDAY))
    record(migrated, bad(MONDAY))
    assert described(migrated, slice_of("US", TUESDAY)) == {"warnings": 0, "refused": []}
