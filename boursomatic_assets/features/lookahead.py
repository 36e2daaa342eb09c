"""Look-ahead: tests of features on real bars. Does one look ahead, and how much history does it need?

What belongs here: computing features again on fewer bars, and by how much they differ.
Kept elsewhere: which bars are tested, and how results are printed (`cli/features.py`).

Both tests run all that `compute.compute_features` computes: formulas that a user added, ranks and context too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from boursomatic_assets.arrays import KEY, Floats, Times
from boursomatic_assets.features.additional_features import unpack
from boursomatic_assets.features.compute import compute_features
from boursomatic_assets.features.lookback_blocks import LOOKBACK

Compute = Callable[[pl.DataFrame, Times], pl.DataFrame]
"""Bars and sessions of a market, as `compute.compute_features` takes them, to instrument_id, ts and numbers."""

HISTORY_LENGTHS = (20, 60, 120, 250, LOOKBACK)
"""Sessions of history that a row is computed from; the last is what the platform always loads."""


@dataclass(frozen=True)
class Leak:
    """A feature that changes when later bars are taken away, and the first row where it does."""

    feature: str
    rows: int
    instrument_id: str
    ts: dt.datetime
    cut_date: dt.datetime
    """The last session whose bars were kept."""
    value_with_later_bars: float | None
    value_without_later_bars: float | None

    def __str__(self) -> str:
        return (
            f"{self.feature} of {self.instrument_id} at {self.ts:%Y-%m-%d} is {self.value_with_later_bars} with"
            f" later bars and {self.value_without_later_bars} with bars up to {self.cut_date:%Y-%m-%d} only;"
            f" {self.rows} rows differ"
        )


def compute_columns(bars: pl.DataFrame, sessions: Times) -> pl.DataFrame:
    """All features of all bars, those in `additional_features` too, a column each."""
    return unpack(compute_features(bars, sessions))


def find_leaks(
    bars: pl.DataFrame, sessions: Times, cuts: int, seed: int, compute: Compute = compute_columns
) -> list[Leak]:
    """The features that look ahead: those with a row that differs, in any bit, without the bars after a cut.

    Args:
        bars: daily bars of one market.
        sessions: all sessions of the market.
        cuts: random sessions after which bars are cut off; all of them if there are fewer.
        seed: of the sample of sessions.
        compute: the computation to test.
    """
    full = compute(bars, sessions)
    leaks: dict[str, list[Leak]] = {}
    for cut in _sample_dates(bars["ts"].unique().sort()[:-1], cuts, seed):
        early = pl.col("ts") <= cut
        for leak in _find_differences(full.filter(early), compute(bars.filter(early), sessions), cut):
            leaks.setdefault(leak.feature, []).append(leak)
    return [min(leaks[name], key=lambda leak: leak.ts) for name in full.columns if name in leaks]


def measure_history_error(
    bars: pl.DataFrame, sessions: Times, cuts: int, seed: int, compute: Compute = compute_columns
) -> dict[str, list[float]]:
    """The error of each feature when its history starts later.

    Args:
        bars: daily bars of one market, of more than LOOKBACK sessions.
        sessions: all sessions of the market.
        cuts: random sessions whose rows are computed again; all that have history if there are fewer.
        seed: of the sample of sessions.
        compute: the computation to test.

    Returns:
        Each feature's largest relative difference from all bars, for each of HISTORY_LENGTHS: 0 if no bit differs,
        infinite if a number is there in one and not in the other, NaN if there is none in either.

    Raises:
        ValueError: there are too few sessions.
    """
    dates = bars["ts"].unique().sort()
    if len(dates) < LOOKBACK + 2:
        raise ValueError(
            f"{len(dates)} sessions have bars and {LOOKBACK + 2} are needed to leave some out: take a longer range"
        )
    full = compute(bars, sessions)
    names = [name for name in full.columns if name not in KEY]
    errors = np.full((len(names), len(HISTORY_LENGTHS)), np.nan)
    for cut in _sample_dates(dates[LOOKBACK + 1 :], cuts, seed):
        last = int(dates.index_of(cut) or 0)
        expected = full.filter(pl.col("ts") == cut)
        for column, length in enumerate(HISTORY_LENGTHS):
            history = bars.filter(pl.col("ts").is_between(dates[last - length], cut))
            recomputed = compute(history, sessions).filter(pl.col("ts") == cut)
            worst = [
                _largest_difference(_to_floats(recomputed, name), _to_floats(expected, name)) for name in names
            ]
            errors[:, column] = np.fmax(errors[:, column], worst)
    return dict(zip(names, errors.tolist(), strict=True))


def _sample_dates(dates: pl.Series, count: int, seed: int) -> Sequence[dt.datetime]:
    chosen: list[dt.datetime] = dates.sample(min(count, len(dates)), seed=seed).sort().to_list()
    return chosen


def _find_differences(full: pl.DataFrame, truncated: pl.DataFrame, cut: dt.datetime) -> Iterator[Leak]:
    """The first difference of each feature, by session."""
    ts = full["ts"].to_physical().to_numpy()
    for name in full.columns:
        if name in KEY:
            continue
        with_later_bars, without_later_bars = _to_floats(full, name), _to_floats(truncated, name)
        rows = np.flatnonzero(with_later_bars.view(np.int64) != without_later_bars.view(np.int64))
        if rows.size:
            row = int(rows[ts[rows].argmin()])
            first_row = full.row(row, named=True)
            yield Leak(
                name,
                rows.size,
                first_row["instrument_id"],
                first_row["ts"],
                cut,
                first_row[name],
                truncated[name][row],
            )


def _to_floats(frame: pl.DataFrame, name: str) -> Floats:
    """A column with the one usual NaN for null, so that bits can be compared."""
    return np.array(frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy())


def _largest_difference(recomputed: Floats, expected: Floats) -> float:
    """The largest relative difference; infinite where one is NaN, NaN where all are."""
    defined = ~np.isnan(recomputed) | ~np.isnan(expected)
    recomputed, expected = recomputed[defined], expected[defined]
    if not recomputed.size:
        return np.nan
    magnitude = np.maximum(np.abs(recomputed), np.abs(expected))
    relative = np.divide(
        np.abs(recomputed - expected), magnitude, out=np.zeros_like(magnitude), where=recomputed != expected
    )
    return float(np.nan_to_num(relative, nan=np.inf).max())
