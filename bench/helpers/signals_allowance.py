"""Allowance: the calibration error of each published label, and what chance alone makes of calibrated advice.

What belongs here: both figures, by profile and label. Kept elsewhere: the definition of the error
(`learning/evaluation/classification.py`), the lines about it (`signals_judged.py`).

Even advice whose every probability is true has a calibration error, since its rows are few and overlap. The
allowance is what such advice exceeds in one case of twenty, simulated with the rows, confidences and sessions of
what was published:

- each instrument is a random walk of its own, so the outcomes of its rows overlap as much as their horizons do;
- the walks are ranked within each session over a profile's horizon, as outcomes are: one third of a session is
  the better one, whoever that is;
- a BUY is right if its rank is in the highest part of the session, as large as its confidence, a SELL in the
  lowest, a HOLD in the middle: so each row is right as often as it says.

Shares move together by sector and country, which these walks do not, so true advice would in fact exceed the
allowance more often: it is strict.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from boursomatic_assets.advice.profiles import RISK_PROFILES, RiskProfile
from boursomatic_assets.arrays import Floats, Ints, Masks
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.learning.evaluation.classification import CONFIDENCE_BINS, calibration_error
from boursomatic_assets.vocabulary import LABELS

LEAST_ROWS, DRAWS, CASES = 200, 400, 20
"""Rows that a label must have to be judged; draws; one case in so many may exceed the allowance."""


@dataclass(frozen=True)
class Calibration:
    """How a profile's label kept its word.

    Attributes:
        profile: The profile.
        label: The label, where it was given as a view.
        rows: How many had an outcome.
        error: The expected calibration error of the confidence.
        allowance: What calibrated advice of as many rows exceeds in one case of CASES.
    """

    profile: str
    label: str
    rows: int
    error: float
    allowance: float


def calibrations(scored: pl.DataFrame, draws: int = DRAWS) -> list[Calibration]:
    """Judge each label and profile that has LEAST_ROWS rows or more, from `signals_published.scored`."""
    known = scored.filter(pl.col("outcome").is_not_null())
    return [
        one
        for profile in RISK_PROFILES
        for one in _of_profile(known.filter(profile=profile.name), profile, np.random.default_rng(20), draws)
    ]


def _of_profile(
    known: pl.DataFrame, profile: RiskProfile, random: np.random.Generator, draws: int
) -> Iterator[Calibration]:
    panels = [_Panel.of(rows, profile.horizon) for rows in known.partition_by("market")]
    given = pl.concat([panel.given for panel in panels]) if panels else known
    labels, confidence, hit = (given[name].to_numpy() for name in ("label", "confidence", "hit"))
    judged = {label: rows for label in LABELS if (rows := labels == label).sum() >= LEAST_ROWS}
    simulated: dict[str, list[float]] = {label: [] for label in judged}
    for _ in range(draws if judged else 0):
        drawn = np.concatenate([panel.draw(random) for panel in panels])
        for label, rows in judged.items():
            simulated[label].append(error(confidence[rows], drawn[rows]))
    for label, rows in judged.items():
        allowance = float(np.quantile(simulated[label], 1 - 1 / CASES))
        yield Calibration(profile.name, label, int(rows.sum()), error(confidence[rows], hit[rows]), allowance)


def error(confidence: Floats, hit: Masks) -> float:
    """Return the expected calibration error of rows that were right or not."""
    bins = np.minimum((confidence * CONFIDENCE_BINS).astype(np.intp), CONFIDENCE_BINS - 1)
    amounts = {"bin_rows": np.ones(len(bins)), "bin_correct": hit * 1.0, "bin_confidence": confidence}
    sums = {name: np.bincount(bins, amount, CONFIDENCE_BINS)[None] for name, amount in amounts.items()}
    return calibration_error(pl.DataFrame(sums)) or 0.0


@dataclass(frozen=True)
class _Panel:
    """What a profile published in the sessions of a market in which it had a view.

    Attributes:
        given: Its views: label, confidence and hit, with row and column in `present`.
        present: Which instruments had an outcome: sessions x instruments.
        ordinals: Of each of these sessions, in the market's calendar.
        horizon: Sessions of an outcome.
    """

    given: pl.DataFrame
    present: Masks
    ordinals: Ints
    horizon: int

    @classmethod
    def of(cls, known: pl.DataFrame, horizon: int) -> "_Panel":
        """Sort the rows of a market that have an outcome into a panel."""
        calendar = MARKETS[known["market"][0]].sessions().astype("datetime64[us]")
        held = known.filter(pl.col("hit").is_not_null().any().over("session"))
        sessions, row = np.unique(held["session"].to_numpy(), return_inverse=True)
        instruments, column = np.unique(held["instrument_id"].to_numpy(), return_inverse=True)
        present = np.zeros((len(sessions), len(instruments)), bool)
        present[row, column] = True
        placed = held.select("label", "confidence", "hit", row=pl.Series(row), column=pl.Series(column))
        return cls(placed.drop_nulls("hit"), present, np.searchsorted(calendar, sessions), horizon)

    def draw(self, random: np.random.Generator) -> Masks:
        """Return whether each view would be right if its confidence were true and shares moved at random."""
        if self.given.is_empty():
            return np.empty(0, bool)
        rank = self._ranks(random)[self.given["row"].to_numpy(), self.given["column"].to_numpy()]
        label, confidence = self.given["label"].to_numpy(), self.given["confidence"].to_numpy()
        middle = np.abs(rank - 0.5) < confidence / 2
        return np.where(
            label == "BUY", rank > 1 - confidence, np.where(label == "SELL", rank < confidence, middle)
        )

    def _ranks(self, random: np.random.Generator) -> Floats:
        """Return the rank of each walk's move over the horizon within its session, 0 to 1, evenly."""
        first, length = self.ordinals[0], int(np.ptp(self.ordinals)) + self.horizon + 1
        walk = random.standard_normal((length, self.present.shape[1]), np.float32).cumsum(axis=0)
        start = self.ordinals - first
        moved = np.where(self.present, walk[start + self.horizon] - walk[start], np.inf)
        place = moved.argsort(axis=1).argsort(axis=1)
        within = random.random(place.shape, np.float32)  # a rank of few is a whole range
        return np.asarray((place + within) / self.present.sum(axis=1, keepdims=True))
