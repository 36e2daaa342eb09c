"""Outcomes of past recommendations, from their own rows and the bars that followed.

What belongs here: when a recommendation is due, its realised return, the label that happened, and whether its stop
or its target was touched first; frames only.
Kept elsewhere: which recommendation is current (`tables/`), figures over all outcomes (`tables/performance.py`),
labels for training (`learning/labels.py`).
"""

import numpy as np
import polars as pl

from boursomatic_assets.arrays import Times
from boursomatic_assets.features.price_basis import number_bases
from boursomatic_assets.learning.labels import thirds

LONGEST_HORIZON = 60
"""In sessions; a recommendation with a longer horizon is not scored."""

DUE_COLUMNS = ("id", "instrument_id", "as_of", "horizon_days")
"""Columns of `recommendations` that `select_due` needs."""

RECOMMENDATION_COLUMNS = (
    *DUE_COLUMNS, "profile", "label", "view", "confidence", "expected_return_pct", "stop_loss", "take_profit",
)  # fmt: skip
"""Columns of `recommendations` that `score_recommendations` needs."""

BAR_COLUMNS = ("instrument_id", "ts", *"ohlcv")
"""Columns of the daily bars that `score_recommendations` needs."""


def select_due(recommendations: pl.DataFrame, sessions: Times) -> pl.DataFrame:
    """Return the recommendations that are ever due, each with its session and the one that ends its horizon.

    Args:
        recommendations: as_of, horizon_days (sessions of the market) and any other columns.
        sessions: The market's sessions, in order.

    Returns:
        The rows with `session` and `ts`. Those without a horizon, or with one beyond LONGEST_HORIZON or the end
        of the calendar, are left out.
    """
    calendar = pl.DataFrame({"session": sessions.astype("datetime64[us]")}).with_row_index("_index")
    ends = calendar.rename({"session": "ts"})
    return (
        recommendations.filter(pl.col("horizon_days") <= LONGEST_HORIZON)
        .with_columns(session=pl.col("as_of").dt.truncate("1d"))
        .join(calendar, on="session", how="inner")
        .with_columns(_index=(pl.col("_index") + pl.col("horizon_days")).cast(pl.UInt32))
        .join(ends, on="_index", how="inner")
        .drop("_index")
    )


def score_recommendations(due: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Return one row of `track_record` for each recommendation that is due.

    The return runs from the close of the recommendation's session to the last close until `ts`: an instrument that
    stops trading keeps its last price. The outcome is the third of its session that the return is in, among the
    instruments that were recommended for the same profile: BUY the best, SELL the worst. Without the bar of the
    recommendation's session or any bar after it (the share was halted all along), or if prices are suspected to
    change their basis before the last one (`features/price_basis.py`), there is no return and no touch, and
    `unscored` says why, until bars that are on one basis come. Without a return, and where no view was given,
    there is no hit.

    Args:
        due: RECOMMENDATION_COLUMNS, `session` and `ts`, as `select_due` returns them: whole sessions of a market.
        bars: BAR_COLUMNS of the same instruments from the first session to the last `ts`, and of the
            `price_basis.LOOKBACK` sessions before; later ones change nothing.
    """
    bars = bars.sort("instrument_id", "ts").with_columns(last=pl.int_range(pl.len()))
    first = bars.select("instrument_id", session="ts", first="last")
    last = bars.select("instrument_id", "ts", "last").sort("ts")
    rows = (
        due.join(first, on=("instrument_id", "session"), how="left")
        .sort("ts")
        .join_asof(last, on="ts", by="instrument_id", check_sortedness=False)  # which it cannot within groups
    )
    basis = pl.Series(number_bases(bars))
    same = basis.gather(rows["first"]) == basis.gather(rows["last"])
    traded = (pl.col("last") > pl.col("first")).fill_null(False)
    why = pl.when(~traded).then(pl.lit("no bar")).when(~same).then(pl.lit("price basis"))
    rows = rows.with_columns(first=pl.when(traded & same).then("first"), unscored=why)
    gross = bars["c"].gather(rows["last"]) / bars["c"].gather(rows["first"]) - 1
    return _track_record_rows(rows.with_columns(gross.alias("gross"), *_first_touches(rows, bars)))


def _track_record_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with their outcome, as `track_record` takes them, sorted by its key."""
    together, gross = ("session", "profile", "horizon_days"), pl.col("gross")
    rank = ((gross.rank() - 0.5) / gross.count()).over(together)
    opinion = pl.col("view").is_null() | (pl.col("view") == "given")
    return (
        rows.with_columns(rank=rank, relative_return_pct=(gross - gross.mean().over(together)) * 100)
        .with_columns(outcome=thirds("rank").cast(pl.String))
        .select(
            "instrument_id", "ts", "profile", "label", "as_of", "horizon_days", "confidence",
            "expected_return_pct", "outcome", "first_touched", "touched_on", "view", "relative_return_pct",
            "unscored",
            recommendation_id="id",
            realised_return_pct=gross * 100,
            hit=pl.when(opinion).then(pl.col("label") == pl.col("outcome")),
        )
        .sort("ts", "recommendation_id")
    )  # fmt: skip


def _first_touches(rows: pl.DataFrame, bars: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Return which of stop and target the bars after each recommendation touched first, and when.

    A bar that touches both counts as the stop: a daily bar does not show which came first. Nothing is touched if
    the close of the recommendation's session is not between the two: it was restated since, on another basis.

    Args:
        rows: label, stop_loss, take_profit, and `first` and `last`: the indices of the bar of the recommendation's
            session and of the last bar of the horizon.
        bars: ts, h, l and c, the bars of an instrument in order.
    """
    sign = rows["label"].replace_strict({"BUY": 1.0, "SELL": -1.0}, default=None, return_dtype=pl.Float64)
    stop, target = ((sign * rows[name]).to_numpy() for name in ("stop_loss", "take_profit"))  # NaN: never touched
    is_buy, lows, highs = (rows["label"] == "BUY").to_numpy(), bars["l"].to_numpy(), bars["h"].to_numpy()
    last = rows["last"].fill_null(-1).to_numpy()
    close = (sign * bars["c"].gather(rows["first"])).to_numpy()
    restated = (close <= stop) | (close >= target)
    first = np.where(restated, bars.height, rows["first"].fill_null(bars.height).to_numpy())
    touched, touch_bar = np.full(rows.height, None, dtype=object), np.full(rows.height, -1, dtype=np.int64)
    for ahead in range(1, LONGEST_HORIZON + 1):
        untouched = np.flatnonzero((first + ahead <= last) & (touch_bar < 0))
        bar, buys = first[untouched] + ahead, is_buy[untouched]
        at_stop = np.where(buys, lows[bar], -highs[bar]) <= stop[untouched]
        at_target = np.where(buys, highs[bar], -lows[bar]) >= target[untouched]
        touched[untouched[at_target]] = "target"
        touched[untouched[at_stop]] = "stop"
        touch_bar[untouched[at_target | at_stop]] = bar[at_target | at_stop]
    touched_on = bars["ts"].gather(pl.Series(touch_bar).replace(-1, None))
    return pl.Series("first_touched", touched.tolist(), dtype=pl.String), touched_on.alias("touched_on")
