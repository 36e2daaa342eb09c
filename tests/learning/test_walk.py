"""The walk-forward: the training set of each quarter, the boosters of each month, and out-of-sample scores."""

import datetime as dt
from dataclasses import replace
from itertools import pairwise

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from worlds.learnable import Frames, markets, scrambled

from boursomatic_assets.calendars.markets import all_sessions
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.model import POOLED, Boosters
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.walk import (
    Quarter,
    WalkForward,
    due_dates,
    label_cutoff,
    walk_forward,
)

QUICK = replace(Parameters(), rounds=15)
LAST = dt.date(2021, 5, 28)
QUARTERS = [dt.date(2020, 8, 3), dt.date(2020, 10, 1), dt.date(2021, 1, 4), dt.date(2021, 4, 1)]
"""When boosters are fitted until LAST: on the first due date with enough history, then in each quarter."""

US, PARIS = pl.col("market") == "US", pl.col("market") == "EURONEXT"


@pytest.fixture(scope="module")
def frames() -> Frames:
    return markets(signal=1.0)


@pytest.fixture(scope="module")
def history(frames: Frames) -> History:
    return History.from_frames(*frames, QUICK)


@pytest.fixture(scope="module")
def walked(history: History) -> WalkForward:
    return walk_forward(history, LAST, QUICK)


def walked_over(frames: Frames, last: dt.date = LAST, parameters: Parameters = QUICK) -> WalkForward:
    return walk_forward(History.from_frames(*frames, parameters), last, parameters)


def quarters_of(walked: WalkForward) -> dict[dt.date, Quarter]:
    """All quarters that were fitted, by their due date."""
    return {quarter.due: quarter for step in walked.steps for quarter in step.quarters}


def boosters_of(walked: WalkForward, last: dt.date = LAST) -> dict[dt.date, Boosters]:
    """The boosters of the quarters until a date."""
    return {due: quarter.boosters for due, quarter in quarters_of(walked).items() if due <= last}


# --- dates


def test_a_due_date_is_the_first_session_of_a_month_of_either_market() -> None:
    found = due_dates(dt.date(2024, 12, 15), dt.date(2025, 5, 2))
    assert found == [dt.date(2025, month, day) for month, day in ((1, 2), (2, 3), (3, 3), (4, 1), (5, 1))]


def test_due_dates_are_between_two_dates_with_both_of_them() -> None:
    assert due_dates(dt.date(2025, 1, 2), dt.date(2025, 2, 3)) == [dt.date(2025, 1, 2), dt.date(2025, 2, 3)]
    assert due_dates(dt.date(2025, 1, 3), dt.date(2025, 2, 2)) == []


def test_labels_are_known_an_embargo_before_the_due_date() -> None:
    """Sessions of either market: before 2021-01-04 came the 31st, 30th, 29th, 28th and 24th of December."""
    assert label_cutoff(dt.date(2021, 1, 4), QUICK) == dt.datetime(2020, 12, 24)
    due = dt.date(2021, 3, 1)
    moment = np.datetime64(label_cutoff(due, QUICK), "D")
    between = all_sessions()[(all_sessions() >= moment) & (all_sessions() < np.datetime64(due))]
    assert len(between) == QUICK.embargo


# --- which rows a quarter learns from


def test_the_first_fit_has_24_sampled_sessions_with_known_labels_and_others_follow_by_quarter(
    walked: WalkForward,
) -> None:
    """24 times 5 sessions, 20 for the horizon and 5 of embargo: in the eighth month."""
    assert list(quarters_of(walked)) == QUARTERS
    assert [step.due for step in walked.steps] == due_dates(QUARTERS[0], LAST)


def test_the_training_set_is_every_row_with_a_known_label(history: History, walked: WalkForward) -> None:
    labels = history.labels[20]
    for due, quarter in quarters_of(walked).items():
        expected = (labels["known_at"] < label_cutoff(due, QUICK)).fill_null(False)
        assert quarter.training_mask.tolist() == expected.to_list()
        trained_on = labels.filter(pl.Series(quarter.training_mask))
        assert trained_on["known_at"].null_count() == trained_on["return_rank"].null_count() == 0


def test_no_session_within_the_horizon_and_the_embargo_of_a_quarter_is_learned_from(
    history: History, walked: WalkForward
) -> None:
    """So 20 sessions of a market, and 5 of both, lie between the last row of it and the due date."""
    sessions = all_sessions()
    for due, quarter in quarters_of(walked).items():
        newest = history.rows.filter(pl.Series(quarter.training_mask))["ts"].max()
        assert isinstance(newest, dt.datetime)
        between = sessions[(sessions > np.datetime64(newest, "D")) & (sessions < np.datetime64(due))]
        assert 25 <= len(between) < 35


