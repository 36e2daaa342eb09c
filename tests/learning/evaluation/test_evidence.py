"""Evidence: its value by hand, that chance is bounded, steps that do not overlap, and how often noise passes."""

import datetime as dt
import itertools
import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.learning.evaluation import evidence
from boursomatic_assets.learning.evaluation.evidence import EvidenceRecord, e_value

Floats = npt.NDArray[np.float64]
EVER = dt.datetime.max
DAY = dt.timedelta(days=1)
FIRST = dt.datetime(2024, 1, 1)

# --- the value of a series of steps


def test_the_value_of_two_steps_by_hand() -> None:
    """In steps of a quarter of a year: a bet of r/2 on 0.3 / 0.15, then of r/2 on -0.1 / 0.1897, for all r.

    The deviation of the first step is the 0.15 of before; of the second, the root of (4 x 0.15^2 + 0.3^2) / 5.
    With r the size of a standard normal number, the mean of exp(a r - q r^2 / 2) is a known integral.
    """
    first, second = 0.5 * 0.3 / 0.15, 0.5 * -0.1 / math.sqrt(0.18 / 5)
    a, q = first + second, first**2 + second**2
    integral = 2 / math.sqrt(1 + q) * math.exp(a**2 / (2 * (1 + q))) * NormalDist().cdf(a / math.sqrt(1 + q))
    assert e_value([0.3, -0.1], 63) == pytest.approx(integral, rel=0.002)
    assert integral == pytest.approx(1.1026, abs=1e-4)


def test_the_value_is_the_mean_over_bets_of_products_over_steps() -> None:
    """To the last digit, for the 32 sizes of bet: here of steps of 40 sessions."""
    ratios = [NormalDist().inv_cdf(0.5 + (n + 0.5) / 64) for n in range(32)]
    deviations = [0.15, math.sqrt((0.09 + 0.04) / 5), math.sqrt((0.09 + 0.04 + 0.01) / 6)]
    expected = 0.0
    for ratio in ratios:
        product = 1.0
        for rank_ic, deviation in zip([0.2, -0.1, 0.05], deviations, strict=True):
            stake = ratio * math.sqrt(40 / 252) * rank_ic / deviation
            product *= math.exp(stake - stake**2 / 2)
        expected += product / 32
    assert e_value([0.2, -0.1, 0.05], 40) == pytest.approx(expected, rel=1e-12)


def test_without_a_step_it_is_one_to_one() -> None:
    assert e_value([], 20) == 1.0


def test_steps_speak_for_their_sign() -> None:
    assert e_value([0.1] * 6, 20) > 1.3 > 1 > 0.8 > e_value([-0.1] * 6, 20)


ICS = st.lists(st.floats(-1, 1), min_size=1, max_size=6)


@given(ICS, st.sampled_from([10, 20, 40]))
def test_over_all_signs_of_its_steps_it_is_one_to_one_at_most(rank_ics: list[float], horizon: int) -> None:
    """This is what bounds chance: with rank ICs as likely positive as negative, a stake of 1 gains nothing."""
    signs = itertools.product((1, -1), repeat=len(rank_ics))
    values = [e_value(np.multiply(rank_ics, sign), horizon) for sign in signs]
    assert np.mean(values) <= 1 + 1e-9


@given(ICS, st.floats(-1, 1))
def test_a_step_is_bet_on_before_it_is_seen(rank_ics: list[float], last: float) -> None:
    """Whatever comes next, or its opposite: on average nothing is gained on what there was."""
    risen, fallen = (e_value([*rank_ics, sign * last], 20) for sign in (1, -1))
    assert (risen + fallen) / 2 <= e_value(rank_ics, 20) * (1 + 1e-9)


# --- a record


def sessions(dates: list[dt.datetime], known_at: list[dt.datetime], rank_ics: list[float | None]) -> pl.DataFrame:
    columns = {"ts": dates, "known_at": known_at, "rank_ic": rank_ics}
    types = {"ts": pl.Datetime("us"), "known_at": pl.Datetime("us"), "rank_ic": pl.Float64}
    return pl.DataFrame(columns, schema_overrides=types).sort("ts", maintain_order=True)


