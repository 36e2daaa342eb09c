"""Ablation: how much of what is said of direction is owed to the scores.

What belongs here: the same steps with random scores, and the gain in log loss of both.
Kept elsewhere: the steps (`signals_published.py`), the lines about it (`signals_judged.py`).

**Direction** is asked of the rows that ended in the better or the worse third of their market's session: which of
the two it was. Three probabilities of the better one are compared by their mean log loss, in nats a row:

- the *baseline* knows market and volatility alone: for each market a logistic regression on the rank of `vol_20d`
  within its session and the square of it, fitted anew on each due date on the outcomes that its version learned
  from, and drawn to 1/2 with the weight of as many sessions as a version's curves are;
- *direction* is what the version says, P(better) / (P(better) + P(worse)), and 1/2 where it says nothing;
- *both*: the log odds of direction, as they are, plus what market and volatility tell beside: the same regression,
  fitted on the same rows, with the log odds of direction as its offset. So what direction and volatility both know
  counts once, no weight of direction is fitted, and a version that says 1/2 gives the baseline to the last bit.

The **gain** is the log loss of the baseline less that of direction, or of both. With random scores each score of
each session is replaced by a random number, in the record and in what is published; the curves, zones, evidence
and decisions of the gate are made of these by the same steps and on the same dates. The share of the gain that
vanishes is 1 - gain with random scores / gain; above 1 where random scores lose. Two sets of rows are asked:

- *every row of the record*, at the three horizons, within the volatility limit of each: the probabilities that
  every version gives, whether anybody speaks or not. No gate helps to silence noise here.
- *what was published*: all rows of all profiles, where only a BUY or a SELL says a direction. Where nothing is
  said, the baseline stays, so this is of both.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from boursomatic_assets.advice.profiles import RISK_PROFILES, RiskProfile
from boursomatic_assets.arrays import KEY, Floats
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.labels import ranks
from boursomatic_assets.learning.model import Model
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.prediction import score_ranks
from boursomatic_assets.learning.training import measure_challengers, within_limit
from boursomatic_assets.learning.walk import WalkForward
from helpers.signals_baseline import Coefficients, Losses, apply, compare, log_odds, regress
from helpers.signals_published import Month, Rule, decisions, months

DRAWS = 10

CHANCES = ("direction_probability", "opposite_probability")


@dataclass(frozen=True)
class Ablation:
    """Losses of the scores, and of random ones, one for each draw.

    Attributes:
        rows: Which rows they are over, and what is held against the baseline, in words.
        part: The same as a name: `direction` or `both`.
        real: The losses of the scores.
        random: Those of random ones.
    """

    rows: str
    part: str
    real: Losses
    random: list[Losses]

    @property
    def vanished(self) -> list[float] | None:
        """The share of the gain that vanishes in each draw; None if there is no gain that could."""
        gain = self.real.gain(self.part)
        return [1 - one.gain(self.part) / gain for one in self.random] if gain > 0 else None

    @property
    def silent(self) -> int:
        """In how many draws nothing was said at all."""
        return sum(one.both == one.baseline for one in self.random)


@dataclass(frozen=True)
class Trial:
    """All that was known and said on some bars.

    Attributes:
        history: What was learned from.
        walked: The walk-forward over it.
        features: market, instrument_id, ts and all features, of every session, by time and instrument.
        bars: market, instrument_id, ts and c.
        months: Who spoke when, by the scores of the walk-forward.
        scored: What became of what was said, as `signals_published.scored` returns it.
        parameters: Those of the models.
    """

    history: History
    walked: WalkForward
    features: pl.DataFrame
    bars: pl.DataFrame
    months: list[Month]
    scored: pl.DataFrame
    parameters: Parameters


@dataclass(frozen=True)
class Said:
    """The scores of the record, the versions of the months, and what was published, row by row."""

    walked: WalkForward
    months: list[Month]
    published: pl.DataFrame


def ablations(trial: Trial, draws: int = DRAWS) -> list[Ablation]:
    """Return the ablations of every row of the record, and of what was published."""
    asked = _Asked.of(trial)
    record, published = asked.losses(Said(trial.walked, trial.months, trial.scored))
    at_random = [asked.losses(_at_random(trial, np.random.default_rng([20, draw]))) for draw in range(draws)]
    of_record, of_published = [one for one, _ in at_random], [one for _, one in at_random]
    return [
        Ablation("every row of the record, direction alone", "direction", record, of_record),
        Ablation("every row of the record, both", "both", record, of_record),
        Ablation("what was published, both", "both", published, of_published),
    ]


def _at_random(trial: Trial, random: np.random.Generator) -> Said:
    """Return what would have been said, had every score been a random number."""
    features = trial.features.with_columns(drawn=pl.Series(random.random(trial.features.height)))
    scores = trial.walked.scores
    sampled = scores.select(pl.col("instrument_id").cast(pl.String), "ts")
    score = sampled.join(features.select(*KEY, "drawn"), on=KEY, how="left", maintain_order="left")["drawn"]
    rank = score_ranks(scores, score.to_numpy())
    walked = replace(trial.walked, scores=scores.with_columns(score=score, score_rank=rank))
    due = [step.due for step in walked.steps]
    challengers = measure_challengers(trial.history, walked, due, trial.parameters)
    made = list(months(challengers, trial.parameters))
    silent = trial.scored.with_columns(label=pl.lit("HOLD"))
    speaking = [month for month in made if month.is_champion]
    if not speaking:
        return Said(walked, made, silent)
    rule = Rule(score=lambda _, rows: rows["drawn"].to_numpy())
    spoken = decisions(features, trial.bars, speaking, rule).rename({"ts": "session"})
    key, changed = ["instrument_id", "session", "profile"], ["label", *CHANCES]
    rows = silent.drop(changed).join(spoken.select(*key, *changed), on=key, how="left", maintain_order="left")
    return Said(walked, made, rows)


@dataclass(frozen=True)
class _Asked:
    """The rows that direction is asked of, with outcome and baseline (log odds), by profile.

    Attributes:
        record: Those of the record, in its order, with `eligible`: within the volatility limit.
        published: Those that were published, in their order.
    """

    record: dict[str, pl.DataFrame]
    published: dict[str, pl.DataFrame]

    @classmethod
    def of(cls, trial: Trial) -> "_Asked":
        record, published = {}, {}
        ranked = trial.features.select("instrument_id", session="ts", volatility_rank=ranks("vol_20d"))
        for profile in RISK_PROFILES:
            outcomes = _outcomes(trial, profile)
            alone = regress(outcomes.filter("eligible").with_columns(direction=None), trial.months)
            spoken = trial.scored.filter(profile=profile.name).join(
                ranked, on=["instrument_id", "session"], how="left", maintain_order="left"
            )
            spoken = spoken.select("market", "volatility_rank", ts="session", label="outcome")
            for rows, found in ((outcomes, record), (spoken, published)):
                odds = apply(alone, rows, trial.months)
                found[profile.name] = rows.with_columns(baseline=pl.Series(odds))
        return cls(record, published)

    def losses(self, said: Said) -> tuple[Losses, Losses]:
        """Return the losses on all rows of the record, and on what was published."""
        directions, record, published = _directions(said.walked, said.months), [], []
        for profile in RISK_PROFILES:
            rows = self.record[profile.name].with_columns(pl.Series("direction", directions[profile.horizon]))
            beside = regress(rows.filter("eligible"), said.months)
            record.append(_add(rows, beside, said.months).filter("eligible"))
            spoken = said.published.filter(profile=profile.name).select(direction=_SPOKEN)
            published.append(_add(self.published[profile.name].hstack(spoken), beside, said.months))
        return compare(record), compare(published)


def _add(rows: pl.DataFrame, beside: Coefficients, made: list[Month]) -> pl.DataFrame:
    """Return rows with the log odds of both; where nothing is said they are those of the baseline."""
    odds = pl.Series(apply(beside, rows, made) + log_odds(rows["direction"]))
    return rows.with_columns(both=pl.when(pl.col("direction").is_not_null()).then(odds).otherwise("baseline"))


_SPOKEN = pl.when(label="BUY").then(CHANCES[0]).when(label="SELL").then(CHANCES[1]) / pl.sum_horizontal(CHANCES)
"""The direction that a BUY or a SELL says; null of a HOLD."""


def _directions(walked: WalkForward, made: list[Month]) -> dict[int, Floats]:
    """Return by horizon what the version of each month says of each row of the record."""
    rank, ts = (walked.scores[name].to_numpy() for name in ("score_rank", "ts"))
    markets = walked.scores["market"].to_numpy()
    found = {profile.horizon: np.full(len(ts), 0.5) for profile in RISK_PROFILES}
    for month in made:
        model, of_month = Model.from_json(month.maker.model_text), slice(*month.bounds(ts))
        for market in np.unique(markets[of_month]):
            rows = of_month.start + np.flatnonzero(markets[of_month] == market)
            for horizon, direction in found.items():
                worse, _, better = model.curves_of(horizon, market).probabilities(rank[rows]).T
                direction[rows] = better / (better + worse)
    return found


def _outcomes(trial: Trial, profile: RiskProfile) -> pl.DataFrame:
    """Return the rows of the record with their outcome at a profile's horizon, and their volatility's rank."""
    labels = trial.history.labels[profile.horizon][trial.walked.row_indices]
    limit = profile.volatility_limit
    rows = trial.walked.scores.select(
        "market",
        "ts",
        volatility_rank=ranks("vol_20d"),
        eligible=pl.lit(value=True) if limit is None else within_limit(limit),
    )
    return rows.hstack(labels).with_columns(pl.col("label").cast(pl.String))


def told(found: list[Ablation]) -> Iterator[list[str]]:
    """Yield the losses on each set of rows as cells of a table, in thousandths of a nat."""
    for rows, one in {one.rows.partition(",")[0]: one for one in found}.items():
        for kind, losses in (("the scores", [one.real]), ("random scores, mean of the draws", one.random)):
            parts = ("baseline", "direction", "both")
            means = (float(np.mean([getattr(x, part) for x in losses])) for part in parts)
            yield [f"{rows}, {kind}", f"{one.real.rows:,}", *(f"{1000 * mean:.3f}" for mean in means)]
