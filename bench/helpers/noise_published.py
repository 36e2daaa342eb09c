"""How often a history makes a profile say BUY or SELL: the walk forward of one, through to published labels.

What belongs here: the months of a history by the platform's own code, and what is counted in them.
Kept elsewhere: how a history is made (`noise_histories.py`), the steps from versions to labels
(`signals_published.py`).
"""

from dataclasses import dataclass

import polars as pl

from boursomatic_assets.advice.profiles import RISK_PROFILES
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.training import train_challengers
from boursomatic_assets.learning.walk import due_dates
from helpers.noise_histories import FIRST, KINDS, LAST
from helpers.signals_published import decisions, months

MONTHS = 36
"""Versions of a history: three years. A sampled session less in its first months makes it one version less."""


@dataclass(frozen=True)
class Spoken:
    """What became of a history.

    Attributes:
        kind: One of `noise_histories.KINDS`.
        seed: Of its bars.
        said: The profiles that ever said BUY or SELL.
        evidence: By profile, the most at its horizon on any due date.
        rank_ic: The mean of the last version's record.
    """

    kind: str
    seed: int
    said: list[str]
    evidence: dict[str, float]
    rank_ic: float


def spoken(kind: str, seed: int) -> Spoken:
    """Make a history, and walk through it."""
    made, parameters = KINDS[kind](seed), Parameters()
    history = History.from_frames(made.features, made.followed, parameters)
    walked = list(months(train_challengers(history, due_dates(FIRST, LAST), parameters), parameters))
    if not MONTHS - 1 <= len(walked) <= MONTHS:
        raise AssertionError(f"{kind}, seed {seed}: {len(walked)} versions instead of {MONTHS}")
    advised = [month for month in walked if month.is_champion]  # without a champion every label is HOLD
    said: set[str] = set()
    if advised:
        said.update(decisions(made.features, made.bars, advised).filter(pl.col("label") != "HOLD")["profile"])
    proofs = [month.trained.metrics["evidence"] for month in walked]
    return Spoken(
        kind,
        seed,
        sorted(said),
        {one.name: max(proof[str(one.horizon)]["value"] for proof in proofs) for one in RISK_PROFILES},
        walked[-1].trained.metrics["rank_ic"],
    )
