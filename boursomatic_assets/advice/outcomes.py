"""Outcomes: what became of past advice, from its own row and the bars that followed it.

What belongs here: when advice is due, the return that it was followed by, the label that happened, and whether its
stop or its target was touched first; frames only.
Kept elsewhere: which advice stands (`recommendations`), figures over all that was scored (`performance.py`).
"""

import numpy as np
import polars as pl

from boursomatic_assets.arrays import Times
from boursomatic_assets.learning.labels import breaks
from boursomatic_assets.learning.parameters import Parameters

LONGEST_HORIZON = 60
"""Sessions; advice that looks further ahead is not scored."""

EDGE = Parameters.label_threshold
"""Edge of BUY and SELL, in the volatilities advised on, over the horizon: as of the labels that models learn."""

DATES = ("id", "instrument_id", "as_of", "horizon_days")
"""Columns of `recommendations` that say when advice is due."""

RECOMMENDATION_COLUMNS = (
    *DATES, "profile", "label", "confidence", "expected_return_pct", "stop_loss", "take_profit",
    "features_snapshot",
)  # fmt: skip
"""Columns of `recommendations` that advice is scored by."""

BAR_COLUMNS = ("instrument_id", "ts", "h", "l", "c")
"""Columns of the daily bars that score it."""


def select_due(advice: pl.DataFrame, sessions: Times) -> pl.DataFrame:
    """Return the advice that is ever due, with its own session and the one on which its horizon ends.

    Args:
        advice: as_of, horizon_days (sessions of the market) and any other columns.
        sessions: The market's sessions, in order.

    Returns:
        The rows with `session` and `ts`. Those without a horizon, or with one beyond LONGEST_HORIZON or the
        calendar's end, are left out.
    """
    calendar = pl.DataFrame({"session": sessions.astype("datetime64[us]")}).with_row_index("_place")
    ends = calendar.rename({"session": "ts"})
    return (
        advice.filter(pl.col("horizon_days") <= LONGEST_HORIZON)
        .with_columns(session=pl.col("as_of").dt.truncate("1d"))
        .join(calendar, on="session", how="inner")
        .with_columns(_place=(pl.col("_place") + pl.col("horizon_days")).cast(pl.UInt32))
        .join(ends, on="_place", how="inner")
        .drop("_place")
    )


def score(advice: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Return one row of `track_record` for each advice.

    The return runs from the close advised on to the last close until `ts`: an instrument that stops trading keeps
    its last price. It is a BUY above EDGE x vol_20d x sqrt(horizon), vol_20d being the one advised on, a SELL
    below its negative, and a HOLD in between. Without the bar advised on, or if prices break before the last one
    (`labels.BREAK`), there is no return and nothing is touched; without a return or a vol_20d above 0 nothing is
    said to have happened.

    Args:
        advice: ADVICE, `session` and `ts`, as `due` returns them.
        bars: BARS of the same instruments from the first session to the last `ts`; later ones change nothing.
    """
    bars = bars.sort("instrument_id", "ts").with_columns(last=pl.int_range(pl.len()))
    first = bars.select("instrument_id", session="ts", first="last")
    last = bars.select("instrument_id", "ts", "last").sort("ts")
    places = (
        advice.join(first, on=("instrument_id", "session"), how="left")
        .sort("ts")
        .join_asof(last, on="ts", by="instrument_id", check_sortedness=False)  # which it cannot within groups
    )
    broken = pl.Series(breaks(bars))
    unbroken = broken.gather(places["first"]) == broken.gather(places["last"])
    places = places.with_columns(first=pl.when(unbroken).then("first"))
    gross = bars["c"].gather(places["last"]) / bars["c"].gather(places["first"]) - 1
    return _judged(places.with_columns(gross.alias("gross"), *_touches(places, bars)))


def _judged(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with the label that happened, as `track_record` takes them, sorted by its key."""
    # Taken by its digits, which read back as the very float; a JSON reader's may be the float beside it.
    volatility = pl.col("features_snapshot").str.extract(r'"vol_20d":\s*([^,}\s]+)').cast(pl.Float64, strict=False)
    edge = EDGE * volatility * pl.col("horizon_days").sqrt()
    outcome = (
        pl.when(pl.col("gross").is_null() | (edge > 0).not_().fill_null(True))
        .then(None)
        .when(pl.col("gross") > edge)
        .then(pl.lit("BUY"))
        .when(pl.col("gross") < -edge)
        .then(pl.lit("SELL"))
        .otherwise(pl.lit("HOLD"))
    )
    return (
        rows.with_columns(outcome=outcome)
        .select(
            "instrument_id", "ts", "profile", "label", "as_of", "horizon_days", "confidence",
            "expected_return_pct", "outcome", "first_touched", "touched_on",
            recommendation_id="id",
            realised_return_pct=pl.col("gross") * 100,
            hit=pl.col("label") == pl.col("outcome"),
        )
        .sort("ts", "recommendation_id")
    )  # fmt: skip


def _touches(rows: pl.DataFrame, bars: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """Return which of stop and target the bars after each advice touched first, and when.

    A bar that touches both counts as the stop: a daily bar does not say which came first. Nothing is touched where
    the close advised on does not lie between the two: the past was restated since, and bars are on another basis.

    Args:
        rows: label, stop_loss, take_profit, and `first` and `last`: the places of the bar advised on and of
            the last bar of the horizon.
        bars: ts, h, l and c, the bars of an instrument in order.
    """
    sign = rows["label"].replace_strict({"BUY": 1.0, "SELL": -1.0}, default=None, return_dtype=pl.Float64)
    stop, target = ((sign * rows[name]).to_numpy() for name in ("stop_loss", "take_profit"))  # NaN: never touched
    rises, lows, highs = (rows["label"] == "BUY").to_numpy(), bars["l"].to_numpy(), bars["h"].to_numpy()
    last = rows["last"].fill_null(-1).to_numpy()
    close = (sign * bars["c"].gather(rows["first"])).to_numpy()
    elsewhere = (close <= stop) | (close >= target)
    first = np.where(elsewhere, bars.height, rows["first"].fill_null(bars.height).to_numpy())
    name, place = np.full(rows.height, None, dtype=object), np.full(rows.height, -1, dtype=np.int64)
    for ahead in range(1, LONGEST_HORIZON + 1):
        open_ = np.flatnonzero((first + ahead <= last) & (place < 0))
        now, rising = first[open_] + ahead, rises[open_]
        stopped = np.where(rising, lows[now], -highs[now]) <= stop[open_]
        reached = np.where(rising, highs[now], -lows[now]) >= target[open_]
        name[open_[reached]] = "target"
        name[open_[stopped]] = "stop"
        place[open_[reached | stopped]] = now[reached | stopped]
    touched_on = bars["ts"].gather(pl.Series(place).replace(-1, None))
    return pl.Series("first_touched", name.tolist(), dtype=pl.String), touched_on.alias("touched_on")
