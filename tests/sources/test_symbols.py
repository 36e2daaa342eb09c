"""Symbols: one name for an instrument, however a vendor writes it, and none for what only looks like one."""

import pytest

from boursomatic_assets.sources.symbols import is_symbol, read_exchange, read_listing, read_listing_of


@pytest.mark.parametrize(
    "cell", ["BRK.B", "brk-b", "BRK/B", "BRK B", " BRK.B ", "BRK.B.US", "brk-b.us", "BRK/B US"]
)
def test_a_class_of_shares_has_one_spelling(cell: str) -> None:
    listing = read_listing(cell)
    assert (listing.symbol, listing.exchange) == ("BRK.B", "US")


@pytest.mark.parametrize("cell", ["KO", "ko", " KO", "KO\N{NO-BREAK SPACE}", "\N{BOM}KO", "KO.US", "KO US Equity"])
def test_case_and_blanks_make_no_other_instrument(cell: str) -> None:
    assert read_listing(cell).symbol == "KO"


@pytest.mark.parametrize(
    ("cell", "symbol", "exchange"),
    [
        ("NASDAQ:AAPL", "AAPL", "NASDAQ"),
        ("NYSE:BRK.B", "BRK.B", "NYSE"),
        ("AAPL.OQ", "AAPL", "NASDAQ"),
        ("AAPL.O", "AAPL", "NASDAQ"),
        ("IBM.N", "IBM", "NYSE"),
        ("IBM UN Equity", "IBM", "NYSE"),
        ("AAPL XNAS", "AAPL", "NASDAQ"),
        ("MC.PA", "MC.PA", "EURONEXT"),
        ("mc.pa", "MC.PA", "EURONEXT"),
        ("EPA:MC", "MC.PA", "EURONEXT"),
        ("XPAR:MC", "MC.PA", "EURONEXT"),
        ("MC.XPAR", "MC.PA", "EURONEXT"),
        ("MC FP Equity", "MC.PA", "EURONEXT"),
        ("MC FP", "MC.PA", "EURONEXT"),
        ("AMS:ASML", "ASML.AS", "EURONEXT"),
        ("UCB BB Equity", "UCB.BR", "EURONEXT"),
        ("GALP PL Equity", "GALP.LS", "EURONEXT"),
    ],
)
def test_an_identifier_of_another_system_says_its_exchange(cell: str, symbol: str, exchange: str) -> None:
    listing = read_listing(cell)
    assert (listing.symbol, listing.exchange) == (symbol, exchange)


@pytest.mark.parametrize(
    "cell",
    ["FR0000121014", "BBG000B9XRY4", "MC-PA", "VOD LN Equity", "LSE:VOD", "^GSPC", "BTC-USD", "1234", "", "KO."],
)
def test_what_is_of_no_known_form_has_no_exchange(cell: str) -> None:
    assert read_listing(cell).exchange is None


@pytest.mark.parametrize("cell", ["AZN.L", "NESN.S", "7203.T", "SAP.DE", "RY.TO", "ABC.V"])
def test_a_share_of_another_country_is_not_american(cell: str) -> None:
    """Behind a point, S is Zurich and V is Toronto, and no class of shares."""
    assert read_listing(cell).exchange == cell.rpartition(".")[2]


@pytest.mark.parametrize(
    ("cell", "exchange", "symbol", "found"),
    [
        ("AAPL", "nasdaq", "AAPL", "NASDAQ"),
        ("AAPL", "NasdaqGS", "AAPL", "NASDAQ"),
        ("AAPL", None, "AAPL", "US"),
        ("AAPL", "  ", "AAPL", "US"),
        ("IBM.N", "US", "IBM", "US"),
        ("MKC-V", "NYSE", "MKC.V", "NYSE"),
        ("MC", "XPAR", "MC.PA", "EURONEXT"),
        ("MC", "EPA", "MC.PA", "EURONEXT"),
        ("MC", "Euronext Paris", "MC.PA", "EURONEXT"),
        ("MC", "EURONEXT", "MC", "EURONEXT"),
        ("MC-PA", "EURONEXT", "MC.PA", "EURONEXT"),
        ("EPA:MC", "EURONEXT", "MC.PA", "EURONEXT"),
        ("1234", "NYSE", "1234", "NYSE"),
        ("VOD", "LSE", "VOD", "LSE"),
    ],
)
def test_a_stated_exchange_stands(cell: str, exchange: str | None, symbol: str, found: str) -> None:
    listing = read_listing_of(cell, exchange)
    assert (listing.symbol, listing.exchange) == (symbol, found)


@pytest.mark.parametrize("exchange", ["US", "NYSE", "XNAS"])
def test_a_share_of_paris_is_of_no_american_exchange(exchange: str) -> None:
    listing = read_listing_of("MC.PA", exchange)
    assert (listing.symbol, listing.exchange) == ("MC.PA", None)


@pytest.mark.parametrize("name", ["", "A" * 51, "KO\x07", "AA\x00", "FR0000121014", "BBG000B9XRY4"])
def test_no_symbol_is_empty_or_long_or_an_identifier(name: str) -> None:
    assert not is_symbol(name)


@pytest.mark.parametrize("name", ["KO", "BRK.B", "A" * 50, "1234", "ÉTÉ"])
def test_a_stated_exchange_may_have_symbols_of_any_other_form(name: str) -> None:
    assert is_symbol(name)


def test_an_exchange_that_is_not_known_stays_as_it_is() -> None:
    assert [read_exchange(cell) for cell in ("xnys", "NYSE American", "lse")] == ["NYSE", "NYSEMKT", "LSE"]
