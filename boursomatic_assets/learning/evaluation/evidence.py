"""Evidence: how many to one the out-of-sample record speaks for a recipe, however often one looks.

What belongs here: the steps of a record that do not overlap, and the e-process that bets on them.
Kept elsewhere: the rank IC of a session (`ranking.py`), who may speak with how much evidence (`learning/gate.py`,
`advice/profiles.py`).

An e-process bets on one step after the other that the score ranks instruments better than chance. Its value is
what a stake of 1 has become. A score that says nothing about the returns to come gives rank ICs that are as likely
to be positive as negative of the same size; then the value is 1 in the mean at most, whenever one looks, so that
by Ville's inequality it ever reaches 20 with a probability of 1 in 20 at most. See de la Pena (1999), "A general
class of exponential inequalities for martingales and ratios", lemma 6.1, and Ramdas, Gruenwald, Vovk and Shafer
(2023), "Game-theoretic statistics and safe anytime-valid inference".

Labels overlap, so a record is cut into series of steps that do not; the value of the record is the mean of theirs.
Each series keeps to that bound. For their mean it is shown by simulation (docs/models.md): it passes as seldom.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl

from boursomatic_assets.arrays import SESSIONS_PER_YEAR, Floats
from boursomatic_assets.learning.evaluation import ranking

PRIOR_SCALE = 1.0
"""Scale of the half-normal distribution of annual information ratios that the bets are spread over."""

BETS = 32
"""Ratios that stand for that distribution: the middles of as many equally likely parts."""

PRIOR_STEPS, PRIOR_DEVIATION = 4, 0.15
"""Steps that count, before the first, as if the rank IC had had this deviation. They shape the size of a bet
alone: a wrong deviation costs power, never validity."""


@dataclass(frozen=True)
class EvidenceRecord:
    """The rank ICs of a record at one horizon, and the series of them that do not overlap.

    Attributes:
        dates: ts, known_at (the latest of the markets) and rank_ic (their mean), in order of time.
        series: The rows of each series of steps: every step begins when the outcome of the one before is known.
            There are as many as dates before the first outcome, and a date is in one of them at most.
        horizon: Sessions of a step.
    """

    dates: pl.DataFrame
    series: list[list[int]]
    horizon: int

    @classmethod
    def from_rows(cls, rows: pl.DataFrame, horizon: int) -> "EvidenceRecord":
        """Reduce a record to the rank ICs of its dates.

        Args:
            rows: market, ts, known_at, forward_return and score, by time; rows without a return are left out.
            horizon: Sessions from `ts` to `known_at`.
        """
        known = rows.drop_nulls("forward_return").sort("ts", "market", maintain_order=True)
        known = known.with_columns(session=pl.struct("ts", "market").rle_id().cast(pl.Int64))
        sessions = known.group_by("session", maintain_order=True).agg(pl.col("ts", "known_at").first())
        ics = ranking.rank_ics(known, "score", sessions.height)
        return cls.from_sessions(sessions.with_columns(rank_ic=ics).fill_nan(None), horizon)

    @classmethod
    def from_sessions(cls, sessions: pl.DataFrame, horizon: int) -> "EvidenceRecord":
        """Join the sessions of both markets by date.

        Args:
            sessions: ts, known_at and rank_ic (null where there is none), in order of time and market.
            horizon: Sessions from `ts` to `known_at`.
        """
        by_date = sessions.drop_nulls("rank_ic").group_by("ts", maintain_order=True)
        dates = by_date.agg(pl.col("known_at").max(), pl.col("rank_ic").mean())
        return cls(dates, _series(dates["ts"].to_list(), dates["known_at"].to_list()), horizon)

    def before(self, cutoff: datetime) -> dict[str, Any]:
        """Return the evidence of the dates whose outcome was known before a cutoff.

        Returns:
            `value`: how many to one for the score, the mean over the series; `against`: the same against it; and
            `steps`: those of the longest series.
        """
        known = self.dates.filter(pl.col("known_at") < cutoff)["rank_ic"].to_numpy()
        series = [known[[step for step in steps if step < len(known)]] for steps in self.series]
        begun = [steps for steps in series if len(steps)] or [known]
        return {
            "value": float(np.mean([e_value(steps, self.horizon) for steps in begun])),
            "against": float(np.mean([e_value(-steps, self.horizon) for steps in begun])),
            "steps": max(map(len, begun)),
        }


def _series(starts: list[datetime], ends: list[datetime]) -> list[list[int]]:
    """Return the steps of each series: a date goes to the one that has waited longest, if its last step is over.

    To begin each step with the first date that is free would be simpler; but after a holiday of one market two
    series would meet on the same date, and never part again.
    """
    series: list[list[int]] = [[] for start in starts if start < ends[0]]
    for step, start in enumerate(starts):
        idle = min(series, key=lambda steps: ends[steps[-1]] if steps else datetime.min)
        if not idle or ends[idle[-1]] <= start:
            idle.append(step)
    return series


def e_value(rank_ics: Sequence[float] | Floats, horizon: int) -> float:
    """Return how many to one a series of steps speaks for a mean rank IC above 0.

    The value is the mean, over BETS annual ratios r, of the product over the steps of exp(b x - (b x)^2 / 2),
    where x is the rank IC and b = r sqrt(horizon / 252) / deviation, the deviation that of the steps before.
    Negate the series for the evidence of the opposite.

    Args:
        rank_ics: Of steps that do not overlap, each between -1 and 1.
        horizon: Sessions of a step.
    """
    series = np.asarray(rank_ics, dtype=np.float64)
    before = np.cumsum(series**2) - series**2
    deviation = np.sqrt(
        (PRIOR_STEPS * PRIOR_DEVIATION**2 + before) / (PRIOR_STEPS + np.arange(len(series), dtype=np.float64))
    )
    stakes = _RATIOS[:, None] * math.sqrt(horizon / SESSIONS_PER_YEAR) * (series / deviation)
    return float(np.exp((stakes - stakes**2 / 2).sum(axis=1)).mean())


_RATIOS = PRIOR_SCALE * np.array([NormalDist().inv_cdf(0.5 + (n + 0.5) / (2 * BETS)) for n in range(BETS)])
