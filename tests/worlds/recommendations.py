"""Predictions, features and closes written by hand, and the recommendations that follow.

A chance is (p_sell, p_hold, p_buy), the same at every horizon or one for each of 10, 20 and 40 sessions. Unless a
test says otherwise, the direction of an instrument is the likelier of a BUY and a SELL, and its score follows from
the same chances.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import polars as pl

from boursomatic_assets.advice.profiles import RISK_PROFILES
from boursomatic_assets.advice.signals import Maker, recommend
from boursomatic_assets.advice.snapshots import FEATURE_COLUMNS
from boursomatic_assets.advice.standing import Standing

Chance = tuple[float, float, float]

MONDAY = datetime(2024, 1, 1)
BUY, HOLD, SELL = (0.1, 0.2, 0.7), (0.2, 0.6, 0.2), (0.7, 0.2, 0.1)

RANKED = (
    "ret_1d",
    "ret_5d",
    "ret_20d",
    "rsi_14",
    "vol_20d",
    "volume_zscore",
    "ret_60d",
    "ret_120d",
    "momentum_12_1",
    "vol_250d",
    "vol_ratio",
    "max_ret_20d",
    "range_20d",
    "illiquidity_60d",
    "volume_trend",
    "high_250d",
    "skew_60d",
    "overnight_20d",
    "beta_120d",
    "idiosyncratic_vol_120d",
)
CONTEXT = ("market_ret_20d", "market_vol_20d", "market_breadth_120d", "session_of_month")
MODEL_INPUTS = (*(f"{name}_rank" for name in RANKED), *CONTEXT)

VALUES = {
    **dict.fromkeys((*FEATURE_COLUMNS, *RANKED), 0.0123),
    **dict.fromkeys(MODEL_INPUTS, 0.5),
    "ret_120d": 0.34,
    "ret_120d_rank": 0.92,
    "high_250d": 0.98,
    "high_250d_rank": 0.88,
    "vol_20d": 0.0189,
    "vol_20d_rank": 0.2,
    "atr_14": 2.0,
    "market_vol_20d": 0.009,
    "session_of_month": 5.0,
}
SHARES = {"ret_120d_rank": 0.012, "high_250d_rank": 0.01, "vol_20d_rank": -0.004, "market_vol_20d": -0.001}


HORIZONS = tuple(profile.horizon for profile in RISK_PROFILES)
PROVEN = Standing(dict.fromkeys(HORIZONS, 100.0), dict.fromkeys(HORIZONS, ("BUY", "SELL")))
"""A version that everybody may speak for."""


def maker(version: str = "v1", standing: Standing = PROVEN, abstention: str | None = None) -> Maker:
    """A version that recommends."""
    return Maker(version, standing, abstention=abstention)


def keys(rows: int) -> pl.DataFrame:
    """Instruments of one session, in order."""
    return pl.DataFrame({"instrument_id": [f"instrument {i:02}" for i in range(rows)]}).with_columns(ts=MONDAY)


def predictions(
    chances: Sequence[Chance | Mapping[int, Chance]], shares: Mapping[str, float] = SHARES, market: str = "US"
) -> pl.DataFrame:
    """One prediction per instrument; a feature without a share contributes nothing to the score."""
    columns: dict[str, list[float]] = {}
    for horizon in (profile.horizon for profile in RISK_PROFILES):
        drawn = [chance[horizon] if isinstance(chance, Mapping) else chance for chance in chances]
        for i, label in enumerate(("sell", "hold", "buy")):
            columns[f"p_{label}_{horizon}"] = [chance[i] for chance in drawn]
        columns[f"expected_return_pct_{horizon}"] = [horizon / 10] * len(drawn)
    added = [pl.lit(shares.get(name, 0.0)).alias(name) for name in MODEL_INPUTS]
    rise, fall = (pl.col(f"p_{label}_{max(HORIZONS)}") for label in ("buy", "sell"))
    direction = pl.when(rise > fall).then(pl.lit("BUY")).when(rise < fall).then(pl.lit("SELL"))
    return (
        keys(len(chances))
        .with_columns(
            pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Float64)),
            market=pl.lit(market),
            contributions=pl.struct(added),
        )
        .with_columns(score=rise - fall, direction=direction)
        .with_columns(score_rank=((pl.col("score").rank() - 0.5) / pl.len()).cast(pl.Float64))
    )


def features(rows: int, **values: float | None) -> pl.DataFrame:
    numbers = {name: pl.lit(value, pl.Float64) for name, value in {**VALUES, **values}.items()}
    return keys(rows).with_columns(additional_features=pl.lit(None, pl.String), **numbers)


def closes(rows: int, close: float | None = 100.0) -> pl.DataFrame:
    return keys(rows).with_columns(c=pl.lit(close, pl.Float64))


def recommend_by_hand(
    *chances: Chance | Mapping[int, Chance],
    close: float | None = 100.0,
    shares: Mapping[str, float] = SHARES,
    standing: Standing = PROVEN,
    abstention: str | None = None,
    language: str = "en",
    **values: float | None,
) -> pl.DataFrame:
    """The recommendations of the three profiles for instruments of one session: three rows for each."""
    rows = len(chances)
    inputs = predictions(chances, shares), features(rows, **values), closes(rows, close)
    return recommend(*inputs, maker(standing=standing, abstention=abstention), language)