def market_rows(market: str, ts: dt.datetime, known_at: dt.datetime, returns: list[float | None]) -> pl.DataFrame:
    """Instruments whose scores rise with their number."""
    rows = pl.DataFrame({"forward_return": returns, "score": range(len(returns))}, strict=False)
    return rows.cast(pl.Float64).with_columns(
        market=pl.lit(market), ts=pl.lit(ts, pl.Datetime("us")), known_at=pl.lit(known_at, pl.Datetime("us"))
    )


RISING = [float(n) for n in range(12)]


def test_a_record_is_reduced_to_the_rank_ic_of_each_date_the_mean_of_its_markets() -> None:
    """New York is ranked perfectly, and Paris the wrong way round but for the last two of twelve."""
    late = FIRST + 3 * DAY
    swapped = [*RISING[:1:-1], 0.0, 1.0]
    rows = pl.concat(
        [
            market_rows("EURONEXT", FIRST, FIRST + DAY, swapped),
            market_rows("US", FIRST, FIRST + 2 * DAY, RISING),
            market_rows("US", late, late + DAY, RISING[::-1]),
        ]
    )
    record = EvidenceRecord.from_rows(rows, 10)
    paris = float(np.corrcoef(RISING, swapped)[0, 1])
    assert record.dates["ts"].to_list() == [FIRST, late]
    assert record.dates["rank_ic"].to_list() == pytest.approx([(1 + paris) / 2, -1])
    assert record.dates["known_at"].to_list() == [FIRST + 2 * DAY, late + DAY], "when the later market's is known"


def test_rows_without_a_return_and_sessions_without_a_ranking_are_left_out() -> None:
    rows = pl.concat(
        [
            market_rows("EURONEXT", FIRST, FIRST + 9 * DAY, [0.0] * 12),
            market_rows("US", FIRST, FIRST + DAY, [*RISING, None]),
            market_rows("US", FIRST + DAY, FIRST + 2 * DAY, [None] * 12),
            market_rows("US", FIRST + 2 * DAY, FIRST + 3 * DAY, RISING[:5]),
        ]
    )
    ((ts, known_at, rank_ic),) = EvidenceRecord.from_rows(rows, 10).dates.rows()
    assert (ts, known_at, rank_ic) == (FIRST, FIRST + DAY, pytest.approx(1))


def test_a_record_of_nothing_is_one_to_one() -> None:
    nothing = EvidenceRecord.from_rows(market_rows("US", FIRST, FIRST, RISING).clear(), 10)
    assert nothing.before(EVER) == {"value": 1.0, "against": 1.0, "steps": 0}


def weekly(rank_ics: Floats | list[float], horizon: int) -> EvidenceRecord:
    """A record on every fifth day; a session is a day, so that the calendar has no holiday."""
    dates = [FIRST + 5 * n * DAY for n in range(len(rank_ics))]
    known = [date + horizon * DAY for date in dates]
    return EvidenceRecord.from_sessions(sessions(dates, known, [float(x) for x in rank_ics]), horizon)


def test_the_value_is_the_mean_over_the_series_and_against_is_its_mirror_image() -> None:
    """Of steps of 10 sessions on every fifth: the even ones and the odd ones."""
    ics = [0.1, -0.05, 0.2, 0.3, -0.1]
    found = weekly(ics, 10).before(EVER)
    assert found["value"] == pytest.approx((e_value([0.1, 0.2, -0.1], 10) + e_value([-0.05, 0.3], 10)) / 2)
    assert found["against"] == pytest.approx((e_value([-0.1, -0.2, 0.1], 10) + e_value([0.05, -0.3], 10)) / 2)
    assert found["steps"] == 3


def test_a_series_counts_from_its_first_known_step() -> None:
    """After 13 days the first of two series has a step, and the other has none."""
    found = weekly([0.1, -0.05, 0.2], 10).before(FIRST + 13 * DAY)
    assert found == {"value": e_value([0.1], 10), "against": e_value([-0.1], 10), "steps": 1}


def test_an_outcome_counts_from_the_moment_after_it_is_known() -> None:
    record = weekly([0.1, -0.05, 0.2], 10)
    assert record.before(FIRST + 10 * DAY)["steps"] == 0
    assert record.before(FIRST + 10 * DAY + dt.timedelta(microseconds=1))["steps"] == 1


