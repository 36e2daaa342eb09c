"""Several services in order: who is asked for what, and what is said when nobody has it."""

import datetime as dt
import json
from dataclasses import dataclass, field, replace

import polars as pl
import pytest
from frames_of import midnight, slice_of
from loopback import Answer, in_turn, listed, quick, serving

from boursomatic_assets.contracts import judge
from boursomatic_assets.markets import MARKETS, Market
from boursomatic_assets.sources import NOT_DELIVERED, RAW_BARS, SourceError, open_source
from boursomatic_assets.sources.fallback import Fallback
from boursomatic_assets.sources.services import Line, NoBarsError, deliver, wanted
from boursomatic_assets.sources.stooq import Stooq

US, EURONEXT = MARKETS["US"], MARKETS["EURONEXT"]
START, END = midnight("2024-06-10"), midnight("2024-06-11")
LISTED = listed(ACME="NYSE", BOLT="NASDAQ", LUXE="EURONEXT")


@dataclass(frozen=True)
class Shelf:
    """A service that has one bar of some symbols, each at its price, or is closed."""

    name: str
    prices: dict[str, float]
    closed: str = ""
    listed: pl.DataFrame = field(default_factory=lambda: LISTED)
    asked: list[str] = field(default_factory=list)

    def instruments(self) -> pl.DataFrame:
        """The listed ones."""
        return self.listed

    def only(self, listed: pl.DataFrame) -> "Shelf":
        """The same shelf for fewer instruments."""
        return replace(self, listed=listed)

    def bars(self, market: Market, start: dt.datetime, end: dt.datetime, interval: str = "daily") -> pl.DataFrame:
        """The bars that are there."""
        listed = wanted(self.listed, market, start, end)
        return deliver(self.name, Line(every=0, closed=self.closed), listed, start, self._take)

    def _take(self, symbol: str) -> pl.DataFrame:
        self.asked.append(symbol)
        if symbol not in self.prices:
            raise NoBarsError(f"no {symbol} here")
        bar = {"ts": START, **dict.fromkeys("ohlcv", self.prices[symbol]), "interval": "daily", "file": self.name}
        return pl.DataFrame([bar], schema={name: RAW_BARS[name] for name in bar})


def prices(bars: pl.DataFrame) -> dict[str, float]:
    return dict(bars.filter(~NOT_DELIVERED).select("symbol", "c").rows())


def errors(bars: pl.DataFrame) -> dict[str, str]:
    return {symbol: json.loads(raw)["error"] for symbol, raw in bars.filter(NOT_DELIVERED)["symbol", "raw"].rows()}


def test_the_next_is_asked_only_for_what_the_first_could_not_deliver(absorbed_errors: list[str]) -> None:
    first, second = Shelf("first", {"ACME": 1.0}), Shelf("second", {"ACME": 2.0, "BOLT": 2.0})
    bars = Fallback((first, second)).bars(US, START, END)
    assert prices(bars) == {"ACME": 1.0, "BOLT": 2.0}
    assert (first.asked, second.asked) == (["ACME", "BOLT"], ["BOLT"])
    assert bars["file"].to_list() == ["first", "second"]
    assert errors(bars) == {}
    assert absorbed_errors == ["second is asked for 1 of 2 instruments, after SourceError: first: no BOLT here"]
    assert bars.schema == pl.Schema(RAW_BARS)


def test_the_next_is_not_asked_when_nothing_is_missing() -> None:
    second = Shelf("second", {})
    bars = Fallback((Shelf("first", {"ACME": 1.0, "BOLT": 1.0}), second)).bars(US, START, END)
    assert prices(bars) == {"ACME": 1.0, "BOLT": 1.0}
    assert second.asked == []


@pytest.mark.usefixtures("absorbed_errors")
@pytest.mark.parametrize(
    "first", [Shelf("first", {}), Shelf("first", {}, closed="go away")], ids=["empty", "closed"]
)
def test_the_next_stands_in_for_a_source_that_has_nothing(first: Shelf) -> None:
    bars = Fallback((first, Shelf("second", {"ACME": 2.0, "BOLT": 2.0}))).bars(US, START, END)
    assert prices(bars) == {"ACME": 2.0, "BOLT": 2.0}


@pytest.mark.usefixtures("absorbed_errors")
def test_what_nobody_has_is_told_with_what_each_of_them_said() -> None:
    sources = Shelf("first", {"ACME": 1.0}), Shelf("second", {}, closed="go away")
    bars = Fallback(sources).bars(US, START, END)
    assert prices(bars) == {"ACME": 1.0}
    said = "first: no BOLT here; second: go away (none of 1 instruments was delivered)"
    assert errors(bars) == {"BOLT": said}
    known = pl.DataFrame({"id": ["1", "2"], "symbol": ["ACME", "BOLT"], "exchange": ["NYSE", "NASDAQ"]})
    delivery = judge(bars, slice_of("US", "2024-06-10"), known, "first,second")
    assert delivery.kept.height == 1
    assert delivery.rejected["reason"].to_list() == ["source did not deliver it"]
    assert json.loads(delivery.rejected["raw"].item()) == {"symbol": "BOLT", "error": said}


@pytest.mark.usefixtures("absorbed_errors")
def test_nothing_from_anybody_is_an_error_that_quotes_all() -> None:
    sources = Shelf("first", {}), Shelf("second", {}, closed="go away")
    with pytest.raises(SourceError, match=r"first: no ACME here .*; second: go away"):
        Fallback(sources).bars(US, START, END)


def test_a_closed_day_asks_nobody_and_is_no_error() -> None:
    sources = Shelf("first", {}), Shelf("second", {})
    bars = Fallback(sources).bars(US, midnight("2024-07-04"), midnight("2024-07-05"))
    assert bars.is_empty()
    assert sources[0].asked == sources[1].asked == []


def test_it_is_called_after_all_of_its_sources() -> None:
    both = Fallback((Shelf("first", {}), Shelf("second", {})))
    assert both.name == "first,second"
    assert both.instruments().equals(LISTED)


@pytest.mark.usefixtures("absorbed_errors")
def test_a_service_that_closed_once_is_not_asked_again_behind_another() -> None:
    with serving(in_turn(Answer("Exceeded the daily hits limit"))) as service:
        both = Fallback((Shelf("first", {"ACME": 1.0}), Stooq(LISTED, None, quick(), service.address)))
        for _ in range(3):
            assert "used up" in errors(both.bars(US, START, END))["BOLT"]
    assert len(service.asked) == 1


@pytest.mark.usefixtures("absorbed_errors")
def test_a_market_that_the_next_lacks_is_told_for_its_symbols() -> None:
    both = Fallback(
        (Shelf("first", {"VINS": 1.0}, listed=listed(VINS="EURONEXT", LUXE="EURONEXT")), Stooq(LISTED))
    )
    bars = both.bars(EURONEXT, START, END)
    assert prices(bars) == {"VINS": 1.0}
    assert "stooq: there are no daily bars of EURONEXT" in errors(bars)["LUXE"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("yahoo", "yahoo,stooq"),
        ("stooq", "stooq"),
        ("stooq,yahoo", "stooq,yahoo"),
        ("stooq, yahoo", "stooq,yahoo"),
    ],
)
def test_the_order_is_chosen_by_configuration(kind: str, name: str) -> None:
    universe = pytest.importorskip("boursomatic_assets.sources.universe")
    source = open_source(kind)
    assert source.name == name
    assert source.instruments().equals(universe.listed())
