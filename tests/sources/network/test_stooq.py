"""The source `stooq`: its CSV download, and what it says instead of bars."""

import json

import polars as pl
import pytest
from worlds.frames import midnight
from worlds.loopback import Query, Response, answer_in_turn, instruments_of, quick_client, serve

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.sources import NOT_DELIVERED, RAW_BARS, SourceError
from boursomatic_assets.sources.network.services import NoBarsError, TransientError
from boursomatic_assets.sources.network.stooq import Stooq, parse_bars

US = MARKETS["US"]
START, END = midnight("2024-06-10"), midnight("2024-06-13")
LISTED = instruments_of(AAPL="NASDAQ", BRK__B="NYSE", MC__PA="EURONEXT")
HEADER = "Date,Open,High,Low,Close,Volume\r\n"
AAPL = (
    HEADER + "2024-06-10,196.9,197.3,192.15,193.12,97010170.2297114\r\n"
    "2024-06-11,193.65,207.16,193.63,207.15,172373310\r\n"
    "2024-06-12,207.37,220.2,206.9,213.07,198134293\r\n"
)


def stooq(address: str, key: str | None = None, instruments: pl.DataFrame = LISTED) -> Stooq:
    return Stooq(instruments, key, quick_client(), address)


def test_bars_are_delivered_as_they_stand() -> None:
    with serve(answer_in_turn(Response(AAPL))) as service:
        bars = stooq(service.address, instruments=instruments_of(AAPL="NASDAQ")).bars(US, START, END)
    assert bars.schema == pl.Schema(RAW_BARS)
    first = bars.row(0, named=True)
    assert {name: first[name] for name in ("symbol", "exchange", "ts", *"ohlcv", "interval")} == {
        **{"symbol": "AAPL", "exchange": "NASDAQ", "ts": START, "interval": "daily"},
        **{"o": 196.9, "h": 197.3, "l": 192.15, "c": 193.12, "v": 97010170.2297114},
    }
    assert first["file"] == "stooq:aapl.us"
    assert json.loads(first["raw"]) == {
        **{"Date": "2024-06-10", "Open": "196.9", "High": "197.3"},
        **{"Low": "192.15", "Close": "193.12", "Volume": "97010170.2297114"},
    }
    assert bars["ts"].to_list() == [midnight(f"2024-06-{day}") for day in (10, 11, 12)]


def test_each_american_symbol_is_asked_for_by_its_name_there() -> None:
    with serve(answer_in_turn(Response(AAPL))) as service:
        stooq(service.address, key="secret").bars(US, START, END)
    dates = {"path": "/", "d1": "20240610", "d2": "20240612", "i": "d", "o": "0100000", "apikey": "secret"}
    assert service.queries == [{**dates, "s": "aapl.us"}, {**dates, "s": "brk-b.us"}]


def test_bars_outside_of_what_was_asked_for_are_left_out() -> None:
    with serve(answer_in_turn(Response(AAPL))) as service:
        bars = stooq(service.address).bars(US, midnight("2024-06-11"), midnight("2024-06-12"))
    assert bars["ts"].unique().to_list() == [midnight("2024-06-11")]


def test_a_symbol_without_data_is_told_and_the_others_go_on() -> None:
    def answer(question: Query) -> Response:
        return Response(AAPL if question["s"] == "aapl.us" else "No data")

    with serve(answer) as service:
        bars = stooq(service.address).bars(US, START, END)
    assert bars.filter(~NOT_DELIVERED)["symbol"].to_list() == ["AAPL"] * 3
    missing = bars.filter(NOT_DELIVERED)
    assert missing.select("symbol", "exchange").rows() == [("BRK.B", "NYSE")]
    assert json.loads(missing["raw"].item())["error"] == "stooq: no data of brk-b.us"
    assert missing["ts"].item() == START
    others = missing.drop("symbol", "exchange", "ts", "raw")
    assert others.null_count().sum_horizontal().item() == others.width


