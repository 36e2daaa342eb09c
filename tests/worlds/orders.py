"""Orders: the ways in which the small platform's history may be loaded, piece by piece.

What belongs here: how an order is made up, and what it says when a test fails with it.
Kept elsewhere: the platform (`platform.py`), what every order ends in (`end_to_end/test_orders.py`).
"""

import datetime as dt
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import polars as pl
from hypothesis import strategies as st

from boursomatic_assets.calendars.markets import MARKETS
from worlds.platform import FIRST, INSTRUMENTS, LAST

MAX_CUTS = 2
"""Cuts of the range of a market, at most: each piece costs seconds."""


@dataclass(frozen=True)
class Piece:
    """A part of the range, of one market or of both, as it is loaded: without some instruments, at first."""

    start: dt.date
    end: dt.date
    markets: tuple[str, ...]
    without: tuple[int, ...] = ()

    def __str__(self) -> str:
        late = f" without instruments {', '.join(map(str, self.without))} of each market" if self.without else ""
        return f"{' and '.join(self.markets)} {self.start} .. {self.end}{late}"


Order = tuple[Piece, ...]
"""Pieces in the order in which they are loaded; together they hold everything at least once."""


def plan(order: Order) -> str:
    """An order as a numbered list."""
    return "\n".join(f"{place}. {piece}" for place, piece in enumerate(order, start=1))


@st.composite
def orders(draw: st.DrawFn) -> Order:
    """Both markets at once or each by itself, cut anywhere and shuffled; one market late, or some instruments."""
    together = draw(st.booleans())
    groups = [tuple(MARKETS)] if together else [(name,) for name in MARKETS]
    pieces = draw(st.permutations([piece for markets in groups for piece in _cut(draw, markets)]))
    if not together and (late := draw(st.sampled_from((None, *MARKETS)))):
        pieces = sorted(pieces, key=lambda piece: late in piece.markets)
    if draw(st.booleans()):
        pieces = _some_late(draw, pieces)
    return tuple(pieces)


def _cut(draw: st.DrawFn, markets: tuple[str, ...]) -> list[Piece]:
    """The whole range of some markets, the newest piece first, cut on any dates; pieces may overlap."""
    days, middle = (LAST - FIRST).days, (LAST - FIRST).days // 2
    shifts = st.integers(1 - middle, days - 1 - middle)  # the simplest cut is in the middle
    cuts = sorted(middle + shift for shift in draw(st.sets(shifts, min_size=1, max_size=MAX_CUTS)))
    starts = [FIRST + dt.timedelta(day) for day in (0, *cuts, days + 1)]
    overlap = dt.timedelta(draw(st.sampled_from((0, 45))))
    return [Piece(max(start - overlap, FIRST), end - dt.timedelta(1), markets) for start, end in pairwise(starts)][
        ::-1
    ]


def _some_late(draw: st.DrawFn, pieces: list[Piece]) -> list[Piece]:
    """The first pieces lack some instruments, and are loaded again after all others."""
    late = tuple(sorted(draw(st.sets(st.integers(0, INSTRUMENTS - 1), min_size=1, max_size=INSTRUMENTS // 2))))
    first = draw(st.integers(1, len(pieces)))
    partial = [replace(piece, without=late) for piece in pieces[:first]]
    return [*partial, *pieces[first:], *draw(st.permutations(pieces[:first]))]


def deliver_part(whole: Path, folder: Path, without: tuple[int, ...]) -> Path:
    """A folder with the bars of a delivery, without those of some instruments of each market."""
    if not without:
        return whole
    folder = folder / "-".join(map(str, without))
    if not folder.exists():
        folder.mkdir(parents=True)
        (folder / "instruments.csv").write_bytes((whole / "instruments.csv").read_bytes())
        for market in MARKETS:
            bars = pl.read_parquet(whole / f"{market}.parquet")
            missing = bars["symbol"].unique().sort()[list(without)]
            bars.filter(~pl.col("symbol").is_in(missing.implode())).write_parquet(folder / f"{market}.parquet")
    return folder
