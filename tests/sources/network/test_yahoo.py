"""The source `yahoo`: yfinance asks a service that answers as Yahoo's chart service does, byte for byte."""

import datetime as dt
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import polars as pl
import pytest
import yfinance.cache
from curl_cffi import requests
from worlds.frames import midnight
from worlds.loopback import Query, Response, Service, instruments_of, quick_client, serve

from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.sources import NOT_DELIVERED, RAW_BARS, SourceError
from boursomatic_assets.sources.network import yahoo as module
from boursomatic_assets.sources.network.yahoo import INTRADAY_DAYS, Yahoo, to_raw_bars

US, EURONEXT = MARKETS["US"], MARKETS["EURONEXT"]
START, END = midnight("2024-06-10"), midnight("2024-06-13")
COOKIES = Path(os.environ["BOURSOMATIC_HOME"]) / "yahoo"

CHART = "/query2.finance.yahoo.com/v8/finance/chart/"
UNKNOWN = {"code": "Not Found", "description": "No data found, symbol may be delisted"}


class Rerouted(requests.Session[Any]):
    """The session that yfinance uses, with every address led to this machine."""

    def __init__(self, address: str) -> None:
        super().__init__(trust_env=False)
        self._address = address

    def request(self, method: Any, url: str, **options: Any) -> Any:
        """Ask this machine, with the host as the first folder."""
        parts = urlsplit(url)
        return super().request(method, f"{self._address}{parts.netloc}{parts.path}", **options)


def chart(bars: dict[str, tuple[float | None, ...]], market: Market = US, interval: str = "1d") -> str:
    """What Yahoo answers: times in seconds, and a list for each of open, high, low, close, volume, adjclose."""
    opens = market.timezone
    times = [int(pd.Timestamp(time, tz=opens).timestamp()) for time in bars]
    quote = {
        name: [bar[place] for bar in bars.values()]
        for place, name in enumerate(("open", "high", "low", "close", "volume"))
    }
    result: dict[str, Any] = {
        "meta": {
            "currency": "USD" if market is US else "EUR",
            "instrumentType": "EQUITY",
            "exchangeTimezoneName": opens,
            "regularMarketTime": times[-1],
            "dataGranularity": interval,
            "validRanges": ["1d", "5d", "max"],
            "currentTradingPeriod": {},
        },
        "timestamp": times,
        "indicators": {"quote": [quote]},
    }
    if interval == "1d":
        result["indicators"]["adjclose"] = [{"adjclose": [bar[3] and bar[3] / 2 for bar in bars.values()]}]
    else:
        period = {"timezone": "EDT", "start": times[0], "end": times[-1] + 900, "gmtoffset": -14400}
        result["meta"]["tradingPeriods"] = [[period]]
    return json.dumps({"chart": {"result": [result], "error": None}})


DAILY = chart(
    {
        "2024-06-10 09:30": (196.9, 197.3, 192.15, 193.12, 97262100),
        "2024-06-11 09:30": (193.65, 207.16, 193.63, 207.15, 172373300),
        "2024-06-12 09:30": (None, None, None, None, None),
    }
)


@contextmanager
def yahoo(instruments: pl.DataFrame, charts: Callable[[str, int], Response]) -> Iterator[tuple[Yahoo, Service]]:
    """The source, on a service that answers for a symbol, the nth time."""
    times: dict[str, int] = {}

    def answer(question: Query) -> Response:
        if not question["path"].startswith(CHART):
            return Response("a crumb")
        symbol = question["path"].removeprefix(CHART)
        times[symbol] = times.get(symbol, 0) + 1
        return charts(symbol, times[symbol])

    with serve(answer) as service:
        yield Yahoo(instruments, COOKIES, quick_client(), Rerouted(service.address)), service


def charts_asked(service: Service) -> list[Query]:
    return [question for question in service.queries if question["path"].startswith(CHART)]


def test_daily_bars_are_delivered_as_they_stand() -> None:
    with yahoo(instruments_of(AAPL="NASDAQ"), lambda *_: Response(DAILY)) as (source, _):
        bars = source.bars(US, START, END)
    assert bars.schema == pl.Schema(RAW_BARS)
    first = bars.row(0, named=True)
    assert {name: first[name] for name in ("symbol", "exchange", "ts", *"ohlcv", "interval")} == {
        **{"symbol": "AAPL", "exchange": "NASDAQ", "ts": START, "interval": "daily"},
        **{"o": 196.9, "h": 197.3, "l": 192.15, "c": 193.12, "v": 97262100.0},
    }
    raw = json.loads(first["raw"])
    assert (raw["ts"][:10], raw["Adj Close"]) == ("2024-06-10", 96.56)
    assert first["file"] == "yahoo:AAPL"