@pytest.mark.parametrize(
    "troubles",
    [
        [Response("slow down", 429, {"Retry-After": "0"})],
        [Response("oops", 500), Response("", 503)],
        [Response(AAPL, cut=20)],
        [Response(AAPL[:-20])],
        [Response(HEADER + "2024-06-,1,1,1,1,1\r\n")],
        [Response("what?")],
    ],
    ids=["429", "500 and 503", "cut", "cut, and not announced", "no date", "unknown"],
)
def test_after_trouble_it_is_asked_again(troubles: list[Response], absorbed_errors: list[str]) -> None:
    with serve(answer_in_turn(*troubles, Response(AAPL))) as service:
        bars = stooq(service.address, instruments=instruments_of(AAPL="NASDAQ")).bars(US, START, END)
    assert bars["c"].to_list() == [193.12, 207.15, 213.07]
    assert len(service.queries) == len(troubles) + 1
    assert len(absorbed_errors) == len(troubles)
    assert all("asked again in " in line for line in absorbed_errors)


@pytest.mark.parametrize(
    ("answer", "what_to_do"),
    [
        (Response("Exceeded the daily hits limit"), "used up: ask again tomorrow"),
        (
            Response("Get your apikey:\n\n1. Open https://stooq.com/q/d/?s=aapl.us&get_apikey"),
            "set BOURSOMATIC_STOOQ",
        ),
        (Response("<!DOCTYPE html><html><body>Verifying your browser</body></html>"), "BOURSOMATIC_SOURCE=files"),
        (Response("forbidden", 403), r"it refuses \(HTTP 403\)"),
        (
            Response("later", 429, {"Retry-After": "86400"}),
            r"too many questions \(429\), it asks for 86400 s",
        ),
    ],
    ids=["daily limit", "key", "page", "403", "429 for a day"],
)
def test_a_refusal_of_everything_is_explained_and_not_repeated(answer: Response, what_to_do: str) -> None:
    with serve(answer_in_turn(answer)) as service:
        source = stooq(service.address, key="secret")
        for _ in range(2):
            with pytest.raises(SourceError, match=f"stooq: .*{what_to_do}.*none of 2 instruments") as raised:
                source.bars(US, START, END)
            assert "secret" not in str(raised.value) + repr(source)
    assert len(service.queries) == 1


@pytest.mark.parametrize(("market", "interval"), [("EURONEXT", "daily"), ("US", "15m")])
def test_what_it_lacks_is_refused_without_asking(market: str, interval: str) -> None:
    with pytest.raises(SourceError, match=f"stooq: there are no {interval} bars of {market}"):
        stooq("http://127.0.0.1:1/").bars(MARKETS[market], START, END, interval)


def test_on_a_closed_day_nothing_is_asked_for() -> None:
    bars = stooq("http://127.0.0.1:1/").bars(US, midnight("2024-07-04"), midnight("2024-07-05"))
    assert bars.is_empty()
    assert bars.schema == pl.Schema(RAW_BARS)


def test_an_unreadable_number_is_null_with_its_raw_form() -> None:
    bars = parse_bars(HEADER + "2024-06-10,1,2,1,N/D,\r\n", "aapl.us")
    assert bars.select("o", "h", "l", "c", "v").row(0) == (1.0, 2.0, 1.0, None, None)
    assert json.loads(bars["raw"].item())["Close"] == "N/D"


def test_an_index_has_no_volume() -> None:
    assert parse_bars("Date,Open,High,Low,Close\r\n2024-06-10,1,2,1,2\r\n", "^spx")["v"].to_list() == [None]


@pytest.mark.parametrize("answer", ["", "No data", "No data\r\n", HEADER, "Date,Open,High,Low,Close\r\n"])
def test_no_bars_are_no_bars_however_it_says_so(answer: str) -> None:
    with pytest.raises(NoBarsError, match=r"no data of aapl\.us"):
        parse_bars(answer, "aapl.us")


def test_an_answer_that_is_cut_anywhere_is_never_taken_for_a_whole_one() -> None:
    for length in range(len(HEADER) + 1, len(AAPL) - 1):
        if not AAPL[:length].endswith("\n"):
            with pytest.raises(TransientError, match="end within a line"):
                parse_bars(AAPL[:length], "aapl.us")