def sampled(horizon: int, names: tuple[str, ...] = ("EURONEXT", "US"), first: int = 0) -> pl.DataFrame:
    """Every fifth date of both calendars in ten years, with the ends of the horizon on each market's own."""
    rows = []
    for date in all_sessions()[(all_sessions() >= np.datetime64("2014-01-01"))][::5][first : first + 500]:
        for name in names:
            own = MARKETS[name].sessions()
            place = int(np.searchsorted(own, date))
            if own[place] == date:
                rows.append((date.astype("M8[us]").item(), own[place + horizon].astype("M8[us]").item()))
    random = np.random.default_rng(1)
    return sessions([row[0] for row in rows], [row[1] for row in rows], random.normal(0, 0.2, len(rows)).tolist())


@pytest.mark.parametrize("names", [("EURONEXT", "US"), ("US",), ("EURONEXT",)])
@pytest.mark.parametrize("horizon", [10, 20, 40])
def test_steps_of_a_series_do_not_overlap_and_no_date_is_in_two(horizon: int, names: tuple[str, ...]) -> None:
    record = EvidenceRecord.from_sessions(sampled(horizon, names), horizon)
    starts, ends = (record.dates[name].to_list() for name in ("ts", "known_at"))
    for steps in record.series:
        assert all(ends[step] <= starts[after] for step, after in itertools.pairwise(steps))
    used = [step for steps in record.series for step in steps]
    assert len(used) == len(set(used))


@pytest.mark.parametrize("first", range(0, 60, 7))
@pytest.mark.parametrize("horizon", [10, 20, 40])
def test_no_part_of_a_record_is_forgotten(horizon: int, first: int) -> None:
    """Holidays of one market make some steps longer; four fifths of the dates are in a series even so."""
    record = EvidenceRecord.from_sessions(sampled(horizon, first=first), horizon)
    lengths = [len(steps) for steps in record.series]
    assert horizon / 5 <= len(lengths) <= horizon / 5 + 1
    assert sum(lengths) >= 0.82 * record.dates.height
    assert max(lengths) <= min(lengths) + 1


@pytest.mark.parametrize("horizon", [10, 20, 40])
@pytest.mark.parametrize("cutoff", [dt.datetime(2014, 1, 20), dt.datetime(2015, 5, 4), dt.datetime(2019, 8, 1)])
def test_later_sessions_change_nothing(horizon: int, cutoff: dt.datetime) -> None:
    """Neither others, nor none: what a version knew is the same whenever it is computed."""
    rows = sampled(horizon)
    known = pl.col("known_at") < cutoff
    whole = EvidenceRecord.from_sessions(rows, horizon).before(cutoff)
    date_known = rows.group_by("ts").agg(pl.col("known_at").max()).filter(known)["ts"]
    of_then = rows.filter(pl.col("ts").is_in(date_known.implode()))
    changed = rows.with_columns(rank_ic=pl.when(pl.col("ts").is_in(of_then["ts"].implode())).then("rank_ic"))
    assert EvidenceRecord.from_sessions(of_then, horizon).before(cutoff) == whole
    assert EvidenceRecord.from_sessions(changed.fill_null(0.9), horizon).before(cutoff) == whole
    assert EvidenceRecord.from_sessions(changed.fill_null(0.9), horizon).before(EVER) != whole


# --- how often it passes, whoever looks and however often

YEARS, HISTORIES, INSTRUMENTS, PERSISTENCE = 10, 800, 16, 0.97
WEEKS = 504


@dataclass(frozen=True)
class Price:
    """What a profile asks, and how often noise and a true annual ratio of 1.0 ever pass, as shares.

    Attributes:
        horizon: Sessions of a step.
        asked: How many to one.
        noise: Within 3 and 10 years.
        power: The least within 5 and 10 years.
    """

    horizon: int
    asked: float
    noise: tuple[float, float]
    power: tuple[float, float]


PRICES = [
    Price(40, 20.0, (0.01, 0.02), (0.20, 0.62)),
    Price(20, 5.0, (0.06, 0.11), (0.58, 0.86)),
    Price(10, 2.0, (0.27, 0.34), (0.83, 0.95)),
]
"""Of the conservative, the moderate and the aggressive profile."""

by_price = pytest.mark.parametrize("price", PRICES, ids=lambda price: f"{price.asked:g} to 1")