def test_a_row_without_prices_is_delivered_without() -> None:
    with yahoo(instruments_of(AAPL="NASDAQ"), lambda *_: Response(DAILY)) as (source, _):
        last = source.bars(US, START, END).row(2, named=True)
    assert last["ts"] == midnight("2024-06-12")
    assert [last[name] for name in "ohlc"] == [None] * 4


def test_each_symbol_of_the_market_is_asked_for_once_by_its_name_there() -> None:
    instruments = instruments_of(BRK__B="NYSE", MC__PA="EURONEXT", KBC__BR="EURONEXT")
    answers = {
        "BRK-B": DAILY,
        "MC.PA": chart({"2024-06-10 09:00": (1, 2, 1, 2, 9)}, EURONEXT),
        "KBC.BR": chart({"2024-06-10 09:00": (1, 2, 1, 2, 9)}, EURONEXT),
    }
    with yahoo(instruments, lambda symbol, _: Response(answers[symbol])) as (source, service):
        assert source.bars(US, START, END)["symbol"].unique().to_list() == ["BRK.B"]
        assert source.bars(EURONEXT, START, END)["symbol"].to_list() == ["MC.PA", "KBC.BR"]
    asked = charts_asked(service)
    assert [question["path"].removeprefix(CHART) for question in asked] == ["BRK-B", "MC.PA", "KBC.BR"]
    new_york, paris = (pd.Timestamp(START, tz=zone).timestamp() for zone in ("America/New_York", "Europe/Paris"))
    assert [int(question["period1"]) for question in asked] == [new_york, paris, paris]
    assert {question["interval"] for question in asked} == {"1d"}


def test_a_symbol_of_which_all_rows_are_empty_has_no_bars() -> None:
    empty = chart({f"2024-06-{day} 09:30": (None,) * 5 for day in (10, 11)})
    with (
        yahoo(instruments_of(AAPL="NASDAQ"), lambda *_: Response(empty)) as (source, _),
        pytest.raises(SourceError, match=r"no prices of AAPL from .*, and 2 empty rows"),
    ):
        source.bars(US, START, END)


def recent_session() -> dt.date:
    """The last session of the American market that began a week ago or earlier."""
    sessions = US.sessions()
    week_ago = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=7)
    day: dt.date = sessions[sessions <= pd.Timestamp(week_ago).to_datetime64()][-1].item()
    return day


@pytest.mark.calendar
def test_a_15m_bar_is_named_by_its_start_in_utc() -> None:
    session = recent_session()
    bars = {f"{session} 09:{minute}": (1.0, 2.0, 1.0, 2.0, 9.0) for minute in (30, 45)}
    start = dt.datetime.combine(session, dt.time())
    with yahoo(instruments_of(AAPL="NASDAQ"), lambda *_: Response(chart(bars, interval="15m"))) as (
        source,
        service,
    ):
        found = source.bars(US, start, start + dt.timedelta(days=1), "15m")
    assert found["ts"].to_list() == [US.open_time(session), US.open_time(session) + dt.timedelta(minutes=15)]
    assert found["interval"].unique().to_list() == ["15m"]
    asked = charts_asked(service)[0]
    assert (asked["interval"], int(asked["period1"])) == ("15m", start.replace(tzinfo=dt.UTC).timestamp())


@pytest.mark.calendar
def test_15m_bars_from_long_ago_are_refused_without_asking() -> None:
    long_ago = dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(days=INTRADAY_DAYS + 1)
    with yahoo(instruments_of(AAPL="NASDAQ"), lambda *_: Response(DAILY)) as (source, service):
        with pytest.raises(SourceError, match=f"yahoo: 15m bars reach back 60 days, and {long_ago:%Y-%m-%d} is"):
            source.bars(US, long_ago, long_ago + dt.timedelta(days=1), "15m")
        with pytest.raises(SourceError, match="yahoo: there are no bars of '5m': ask for daily or 15m"):
            source.bars(US, START, END, "5m")
    assert not service.queries


def test_on_a_closed_day_nothing_is_asked_for() -> None:
    with yahoo(instruments_of(AAPL="NASDAQ"), lambda *_: Response(DAILY)) as (source, service):
        bars = source.bars(US, midnight("2024-07-04"), midnight("2024-07-05"))
        assert source.bars(EURONEXT, START, END).is_empty()
    assert bars.is_empty()
    assert bars.schema == pl.Schema(RAW_BARS)
    assert not service.queries


def unknown() -> Response:
    return Response(json.dumps({"chart": {"result": None, "error": UNKNOWN}}), 404)


def test_a_symbol_that_it_does_not_know_is_told_and_the_others_go_on() -> None:
    instruments = instruments_of(GONE="NYSE", AAPL="NASDAQ")
    with yahoo(instruments, lambda symbol, _: Response(DAILY) if symbol == "AAPL" else unknown()) as (source, _):
        bars = source.bars(US, START, END)
    assert bars.filter(~NOT_DELIVERED)["symbol"].to_list() == ["AAPL"] * 3
    missing = bars.filter(NOT_DELIVERED).row(0, named=True)
    assert (missing["symbol"], missing["exchange"]) == ("GONE", "NYSE")
    assert json.loads(missing["raw"])["error"] == "yahoo: No data found, symbol may be delisted"


