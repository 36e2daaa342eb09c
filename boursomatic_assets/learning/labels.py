"""Labels: the return that followed a close, beside the others of its market's session, and when it became known.

What belongs here: sampled sessions, forward returns and labels.
Kept elsewhere: which prices are on one basis (`features/price_basis.py`), which labels a due date may use
(`walk.py`), outcomes of recommendations (`advice/outcomes.py`).

A horizon is counted in sessions of the market. An instrument that stops trading inside it, or has no bar on its
last session, keeps its last price.
"""

import numpy as np
import polars as pl

from boursomatic_assets.arrays import MICROSECONDS_PER_DAY, Ints, Times
from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.vocabulary import LABELS

CLASSES = LABELS[::-1]
"""The labels as classes, from the lowest return to the highest: the order of all probabilities."""

BASE_RATE = 1 / len(CLASSES)
"""The share of each label in a session, by construction: what chance alone gets right."""

RELATIVE_LIMIT = 0.3
"""At which a relative return is cut in a mean: a few outliers would rule it."""


def sampled_dates(stride: int) -> Times:
    """Return every stride-th session, counted over both markets' calendars from their first one: datetime64[D].

    Both markets are sampled on the same dates; one that is closed on such a date has no sample there.

    Args:
        stride: Sessions from one that is kept to the next.
    """
    return all_sessions()[::stride]


def sample_sessions(rows: pl.DataFrame, stride: int) -> pl.DataFrame:
    """Return the rows of `sampled_dates`.

    Args:
        rows: ts and any others.
        stride: Sessions from one that is kept to the next.
    """
    return rows.filter(pl.col("ts").is_in(pl.Series(sampled_dates(stride).astype("datetime64[us]")).implode()))


def label_rows(rows: pl.DataFrame, closes: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Return the label of each row, with its forward return, in the order of the rows.

    The label says in which third of its market's session the forward return is: BUY in the best, SELL in the
    worst, HOLD in between, see `thirds`.

    Args:
        rows: market, instrument_id (an Enum) and ts, of whole sessions; each row has its close.
        closes: market, instrument_id (the same Enum), ts, c, sorted by instrument and time; and `basis`, as
            `price_basis.on_first_basis` adds it, unless all closes of an instrument are on one.
        horizon: Sessions of the market to look forward.

    Returns:
        forward_return (a fraction: 0.05 is 5 %), relative_return (less the mean of its market's session, cut at
        RELATIVE_LIMIT), return_rank (within its market's session, 0 to 1), known_at (the ts of the session that
        ends the horizon) and label (an Enum of CLASSES); all are null where that session is not loaded, or where
        prices are suspected to be on another basis.
    """
    end = _horizon_ends(rows, closes, horizon)
    keys, prices = _sort_key(closes, _days(closes)), closes["c"].to_numpy()
    start, last = (
        np.searchsorted(keys, _sort_key(rows, days), side="right") - 1
        for days in (_days(rows), np.maximum(end, 0))
    )
    basis = closes["basis"].to_numpy() if "basis" in closes else np.zeros(closes.height)
    known = pl.Series((end >= 0) & (basis[last] == basis[start]))
    session = rows.select("market", "ts").with_columns(
        forward_return=pl.when(known).then(pl.Series(prices[last] / prices[start] - 1)),
        known_at=pl.when(known).then(pl.Series(end * MICROSECONDS_PER_DAY).cast(pl.Datetime("us"))),
    )
    forward_return = pl.col("forward_return")
    relative_return = (forward_return - forward_return.mean()).clip(-RELATIVE_LIMIT, RELATIVE_LIMIT)
    return session.with_columns(
        relative_return=relative_return.over("market", "ts"), return_rank=ranks("forward_return")
    ).select("forward_return", "relative_return", "return_rank", "known_at", label=thirds("return_rank"))


def ranks(column: str) -> pl.Expr:
    """Return the rank of a column within its market's session, (rank - 0.5) / count; equal values share one."""
    return ((pl.col(column).rank() - 0.5) / pl.col(column).count()).over("market", "ts")


def thirds(rank: str) -> pl.Expr:
    """Return the label of a rank within its session: BUY in the highest third, SELL in the lowest, else HOLD."""
    share = pl.col(rank)
    label = pl.when(share > 1 - BASE_RATE).then(pl.lit("BUY")).when(share < BASE_RATE).then(pl.lit("SELL"))
    return pl.when(share.is_not_null()).then(label.otherwise(pl.lit("HOLD"))).cast(pl.Enum(CLASSES))


def _horizon_ends(rows: pl.DataFrame, closes: pl.DataFrame, horizon: int) -> Ints:
    """Return the day on which each row's horizon ends, -1 where the market's session of that day is not loaded."""
    ends = np.full(rows.height, -1)
    markets, days = rows["market"].to_numpy(), _days(rows)
    for name, market in MARKETS.items():
        of_market = markets == name
        sessions = market.sessions().astype(np.int64)
        loaded = np.unique(_days(closes.filter(pl.col("market") == name)))
        place = np.searchsorted(sessions, days[of_market]) + horizon
        end = np.append(sessions, np.full(horizon + 1, -1))[place]
        ends[of_market] = np.where(np.isin(end, loaded), end, -1)
    return ends


def _days(rows: pl.DataFrame) -> Ints:
    days: Ints = rows["ts"].to_physical().to_numpy() // MICROSECONDS_PER_DAY
    return days


def _sort_key(rows: pl.DataFrame, days: Ints) -> Ints:
    """Return one number for each row and day that sorts by instrument, then by day."""
    return (rows["instrument_id"].to_physical().to_numpy().astype(np.int64) << 32) + days
