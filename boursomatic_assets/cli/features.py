"""`boursomatic features`: tests of features, the shipped ones and a user's own, on the stored bars.

What belongs here: the words and options of these commands, which bars they read, how their results are shown.
Kept elsewhere: the tests (`features/lookahead.py`).
"""

from __future__ import annotations

import datetime as dt
import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from boursomatic_assets.cli.common import DATE, SEED, one_line_errors, require_readable
from boursomatic_assets.vocabulary import MARKET_NAMES

if TYPE_CHECKING:
    import polars as pl

    from boursomatic_assets.arrays import Times

MAX_INSTRUMENTS = 50
"""Instruments that are read; the seed decides which. A wrong formula is wrong for all of them."""


@click.group()
def features() -> None:
    """Features: do they look ahead, and how much history do they need?"""


def _add_options(cuts: int | None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options that both commands share; `cuts` is the usual number of dates, None for all."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for option in (
            click.option(
                "--seed",
                type=SEED,
                default=0,
                show_default=True,
                help="Seed of the choice of instruments and dates.",
            ),
            click.option(
                "--cuts",
                type=click.IntRange(1),
                default=cuts,
                show_default=True if cuts else "all",
                help="Number of dates, at random.",
            ),
            click.option("--to", "end", type=DATE, help="Last date; the newest closed session by default."),
            click.option("--from", "start", type=DATE, help="First date; two years before the last by default."),
            click.option("--market", type=click.Choice(MARKET_NAMES), default="US", show_default=True),
        ):
            command = option(command)
        return command

    return add


@features.command()
@_add_options(cuts=None)
@one_line_errors
def check_lookahead(market: str, start: dt.date | None, end: dt.date | None, cuts: int | None, seed: int) -> None:
    """Compute the features again without the bars after each date, and name each feature that differs."""
    import polars as pl

    from boursomatic_assets.features import lookahead
    from boursomatic_assets.features.lookback_blocks import LOOKBACK

    bars, sessions, first = _read_bars(market, start, end, seed, history=LOOKBACK)
    leaks = lookahead.find_leaks(bars, sessions, cuts, seed, start=first)
    for leak in leaks:
        click.echo(f"LOOKS AHEAD  {leak}")
    named = sum(leak.feature != lookahead.ROW for leak in leaks)
    also = " and rows come or go" if named < len(leaks) else ""
    tested = bars.filter(pl.col("ts") >= first)
    cut = min(cuts or sys.maxsize, tested["ts"].n_unique() - 1)
    click.echo(f"{named} features look ahead{also}, in {cut} cuts of {_describe_extent(tested)}")
    sys.exit(1 if leaks else 0)


@features.command()
@_add_options(cuts=10)
@one_line_errors
def check_startup(market: str, start: dt.date | None, end: dt.date | None, cuts: int, seed: int) -> None:
    """Compute the features again from later starts, and show how far they are off, by sessions of history.

    A feature that is off with all the history that the platform loads differs from range to range: exit code 1.
    """
    from boursomatic_assets.features import lookahead

    bars, sessions, _ = _read_bars(market, start, end, seed)
    differences = lookahead.measure_history_error(bars, sessions, cuts, seed)
    lengths = lookahead.HISTORY_LENGTHS
    click.echo(f"{'largest relative difference with':<34}" + "".join(f"{length:>10}" for length in lengths))
    for name, by_length in differences.items():
        click.echo(f"{name:<34}" + "".join(f"{_difference_as_text(number):>10}" for number in by_length))
    wrong = [name for name, by_length in differences.items() if by_length[-1] > 0]
    click.echo(
        f"{len(wrong)} features need more than {lengths[-1]} sessions before theirs, in {_describe_extent(bars)}"
    )
    sys.exit(1 if wrong else 0)


def _difference_as_text(difference: float) -> str:
    """A relative difference; `null` where too little history leaves a feature undefined."""
    if math.isnan(difference):
        return "-"
    return "null" if math.isinf(difference) else f"{difference:.1e}" if difference else "0"


def _read_bars(
    market: str, start: dt.date | None, end: dt.date | None, seed: int, history: int = 0
) -> tuple[pl.DataFrame, Times, dt.datetime]:
    """Stored daily bars of some instruments of a market, all of its sessions, and the first instant of the range.

    So many sessions of history lie before the range, as far as they are stored.
    """
    import polars as pl

    from boursomatic_assets.calendars.markets import market_named, newest_closed_date
    from boursomatic_assets.calendars.slices import slices_of
    from boursomatic_assets.orchestration.partitions import partition_dates
    from boursomatic_assets.tables.revisions import read_bars

    require_readable()
    last = end or newest_closed_date()
    first = start or last - dt.timedelta(days=730)
    (part,) = slices_of(market_named(market), partition_dates(first, last))
    bars = read_bars(part.looking_back(history)).with_columns(
        instrument_id=pl.concat_str("symbol", "exchange", separator=" ")
    )
    instruments = bars.filter(pl.col("ts") >= part.start)["instrument_id"].unique().sort()
    if instruments.is_empty():
        raise ValueError(
            f"no daily bars of {market} are stored from {first} to {last}: `boursomatic backfill` loads bars"
        )
    sample = instruments.sample(min(MAX_INSTRUMENTS, len(instruments)), seed=seed)
    return (
        bars.filter(pl.col("instrument_id").is_in(sample.implode())),
        market_named(market).sessions(),
        part.start,
    )


def _describe_extent(bars: pl.DataFrame) -> str:
    dates = bars["ts"].dt.date().unique().sort()
    return f"{bars['instrument_id'].n_unique()} instruments, {dates[0]} .. {dates[-1]}"
