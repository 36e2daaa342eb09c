"""The naive recipe that signals are held against: what most examples of this idea do.

What belongs here: its faults, on purpose. Kept elsewhere: how it is judged (`signals.py`), which is the same for
all contestants.

LightGBM's own defaults on the eight columns as they are, against the raw return of the next 20 bars, found by
shifting one long table of all instruments: the last 20 bars of an instrument get the prices of the next one in the
table. It is trained once a month on all bars before. Without a purge the labels of the last 20 sessions hold
prices of the month that is judged: it knows more than anybody could. With one they are left out.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import lightgbm as lgb
import numpy as np
import polars as pl

from boursomatic_assets.arrays import Floats
from boursomatic_assets.features.indicators import FEATURES
from boursomatic_assets.learning.prediction import feature_matrix

NAMES = [feature.__name__ for feature in FEATURES]
AHEAD = 20
DEFAULTS = {"objective": "regression", "seed": 20, "deterministic": True, "num_threads": 1, "verbosity": -1}


def scores(
    features: pl.DataFrame, bars: pl.DataFrame, rows: pl.DataFrame, due: Sequence[datetime], *, purged: bool
) -> Floats:
    """Score rows, each by the model of the last due date until then.

    Args:
        features: instrument_id, ts and the eight columns, of every bar.
        bars: instrument_id, ts and c.
        rows: instrument_id and ts of what is to be scored, in order of time, none before the first due date.
        due: when models are trained, in order.
        purged: whether bars of the last 20 sessions before are left out.
    """
    table = features.join(bars.select("instrument_id", "ts", "c"), on=["instrument_id", "ts"])
    table = table.sort("instrument_id", "ts").with_columns(label=pl.col("c").shift(-AHEAD) / pl.col("c") - 1)
    values, label, ts = feature_matrix(table, NAMES), table["label"].to_numpy(), table["ts"].to_numpy()
    wanted = feature_matrix(rows.join(table, on=["instrument_id", "ts"], how="left", maintain_order="left"), NAMES)
    sessions = np.unique(ts)
    bounds = [*np.searchsorted(rows["ts"].to_numpy(), np.array(due, "datetime64[us]")), rows.height]

    def month(number: int) -> Floats:
        if bounds[number] == bounds[number + 1]:
            return np.empty(0)
        seen = sessions[: np.searchsorted(sessions, np.datetime64(due[number])) - AHEAD * purged]
        known = (ts <= seen[-1]) & ~np.isnan(label)
        booster = lgb.train(DEFAULTS, lgb.Dataset(values[known], label[known], params=DEFAULTS))
        return np.asarray(booster.predict(wanted[bounds[number] : bounds[number + 1]], num_threads=1))

    with ThreadPoolExecutor(2) as pool:
        return np.concatenate(list(pool.map(month, range(len(due)))))
