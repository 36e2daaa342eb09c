"""Planted leaks of every kind are found by the look-ahead check, and honest computations like them are not.

Each plant adds a feature `planted` to an honest one, and knows more than it should in its own way.
"""

import datetime as dt
from collections.abc import Callable

import polars as pl
import pytest
from worlds.markets import SESSIONS, random_market

from boursomatic_assets.arrays import KEY, Times
from boursomatic_assets.features.lookahead import ROW, Leak, find_leaks

pytestmark = pytest.mark.slow

Plant = Callable[[pl.DataFrame], pl.DataFrame]

START, END = dt.datetime(1990, 12, 1), dt.datetime(1991, 1, 20)
"""The sessions that are tested: a year ends among them."""

CLOSE, RETURN = pl.col("c"), pl.col("c") / pl.col("c").shift() - 1
DELISTED = "i1"
"""An instrument whose last bar is one of the tested."""

DELISTING = dt.datetime(1991, 1, 10)


def market() -> pl.DataFrame:
    """Random walks; one instrument is delisted."""
    bars = random_market(instruments=4, last=383, gaps=0.1, late=20)
    return bars.filter((pl.col("instrument_id") != DELISTED) | (pl.col("ts") <= DELISTING))


def leaks_of(plant: Plant, bars: pl.DataFrame) -> list[Leak]:
    def compute(given: pl.DataFrame, sessions: Times, start: dt.datetime | None) -> pl.DataFrame:
        ordered = given.sort(*KEY).with_columns(honest=RETURN.over("instrument_id"))
        return plant(ordered).select(*KEY, "honest", "planted")

    return find_leaks(bars, SESSIONS, compute=compute, start=START)


def formula(expression: pl.Expr) -> Plant:
    """A formula over the bars of each instrument."""
    return lambda bars: bars.with_columns(planted=expression.over("instrument_id"))


def january_at_year_end(bars: pl.DataFrame) -> pl.DataFrame:
    """From 28 to 31 December the first close of January, else this one: right on 361 days of a year."""
    january = pl.when(pl.col("ts").dt.month() == 1).then(CLOSE).shift(-1).backward_fill(limit=4)
    at_year_end = (pl.col("ts").dt.month() == 12) & (pl.col("ts").dt.day() >= 28)
    return formula(pl.when(at_year_end).then(january).otherwise(CLOSE))(bars)


def next_month_at_month_end(bars: pl.DataFrame) -> pl.DataFrame:
    """In the last session of a month the next close, else this one."""
    month = pl.col("ts").dt.month()
    return formula(pl.when(month != month.shift(-1)).then(CLOSE.shift(-1)).otherwise(CLOSE))(bars)


def close_of_the_week(bars: pl.DataFrame) -> pl.DataFrame:
    """Each week's last close, from its first session on."""
    return bars.with_columns(planted=CLOSE.last().over("instrument_id", pl.col("ts").dt.truncate("1w")))


def rank_by_last_price(bars: pl.DataFrame) -> pl.DataFrame:
    """The instruments in the order of their newest price."""
    last = bars.group_by("instrument_id").agg(last=CLOSE.last()).with_columns(planted=pl.col("last").rank())
    return bars.join(last, on="instrument_id")


def closes_adjusted_for_later_splits(bars: pl.DataFrame) -> pl.DataFrame:
    """Earlier prices in today's shares: a session in which the price falls by 4 % counts as a split."""
    later_splits = (RETURN < -0.04).shift(-1).fill_null(False).cast(pl.Int64).cum_sum(reverse=True)
    return formula(CLOSE * 0.5**later_splits)(bars)


def trend_of_all_sessions(bars: pl.DataFrame) -> pl.DataFrame:
    """What a straight line through all closes of an instrument leaves."""
    time = pl.int_range(pl.len())
    slope = pl.cov(time, CLOSE) / time.var()
    return formula(CLOSE - CLOSE.mean() - slope * (time - time.mean()))(bars)


def universe_mean_of_all_sessions(bars: pl.DataFrame) -> pl.DataFrame:
    """The return by the mean return of all instruments in all sessions."""
    return bars.with_columns(planted=pl.col("honest") - pl.col("honest").mean())


