"""Frames: one test for each way in which a frame does not fit its table."""

import math
from typing import Any

import polars as pl
import pytest
from worlds.frames import bars, instruments

from boursomatic_assets.schema import Feature, PriceBar, Recommendation, Table
from boursomatic_assets.tables.frames import FrameError, key, polars_type, required_columns, validate
from boursomatic_assets.tables.grains import INSTRUMENTS

PRICE_BARS = PriceBar.__table__
GOOD = bars("ACME BOLT", "2024-06-10", "2024-06-11")


def fault(frame: pl.DataFrame) -> str:
    with pytest.raises(FrameError) as raised:
        validate(PRICE_BARS, frame)
    assert "\n" not in str(raised.value)
    return str(raised.value).removeprefix("price_bars cannot take this frame: ")


def with_first(column: str, value: Any) -> pl.DataFrame:
    """The good frame with one cell changed."""
    first = pl.int_range(pl.len()) == 0
    return GOOD.with_columns(pl.when(first).then(pl.lit(value)).otherwise(column).alias(column))


def test_a_good_frame_comes_back_in_the_tables_order() -> None:
    shuffled = GOOD.select(reversed(GOOD.columns))
    assert validate(PRICE_BARS, shuffled).equals(GOOD)


def test_an_empty_frame_fits() -> None:
    assert validate(PRICE_BARS, GOOD.clear()).is_empty()


def test_columns_that_the_database_fills_in_are_optional() -> None:
    assert not {"id", "created_at"} & set(required_columns(PRICE_BARS))
    assert not {"id", "generated_at", "is_active", "superseded_at"} & set(
        required_columns(Recommendation.__table__)
    )
    assert validate(INSTRUMENTS, instruments()).columns[0] == "id"


def test_a_missing_column_is_reported() -> None:
    assert fault(GOOD.drop("c", "v")) == "missing columns ['c', 'v']"


def test_an_unknown_column_is_reported() -> None:
    assert fault(GOOD.with_columns(adjusted=pl.lit(1.0))) == "unknown columns ['adjusted']"


@pytest.mark.parametrize(
    ("column", "kind", "expected"),
    [
        ("v", pl.Int64, "column 'v' is Int64 where Float64 is wanted"),
        ("ts", pl.Date, "column 'ts' is Date where Datetime(time_unit='us', time_zone=None) is wanted"),
        ("ts", pl.Datetime("ns"), "column 'ts' is Datetime(time_unit='ns', time_zone=None) where"),
        ("ts", pl.Datetime("us", "UTC"), "column 'ts' is Datetime(time_unit='us', time_zone='UTC') where"),
        ("interval", pl.Categorical, "column 'interval' is Categorical where String is wanted"),
    ],
)
def test_a_wrong_type_is_reported_with_the_expected_one(column: str, kind: Any, expected: str) -> None:
    assert fault(GOOD.cast({column: kind})).startswith(expected)


@pytest.mark.parametrize("column", ["instrument_id", "ts", "c", "interval"])
def test_a_null_is_counted(column: str) -> None:
    assert fault(with_first(column, None)) == f"column {column!r} has 1 nulls"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_counted(value: float) -> None:
    assert fault(with_first("h", value)) == "column 'h' has 1 values that are NaN or infinite"


def test_a_nullable_column_takes_null_but_not_nan() -> None:
    table = Feature.__table__
    numbers = {
        name: pl.lit(None, kind) for name, kind in required_columns(table).items() if name not in GOOD.columns
    }
    frame = GOOD.select("instrument_id", "ts").with_columns(**numbers)
    assert validate(table, frame)["rsi_14"].null_count() == 4
    with pytest.raises(FrameError, match=r"features cannot .*column 'rsi_14' has 4 values that are NaN"):
        validate(table, frame.with_columns(rsi_14=math.nan))


def test_a_repeated_key_is_counted_with_an_example() -> None:
    message = fault(pl.concat([GOOD, GOOD.head(1).with_columns(c=pl.lit(10.5))]))
    assert message.startswith("key ['instrument_id', 'ts', 'interval'] is repeated in 2 rows, such as [")
    assert GOOD["instrument_id"][0] in message
    assert "2024-06-10 00:00:00" in message


def test_all_faults_are_reported_at_once() -> None:
    message = fault(GOOD.drop("c").with_columns(x=pl.lit(1), v=pl.lit("many")))
    assert message.split("; ") == [
        "missing columns ['c']",
        "unknown columns ['x']",
        "column 'v' is String where Float64 is wanted",
    ]
    assert fault(with_first("o", None).with_columns(h=math.nan)).count(";") == 1


WRITTEN_BY_TRIGGERS = ("audit_entries", "audit_heads", "recommendation_words")
WRITTEN = [table for name, table in Table.metadata.tables.items() if name not in WRITTEN_BY_TRIGGERS]


@pytest.mark.parametrize("table", WRITTEN, ids=str)
def test_every_table_has_a_key_and_types_that_polars_knows(table: Any) -> None:
    assert set(key(table)) <= set(table.columns.keys())
    assert all(polars_type(column) for column in table.columns if not column.computed)