@cache
def noise(horizon: int) -> Floats:
    """Rank ICs of ten years of weeks: persistent scores that say nothing, and overlapping sums of returns."""
    random, weeks = np.random.default_rng(horizon), horizon // 5
    returns = random.standard_normal((HISTORIES, WEEKS + weeks, INSTRUMENTS), dtype=np.float32)
    sums = np.pad(returns.cumsum(axis=1), ((0, 0), (1, 0), (0, 0)))
    forward = sums[:, weeks : weeks + WEEKS] - sums[:, :WEEKS]
    score = random.standard_normal((HISTORIES, WEEKS, INSTRUMENTS), dtype=np.float32)
    for week in range(1, WEEKS):
        score[:, week] = PERSISTENCE * score[:, week - 1] + math.sqrt(1 - PERSISTENCE**2) * score[:, week]
    x, y = (values - values.mean(axis=2, keepdims=True) for values in (score, forward))
    xy, xx, yy = (np.einsum("htn,htn->ht", *pair) for pair in ((x, y), (x, x), (y, y)))
    ics: Floats = (xy / np.sqrt(xx * yy)).astype(np.float64)
    return ics


def values_by_week(rank_ics: Floats, horizon: int) -> Floats:
    """The evidence of each history after each of its weeks: what `before` says, of all histories at once."""
    weeks = horizon // 5
    total = np.zeros_like(rank_ics)
    for first in range(weeks):
        steps = rank_ics[:, first::weeks]
        count = steps.shape[1]
        before = np.cumsum(steps**2, axis=1) - steps**2
        variance = (evidence.PRIOR_STEPS * evidence.PRIOR_DEVIATION**2 + before) / (
            evidence.PRIOR_STEPS + np.arange(count)
        )
        stakes = math.sqrt(horizon / 252) * steps / np.sqrt(variance)
        gained, paid = stakes.cumsum(axis=1), (stakes**2).cumsum(axis=1) / 2
        ratios = [NormalDist().inv_cdf(0.5 + (n + 0.5) / 64) for n in range(32)]
        value = sum(np.exp(ratio * gained - ratio**2 * paid) for ratio in ratios) / len(ratios)
        total[:, first:] += np.repeat(value, weeks, axis=1)[:, : WEEKS - first]
    begun = np.minimum(np.arange(WEEKS) + 1, weeks)
    return total / begun


def passed(rank_ics: Floats, price: Price, years: int) -> float:
    """The share of histories whose evidence is as much as is asked at least once, looked at in every week."""
    weeks = years * WEEKS // YEARS - price.horizon // 5
    return float((values_by_week(rank_ics, price.horizon)[:, :weeks].max(axis=1) >= price.asked).mean())


def with_ratio(rank_ics: Floats, horizon: int, annual_ratio: float) -> Floats:
    """Rank ICs whose mean is so many times their deviation over a year of steps."""
    return rank_ics + annual_ratio * rank_ics.std() / math.sqrt(252 / horizon)


@pytest.mark.slow
@by_price
def test_the_simulation_says_what_the_product_says(price: Price) -> None:
    for history, shift in ((0, 0.0), (1, 1.0), (2, -1.0)):
        ics = with_ratio(noise(price.horizon)[history : history + 1], price.horizon, shift)
        of, against = (values_by_week(sign * ics, price.horizon)[0] for sign in (1, -1))
        record = weekly(ics[0], price.horizon)
        for week in (0, 1, 9, 100, 257, WEEKS - 1):
            found = record.before(FIRST + (5 * week + price.horizon) * DAY + DAY)
            assert (found["value"], found["against"]) == pytest.approx((of[week], against[week]), rel=1e-9)


@pytest.mark.slow
@by_price
def test_noise_ever_passes_as_seldom_as_is_stated(price: Price) -> None:
    """At most once in as many as is asked, whoever looks and however often: for a score, and against it."""
    for years, expected in zip((3, 10), price.noise, strict=True):
        shares = [passed(sign * noise(price.horizon), price, years) for sign in (1, -1)]
        assert max(shares) <= 1 / price.asked
        assert np.mean(shares) == pytest.approx(expected, abs=0.01 + 0.25 * expected)


@pytest.mark.slow
@by_price
def test_a_true_annual_ratio_of_one_passes_often_and_its_opposite_withdraws_as_often(price: Price) -> None:
    ics = with_ratio(noise(price.horizon), price.horizon, 1.0)
    for years, least in zip((5, 10), price.power, strict=True):
        assert passed(ics, price, years) >= least
        assert passed(-with_ratio(noise(price.horizon), price.horizon, -1.0), price, years) >= least
    assert passed(-ics, price, 10) <= 0.1