def test_no_bars_at_all_are_an_error() -> None:
    with (
        yahoo(instruments_of(GONE="NYSE", LOST="NYSE"), lambda *_: unknown()) as (source, _),
        pytest.raises(SourceError, match=r"yahoo: No data found, .*none of 2 instruments"),
    ):
        source.bars(US, START, END)


@pytest.mark.usefixtures("absorbed_errors")
@pytest.mark.parametrize(
    "trouble",
    [
        Response("oops", 500),
        Response('{"chart": {"result": [{"meta": {}}]}}'),
        Response("<html>Will be right back...</html>", 503),
        Response(DAILY, cut=40),
    ],
    ids=["500", "another form", "down", "cut"],
)
def test_after_trouble_it_is_asked_again_and_not_its_cache(trouble: Response) -> None:
    with yahoo(instruments_of(AAPL="NASDAQ"), lambda _, n: trouble if n <= 2 else Response(DAILY)) as (source, _):
        assert source.bars(US, START, END)["c"].to_list() == [193.12, 207.15, None]


@pytest.mark.usefixtures("absorbed_errors")
def test_after_too_many_questions_it_waits_and_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RATE_LIMIT_SECONDS", 0.0)
    many = Response("Too Many Requests\r\n", 429)
    with yahoo(instruments_of(AAPL="NASDAQ"), lambda _, n: many if n <= 2 else Response(DAILY)) as (source, _):
        assert source.bars(US, START, END)["c"].to_list() == [193.12, 207.15, None]


@pytest.mark.usefixtures("absorbed_errors")
def test_what_came_before_it_refuses_is_kept_and_the_rest_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RATE_LIMIT_SECONDS", 0.0)
    instruments = instruments_of(AAPL="NASDAQ", MSFT="NASDAQ", NVDA="NASDAQ")
    many = Response("Too Many Requests\r\n", 429)
    with yahoo(instruments, lambda symbol, _: Response(DAILY) if symbol == "AAPL" else many) as (source, service):
        bars = source.bars(US, START, END)
    assert bars.filter(~NOT_DELIVERED)["symbol"].unique().to_list() == ["AAPL"]
    reasons = [json.loads(raw)["error"] for raw in bars.filter(NOT_DELIVERED).sort("symbol")["raw"]]
    assert reasons == [
        "yahoo: too many questions (429)",
        "yahoo: not asked any more after: too many questions (429)",
    ]
    assert not any(question["path"].endswith("NVDA") for question in service.queries)


def test_the_same_question_is_asked_anew_in_the_same_process() -> None:
    """A bar that Yahoo corrects must arrive, though yfinance keeps answers about the past."""
    corrected = chart({"2024-06-10 09:30": (1, 2, 1, 2, 9)})
    with yahoo(instruments_of(AAPL="NASDAQ"), lambda _, n: Response(DAILY if n == 1 else corrected)) as (
        source,
        _,
    ):
        assert source.bars(US, START, END).height == 3
        assert source.bars(US, START, END)["c"].to_list() == [2.0]


def test_clocks_are_those_of_the_exchange_whatever_zone_the_frame_is_in() -> None:
    """Daily bars keep their date, whether the index has a zone or none; 15m bars become UTC."""
    columns = ["Open", "High", "Low", "Close", "Adj Close", "Volume"]
    for zone in (None, "Europe/Paris", "America/New_York"):
        days = pd.DatetimeIndex(["2024-03-29", "2024-04-01"], tz=zone, name="Date")
        frame = pd.DataFrame(1.0, index=days, columns=pd.Index(columns, name="Price"))
        assert to_raw_bars(frame, "MC.PA", "daily")["ts"].to_list() == [
            midnight("2024-03-29"),
            midnight("2024-04-01"),
        ]
    quarters = pd.DatetimeIndex(["2024-03-29 09:00", "2024-04-02 09:00"], tz="Europe/Paris", name="Datetime")
    frame = pd.DataFrame(1.0, index=quarters, columns=columns)
    assert to_raw_bars(frame, "MC.PA", "15m")["ts"].dt.hour().to_list() == [8, 7]


def test_yfinance_writes_where_it_is_told() -> None:
    with yahoo(instruments_of(AAPL="NASDAQ"), lambda *_: Response(DAILY)) as (source, _):
        source.bars(US, START, END)
    managers = ("_TzDBManager", "_CookieDBManager", "_ISINDBManager")
    assert {getattr(yfinance.cache, name).get_location() for name in managers} == {str(COOKIES)}
    assert (COOKIES / "cookies.db").is_file()
