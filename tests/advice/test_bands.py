"""Bands: a direction begins at an end of a session's scores, and goes on nearer to the middle."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from boursomatic_assets.advice.bands import MEMORY, find_directions
from boursomatic_assets.calendars.markets import MARKETS

SESSIONS = MARKETS["US"].sessions()
FIRST = int(np.searchsorted(SESSIONS, np.datetime64("2024-01-02")))


def directions(*ranks: float | None, name: str = "A") -> list[str | None]:
    """The directions of an instrument with these ranks in a row; None is a session without a score."""
    return find_directions(ranked(*ranks, name=name), SESSIONS).to_list()


def ranked(*ranks: float | None, name: str = "A") -> pl.DataFrame:
    rows = [(name, SESSIONS[FIRST + place].item(), rank) for place, rank in enumerate(ranks) if rank is not None]
    return pl.DataFrame(rows, {"instrument_id": pl.String, "ts": pl.Date, "score_rank": pl.Float64}, orient="row")


@pytest.mark.parametrize(
    ("rank", "direction"),
    [(0.95, "BUY"), (0.9, "BUY"), (0.89, None), (0.5, None), (0.1, None), (0.09, "SELL"), (0.0, "SELL")],
)
def test_a_direction_begins_in_the_outer_tenth(rank: float, direction: str | None) -> None:
    assert directions(rank) == [direction]


def test_a_buy_goes_on_in_the_best_three_tenths_and_is_to_be_entered_again_after_it_left_them() -> None:
    assert directions(0.95, 0.71, 0.7, 0.69, 0.89, 0.9) == ["BUY", "BUY", "BUY", None, None, "BUY"]


def test_a_sell_goes_on_in_the_worst_three_tenths() -> None:
    assert directions(0.05, 0.29, 0.3, 0.2, 0.05) == ["SELL", "SELL", None, None, "SELL"]


def test_from_one_end_to_the_other_in_a_session() -> None:
    assert directions(0.95, 0.05, 0.95) == ["BUY", "SELL", "BUY"]


def test_an_entry_counts_for_so_many_sessions() -> None:
    assert directions(0.95, *[0.8] * MEMORY) == [*["BUY"] * MEMORY, None]
    assert directions(0.95, *[0.8] * 5, 0.95, *[0.8] * MEMORY) == [*["BUY"] * (6 + MEMORY), None]


def test_a_session_without_a_score_changes_nothing_but_time_goes_on() -> None:
    assert directions(0.95, None, 0.8) == ["BUY", "BUY"]
    assert directions(0.95, *[None] * MEMORY, 0.8) == ["BUY", None]


def test_instruments_are_apart_and_the_order_of_the_rows_does_not_matter() -> None:
    together = pl.concat([ranked(0.95, 0.8, name="A"), ranked(0.5, 0.8, name="B")])
    expected = {("A", 0): "BUY", ("A", 1): "BUY", ("B", 0): None, ("B", 1): None}
    for rows in (together, together.reverse(), together.sort("ts", "instrument_id")):
        found = rows.with_columns(direction=find_directions(rows, SESSIONS))
        first = SESSIONS[FIRST].item()
        assert {
            (name, int(ts > first)): direction
            for name, ts, direction in found.select("instrument_id", "ts", "direction").iter_rows()
        } == expected


def test_a_direction_is_the_same_whichever_range_it_is_found_in() -> None:
    """The sessions of the memory before a row are enough, and none after it counts."""
    random = np.random.default_rng(4)
    ranks = np.clip(np.cumsum(random.normal(0, 0.2, 200)) % 2, 0, 1)
    rows = ranked(*ranks)
    whole = find_directions(rows, SESSIONS)
    for place in range(MEMORY - 1, 200):
        window = rows[place - MEMORY + 1 : place + 1]
        assert find_directions(window, SESSIONS)[-1] == whole[place]
    assert {"BUY", "SELL", None} == set(whole)


def test_dates_may_be_instants() -> None:
    rows = ranked(0.95, 0.8).with_columns(pl.col("ts").cast(pl.Datetime("us")))
    assert find_directions(rows, SESSIONS).to_list() == ["BUY", "BUY"]
    assert rows["ts"][0] == dt.datetime(2024, 1, 2)
