"""Metrics of the record of a walk-forward, before any cutoff.

What belongs here: the record reduced to one row per session, once, and the metrics of a cutoff as sums of such
rows.
Kept elsewhere: each kind of metric (`ranking.py`, `classification.py`, `portfolio.py`, `intervals.py`), the record
(`learning/walk.py`), the limits of the gate (`learning/gate.py`). docs/models.md defines every metric.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from boursomatic_assets.arrays import Floats
from boursomatic_assets.learning.evaluation import classification, intervals, portfolio, ranking
from boursomatic_assets.learning.labels import CLASSES
from boursomatic_assets.learning.parameters import Parameters

ClassCodes = npt.NDArray[np.uint8]
"""Indices in CLASSES, one for each row."""

Metrics = dict[str, Any]
"""Finite numbers, ISO dates, null, and lists and levels of the same: it is stored as JSON."""

BASELINES = ("reversal", "momentum", "ridge")
SCORE_COLUMNS = ("score", *BASELINES)
"""The columns of the record that rank instruments: the score of the model and those of the baselines."""

PROBABILITY_COLUMNS = ("p_sell", "p_hold", "p_buy")
COST = Parameters.cost
"""The cost of buying or selling, as a share of the amount."""


def class_codes(rows: pl.DataFrame) -> ClassCodes:
    """Return the label of each row as its index in CLASSES."""
    return cast(ClassCodes, rows["label"].to_physical().to_numpy())


@dataclass(frozen=True)
class SessionMetrics:
    """One row per session; the metrics of any cutoff are sums and means of them.

    Attributes:
        sessions: One row per session of a market, by time: market, ts, known_at, rows, the columns of
            `classification`, and by score column rank_ic_..., spread_... and net_spread_... (null without enough
            rows).
        days: One row per day of a market, with the columns of `portfolio.daily_results`.
        horizon: Sessions from `ts` to `known_at`.
        stride: Sessions of a market from one session of the record to the next.
    """

    sessions: pl.DataFrame
    days: pl.DataFrame
    horizon: int
    stride: int

    @classmethod
    def from_record(
        cls, record: pl.DataFrame, closes: pl.DataFrame, horizon: int, stride: int, cost: float = COST
    ) -> "SessionMetrics":
        """Reduce a record to one row per session of a market; the order of its rows does not matter.

        Args:
            record: One row per instrument and sampled session: market, instrument_id, ts, known_at, label,
                forward_return, SCORE_COLUMNS (null without a score) and PROBABILITY_COLUMNS (null without
                probabilities). Rows whose label is not known yet are left out.
            closes: instrument_id, ts, c: the daily closes of these instruments up to the last known_at.
            horizon: Sessions from `ts` to `known_at`.
            stride: Sessions of a market from one sampled session to the next.
            cost: The cost of buying or selling, as a share of the amount.

        Raises:
            ValueError: A picked instrument has no close to be opened at.
        """
        rows = _labelled_rows(record)
        keys = rows.group_by("session", maintain_order=True).agg(
            pl.col("market", "ts").first(), pl.col("known_at").max(), rows=pl.len()
        )
        deciles = {name: ranking.pick_deciles(rows, name) for name in SCORE_COLUMNS}
        ranks: dict[str, Floats] = {}
        for name, picks in deciles.items():
            gross, net = ranking.decile_spreads(picks, keys.height, cost)
            ranks[f"rank_ic_{name}"] = ranking.rank_ics(rows, name, keys.height)
            ranks |= {f"spread_{name}": gross, f"net_spread_{name}": net}
        sessions = pl.concat(
            [keys.drop("session"), pl.DataFrame(ranks).fill_nan(None), _classification_sums(rows, keys)],
            how="horizontal",
        )
        share = min(1.0, stride / horizon)
        return cls(sessions, _daily_portfolios(deciles, rows, closes, share, cost), horizon, stride)

    def metrics_before(self, cutoff: datetime) -> Metrics:
        """Return the metrics of the rows whose label was known before a cutoff.

        They are the same whatever the record and the closes hold from the cutoff on.
        """
        sessions = self.sessions.filter(pl.col("known_at") < cutoff)
        days = portfolio.combine_markets(self.days, sessions)
        overlap = dates_per_horizon(sessions, self.horizon, self.stride)
        return {
            "rows": int(sessions["rows"].sum()),
            "sessions": sessions.height,
            "start": _iso_date(sessions["ts"].min()),
            "end": _iso_date(sessions["ts"].max()),
            **classification.classification_metrics(sessions),
            **self._ranking_metrics(sessions, days, overlap, "score"),
            "intervals": confidence_intervals(sessions, days, overlap),
            "by_market": _metrics_by_group(sessions, pl.col("market"), _group_metrics),
            "by_year": _metrics_by_group(sessions, pl.col("ts").dt.strftime("%Y"), _group_metrics),
            "by_month": _metrics_by_group(sessions, pl.col("ts").dt.strftime("%Y-%m"), _month_metrics),
            "baselines": {
                "hold": classification.always_hold_metrics(sessions),
                **{name: self._ranking_metrics(sessions, days, overlap, name) for name in BASELINES},
            },
            "reliability": classification.reliability_curve(sessions),
        }

    def _ranking_metrics(self, sessions: pl.DataFrame, days: pl.DataFrame, overlap: int, name: str) -> Metrics:
        """Return the metrics of one score column: its ranking and its portfolio."""
        ics = _mean_by_date(sessions, f"rank_ic_{name}")
        estimate = intervals.estimate_mean(ics, overlap)
        earned = days[f"earned_{name}"].to_numpy()
        return {
            "rank_ic": ranking.mean(ics),
            "rank_ic_ir": ranking.information_ratio(ics, self.horizon),
            "rank_ic_t": estimate.t if estimate else None,
            "rank_ic_t_degrees": estimate.degrees if estimate else None,
            "decile_spread": ranking.mean(_mean_by_date(sessions, f"spread_{name}")),
            "decile_spread_net": ranking.mean(_mean_by_date(sessions, f"net_spread_{name}")),
            "sharpe": portfolio.sharpe(earned),
            "max_drawdown": portfolio.max_drawdown(earned),
            "turnover": portfolio.turnover(days[f"traded_{name}"].to_numpy()),
        }


def confidence_intervals(sessions: pl.DataFrame, days: pl.DataFrame, overlap: int) -> Metrics:
    """Return the ends of each figure's interval, or None of too few sessions; `overlap` as `dates_per_horizon`."""
    ic = intervals.estimate_mean(_mean_by_date(sessions, "rank_ic_score"), overlap)
    spread = intervals.estimate_mean(_mean_by_date(sessions, "net_spread_score"), overlap)
    sharpe = intervals.estimate_sharpe(days["earned_score"].to_numpy()) if ic else None
    estimates = {"rank_ic": ic, "decile_spread_net": spread, "sharpe": sharpe}
    return {name: estimate.interval if estimate else None for name, estimate in estimates.items()}