FEATURE_LEAKS: dict[str, Plant] = {
    "next close": formula(CLOSE.shift(-1)),
    "return of five sessions ahead": formula(CLOSE.shift(-5) / CLOSE),
    "calendar edge: year end": january_at_year_end,
    "calendar edge: month end": next_month_at_month_end,
    "calendar edge: week": close_of_the_week,
    "full-sample rank": lambda bars: bars.with_columns(planted=pl.col("honest").rank()),
    "full-sample rank of an instrument": formula(CLOSE.rank()),
    "full-sample z-score": formula((CLOSE - CLOSE.mean()) / CLOSE.std()),
    "full-sample quantile bucket": formula(CLOSE.gt(CLOSE.quantile(0.5)).cast(pl.Int8)),
    "full-sample trend": trend_of_all_sessions,
    "full-sample mean of the universe": universe_mean_of_all_sessions,
    "global min and max": formula((CLOSE - CLOSE.min()) / (CLOSE.max() - CLOSE.min())),
    "centred window": formula(CLOSE.rolling_mean(5, center=True)),
    "filled backwards": formula(pl.when(pl.col("v") > 300_000).then(CLOSE).backward_fill()),
    "interpolated": formula(pl.when(pl.col("v") > 300_000).then(CLOSE).interpolate()),
    "average run backwards": formula(CLOSE.reverse().ewm_mean(span=5).reverse()),
    "split adjustment": closes_adjusted_for_later_splits,
    "sorted by last price": rank_by_last_price,
    "number of bars to come": formula(pl.len() - pl.int_range(pl.len())),
}


@pytest.mark.parametrize("plant", FEATURE_LEAKS.values(), ids=FEATURE_LEAKS)
def test_a_planted_leak_is_named_and_no_other_feature(plant: Plant) -> None:
    (leak,) = leaks_of(plant, market())
    assert leak.feature == "planted"
    assert START <= leak.ts <= leak.cut_date < END
    assert leak.value_with_later_bars != leak.value_without_later_bars
    assert leak.rows > 0


def test_a_leak_at_the_year_end_alone_is_found_on_its_days() -> None:
    (leak,) = leaks_of(january_at_year_end, market())
    assert leak.ts == dt.datetime(1990, 12, 28)
    assert leak.rows <= 16, "four days of four instruments"


# Instruments that come or go by what they do later


def survivors(bars: pl.DataFrame) -> pl.DataFrame:
    """Only the instruments that still trade in the newest sessions."""
    newest = pl.col("ts").max() - pl.duration(days=5)
    alive = bars.filter(pl.col("ts") > newest)["instrument_id"].unique()
    return bars.filter(pl.col("instrument_id").is_in(alive.implode())).with_columns(planted=pl.lit(0.0))


def winners(bars: pl.DataFrame) -> pl.DataFrame:
    """Only the instruments whose newest price is above their usual one."""
    return bars.filter((CLOSE.last() > CLOSE.median()).over("instrument_id")).with_columns(planted=pl.lit(0.0))


def traded_for_long(bars: pl.DataFrame) -> pl.DataFrame:
    """Only the instruments with many bars in all: at the first cuts there is none."""
    return bars.filter((pl.len() > 320).over("instrument_id")).with_columns(planted=pl.lit(0.0))


def last_bar_left_out(bars: pl.DataFrame) -> pl.DataFrame:
    """Not the newest bar, which lacks what comes after it."""
    return bars.filter(CLOSE.shift(-1).is_not_null().over("instrument_id")).with_columns(planted=pl.lit(0.0))


@pytest.mark.parametrize("plant", [survivors, winners, traded_for_long, last_bar_left_out])
def test_rows_that_come_or_go_by_later_bars_are_a_leak(plant: Plant) -> None:
    leaks = leaks_of(plant, market())
    assert [leak.feature for leak in leaks] == [ROW]
    assert {leaks[0].value_with_later_bars, leaks[0].value_without_later_bars} == {0, 1}


def test_the_missing_row_of_a_survivorship_filter_is_shown() -> None:
    (leak,) = leaks_of(survivors, market())
    assert leak.instrument_id == DELISTED
    date = f"{leak.ts:%Y-%m-%d}"
    assert str(leak) == (
        f"the row of i1 at {date} is missing with later bars and there with bars up to {date} only;"
        f" {leak.rows} rows come or go"
    )


