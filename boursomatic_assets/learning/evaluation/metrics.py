"""Evaluation: how good a model and its baselines were on sessions that they had not been trained on.

What belongs here: the record of a walk-forward put into one row per session, once, and the metrics of any cutoff
as sums of such rows. Kept elsewhere: what a figure is (`ranking`, `outcomes`, `portfolio`, `bootstrap`), what
the record is made of (`walk`), what is good enough to be used (`gate`). docs/models.md defines every metric.
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
from boursomatic_assets.learning.evaluation import bootstrap, classification, portfolio, ranking
from boursomatic_assets.learning.labels import CLASSES
from boursomatic_assets.learning.parameters import Parameters

Classes = npt.NDArray[np.uint8]
"""Positions in LABELS, one for each row."""

Metrics = dict[str, Any]
"""Finite numbers, ISO dates, null, and lists and levels of the same: it is stored as JSON."""

BASELINES = ("reversal", "momentum", "ridge")
CONTESTANTS = ("score", *BASELINES)
"""The columns of the record that rank instruments: the model's, and those it is compared with."""

CHANCES = ("p_sell", "p_hold", "p_buy")
COST = Parameters.cost
"""Part of every amount bought or sold that is paid for it."""


def class_numbers(rows: pl.DataFrame) -> Classes:
    """Return the label of each row as its position in LABELS."""
    return cast(Classes, rows["label"].to_physical().to_numpy())


@dataclass(frozen=True)
class Scoreboard:
    """All that the metrics of any cutoff are sums of.

    Attributes:
        sessions: One row per session of a market, by time: market, ts, known_at, rows, what `outcomes` sums up,
            and by contestant rank_ic_..., spread_... and net_spread_... (null without enough rows).
        days: One row per day of a market, with the columns of `portfolio.daily`.
        horizon: Sessions from the close that is judged to the close that judges it.
        stride: Sessions of a market from one session of the record to the next.
    """

    sessions: pl.DataFrame
    days: pl.DataFrame
    horizon: int
    stride: int

    @classmethod
    def of(
        cls, record: pl.DataFrame, closes: pl.DataFrame, horizon: int, stride: int, cost: float = COST
    ) -> "Scoreboard":
        """Put a record into one row per session of a market, in any order of its rows.

        Args:
            record: One row per instrument and sampled session: market, instrument_id, ts, known_at, label,
                forward_return, CONTESTANTS (null without a score) and CHANCES (null without probabilities).
                Rows whose outcome is not known yet are left out.
            closes: instrument_id, ts, c: the daily closes of these instruments up to the last known_at.
            horizon: Sessions from `ts` to `known_at`.
            stride: Sessions of a market from one sampled session to the next.
            cost: Part of an amount that buying or selling it costs.

        Raises:
            ValueError: A picked instrument has no close to be opened at.
        """
        rows = _in_order(record)
        keys = rows.group_by("session", maintain_order=True).agg(
            pl.col("market", "ts").first(), pl.col("known_at").max(), rows=pl.len()
        )
        picked = {name: ranking.picks(rows, name) for name in CONTESTANTS}
        ranks: dict[str, Floats] = {}
        for name, picks in picked.items():
            gross, net = ranking.decile_spreads(picks, keys.height, cost)
            ranks[f"rank_ic_{name}"] = ranking.rank_ics(rows, name, keys.height)
            ranks |= {f"spread_{name}": gross, f"net_spread_{name}": net}
        sessions = pl.concat(
            [keys.drop("session"), pl.DataFrame(ranks).fill_nan(None), _outcomes(rows, keys)], how="horizontal"
        )
        part = min(1.0, stride / horizon)
        return cls(sessions, _days(picked, rows, closes, part, cost), horizon, stride)

    def metrics(self, cutoff: datetime) -> Metrics:
        """Return the metrics of the rows whose outcome was known before a cutoff.

        They are the same whatever the record and the closes hold from the cutoff on.
        """
        known = self.sessions.filter(pl.col("known_at") < cutoff)
        days = portfolio.together(self.days, known)
        lag = dates_per_horizon(known, self.horizon, self.stride)
        return {
            "rows": int(known["rows"].sum()),
            "sessions": known.height,
            "start": _date(known["ts"].min()),
            "end": _date(known["ts"].max()),
            **classification.outcome_metrics(known),
            **self._contest(known, days, lag, "score"),
            "intervals": self._intervals(known, days, lag),
            "by_market": _groups(known, pl.col("market"), _summary),
            "by_year": _groups(known, pl.col("ts").dt.strftime("%Y"), _summary),
            "by_month": _groups(known, pl.col("ts").dt.strftime("%Y-%m"), _monthly),
            "baselines": {
                "hold": classification.always_hold(known),
                **{name: self._contest(known, days, lag, name) for name in BASELINES},
            },
            "reliability": classification.reliability(known),
        }

    def _contest(self, known: pl.DataFrame, days: pl.DataFrame, lag: int, name: str) -> Metrics:
        """Return the metrics of one contestant's ranking and portfolio."""
        ics = _by_date(known, f"rank_ic_{name}")
        earned = days[f"earned_{name}"].to_numpy()
        return {
            "rank_ic": ranking.mean(ics),
            "rank_ic_ir": ranking.information_ratio(ics, self.horizon),
            "rank_ic_t": ranking.t_statistic(ics, lag),
            "decile_spread": ranking.mean(_by_date(known, f"spread_{name}")),
            "decile_spread_net": ranking.mean(_by_date(known, f"net_spread_{name}")),
            "sharpe": portfolio.sharpe(earned),
            "max_drawdown": portfolio.max_drawdown(earned),
            "turnover": portfolio.turnover(days[f"traded_{name}"].to_numpy()),
        }

    def _intervals(self, known: pl.DataFrame, days: pl.DataFrame, block: int) -> Metrics:
        return {
            "rank_ic": bootstrap.mean_interval(_by_date(known, "rank_ic_score"), block),
            "decile_spread_net": bootstrap.mean_interval(_by_date(known, "net_spread_score"), block),
            "sharpe": bootstrap.sharpe_interval(days["earned_score"].to_numpy(), self.horizon),
        }


