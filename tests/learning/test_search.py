"""The search: it uses nothing after the cutoff, is never worse than the present parameters, and its output.

The command on stored rows is in `tests/cli/`.
"""

import datetime as dt
import sys
from dataclasses import asdict, replace

import polars as pl
import pytest
from worlds.commands import boursomatic, error_line
from worlds.learnable import Frames, markets, scrambled

from boursomatic_assets.cli.views import models
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.search import (
    SEARCH_SPACE,
    SearchResult,
    history_before,
    mean_rank_ic,
    search_parameters,
    searched_values,
)
from boursomatic_assets.learning.training import train_challengers

pytestmark = pytest.mark.slow

PRESENT = replace(Parameters(), rounds=40, minimum_training_sessions=20)
CUTOFF = dt.date(2021, 2, 1)
TRIALS = 4


@pytest.fixture(scope="module")
def frames() -> Frames:
    return markets(signal=0.3)


@pytest.fixture(scope="module")
def history(frames: Frames) -> History:
    return History.from_frames(*frames, PRESENT)


@pytest.fixture(scope="module")
def found(history: History) -> SearchResult:
    return search_parameters(history, CUTOFF, PRESENT, TRIALS)


def test_the_present_parameters_are_tried_first(history: History, found: SearchResult) -> None:
    first = found.trials.row(0, named=True)
    assert first == {
        "trial": 0,
        "rank_ic": mean_rank_ic(history_before(history, CUTOFF), PRESENT),
    } | searched_values(PRESENT)
    assert found.trials.height == TRIALS
    assert found.trials.select(*SEARCH_SPACE).is_unique().all()


def test_the_found_parameters_are_the_best_trial_and_never_worse_than_the_present(found: SearchResult) -> None:
    best = found.trials.sort("rank_ic", descending=True).row(0, named=True)
    assert searched_values(found.parameters) == {name: best[name] for name in SEARCH_SPACE}
    assert found.comparison["rank_ic_before"].to_list() == [found.trials["rank_ic"][0], best["rank_ic"]]


def test_only_searched_parameters_change_and_within_their_bounds(found: SearchResult) -> None:
    changed = {name for name, value in asdict(found.parameters).items() if value != asdict(PRESENT)[name]}
    assert changed <= set(SEARCH_SPACE)
    for name, (least, most) in SEARCH_SPACE.items():
        assert found.trials[name].is_between(least, most).all()


def test_rows_from_the_cutoff_on_change_no_trial(frames: Frames, found: SearchResult) -> None:
    features, bars = (scrambled(frame, CUTOFF) for frame in frames)
    other = search_parameters(History.from_frames(features, bars, PRESENT), CUTOFF, PRESENT, TRIALS)
    assert other.trials.equals(found.trials)
    assert other.parameters == found.parameters
    assert not other.comparison["rank_ic_after"].equals(found.comparison["rank_ic_after"])


def test_history_that_ends_at_the_cutoff_gives_the_same_trials_and_no_rank_ic_after_it(
    frames: Frames, found: SearchResult
) -> None:
    features, bars = (frame.filter(pl.col("ts").dt.date() < CUTOFF) for frame in frames)
    other = search_parameters(History.from_frames(features, bars, PRESENT), CUTOFF, PRESENT, TRIALS)
    assert other.trials.equals(found.trials)
    assert other.comparison["rank_ic_after"].to_list() == [None, None]


def test_the_same_seed_gives_the_same_trials_and_another_one_others(history: History, found: SearchResult) -> None:
    assert search_parameters(history, CUTOFF, PRESENT, 2).trials.equals(found.trials.head(2))
    assert not search_parameters(history, CUTOFF, PRESENT, 2, seed=2).trials.equals(found.trials.head(2))


def test_the_objective_is_the_rank_ic_of_a_version_of_the_cutoff(history: History, found: SearchResult) -> None:
    ((_, challenger),) = train_challengers(history, [CUTOFF], found.parameters)
    assert challenger
    assert found.comparison["rank_ic_before"][1] == pytest.approx(challenger.metrics["rank_ic"], rel=1e-12)


def test_a_session_with_equal_scores_counts_as_zero(history: History) -> None:
    """With so many rows in a leaf nothing can be split, and all scores are equal."""
    assert mean_rank_ic(history, replace(PRESENT, minimum_rows_in_leaf=10**6)) == 0.0


def test_a_cutoff_without_a_record_before_it_is_an_error(history: History) -> None:
    with pytest.raises(ValueError, match="nothing was scored and known before 2020-03-02"):
        search_parameters(history, dt.date(2020, 3, 2), PRESENT, TRIALS)


def test_the_found_parameters_are_shown_as_lines_of_code(found: SearchResult) -> None:
    better = replace(PRESENT, leaves=12, learning_rate=0.031)
    lines = models.search_as_text(replace(found, parameters=better), PRESENT).splitlines()
    assert lines[-2:] == ["    leaves: int = 12", "    learning_rate: float = 0.031"]
    lines = models.search_as_text(replace(found, parameters=PRESENT), PRESENT).splitlines()
    assert lines[-1] == "no trial was better than the present parameters"


def test_without_optuna_the_command_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    message = error_line(boursomatic("models", "search", "--until", "2024-02-01"))
    assert message == "error: the search needs optuna, which is not installed: run `pip install optuna`"
