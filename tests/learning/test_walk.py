"""The walk-forward: the training set of each due date, and out-of-sample scores."""

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from worlds.learnable import Frames, markets, scrambled

from boursomatic_assets.calendars.markets import all_sessions
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.walk import WalkForward, due_dates, label_cutoff, walk_forward

QUICK = replace(Parameters(), rounds=15)
LAST = dt.date(2021, 5, 28)


@pytest.fixture(scope="module")
def frames() -> Frames:
    return markets(signal=1.0)


@pytest.fixture(scope="module")
def history(frames: Frames) -> History:
    return History.from_frames(*frames, QUICK)


@pytest.fixture(scope="module")
def walked(history: History) -> WalkForward:
    return walk_forward(history, LAST, QUICK)


def walked_over(frames: Frames, last: dt.date = LAST) -> WalkForward:
    return walk_forward(History.from_frames(*frames, QUICK), last, QUICK)


def test_a_due_date_is_the_first_session_of_a_month_of_either_market() -> None:
    found = due_dates(dt.date(2024, 12, 15), dt.date(2025, 5, 2))
    assert found == [dt.date(2025, month, day) for month, day in ((1, 2), (2, 3), (3, 3), (4, 1), (5, 1))]


def test_due_dates_are_between_two_dates_with_both_of_them() -> None:
    assert due_dates(dt.date(2025, 1, 2), dt.date(2025, 2, 3)) == [dt.date(2025, 1, 2), dt.date(2025, 2, 3)]
    assert due_dates(dt.date(2025, 1, 3), dt.date(2025, 2, 2)) == []


def test_labels_are_known_an_embargo_before_the_due_date() -> None:
    due = dt.date(2021, 3, 1)
    moment = np.datetime64(label_cutoff(due, QUICK), "D")
    between = all_sessions()[(all_sessions() >= moment) & (all_sessions() < np.datetime64(due))]
    assert len(between) == QUICK.embargo


def test_the_first_step_has_24_sampled_sessions_with_known_labels(walked: WalkForward) -> None:
    """24 times 5 sessions, 20 for the horizon and 5 of embargo: in the eighth month."""
    assert walked.steps[0].due == dt.date(2020, 8, 3)
    assert [step.due for step in walked.steps] == due_dates(dt.date(2020, 8, 3), LAST)


def test_the_training_set_is_every_row_with_a_known_label(history: History, walked: WalkForward) -> None:
    known_at = history.labels[20]["known_at"]
    for step in walked.steps:
        assert step.fit.training_rows == (known_at < label_cutoff(step.due, QUICK)).sum()


def test_every_sampled_session_from_the_first_step_on_is_scored_once(
    history: History, walked: WalkForward
) -> None:
    rows = history.rows.filter(pl.col("ts") >= walked.steps[0].start)
    assert walked.scores.select("instrument_id", "ts").equals(rows.select("instrument_id", "ts"))
    assert walked.scores["score"].is_finite().all()


@pytest.mark.parametrize("due", [dt.date(2020, 9, 1), dt.date(2021, 2, 1)])
def test_nothing_later_changes_what_was_fitted_or_scored_before(
    frames: Frames, walked: WalkForward, due: dt.date
) -> None:
    features, bars = (scrambled(frame, due) for frame in frames)
    other = walked_over((features, bars))
    past = pl.col("ts") < dt.datetime.combine(due, dt.time())
    assert other.scores.filter(past).equals(walked.scores.filter(past))
    texts = {step.due: step.fit.booster_text for step in other.steps}
    assert all(texts[step.due] == step.fit.booster_text for step in walked.steps if step.due <= due)
    assert any(texts[step.due] != step.fit.booster_text for step in walked.steps)


def test_history_that_ends_at_a_due_date_gives_the_same_steps_up_to_it(
    frames: Frames, walked: WalkForward
) -> None:
    due = dt.date(2021, 2, 1)
    past = pl.col("ts") < dt.datetime.combine(due, dt.time())
    other = walked_over((frames[0].filter(past), frames[1].filter(past)), due)
    assert [step.fit.booster_text for step in other.steps] == [
        s.fit.booster_text for s in walked.steps if s.due <= due
    ]
    assert other.scores.equals(walked.scores.filter(past))


def test_row_order_and_threads_change_no_byte(frames: Frames, walked: WalkForward) -> None:
    features, bars = (frame.sample(fraction=1, shuffle=True, seed=1) for frame in frames)
    other = walk_forward(History.from_frames(features, bars, QUICK), LAST, replace(QUICK, num_threads=3))
    assert [step.fit.booster_text for step in other.steps] == [step.fit.booster_text for step in walked.steps]
    assert all(
        np.array_equal(a.fit.ridge_weights, b.fit.ridge_weights)
        for a, b in zip(other.steps, walked.steps, strict=True)
    )
    assert other.scores.equals(walked.scores)


def test_a_due_date_uses_no_session_of_its_own_date_of_the_other_market(
    frames: Frames, walked: WalkForward
) -> None:
    """Paris closes first: what New York does on a due date must not be in what Paris is scored with."""
    due = dt.date(2021, 2, 1)
    new_york = pl.col("market") == "US"
    changed = [pl.concat([scrambled(frame.filter(new_york), due), frame.filter(~new_york)]) for frame in frames]
    other = walked_over((changed[0], changed[1]))
    paris = (pl.col("market") == "EURONEXT") & (pl.col("ts").dt.date() < dt.date(2021, 3, 1))
    assert other.scores.filter(paris).equals(walked.scores.filter(paris))


def test_too_little_history_makes_no_step() -> None:
    short = markets(sessions=100)
    assert walked_over(short, dt.date(2020, 5, 1)).steps == []
