"""Anomalies: what is unusual about valid bars. It is reported, and nothing is removed.

What belongs here: the kinds of anomalies, and the bars and sessions that show them.
Kept elsewhere: which rows are rejected (`contract.py`), price jumps (`price_jumps.py`), the check that warns
(`checks/series.py`).

Point in time: the anomalies of a session follow from bars up to that session, and from no more than LOOKBACK
sessions before it. So a gap is found when it ends.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl

from boursomatic_assets.arrays import Times
from boursomatic_assets.quality.price_jumps import (
    MAX_SESSIONS_APART,
    MIN_PEERS,
    WINDOW,
    find_jumps,
    join_previous_bars,
)

KINDS = {
    "filler": "a flat bar without volume (o = h = l = c, v = 0)",
    "zero volume": "a bar without volume, whose price moved",
    "stale": "a bar with volume that repeats the one before; figure: its volume",
    "jump": "a move that neither the instrument's past nor the market explains; figure: price over close before",
    "gap": "sessions without a bar before this one; figure: how many",
    "outage": "far fewer instruments traded than usual; figure: their share of the usual number",
}
"""What each kind of anomaly means, and what its figure is."""

FINDINGS: dict[str, pl.DataType] = {
    "kind": pl.String(),
    "instrument_id": pl.String(),
    "ts": pl.Datetime("us"),
    "figure": pl.Float64(),
    "ratio": pl.Float64(),
}
"""The columns of anomalies. An outage has no instrument; only a jump has a ratio, the split that explains it."""

USUAL_SESSIONS = 20
"""Sessions whose median says how many instruments usually trade."""

OUTAGE_SHARE = 0.5
"""Share of the usual number of instruments below which a session is an outage."""

LOOKBACK = WINDOW + MAX_SESSIONS_APART
"""Sessions before its own that an anomaly may depend on."""


def find_anomalies(bars: pl.DataFrame, sessions: Times, start: dt.datetime, end: dt.datetime) -> pl.DataFrame:
    """The anomalies of the bars of one market with `ts` in [start, end).

    Args:
        bars: instrument_id, ts, o, h, l, c, v of valid daily bars, in any order, other columns ignored; those
            of the LOOKBACK sessions before `start` belong to them.
        sessions: all sessions of the market, sorted datetime64[D].
        start: the first instant of the range.
        end: the first instant after the range; later bars are ignored.

    Returns:
        One row per anomaly, with the columns of FINDINGS, by ts, kind and instrument.
    """
    first, last = np.searchsorted(sessions, np.array([start, end], "datetime64[us]"))
    visible_sessions = sessions[max(first - LOOKBACK, 0) : last]
    rows = join_previous_bars(bars, visible_sessions)
    out = find_outages(rows, visible_sessions)
    parts = {
        "filler": rows.filter(_is_flat() & (pl.col("v") == 0)),
        "zero volume": rows.filter(~_is_flat() & (pl.col("v") == 0)),
        "stale": rows.filter(_repeats_previous() & (pl.col("v") > 0)).with_columns(figure=pl.col("v")),
        "jump": find_jumps(rows),
        "gap": find_gaps(rows, out),
        "outage": out.filter("out"),
    }
    found = pl.concat([_as_findings(kind, part) for kind, part in parts.items()])
    return found.filter(pl.col("ts").is_between(start, end, closed="left")).sort("ts", "kind", "instrument_id")


def count_by_kind(findings: pl.DataFrame) -> dict[str, int]:
    """How many anomalies there are of each kind, zeros included."""
    found = dict(findings.group_by("kind").len().iter_rows())
    return {kind: found.get(kind, 0) for kind in KINDS}


def find_outages(rows: pl.DataFrame, sessions: Times) -> pl.DataFrame:
    """Every session, and whether it is out: fewer than OUTAGE_SHARE of the usual number of instruments traded.

    Fillers are no trading, so a session of fillers is out, too. Below FEWEST_PEERS nothing is usual.

    Returns:
        ts, n, out, and the figure, sorted by n.
    """
    traded = rows.filter(~(_is_flat() & (pl.col("v") == 0))).group_by("n").agg(traded=pl.len())
    every = pl.DataFrame({"ts": sessions.astype("datetime64[us]"), "n": np.arange(sessions.size)})
    usual = pl.col("traded").rolling_median(USUAL_SESSIONS).shift(1)
    share = pl.when(pl.col("usual") >= MIN_PEERS).then(pl.col("traded") / pl.col("usual"))
    return (
        every.join(traded, on="n", how="left", maintain_order="left")
        .with_columns(pl.col("traded").fill_null(0))
        .with_columns(usual=usual)
        .select("ts", "n", figure=share, out=(share < OUTAGE_SHARE).fill_null(False))
    )


def find_gaps(rows: pl.DataFrame, outages: pl.DataFrame) -> pl.DataFrame:
    """The bars before which their instrument has none on sessions on which its market was not out."""
    open_sessions = outages.select("n", fair=(~pl.col("out")).cum_sum())
    before = open_sessions.select(n=pl.col("n") + 1, before="fair")
    joined = rows.join(before, on="n").join(open_sessions.rename({"n": "n_", "fair": "fair_"}), on="n_")
    return joined.with_columns(figure=pl.col("before") - pl.col("fair_")).filter(pl.col("figure") > 0)


def _is_flat() -> pl.Expr:
    return pl.all_horizontal(pl.col("o") == pl.col(name) for name in "hlc")


def _repeats_previous() -> pl.Expr:
    return pl.all_horizontal(pl.col(name) == pl.col(f"{name}_") for name in "ohlcv")


def _as_findings(kind: str, part: pl.DataFrame) -> pl.DataFrame:
    """Some rows as anomalies of a kind; columns that they lack are null."""
    known = {name: pl.col(name) if name in part.columns else pl.lit(None) for name in FINDINGS}
    return part.select(**known | {"kind": pl.lit(kind)}).cast(pl.Schema(FINDINGS))