def test_a_price_within_the_embargo_changes_no_booster_of_the_quarter(frames: Frames, walked: WalkForward) -> None:
    due = QUARTERS[2]
    features, bars = (scrambled(frame, label_cutoff(due, QUICK).date()) for frame in frames)
    other = walked_over((features, bars))
    assert boosters_of(other, due) == boosters_of(walked, due)
    assert boosters_of(other)[QUARTERS[3]] != boosters_of(walked)[QUARTERS[3]]


# --- which boosters there are


def test_each_market_with_enough_rows_has_boosters_of_its_own(walked: WalkForward) -> None:
    for boosters in boosters_of(walked).values():
        assert boosters.keys() == {POOLED, "US", "EURONEXT"}
        assert len(set(boosters.values())) == 3


def test_a_markets_own_booster_learns_from_its_rows_alone(frames: Frames, walked: WalkForward) -> None:
    """Whatever the other market did changes the pooled booster, and not that of this one."""
    features, bars = frames
    changed = pl.concat([features.filter(US), scrambled(features.filter(PARIS), dt.date.min)])
    other = boosters_of(walked_over((changed, bars)))
    for due, boosters in boosters_of(walked).items():
        assert other[due]["US"] == boosters["US"]
        assert other[due]["EURONEXT"] != boosters["EURONEXT"]
        assert other[due][POOLED] != boosters[POOLED]


def test_a_market_with_too_few_rows_is_learned_with_the_other_alone(frames: Frames) -> None:
    few = [frame.filter(US | pl.col("instrument_id").is_in(["EURONEXT 00", "EURONEXT 01"])) for frame in frames]
    found = boosters_of(walked_over((few[0], few[1])))
    assert all(boosters.keys() == {POOLED, "US"} for boosters in found.values())


def test_a_market_with_too_few_sessions_is_learned_with_the_other_alone(frames: Frames) -> None:
    """Paris begins in June: it has 24 sampled sessions with known labels half a year later."""
    late = [frame.filter(US | (pl.col("ts") >= dt.datetime(2020, 6, 1))) for frame in frames]
    found = boosters_of(walked_over((late[0], late[1]), parameters=replace(QUICK, minimum_training_rows=100)))
    assert found[QUARTERS[1]].keys() == {POOLED, "US"}
    assert found[QUARTERS[2]].keys() == {POOLED, "US", "EURONEXT"}


def test_one_market_alone_has_one_booster(frames: Frames) -> None:
    found = boosters_of(walked_over((frames[0].filter(US), frames[1].filter(US))))
    assert all(boosters.keys() == {POOLED} for boosters in found.values())
    assert list(found) == QUARTERS


def test_too_little_history_makes_no_step() -> None:
    nothing = walked_over(markets(sessions=100), dt.date(2020, 5, 1))
    assert nothing.steps == []
    assert nothing.scores.is_empty()


# --- who scores what


def test_a_month_is_scored_by_the_last_four_quarters_from_their_due_date_on() -> None:
    few = replace(QUICK, rounds=2)
    assert few.boosters == 4
    long = walked_over(markets(signal=1.0, sessions=640), dt.date(2022, 6, 1), few)
    quarters = [*QUARTERS, *(dt.date(*day) for day in ((2021, 7, 1), (2021, 10, 1), (2022, 1, 3), (2022, 4, 1)))]
    assert list(quarters_of(long)) == quarters
    for step in long.steps:
        known = [quarter for quarter in quarters if quarter <= step.due]
        assert [quarter.due for quarter in step.quarters] == known[-4:]
    assert {len(step.quarters) for step in long.steps} == {1, 2, 3, 4}


