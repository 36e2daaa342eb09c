"""What happens to simulated instruments: some come late, some go, some pause, and shares are split."""

import datetime as dt
from functools import cache

import numpy as np
import polars as pl
import pytest

from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.sources.simulated.source import FIRST_DATE, Simulated

START, END = dt.datetime(2000, 1, 1), dt.datetime(2026, 1, 1)
KEYS = ["symbol", "ts"]
both_markets = pytest.mark.parametrize("market", list(MARKETS.values()), ids=lambda market: market.name)


@cache
def lives(market: Market) -> pl.DataFrame:
    """Each instrument's first and last bar, and the sessions between two bars that have none."""
    sessions = market.sessions()
    sessions = pl.Series("ts", sessions[sessions >= FIRST_DATE]).cast(pl.Datetime("us"))
    numbered = pl.DataFrame({"ts": sessions, "session": np.arange(len(sessions))})
    bars = Simulated(instruments=150).bars(market, START, END).join(numbered, on="ts", maintain_order="left")
    pauses = pl.col("session").diff().drop_nulls() - 1
    return bars.group_by("symbol").agg(
        first=pl.col("ts").min(), last=pl.col("ts").max(), pauses=pauses.filter(pauses > 0), bars=pl.len()
    )


@pytest.mark.slow
@both_markets
def test_some_instruments_come_late_and_some_are_delisted(market: Market) -> None:
    found = lives(market)
    opening, ending = found["first"].min(), found["last"].max()
    late = found.filter(pl.col("first") > opening + dt.timedelta(30))
    gone = found.filter(pl.col("last") < ending - dt.timedelta(30))
    assert 0.15 < late.height / 150 < 0.35
    assert 0.05 < gone.height / 150 < 0.2
    assert late["first"].dt.year().n_unique() > 12, "in most years some come"
    assert gone["last"].dt.year().n_unique() > 10, "and in most years some go"


@pytest.mark.slow
@both_markets
def test_trading_pauses_now_and_then_for_up_to_a_week(market: Market) -> None:
    found = lives(market)
    pauses = found["pauses"].explode(empty_as_null=False)
    assert set(pauses) == {1, 2, 3, 4, 5}
    assert 1 / 25 < len(pauses) / (found["bars"].sum() / 252) < 1 / 15, "pauses in an instrument's year"


def both_forms(market: Market) -> pl.DataFrame:
    """Bars adjusted for splits and (`_paid`) as paid, and what a first share has become."""
    adjusted, paid = (
        Simulated(events=False, adjusted=adjusted).bars(market, START, END).select(*KEYS, *"ohlcv")
        for adjusted in (True, False)
    )
    shares = 2 ** (pl.col("c") / pl.col("c_paid")).log(2).round().cast(pl.Int64)
    return adjusted.join(paid, on=KEYS, suffix="_paid").with_columns(shares=shares).sort(KEYS)


@pytest.mark.slow
@both_markets
def test_a_split_halves_the_price_that_is_paid_and_doubles_the_volume(market: Market) -> None:
    bars = both_forms(market)
    for price in "ohlc":
        assert bars.filter(
            (pl.col(f"{price}_paid") - pl.col(price) / pl.col("shares")).abs() > 0.005001
        ).is_empty()
    assert bars.filter((pl.col("v_paid") - pl.col("v") * pl.col("shares")).abs() > pl.col("shares")).is_empty()


@both_markets
def test_a_share_is_split_in_the_session_after_it_closed_at_200(market: Market) -> None:
    before = pl.col("c", "shares").shift().over("symbol").name.suffix("_before")
    bars = both_forms(market).with_columns(before).drop_nulls()
    split = pl.col("shares") > pl.col("shares_before")
    assert bars.filter(split != (pl.col("c_before") / pl.col("shares_before") >= 200)).is_empty()
    assert bars.filter(split).height > 15
    assert bars.group_by("symbol").agg(pl.col("shares_before").first())["shares_before"].unique().to_list() == [1]
