"""Look-ahead: tests of features on real bars. Does one look ahead, and how much history does it need?

What belongs here: computing features again on fewer bars, and by how much they differ.
Kept elsewhere: which bars are tested, and how results are printed (`cli/features.py`).

Both tests run all that `compute.compute_features` computes: formulas that a user added, ranks and context too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from boursomatic_assets.arrays import KEY, Floats, Times
from boursomatic_assets.features.additional_features import unpack
from boursomatic_assets.features.compute import compute_features
from boursomatic_assets.features.lookback_blocks import BLOCK, LOOKBACK

Compute = Callable[[pl.DataFrame, Times, dt.datetime | None], pl.DataFrame]
"""Bars, sessions of a market and the first session that is wanted (None: all), as `compute.compute_features` takes
them, to instrument_id, ts and numbers. Rows before that session may be returned too."""

HISTORY_LENGTHS = (20, 60, 120, 250, LOOKBACK)
"""Sessions of history that a row is computed from; the last is what the platform always loads."""

ROW = "row"
"""Stands for a feature in a leak where later bars decide whether there is a row at all."""


@dataclass(frozen=True)
class Leak:
    """A feature that changes when later bars are taken away, and the first row where it does."""

    feature: str
    """Its name, or ROW."""
    rows: int
    """How many rows differ, at any cut."""
    instrument_id: str
    ts: dt.datetime
    cut_date: dt.datetime
    """The last session, or moment, whose bars were kept."""
    value_with_later_bars: float | None
    """None where undefined. Of ROW: 1 if there is a row, 0 if not."""
    value_without_later_bars: float | None

    def __str__(self) -> str:
        midnight = self.cut_date.time() == dt.time()
        without = (
            f"with bars up to {self.cut_date:%Y-%m-%d} only" if midnight else f"without bars after {self.cut_date}"
        )
        place = f"of {self.instrument_id} at {self.ts:%Y-%m-%d}"
        then, now = self.value_with_later_bars, self.value_without_later_bars
        if self.feature != ROW:
            return f"{self.feature} {place} is {then} with later bars and {now} {without}; {self.rows} rows differ"
        return (
            f"the row {place} is {'there' if then else 'missing'} with later bars and"
            f" {'there' if now else 'missing'} {without}; {self.rows} rows come or go"
        )


def compute_columns(bars: pl.DataFrame, sessions: Times, start: dt.datetime | None = None) -> pl.DataFrame:
    """All features of all bars, those in `additional_features` too, a column each."""
    return unpack(compute_features(bars, sessions, start))


def find_leaks(
    bars: pl.DataFrame,
    sessions: Times,
    cuts: int | None = None,
    seed: int = 0,
    compute: Compute = compute_columns,
    start: dt.datetime | None = None,
) -> list[Leak]:
    """The features that look ahead: those with a row that differs, in any bit, without the bars after a cut.

    A row that reads any later bar differs at the cut after its own session, so each session is a cut. Sessions are
    gone through in blocks: from LOOKBACK sessions before one, all is computed once with all later bars, and once
    for each cut.

    Args:
        bars: daily bars of one market, as `compute` reads them. A column `known_at` says from which moment each is
            known, if not from its ts: then bars of other markets and restated bars can be among them.
        sessions: all sessions of the market.
        cuts: how many cuts, at random; None for all.
        seed: of the sample of cuts.
        compute: the computation to test: at most one row for an instrument and ts.
        start: the first session to test; None for the first that has bars.

    Returns:
        The first row of each feature that looks ahead; before them that of ROW, if rows come or go.
    """
    if "known_at" not in bars.columns:
        bars = bars.with_columns(known_at="ts")
    rows = bars.group_by(KEY).agg(pl.col("known_at").min()).sort("ts", "instrument_id")
    rows = rows.filter(pl.col("ts") >= start) if start else rows
    moments = rows["known_at"].unique().sort()
    moments = moments.filter(moments < bars["known_at"].max())
    chosen = set(moments if cuts is None else _sample_dates(moments, cuts, seed))
    leaks: dict[int, Leak] = {}
    for block, some in _blocks_with_cuts(moments, chosen):
        own = rows.filter(pl.col("known_at").is_between(block[0], block[-1]))
        for column, leak in _find_leaks_of_rows(own, bars, sessions, some, compute):
            earlier = leaks.get(column)
            leaks[column] = replace(earlier, rows=earlier.rows + leak.rows) if earlier else leak
    return [leaks[column] for column in sorted(leaks)]


def _blocks_with_cuts(
    moments: pl.Series, chosen: Set[dt.datetime]
) -> Iterator[tuple[pl.Series, Sequence[dt.datetime]]]:
    """The blocks of moments that hold some of the chosen ones, each with those."""
    for first in range(0, len(moments), BLOCK):
        block = moments[first : first + BLOCK]
        if some := [cut for cut in block if cut in chosen]:
            yield block, some


def _find_leaks_of_rows(
    rows: pl.DataFrame, bars: pl.DataFrame, sessions: Times, cuts: Sequence[dt.datetime], compute: Compute
) -> Iterator[tuple[int, Leak]]:
    """The leaks in these rows without the bars after each cut, each after its place in (ROW, *features).

    Rows have instrument_id, ts and known_at, and are sorted by ts.
    """
    first, dates = rows["ts"][0], bars["ts"].unique().sort()
    history = dates[max(int(dates.search_sorted(first)) - LOOKBACK, 0)]
    bars = bars.filter(pl.col("ts") >= history)
    full = compute(bars, sessions, first)
    names = [name for name in full.columns if name not in KEY]
    expected, known_at = _align(full, rows, names), rows["known_at"].to_numpy()
    differing = np.zeros(expected.shape, bool)
    examples: dict[int, Leak] = {}
    for cut in cuts:
        found = _align(compute(bars.filter(pl.col("known_at") <= cut), sessions, first), rows, names)
        differs = expected.view(np.int64) != found.view(np.int64)
        differs[:, 1:] &= (expected[:, :1] == 1) & (found[:, :1] == 1)
        differs &= (known_at <= np.datetime64(cut))[:, None]
        differing |= differs
        for column in np.flatnonzero(differs.any(axis=0)).tolist():
            row = int(differs[:, column].argmax())
            then, now = (_to_number(numbers[row, column]) for numbers in (expected, found))
            instrument_id, ts, _ = rows.row(row)
            leak = Leak((ROW, *names)[column], 0, instrument_id, ts, cut, then, now)
            examples[column] = min(examples.get(column, leak), leak, key=lambda leak: leak.ts)
    for column, leak in examples.items():
        yield column, replace(leak, rows=int(differing[:, column].sum()))


def _align(frame: pl.DataFrame, rows: pl.DataFrame, names: Sequence[str]) -> Floats:
    """The numbers of these rows, with the one usual NaN for null; before them 1, or 0 where there is no row."""
    known = [pl.col(name) if name in frame.columns else pl.lit(None).alias(name) for name in names]
    columns = (column.cast(pl.Float64).fill_nan(None) for column in known)
    numbers = frame.select(*KEY, *columns, there=pl.lit(1.0))
    found = rows.join(numbers, on=KEY, how="left", maintain_order="left", validate="1:1")
    return found.select(pl.col("there").fill_null(0.0), pl.col(names).fill_null(np.nan)).to_numpy()


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
    full = compute(bars, sessions, None)
    names = [name for name in full.columns if name not in KEY]
    errors = np.full((len(names), len(HISTORY_LENGTHS)), np.nan)
    for cut in _sample_dates(dates[LOOKBACK + 1 :], cuts, seed):
        last = int(dates.index_of(cut) or 0)
        expected = full.filter(pl.col("ts") == cut)
        for column, length in enumerate(HISTORY_LENGTHS):
            history = bars.filter(pl.col("ts").is_between(dates[last - length], cut))
            recomputed = compute(history, sessions, cut).filter(pl.col("ts") == cut)
            worst = [
                _largest_difference(_to_floats(recomputed, name), _to_floats(expected, name)) for name in names
            ]
            errors[:, column] = np.fmax(errors[:, column], worst)
    return dict(zip(names, errors.tolist(), strict=True))


def _sample_dates(dates: pl.Series, count: int, seed: int) -> Sequence[dt.datetime]:
    chosen: list[dt.datetime] = dates.sample(min(count, len(dates)), seed=seed).sort().to_list()
    return chosen


def _to_number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


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