def test_a_score_is_the_mean_of_the_quarters_of_the_pooled_and_the_markets_own_booster(
    history: History, walked: WalkForward
) -> None:
    values = history.rows.select(QUICK.features).cast(pl.Float64).to_numpy()[walked.row_indices]
    market, ts = walked.scores["market"].to_numpy(), walked.scores["ts"].to_numpy()
    starts = [np.datetime64(step.due) for step in walked.steps]

    def said(text: str, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        return np.asarray(lgb.Booster(model_str=text).predict(values[rows], num_threads=1))

    for step, (start, end) in zip(walked.steps, pairwise([*starts, np.datetime64("2100-01-01")]), strict=True):
        for name in ("US", "EURONEXT"):
            rows = (ts >= start) & (ts < end) & (market == name)
            by_quarter = [(said(one[POOLED], rows) + said(one[name], rows)) / 2 for one in step.boosters]
            found = walked.scores.filter(pl.Series(rows))["score"].to_numpy()
            assert len(found) > 0
            assert found == pytest.approx(np.mean(by_quarter, axis=0), abs=1e-12)


def test_every_sampled_session_from_the_first_step_on_is_scored_once(
    history: History, walked: WalkForward
) -> None:
    rows = history.rows.filter(pl.col("ts") >= walked.steps[0].start)
    assert walked.scores.select("instrument_id", "ts").equals(rows.select("instrument_id", "ts"))
    assert history.rows[walked.row_indices].equals(rows)
    assert walked.scores["score"].is_finite().all()


def test_a_score_is_ranked_within_its_market_and_session(walked: WalkForward) -> None:
    for session in walked.scores.partition_by("market", "ts"):
        score = session["score"].to_numpy()
        below, equal = (score < score[:, None]).sum(axis=1), (score == score[:, None]).sum(axis=1)
        assert session["score_rank"].to_list() == pytest.approx((below + equal / 2) / len(score))


def test_the_target_is_the_rank_within_the_session_and_no_level_of_the_market(
    frames: Frames, walked: WalkForward
) -> None:
    """A market that rises in each session, all instruments alike, teaches the same as one that goes nowhere."""
    features, bars = frames
    session = pl.col("ts").rank("dense").over("market").cast(pl.Float64) - 1
    risen = bars.with_columns(c=pl.col("c") * 1.05**session)
    assert boosters_of(walked_over((features, risen))) == boosters_of(walked)


# --- nothing from the future


@pytest.mark.parametrize("due", [dt.date(2020, 12, 1), dt.date(2021, 1, 4), dt.date(2021, 2, 1)])
def test_nothing_later_changes_what_was_fitted_or_scored_before(
    frames: Frames, walked: WalkForward, due: dt.date
) -> None:
    features, bars = (scrambled(frame, due) for frame in frames)
    other = walked_over((features, bars))
    past = pl.col("ts") < dt.datetime.combine(due, dt.time())
    assert other.scores.filter(past).equals(walked.scores.filter(past))
    assert boosters_of(other, due) == boosters_of(walked, due)
    assert boosters_of(other) != boosters_of(walked)
    ridge, other_ridge = (
        [quarter.ridge_weights.tolist() for quarter in quarters_of(one).values() if quarter.due <= due]
        for one in (walked, other)
    )
    assert other_ridge == ridge


def test_history_that_ends_at_a_due_date_gives_the_same_steps_up_to_it(
    frames: Frames, walked: WalkForward
) -> None:
    due = dt.date(2021, 2, 1)
    past = pl.col("ts") < dt.datetime.combine(due, dt.time())
    other = walked_over((frames[0].filter(past), frames[1].filter(past)), due)
    assert [step.boosters for step in other.steps] == [step.boosters for step in walked.steps if step.due <= due]
    assert other.scores.equals(walked.scores.filter(past))


def test_a_due_date_uses_no_session_of_its_own_date_of_the_other_market(
    frames: Frames, walked: WalkForward
) -> None:
    """Paris closes first: what New York does on a due date must not be in what Paris is scored with."""
    due = dt.date(2021, 1, 4)
    changed = [pl.concat([scrambled(frame.filter(US), due), frame.filter(PARIS)]) for frame in frames]
    other = walked_over((changed[0], changed[1]))
    of_paris = PARIS & (pl.col("ts").dt.date() < QUARTERS[3])
    assert other.scores.filter(of_paris).equals(walked.scores.filter(of_paris))


def test_row_order_and_threads_change_no_byte(frames: Frames, walked: WalkForward) -> None:
    features, bars = (frame.sample(fraction=1, shuffle=True, seed=1) for frame in frames)
    other = walked_over((features, bars), parameters=replace(QUICK, num_threads=3))
    assert [step.boosters for step in other.steps] == [step.boosters for step in walked.steps]
    assert all(
        np.array_equal(a.ridge_weights, b.ridge_weights)
        for a, b in zip(quarters_of(other).values(), quarters_of(walked).values(), strict=True)
    )
    assert other.scores.equals(walked.scores)
