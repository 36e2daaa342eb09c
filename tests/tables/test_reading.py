"""Reading: values reach the server as they are, and rows come back as they are."""

import datetime as dt
from typing import Any

import polars as pl
import pytest
from sqlalchemy import Engine, cast, func, literal, select, text
from worlds.frames import IDS, bars, insert_instruments, instruments, midnight, slice_of

from boursomatic_assets.tables import merging
from boursomatic_assets.tables.grains import GRAINS, INSTRUMENTS
from boursomatic_assets.tables.reading import fetch

HOSTILE = [
    "O'BRIEN",
    "X'; DROP TABLE price_bars; --",
    "a\\b\\'c",
    "100%",
    "%(symbol_1)s %s $1",
    "$$ $tag$",
    "ÉTÉ — 株",
    'two"quotes',
    " ",
    "line\nbreak\ttab",
]
BARS = GRAINS["price_bars"].table


@pytest.mark.parametrize("symbol", HOSTILE)
def test_any_symbol_is_found_verbatim(migrated: Engine, symbol: str) -> None:
    listed = instruments().with_columns(
        symbol=pl.when(pl.col("symbol") == "ACME").then(pl.lit(symbol)).otherwise("symbol")
    )
    with migrated.begin() as connection:
        merging.upsert(connection, INSTRUMENTS, listed)
    query = select(INSTRUMENTS.c.id, INSTRUMENTS.c.symbol, literal(symbol).label("value"))
    for condition in (INSTRUMENTS.c.symbol == symbol, INSTRUMENTS.c.symbol.in_([symbol, "NONE"])):
        assert fetch(query.where(condition)).rows() == [(IDS["ACME"], symbol, symbol)]
    assert fetch(select(func.count().label("n")).select_from(BARS))["n"].to_list() == [0]


def test_a_value_keeps_its_type(migrated: Engine) -> None:
    values = {
        "moment": dt.datetime(2024, 6, 10, 20, 0, 0, 123456),
        "day": dt.date(2024, 2, 29),
        "count": 2**40,
        "number": 0.1 + 0.2,
        "yes": True,
    }
    bound = {name: literal(value) for name, value in values.items()}
    columns: list[Any] = [cast(value, value.type).label(name) for name, value in bound.items()]
    assert fetch(select(*columns)).to_dicts() == [values]


def test_a_slices_bounds_and_a_percent_sign_of_the_query_itself(migrated: Engine) -> None:
    insert_instruments(migrated)
    part = slice_of("US", "2024-06-10", "2024-06-11")
    with migrated.begin() as connection:
        merging.replace(connection, GRAINS["price_bars"], part, bars("ACME BOLT", "2024-06-10", "2024-06-11"))
    statement = select(BARS.c.ts).where(
        BARS.c.ts >= midnight("2024-06-11"), BARS.c.instrument_id == IDS["ACME"], text("interval LIKE 'd%y'")
    )
    assert fetch(statement)["ts"].to_list() == [midnight("2024-06-11")]


def test_empty_parameters_and_results_work(migrated: Engine) -> None:
    insert_instruments(migrated)
    assert fetch(select(INSTRUMENTS.c.symbol).where(INSTRUMENTS.c.symbol.in_([]))).is_empty()
    assert fetch(select(INSTRUMENTS.c.symbol)).height == len(IDS)
