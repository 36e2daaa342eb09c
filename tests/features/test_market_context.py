"""What the market as a whole does: its mean return, and the context made of it."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest
from worlds.markets import SESSIONS, market_returns, random_market

from boursomatic_assets.features.additional_indicators import ret_120d
from boursomatic_assets.features.compute import compute_formulas
from boursomatic_assets.features.indicators import market_ret_1d
from boursomatic_assets.features.market_context import compute_context


def bars(**closes: list[float | None]) -> pl.DataFrame:
    """Closes of some instruments from the first session on; None where there is no bar."""
    rows = [
        {"instrument_id": name, "ts": SESSIONS[day].astype("datetime64[us]").item(), "v": 1.0}
        | dict.fromkeys("ohlc", close)
        for name, prices in closes.items()
        for day, close in enumerate(prices)
        if close is not None
    ]
    return pl.DataFrame(rows, schema_overrides={"ts": pl.Datetime("us")})


def returns(given: pl.DataFrame) -> dict[str, list[float | None]]:
    found = compute_formulas(given, SESSIONS, [market_ret_1d])
    return {
        name: found.filter(pl.col("instrument_id") == name)["market_ret_1d"].to_list()
        for name in found["instrument_id"].unique().sort()
    }


def test_all_that_have_the_bar_and_the_one_before_count_alike() -> None:
    given = bars(a=[100, 110, 121], b=[200, 180, None], c=[None, 5, 6])
    assert returns(given) == {
        "a": [None, pytest.approx(0), pytest.approx(0.15)],
        "b": [None, pytest.approx(0)],
        "c": [pytest.approx(0), pytest.approx(0.15)],
    }


def test_one_that_was_away_does_not_count_on_its_first_day_back() -> None:
    given = bars(a=[100, 110, 121, 121], b=[100, None, 200, 220])
    assert returns(given)["a"] == [None, pytest.approx(0.1), pytest.approx(0.1), pytest.approx(0.05)]


def test_a_session_that_nobody_traded_leaves_the_next_without_a_return() -> None:
    assert returns(bars(a=[100, None, 110, 121])) == {"a": [None, None, pytest.approx(0.1)]}


def test_one_wrong_price_makes_no_market_day() -> None:
    """Its return of 8,500 % counts as 50 %, its way back of -99 % as -50 %."""
    given = bars(a=[10, 860, 10], b=[10, 10, 10])
    assert returns(given)["b"] == [None, 0.25, -0.25]


@pytest.fixture(scope="module")
def found() -> pl.DataFrame:
    return compute_context(
        compute_formulas(random_market(instruments=6, late=0), SESSIONS, [market_ret_1d, ret_120d]), SESSIONS
    )


def number(found: pl.DataFrame, name: str) -> np.ndarray:
    return found[name].fill_null(np.nan).to_numpy()


def test_return_and_volatility_are_those_of_20_sessions(found: pl.DataFrame) -> None:
    market = market_returns(random_market(instruments=6, late=0))[: len(found)]
    compounded = (1 + market).rolling(20).apply(np.prod, raw=True) - 1
    assert np.allclose(number(found, "market_ret_20d"), compounded, rtol=1e-9, atol=1e-12, equal_nan=True)
    assert np.allclose(number(found, "market_vol_20d"), market.rolling(20).std(), rtol=1e-9, equal_nan=True)
    assert found["market_ret_20d"].null_count() == 20


def test_breadth_is_the_share_that_rose_of_those_that_are_known() -> None:
    up, down = [float(price) for price in range(1, 131)], [float(price) for price in range(130, 0, -1)]
    given = bars(a=up, b=down, c=down, late=[None] * 100 + up[:30], d=up)
    shares = compute_context(compute_formulas(given, SESSIONS, [market_ret_1d, ret_120d]), SESSIONS)[
        "market_breadth_120d"
    ]
    assert shares.to_list() == [None] * 120 + [0.5] * 10


def test_sessions_are_counted_within_their_month(found: pl.DataFrame) -> None:
    dates = pd.Series(SESSIONS[: len(found)])
    assert (
        found["session_of_month"].to_list()
        == (dates.groupby(dates.dt.month + 12 * dates.dt.year).cumcount() + 1).to_list()
    )
    assert found.filter(pl.col("ts") == dt.datetime(1990, 2, 1))["session_of_month"].item() == 1


def test_a_session_without_bars_has_no_context_and_leaves_a_hole_in_that_of_others() -> None:
    whole = random_market(instruments=6, late=0)
    gap = SESSIONS[500].astype("datetime64[us]").item()
    found = compute_context(
        compute_formulas(whole.filter(pl.col("ts") != gap), SESSIONS, [market_ret_1d, ret_120d]), SESSIONS
    )
    assert gap not in found["ts"]
    holes = found.filter(pl.col("ts") > SESSIONS[20].item(), pl.col("market_ret_20d").is_null())
    assert holes["ts"].dt.date().to_list() == SESSIONS[501:521].tolist()
