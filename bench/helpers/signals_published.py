"""What would have been published on real bars, and what became of it, by label and profile.

What belongs here: the platform's own steps from versions to scored recommendations, without a database.
Kept elsewhere: the walk forward (`signals.py`), the tables (`signals_tables.py`).
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl

from boursomatic_assets.advice import outcomes
from boursomatic_assets.advice.bands import MEMORY, find_directions
from boursomatic_assets.advice.profiles import RISK_PROFILES
from boursomatic_assets.advice.signals import Maker, decide
from boursomatic_assets.advice.standing import Standing
from boursomatic_assets.arrays import KEY
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.learning.evaluation import intervals
from boursomatic_assets.learning.gate import Demand, judge_challenger
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.labels import RELATIVE_LIMIT
from boursomatic_assets.learning.model import Model
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.prediction import predict_probabilities, score_ensemble, score_ranks
from boursomatic_assets.learning.training import Challenger, train_challengers
from boursomatic_assets.learning.walk import midnight

BOLDEST = RISK_PROFILES[-1]


@dataclass(frozen=True)
class Month:
    """A due date, who computes the sessions from it on, whether it is champion, and when the next one begins.

    `trained` is the version of the due date itself, which the gate may have refused.
    """

    start: dt.datetime
    end: dt.datetime
    trained: Challenger
    maker: Challenger
    is_champion: bool


def months(history: History, due: list[dt.date], parameters: Parameters) -> Iterator[Month]:
    """Train each due date's version, and let the gate decide, in order of time."""
    champion: Challenger | None = None
    ends = [midnight(date) for date in [*due[1:], dt.date(9999, 1, 1)]]
    for (date, trained), end in zip(train_challengers(history, due, parameters), ends, strict=True):
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
        yield Month(midnight(date), end, trained, champion or trained, champion is not None)


def published(
    features: pl.DataFrame, bars: pl.DataFrame, history: History, due: list[dt.date], parameters: Parameters
) -> pl.DataFrame:
    """The scored recommendations of all months: the columns of `track_record`, with market, score and score_rank.

    Args:
        features: market, instrument_id, ts and all features as columns, of every session.
        bars: market, instrument_id, ts, o, h, l, c and v.
        history: The same, prepared for training.
        due: Due dates in order of time.
        parameters: Those of the models.
    """
    decided = list(decisions(features, bars, months(history, due, parameters)))
    return pl.concat(_scored(rows, bars) for rows in pl.concat(decided).partition_by("market"))


def decisions(features: pl.DataFrame, bars: pl.DataFrame, of: Iterable[Month]) -> Iterator[pl.DataFrame]:
    """What the three profiles decide in each of some months of each market: as `published` takes the frames."""
    by_market = {name: rows for (name,), rows in features.partition_by("market", as_dict=True).items()}
    for month in of:
        for market, of_market in by_market.items():
            within = of_market.filter(pl.col("ts").is_between(month.start, month.end, closed="left"))
            if not within.is_empty():
                yield _decided(month, str(market), of_market, within, bars)


def _decided(
    month: Month, market: str, features: pl.DataFrame, rows: pl.DataFrame, bars: pl.DataFrame
) -> pl.DataFrame:
    """What the three profiles decide in a month of a market."""
    model, sessions = Model.from_json(month.maker.model_text), MARKETS[market].sessions()
    predictions = predict_probabilities(model, rows)
    first = int(np.searchsorted(sessions, np.datetime64(rows["ts"][0], "D")))
    memory = pl.lit(sessions[max(first - MEMORY + 1, 0)].item()).cast(pl.Datetime("us"))
    earlier = features.filter(pl.col("ts") >= memory, pl.col("ts") < rows["ts"][0])
    before = earlier.select(*KEY, score_rank=score_ranks(earlier, score_ensemble(model, earlier)))
    ranked = pl.concat([before, predictions.select(*KEY, "score_rank")])
    predictions = predictions.with_columns(direction=find_directions(ranked, sessions).tail(rows.height))
    standing = Standing.from_metrics(month.maker.metrics)
    maker = Maker("version", standing, abstention=None if month.is_champion else "no champion")
    closes = bars.select(*KEY, "c")
    decided = decide(predictions, rows, closes, model.features, maker).with_columns(market=pl.lit(market))
    return decided.join(predictions.select(*KEY, "score", "score_rank"), on=list(KEY))


def _scored(rows: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """The outcomes of the recommendations of one market that are known."""
    market = rows["market"][0]
    own = bars.filter(pl.col("market") == market)
    numbered = rows.with_row_index("id").with_columns(as_of=pl.col("ts")).drop("ts")
    due = outcomes.select_due(numbered, MARKETS[market].sessions()).filter(pl.col("ts") <= own["ts"].max())
    scores = due.select("session", "score", "score_rank", recommendation_id="id")
    return (
        outcomes.score_recommendations(due, own)
        .join(scores, on="recommendation_id")
        .with_columns(market=pl.lit(market))
    )


# Tables


def table(scored: pl.DataFrame) -> Iterator[list[str]]:
    """A line for each profile, label and view: rows, hits, confidence, mean return, and relative return cut."""
    cut = pl.col("relative_return_pct").clip(-100 * RELATIVE_LIMIT, 100 * RELATIVE_LIMIT)
    grouped = scored.group_by("profile", "label", "view").agg(
        n=pl.len(),
        hit=pl.col("hit").mean(),
        confidence=pl.col("confidence").mean(),
        realised=pl.col("realised_return_pct").mean(),
        relative=cut.mean(),
    )
    for row in grouped.sort("profile", "label", "view").iter_rows(named=True):
        hit = "-" if row["hit"] is None else f"{row['hit']:.3f}"
        yield [
            row["profile"], row["label"], row["view"], f"{row['n']:,}", hit, f"{row['confidence']:.3f}",
            f"{row['realised']:.2f}%", f"{row['relative']:.2f}%",
        ]  # fmt: skip


def shadow(scored: pl.DataFrame, column: str) -> intervals.Estimate | None:
    """The mean rank IC of a column and the realised return, over the dates of one horizon of all months."""
    moderate = scored.filter(pl.col("profile") == "moderate").drop_nulls("realised_return_pct")
    ics = (
        moderate.group_by("market", "session")
        .agg(ic=pl.corr(column, "realised_return_pct", method="spearman"), n=pl.len())
        .filter(pl.col("n") >= 10, pl.col("ic").is_finite())
    )
    by_date = ics.group_by("session").agg(pl.col("ic").mean()).sort("session")["ic"].to_numpy()
    return intervals.estimate_mean(by_date, 20)


def upper_share(scored: pl.DataFrame) -> float:
    """The share of BUYs whose score is among the upper three tenths of its session's."""
    buys = scored.filter(pl.col("label") == "BUY")
    return float((buys["score_rank"] >= 0.7).mean() or 0.0)


def newly_bought(scored: pl.DataFrame, profile: str) -> float | None:
    """The mean share of a session's BUYs that were none in the session before."""
    buys = scored.filter(pl.col("profile") == profile, pl.col("label") == "BUY")
    shares = []
    for of_market in buys.partition_by("market"):
        lists = [set(one["instrument_id"]) for one in of_market.sort("session").partition_by("session")]
        shares += [len(now - then) / len(now) for then, now in pairwise(lists)]
    return float(np.mean(shares)) if shares else None
