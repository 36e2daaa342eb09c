"""The universe: who is listed where, once, with a name and a sector."""

import polars as pl
import pytest

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.sources import INSTRUMENTS
from boursomatic_assets.sources.simulated import universe
from boursomatic_assets.sources.symbols import Listing, read_listing, read_listing_of

GICS = {
    "Communication Services",
    "Consumer Discretionary",
    "Consumer Staples",
    "Energy",
    "Financials",
    "Health Care",
    "Industrials",
    "Information Technology",
    "Materials",
    "Real Estate",
    "Utilities",
}

LISTED = universe.read_universe()


def test_it_has_the_columns_of_every_source() -> None:
    assert LISTED.schema == pl.Schema(INSTRUMENTS)
    assert LISTED.select("market_cap_bucket", "pe_bucket").null_count().row(0) == (LISTED.height, LISTED.height)


@pytest.mark.parametrize("column", ["symbol", "exchange", "name", "sector"])
def test_no_cell_is_empty_or_padded(column: str) -> None:
    cells = LISTED[column].to_list()
    assert all(cell and cell == cell.strip() for cell in cells)


def test_each_symbol_and_each_name_is_there_once_and_in_order() -> None:
    assert LISTED["symbol"].is_unique().all()
    assert LISTED["name"].is_unique().all()
    assert LISTED.select("exchange", "symbol").equals(
        LISTED.select("exchange", "symbol").sort("exchange", "symbol")
    )


def test_sectors_are_the_eleven_of_gics() -> None:
    assert set(LISTED["sector"]) == GICS


@pytest.mark.parametrize(("market", "least"), [("US", 120), ("EURONEXT", 95)])
def test_both_markets_are_there(market: str, least: int) -> None:
    of_market = LISTED.filter(pl.col("exchange").is_in(MARKETS[market].exchanges))
    assert of_market.height >= least


def test_a_symbol_is_written_as_files_of_that_market_are_read() -> None:
    """What a vendor's file calls MC.PA or BRK-B is the same instrument."""
    for symbol, exchange in LISTED.select("symbol", "exchange").iter_rows():
        assert read_listing_of(symbol, exchange) == Listing(symbol, exchange)
        said = read_listing(symbol)
        assert said.symbol == symbol
        assert said.exchange == ("EURONEXT" if exchange == "EURONEXT" else "US")


@pytest.mark.parametrize("suffix", [".PA", ".AS", ".BR", ".LS"])
def test_each_city_of_euronext_is_there(suffix: str) -> None:
    assert LISTED.filter(pl.col("symbol").str.ends_with(suffix)).height >= 14
