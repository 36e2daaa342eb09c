"""Two tests of features on real bars: does one look ahead, and how much history does one need?

What belongs here: recomputing on fewer bars, and by how much the numbers then differ.
Kept elsewhere: which bars, and how findings are shown (`cli_features.py`).

Both compute whatever `indicators.features` computes, so a formula that a user has added is tested with the rest,
and so are ranks and context.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from boursomatic_assets.arrays import Floats, Times
from boursomatic_assets.features.additional_features import unpack
from boursomatic_assets.features.indicators import features
from boursomatic_assets.features.lookback_blocks import LOOKBACK

Compute = Callable[[pl.DataFrame, Times], pl.DataFrame]
"""Bars and sessions of a market, as `indicators.features` takes them, to instrument_id, ts and numbers."""

KEY = ["instrument_id", "ts"]

LENGTHS = (20, 60, 120, 250, LOOKBACK)
"""Sessions of history that a row is computed from; the last is what the platform always loads."""


@dataclass(frozen=True)
class Leak:
    """A feature that changes when later bars are taken away, and the first row where it does."""

    feature: str
    rows: int
    instrument_id: str
    ts: dt.datetime
    cut: dt.datetime
    """The last session that was left."""
    known_later: float | None
    known_then: float | None

    def __str__(self) -> str:
        return (
            f"{self.feature} of {self.instrument_id} at {self.ts:%Y-%m-%d} is {self.known_later} with later bars"
            f" and {self.known_then} with bars up to {self.cut:%Y-%m-%d} only; {self.rows} rows differ"
        )


def numbers(bars: pl.DataFrame, sessions: Times) -> pl.DataFrame:
    """All features of all bars, those in `additional_features` too, a column each."""
    return unpack(features(bars, sessions))


def find_leaks(
    bars: pl.DataFrame, sessions: Times, cuts: int, seed: int, compute: Compute = numbers
) -> list[Leak]:
    """The features that look ahead: those of which a row differs, in any bit, without the bars after a cut.

    Args:
        bars: daily bars of one market.
        sessions: all sessions of the market.
        cuts: random sessions after which bars are cut off; all of them if there are fewer.
        seed: which sessions.
        compute: what is tested.
    """
    whole = compute(bars, sessions)
    found: dict[str, list[Leak]] = {}
    for cut in _chosen(bars["ts"].unique().sort()[:-1], cuts, seed):
        early = pl.col("ts") <= cut
        for leak in _differences(whole.filter(early), compute(bars.filter(early), sessions), cut):
            found.setdefault(leak.feature, []).append(leak)
    return [min(found[name], key=lambda leak: leak.ts) for name in whole.columns if name in found]


def startup(
    bars: pl.DataFrame, sessions: Times, cuts: int, seed: int, compute: Compute = numbers
) -> dict[str, list[float]]:
    """How far each feature is off when its history starts later.

    Args:
        bars: daily bars of one market, of more than LOOKBACK sessions.
        sessions: all sessions of the market.
        cuts: random sessions whose rows are computed again; all that have history if there are fewer.
        seed: which sessions.
        compute: what is tested.

    Returns:
        Each feature's largest relative difference from all bars, for each of LENGTHS: 0 if no bit differs,
        infinite if a number is there in one and not in the other, NaN if there is none in either.

    Raises:
        ValueError: there are too few sessions.
    """
    dates = bars["ts"].unique().sort()
    if len(dates) < LOOKBACK + 2:
        raise ValueError(
            f"{len(dates)} sessions have bars and {LOOKBACK + 2} are needed to leave some out: take a longer range"
        )
    whole = compute(bars, sessions)
    names = [name for name in whole.columns if name not in KEY]
    off = np.full((len(names), len(LENGTHS)), np.nan)
    for cut in _chosen(dates[LOOKBACK + 1 :], cuts, seed):
        last = int(dates.index_of(cut) or 0)
        expected = whole.filter(pl.col("ts") == cut)
        for column, length in enumerate(LENGTHS):
            history = bars.filter(pl.col("ts").is_between(dates[last - length], cut))
            again = compute(history, sessions).filter(pl.col("ts") == cut)
            worst = [_off(_floats(again, name), _floats(expected, name)) for name in names]
            off[:, column] = np.fmax(off[:, column], worst)
    return dict(zip(names, off.tolist(), strict=True))


def _chosen(dates: pl.Series, count: int, seed: int) -> Sequence[dt.datetime]:
    chosen: list[dt.datetime] = dates.sample(min(count, len(dates)), seed=seed).sort().to_list()
    return chosen


def _differences(whole: pl.DataFrame, cut_off: pl.DataFrame, cut: dt.datetime) -> Iterator[Leak]:
    """The first difference of each feature, by session."""
    ts = whole["ts"].to_physical().to_numpy()
    for name in whole.columns:
        if name in KEY:
            continue
        later, then = _floats(whole, name), _floats(cut_off, name)
        rows = np.flatnonzero(later.view(np.int64) != then.view(np.int64))
        if rows.size:
            row = int(rows[ts[rows].argmin()])
            place = whole.row(row, named=True)
            yield Leak(name, rows.size, place["instrument_id"], place["ts"], cut, place[name], cut_off[name][row])


def _floats(frame: pl.DataFrame, name: str) -> Floats:
    """A column with the one usual NaN for null, so that bits can be compared."""
    return np.array(frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy())


def _off(again: Floats, expected: Floats) -> float:
    """The largest relative difference; infinite where one is NaN, NaN where all are."""
    there = ~np.isnan(again) | ~np.isnan(expected)
    again, expected = again[there], expected[there]
    if not again.size:
        return np.nan
    size = np.maximum(np.abs(again), np.abs(expected))
    relative = np.divide(np.abs(again - expected), size, out=np.zeros_like(size), where=again != expected)
    return float(np.nan_to_num(relative, nan=np.inf).max())