def test_a_survivorship_filter_is_also_named_in_the_ranks_of_those_who_survive() -> None:
    def ranked(bars: pl.DataFrame) -> pl.DataFrame:
        return survivors(bars).with_columns(planted=CLOSE.rank().over("ts"))

    assert [leak.feature for leak in leaks_of(ranked, market())] == [ROW, "planted"]


def test_a_feature_that_only_later_bars_bring_is_a_leak() -> None:
    """A column that is left out until there are enough bars in all."""
    enough = market().height - 50

    def compute(given: pl.DataFrame, sessions: Times, start: dt.datetime | None) -> pl.DataFrame:
        found = given.select(*KEY, honest="o", planted="c")
        return found if given.height > enough else found.drop("planted")

    (leak,) = find_leaks(market(), SESSIONS, compute=compute, start=START)
    assert (leak.feature, leak.value_without_later_bars) == ("planted", None)


# Bars that are known later than their session says


def both_markets() -> pl.DataFrame:
    """Two instruments of a market that closes at 16:30, and two of one that closes at 21:00."""
    late = pl.col("instrument_id").is_in(["i0", "i1"])
    hour = pl.when(late).then(pl.duration(hours=21)).otherwise(pl.duration(hours=16, minutes=30))
    return market().with_columns(known_at=pl.col("ts") + hour, late=late)


def mean_return_of(late: bool) -> Plant:
    """The mean return of one market in the same session."""
    chosen = pl.when(pl.col("late") == late).then(pl.col("honest"))
    return lambda bars: bars.with_columns(planted=chosen.mean().over("ts"))


def test_the_same_days_close_of_a_market_that_closes_later_is_a_leak() -> None:
    (leak,) = leaks_of(mean_return_of(late=True), both_markets())
    assert (leak.feature, leak.instrument_id) == ("planted", "i2")
    assert "without bars after 1990-12-01 16:30:00;" in str(leak)


def test_the_close_of_a_market_that_has_closed_is_none() -> None:
    bars = both_markets()

    def compute(given: pl.DataFrame, sessions: Times, start: dt.datetime | None) -> pl.DataFrame:
        ordered = given.sort(*KEY).with_columns(honest=RETURN.over("instrument_id"))
        return mean_return_of(late=False)(ordered).filter("late").select(*KEY, "planted")

    assert find_leaks(bars, SESSIONS, compute=compute, start=START) == []


def restated() -> pl.DataFrame:
    """Bars of which one is delivered again, with another close, two weeks after its session."""
    first, again = dt.datetime(1990, 12, 10), dt.datetime(1990, 12, 24)
    bars = market().with_columns(known_at="ts")
    return pl.concat([bars, bars.filter(pl.col("ts") == first).with_columns(CLOSE * 2, known_at=pl.lit(again))])


def test_restated_bars_are_a_leak_where_the_newest_is_read_and_none_where_the_first_is() -> None:
    def reads(which: str) -> Plant:
        def plant(bars: pl.DataFrame) -> pl.DataFrame:
            return bars.sort("known_at").unique(KEY, keep=which).sort(*KEY).with_columns(honest=1, planted="c")  # type: ignore[arg-type]

        return plant

    (leak,) = leaks_of(reads("last"), restated())
    assert (leak.feature, leak.ts) == ("planted", dt.datetime(1990, 12, 10))
    assert leaks_of(reads("first"), restated()) == []


# Honest ones


HONEST: dict[str, Plant] = {
    "rank within a session": lambda bars: bars.with_columns(planted=pl.col("honest").rank().over("ts")),
    "rank so far": formula(CLOSE.rolling_rank(1000, min_samples=1)),
    "highest so far": formula(CLOSE.cum_max()),
    "trailing window": formula(CLOSE.rolling_mean(5)),
    "filled forwards": formula(pl.when(pl.col("v") > 300_000).then(CLOSE).forward_fill()),
    "calendar": lambda bars: bars.with_columns(planted=pl.col("ts").dt.month_end().dt.day()),
    "number of bars so far": formula(pl.int_range(pl.len())),
    "never defined": lambda bars: bars.with_columns(planted=pl.lit(None, pl.Float64)),
}


@pytest.mark.parametrize("plant", HONEST.values(), ids=HONEST)
def test_an_honest_feature_is_not_named(plant: Plant) -> None:
    assert leaks_of(plant, market()) == []
