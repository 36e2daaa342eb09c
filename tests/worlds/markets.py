"""A small market for tests of features: random walks on made-up sessions, with gaps and late listings."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl

SESSIONS = np.arange("1990-01-02", "1994-06-01", dtype="datetime64[D]")


def random_market(
    instruments: int = 3, last: int = 900, gaps: float = 0.1, late: int = 37, seed: int = 1
) -> pl.DataFrame:
    """Random walks up to the session of ordinal last, with gaps, each listed later than the one before."""
    return pl.concat(
        _walk(f"i{number}", np.arange(number * late, last + 1), gaps, seed) for number in range(instruments)
    )


def _walk(instrument: str, ordinals: npt.NDArray[np.int64], gaps: float, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng([seed, *instrument.encode()])
    kept = ordinals[rng.random(ordinals.size) >= gaps]
    close = 80 * np.exp(np.cumsum(rng.normal(0, 0.02, kept.size)))
    wick = 1 + np.abs(rng.normal(0, 0.01, kept.size))
    prices = {"o": close * (wick + 1 / wick) / 2, "h": close * wick, "l": close / wick, "c": close}
    volume = rng.integers(1_000, 1_000_000, kept.size).astype(float)
    ts = SESSIONS[kept].astype("datetime64[us]")
    return pl.DataFrame({"ts": ts, **prices, "v": volume}).with_columns(
        instrument_id=pl.lit(instrument), interval=pl.lit("daily")
    )


def between_sessions(frame: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
    """The rows of the sessions of ordinal first to last."""
    return frame.filter(pl.col("ts").dt.date().is_between(SESSIONS[max(first, 0)].item(), SESSIONS[last].item()))


def market_returns(bars: pl.DataFrame) -> pd.Series:
    """The mean return of each session over the instruments that have a bar in it and in the one before."""
    dates = pd.DatetimeIndex(SESSIONS.astype("datetime64[us]"))
    closes = bars.pivot("instrument_id", index="ts", values="c").to_pandas().set_index("ts").reindex(dates)
    return closes.pct_change(fill_method=None).mean(axis=1)