def dates_per_horizon(sessions: pl.DataFrame, horizon: int, stride: int) -> int:
    """Return on how many dates of the record a horizon is open: more if the markets' dates differ."""
    if sessions.is_empty():
        return 1
    of_one_market = cast(int, sessions["market"].value_counts()["count"].max())
    return math.ceil(horizon / stride * sessions["ts"].n_unique() / of_one_market)


def _in_order(record: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose outcome is known, sorted, with the number of their session of a market."""
    numbers = pl.col(*CONTESTANTS, *CHANCES).cast(pl.Float64).fill_nan(None)
    return (
        record.with_columns(numbers, pl.col("market", "instrument_id").cast(pl.String))
        .with_columns(pl.col("label").cast(pl.Enum(CLASSES)))
        .drop_nulls(["known_at", "forward_return"])
        .sort("ts", "market", "instrument_id")
        .with_columns(session=pl.struct("ts", "market").rle_id().cast(pl.Int64))
    )


def _outcomes(rows: pl.DataFrame, keys: pl.DataFrame) -> pl.DataFrame:
    """Return what `outcomes` sums up, by session; rows without a label or probabilities count for nothing."""
    labelled = rows.drop_nulls("label")
    judged = labelled.drop_nulls(CHANCES)
    tally = classification.tally(
        judged["session"].to_numpy(), class_numbers(judged), judged.select(CHANCES).to_numpy(), keys.height
    )
    happened = _label_counts(labelled, keys.height)
    by_knowledge = keys["known_at"].arg_sort()
    so_far = np.concatenate([np.zeros((1, len(CLASSES)), np.int64), happened[by_knowledge].cumsum(axis=0)])
    # Strictly earlier: what New York knows at the end of a day, Paris does not know at its close.
    known = keys["known_at"].gather(by_knowledge).search_sorted(keys["ts"], side="left").to_numpy()
    return pl.concat(
        [tally, classification.no_skill(_label_counts(judged, keys.height), so_far[known])], how="horizontal"
    )


def _label_counts(rows: pl.DataFrame, size: int) -> npt.NDArray[np.int64]:
    """Return how often each label happened: sessions x labels."""
    place = rows["session"].to_numpy() * len(CLASSES) + class_numbers(rows)
    return np.bincount(place, minlength=size * len(CLASSES)).reshape(size, len(CLASSES))


def _days(
    picked: dict[str, pl.DataFrame], rows: pl.DataFrame, closes: pl.DataFrame, part: float, cost: float
) -> pl.DataFrame:
    """Return `portfolio.daily` of every market, one below the other."""
    named = closes.with_columns(pl.col("instrument_id").cast(pl.String))
    frames = []
    for (market,), of_market in rows.partition_by("market", as_dict=True).items():
        prices = named.filter(pl.col("ts") >= of_market["ts"].min()).join(
            of_market, on="instrument_id", how="semi"
        )
        picks = {name: frame.filter(pl.col("market") == market) for name, frame in picked.items()}
        frames.append(portfolio.daily(picks, prices, part, cost).with_columns(market=pl.lit(market)))
    empty = {name: pl.Float64 for x in CONTESTANTS for name in (f"earned_{x}", f"traded_{x}")}
    return pl.concat([pl.DataFrame(schema={"ts": pl.Datetime("us"), **empty, "market": pl.String}), *frames])


def _by_date(sessions: pl.DataFrame, column: str) -> Floats:
    """Return a figure of the sessions by date, null ones left out: that of a date is the mean of its markets'."""
    figure, ts = sessions[column].to_numpy(), sessions["ts"].to_numpy()
    present = ~np.isnan(figure)
    dates, place = np.unique(ts[present], return_inverse=True)
    return ranking.sum_by(place, figure[present], len(dates)) / np.bincount(place, minlength=len(dates))


def _groups(sessions: pl.DataFrame, key: pl.Expr, figures: Callable[[pl.DataFrame], Any]) -> dict[str, Any]:
    """Return figures of the sessions of each group, in the order of the groups' names."""
    groups = sessions.with_columns(group=key).partition_by("group", as_dict=True, maintain_order=True)
    return {str(name): figures(part) for (name,), part in sorted(groups.items())}


def _summary(sessions: pl.DataFrame) -> Metrics:
    return {
        "rank_ic": ranking.mean(_by_date(sessions, "rank_ic_score")),
        "decile_spread": ranking.mean(_by_date(sessions, "spread_score")),
        "ece": classification.calibration_error(sessions),
        "n": int(sessions["rows"].sum()),
    }


def _monthly(sessions: pl.DataFrame) -> list[float | int | None]:
    """Return the rank IC, the log loss and the number of sampled sessions."""
    return [
        ranking.mean(_by_date(sessions, "rank_ic_score")),
        classification.mean_loss(sessions, "log_loss"),
        sessions.height,
    ]


def _date(moment: Any) -> str | None:
    return moment.isoformat() if moment is not None else None
