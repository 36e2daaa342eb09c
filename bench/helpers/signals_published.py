"""What would have been published on real bars, and what became of it.

What belongs here: the platform's own steps from versions to scored recommendations, without a database, and
the same steps with one thing replaced. Kept elsewhere: the walk forward (`signals.py`), figures of what was
published (`signals_judged.py`), the tables (`signals_tables.py`).
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from boursomatic_assets.advice import outcomes
from boursomatic_assets.advice.bands import MEMORY, find_directions
from boursomatic_assets.advice.profiles import RISK_PROFILES
from boursomatic_assets.advice.signals import Maker, decide
from boursomatic_assets.advice.standing import Standing
from boursomatic_assets.arrays import KEY, Floats, Times
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.learning.calibration.zones import ENTRY
from boursomatic_assets.learning.gate import Demand, judge_challenger
from boursomatic_assets.learning.model import Model
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.prediction import predict_from_scores, score_ensemble, score_ranks
from boursomatic_assets.learning.training import Challenger
from boursomatic_assets.learning.walk import label_cutoff, midnight

BOLDEST = RISK_PROFILES[-1]
CARRIED = ("score", "score_rank", "direction", "direction_probability", "opposite_probability")
"""What is known of a decision beside the columns of `track_record`."""


@dataclass(frozen=True)
class Month:
    """A due date, who computes the sessions from it on, whether it is champion, and when the next one begins.

    `cutoff` is the moment before which an outcome must be known to be learned from on the due date.
    """

    start: dt.datetime
    end: dt.datetime
    cutoff: dt.datetime
    maker: Challenger
    is_champion: bool

    def bounds(self, ts: Times) -> tuple[int, int]:
        """Return where the month begins and ends in times that are in order."""
        start, end = (int(np.searchsorted(ts, np.datetime64(moment))) for moment in (self.start, self.end))
        return start, end


def months(challengers: Iterable[tuple[dt.date, Challenger | None]], parameters: Parameters) -> Iterator[Month]:
    """Let the gate decide about each due date's version, in order of time."""
    champion: Challenger | None = None
    last = (dt.date.max, None)
    for (date, trained), (end, _) in pairwise([*challengers, last]):
        if trained is None:
            continue
        kind = judge_challenger(
            trained.metrics,
            champion.metrics if champion else None,
            parameters,
            Demand(BOLDEST.horizon, BOLDEST.evidence),
            same_recipe=champion is not None,
        ).kind
        champion = {"refused": champion, "withdrawn": None}.get(kind, trained)
        cutoff = label_cutoff(date, parameters)
        yield Month(midnight(date), midnight(end), cutoff, champion or trained, champion is not None)


def ends_alone(ranked: pl.DataFrame, _sessions: Times) -> pl.Series:
    """Find directions without bands: one begins and goes on in the tenth at an end of the scores alone."""
    rank = pl.col("score_rank")
    buys, sells = pl.when(rank >= 1 - ENTRY).then(pl.lit("BUY")), pl.when(rank < ENTRY).then(pl.lit("SELL"))
    return ranked.select(direction=pl.coalesce(buys, sells))["direction"]


@dataclass(frozen=True)
class Rule:
    """The parts of publishing that can be replaced.

    Attributes:
        score: The score of each row by a model.
        directions: The direction of each row, as `bands.find_directions` finds it.
    """

    score: Callable[[Model, pl.DataFrame], Floats] = score_ensemble
    directions: Callable[[pl.DataFrame, Times], pl.Series] = find_directions


def decisions(
    features: pl.DataFrame, bars: pl.DataFrame, months: Iterable[Month], rule: Rule | None = None
) -> pl.DataFrame:
    """Return what the three profiles decide in some months, with market and CARRIED.

    Args:
        features: market, instrument_id, ts and all features as columns, of every session, by time and instrument.
        bars: market, instrument_id, ts and c.
        months: In order of time.
        rule: How to decide, if not as the platform does.
    """
    by_market = {market: features.filter(pl.col("market") == market) for market in MARKETS}
    found = []
    for month in months:
        for market, of_market in by_market.items():
            within = of_market.filter(pl.col("ts").is_between(month.start, month.end, closed="left"))
            if not within.is_empty():
                found.append(_decided(month, market, of_market, within, bars, rule or Rule()))
    return pl.concat(found)


def _decided(
    month: Month, market: str, features: pl.DataFrame, rows: pl.DataFrame, bars: pl.DataFrame, rule: Rule
) -> pl.DataFrame:
    """Return what the three profiles decide in a month of a market."""
    model, sessions = Model.from_json(month.maker.model_text), MARKETS[market].sessions()
    predictions = predict_from_scores(model, rows, rule.score(model, rows))
    first = int(np.searchsorted(sessions, np.datetime64(rows["ts"][0], "D")))
    memory = pl.lit(sessions[max(first - MEMORY + 1, 0)].item()).cast(pl.Datetime("us"))
    earlier = features.filter(pl.col("ts") >= memory, pl.col("ts") < rows["ts"][0])
    before = earlier.select(*KEY, score_rank=score_ranks(earlier, rule.score(model, earlier)))
    ranked = pl.concat([before, predictions.select(*KEY, "score_rank")])
    predictions = predictions.with_columns(direction=rule.directions(ranked, sessions).tail(rows.height))
    standing = Standing.from_metrics(month.maker.metrics)
    maker = Maker("version", standing, abstention=None if month.is_champion else "no champion")
    closes = bars.select(*KEY, "c")
    decided = decide(predictions, rows, closes, model.features, maker).with_columns(market=pl.lit(market))
    return decided.join(predictions.select(*KEY, "score", "score_rank"), on=list(KEY))


def scored(decisions: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Return the outcomes of decisions that are known: the columns of `track_record`, with market and CARRIED.

    Args:
        decisions: As `decisions` returns them.
        bars: market, instrument_id, ts, o, h, l, c and v.
    """
    return pl.concat(_scored(rows, bars) for rows in decisions.partition_by("market"))


def _scored(rows: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Return the outcomes of the recommendations of one market that are known."""
    market = rows["market"][0]
    own = bars.filter(pl.col("market") == market)
    numbered = rows.with_row_index("id").with_columns(as_of=pl.col("ts")).drop("ts")
    due = outcomes.select_due(numbered, MARKETS[market].sessions()).filter(pl.col("ts") <= own["ts"].max())
    carried = due.select("session", *CARRIED, recommendation_id="id")
    return (
        outcomes.score_recommendations(due, own)
        .join(carried, on="recommendation_id")
        .with_columns(market=pl.lit(market))
    )