def dates_per_horizon(sessions: pl.DataFrame, horizon: int, stride: int) -> int:
    """Return on how many dates of the record a horizon is open: more if the markets' dates differ."""
    if sessions.is_empty():
        return 1
    of_one_market = cast(int, sessions["market"].value_counts()["count"].max())
    return math.ceil(horizon / stride * sessions["ts"].n_unique() / of_one_market)


def _labelled_rows(record: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose label is known, sorted, with the number of their session of a market."""
    numbers = pl.col(*SCORE_COLUMNS, *PROBABILITY_COLUMNS).cast(pl.Float64).fill_nan(None)
    return (
        record.with_columns(numbers, pl.col("market", "instrument_id").cast(pl.String))
        .with_columns(pl.col("label").cast(pl.Enum(CLASSES)))
        .drop_nulls(["known_at", "forward_return"])
        .sort("ts", "market", "instrument_id")
        .with_columns(session=pl.struct("ts", "market").rle_id().cast(pl.Int64))
    )


def _classification_sums(rows: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    """Return the columns of `classification` by session; rows without a label or probabilities are left out."""
    labelled = rows.drop_nulls("label")
    predicted = labelled.drop_nulls(PROBABILITY_COLUMNS)
    sums = classification.session_sums(
        predicted["session"].to_numpy(),
        class_codes(predicted),
        predicted.select(PROBABILITY_COLUMNS).to_numpy(),
        keys.height,
    )
    counts = _label_counts(labelled, keys.height)
    by_known_at = keys["known_at"].arg_sort()
    so_far = np.concatenate([np.zeros((1, len(CLASSES)), np.int64), counts[by_known_at].cumsum(axis=0)])
    # Strictly earlier: Paris closes before New York on the same date.
    known = keys["known_at"].gather(by_known_at).search_sorted(keys["ts"], side="left").to_numpy()
    return pl.concat(
        [sums, classification.no_skill_losses(_label_counts(predicted, keys.height), so_far[known])],
        how="horizontal",
    )


def _label_counts(rows: pl.DataFrame, size: int) -> npt.NDArray[np.int64]:
    """Return the number of rows of each label: sessions x classes."""
    cell = rows["session"].to_numpy() * len(CLASSES) + class_codes(rows)
    return np.bincount(cell, minlength=size * len(CLASSES)).reshape(size, len(CLASSES))


def _daily_portfolios(
    deciles: dict[str, pl.DataFrame], rows: pl.DataFrame, closes: pl.DataFrame, share: float, cost: float
) -> pl.DataFrame:
    """Return `portfolio.daily_results` of every market, one below the other."""
    by_name = closes.with_columns(pl.col("instrument_id").cast(pl.String))
    frames = []
    for (market,), of_market in rows.partition_by("market", as_dict=True).items():
        prices = by_name.filter(pl.col("ts") >= of_market["ts"].min()).join(
            of_market, on="instrument_id", how="semi"
        )
        picks = {name: frame.filter(pl.col("market") == market) for name, frame in deciles.items()}
        frames.append(portfolio.daily_results(picks, prices, share, cost).with_columns(market=pl.lit(market)))
    empty = {name: pl.Float64 for x in SCORE_COLUMNS for name in (f"earned_{x}", f"traded_{x}")}
    return pl.concat([pl.DataFrame(schema={"ts": pl.Datetime("us"), **empty, "market": pl.String}), *frames])


def _mean_by_date(sessions: pl.DataFrame, column: str) -> Floats:
    """Return the mean of a column over the markets of each date, null values left out."""
    values, ts = sessions[column].to_numpy(), sessions["ts"].to_numpy()
    present = ~np.isnan(values)
    dates, group = np.unique(ts[present], return_inverse=True)
    return ranking.sum_by_group(group, values[present], len(dates)) / np.bincount(group, minlength=len(dates))


def _metrics_by_group(
    sessions: pl.DataFrame, key: pl.Expr, metrics: Callable[[pl.DataFrame], Any]
) -> dict[str, Any]:
    """Return metrics of the sessions of each group, in the order of the groups' names."""
    groups = sessions.with_columns(group=key).partition_by("group", as_dict=True, maintain_order=True)
    return {str(name): metrics(group) for (name,), group in sorted(groups.items())}


def _group_metrics(sessions: pl.DataFrame) -> Metrics:
    return {
        "rank_ic": ranking.mean(_mean_by_date(sessions, "rank_ic_score")),
        "decile_spread": ranking.mean(_mean_by_date(sessions, "spread_score")),
        "ece": classification.calibration_error(sessions),
        "n": int(sessions["rows"].sum()),
    }


def _month_metrics(sessions: pl.DataFrame) -> list[float | int | None]:
    """Return the rank IC, the log loss and the number of sampled sessions."""
    return [
        ranking.mean(_mean_by_date(sessions, "rank_ic_score")),
        classification.mean_loss(sessions, "log_loss"),
        sessions.height,
    ]


def _iso_date(moment: Any) -> str | None:
    return moment.isoformat() if moment is not None else None
