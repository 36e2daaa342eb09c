"""The asset `recommendations`: the champion's recommendations for each session.

What belongs here: the asset, which version computes which sessions, and the join of predictions with versions and
closes.
Kept elsewhere: labels, stops and justifications (`advice/`), the champion of a session (`registry/`).
"""

import datetime as dt
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import dagster as dg
import polars as pl

from boursomatic_assets import registry, settings
from boursomatic_assets.advice.bands import MEMORY, find_directions
from boursomatic_assets.advice.justification import explain_abstention
from boursomatic_assets.advice.profiles import profiles_asking
from boursomatic_assets.advice.signals import Maker, recommend
from boursomatic_assets.advice.standing import Standing
from boursomatic_assets.arrays import KEY, Times
from boursomatic_assets.assets.metadata import table_metadata
from boursomatic_assets.assets.policies import RECOMMENDATIONS_POLICY
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.features.additional_features import unpack
from boursomatic_assets.language import wording_of
from boursomatic_assets.learning.model import Model
from boursomatic_assets.learning.prediction import predict, score_ensemble, score_ranks
from boursomatic_assets.orchestration.chunks import ChunkedRows
from boursomatic_assets.orchestration.partitions import DIRECTION_LOOKBACK, MARKET_SESSIONS, slices_of_run
from boursomatic_assets.registry.decisions import Decision, Version
from boursomatic_assets.schema import Recommendation
from boursomatic_assets.tables.frames import required_columns
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import SliceReader
from boursomatic_assets.vocabulary import LABELS

SCHEMA = required_columns(GRAINS["recommendations"].table)

BARS_PER_CHUNK = 60_000
"""A bar has three recommendations, each with a justification: about 4 kB."""

NO_VERSION = "no model version yet: the history before this session is too short to train one"
NO_FEATURES = "no features of this session are stored"
NO_RANK = "no instrument has a feature that the model ranks: their history is too short"


@dg.asset(
    ins={"features": dg.AssetIn(partition_mapping=DIRECTION_LOOKBACK)},
    deps=["model_versions"],
    kinds={"postgres", "lightgbm", "polars"},
    metadata=table_metadata(Recommendation),
    partitions_def=MARKET_SESSIONS,
    backfill_policy=RECOMMENDATIONS_POLICY,
    code_version="5",
)
def recommendations(
    context: dg.AssetExecutionContext, features: SliceReader, price_bars: SliceReader
) -> ChunkedRows:
    """One recommendation per instrument, session and risk profile, by the champion at that session's close.

    `as_of` is that close in UTC. Rows are never overwritten: a changed row supersedes the old one, which stays.
    The current row of the newest session is active, for each instrument and profile. BOURSOMATIC_LANGUAGE (en or
    fr) is the language of the justifications.
    """

    def compute(part: Slice) -> pl.DataFrame:
        rows, bars = unpack(features(part.looking_back(MEMORY - 1))), price_bars(part)
        by_champion = [recommend_sessions(part, group, rows, bars) for group in champion_sessions(part)]
        return pl.concat([pl.DataFrame(schema=SCHEMA), *by_champion])

    def describe(part: Slice, rows: pl.DataFrame) -> dict[dt.date, dict[str, Any]]:
        return count_labels(rows) | explain_empty(part, rows, features)

    return ChunkedRows(slices_of_run(context), compute, bars=BARS_PER_CHUNK, describe=describe)


def count_labels(rows: pl.DataFrame) -> dict[dt.date, dict[str, Any]]:
    """What the UI shows of each session that has recommendations: the share of each label, over all profiles."""
    shares = [(pl.col("label") == label).mean().alias(f"share_{label.lower()}") for label in LABELS]
    sessions = rows.group_by(pl.col("as_of").dt.date().alias("date")).agg(shares)
    return {session.pop("date"): session for session in sessions.iter_rows(named=True)}


def explain_empty(part: Slice, rows: pl.DataFrame, features: SliceReader) -> dict[dt.date, dict[str, Any]]:
    """Why sessions of a slice have no recommendation, as a note for each."""
    recommended = set(rows["as_of"].dt.date())
    if recommended.issuperset(part.sessions):
        return {}
    with_features = set(features(part, KEY)["ts"].dt.date())
    return {
        moment.date: {"note": _why_none(moment, with_features)}
        for moment in registry.champion_timeline(part)
        if moment.date not in recommended
    }


def _why_none(moment: registry.ChampionAsOf, with_features: set[dt.date]) -> str:
    if moment.date not in with_features:
        return NO_FEATURES
    return NO_RANK if moment.champion or moment.newest else NO_VERSION


@dataclass(frozen=True)
class ChampionSessions:
    """A version and the sessions that it computes; an abstention is the decision that makes them all HOLD."""

    version: Version
    sessions: list[dt.date]
    abstention: Decision | None


def champion_sessions(part: Slice) -> list[ChampionSessions]:
    """The versions that compute a slice's sessions, in order of time.

    Without a champion the newest version computes them; sessions before the first version are left out.
    """
    moments = [moment for moment in registry.champion_timeline(part) if part.market.is_session(moment.date)]
    by_champion = groupby(moments, key=lambda moment: (moment.champion or moment.newest, moment.abstention))
    return [
        ChampionSessions(version, [moment.date for moment in group], abstention)
        for (version, abstention), group in by_champion
        if version
    ]


def recommend_sessions(
    part: Slice, group: ChampionSessions, features: pl.DataFrame, bars: pl.DataFrame
) -> pl.DataFrame:
    """The recommendations of one version for some sessions, with the columns of `recommendations`.

    Args:
        part: The slice that holds the sessions.
        group: The version and its sessions.
        features: The slice's features and those of the MEMORY - 1 sessions before, with additional features as
            columns.
        bars: The slice's daily bars.
    """
    in_sessions, version = pl.col("ts").dt.date().is_in(group.sessions), group.version
    model = registry.model_store().load(version.model_path)
    rows = features.filter(in_sessions)
    before = Slice(part.market, (group.sessions[0],)).looking_back(MEMORY - 1)
    earlier = features.filter(pl.col("ts").dt.date().is_in(before.dates[:-1]))
    predictions = predict_directions(model, earlier, predict(model, rows), part.market.sessions())
    closes = pl.DataFrame(
        {"ts": group.sessions, "as_of": [part.market.close_time(session) for session in group.sessions]},
        schema={"ts": pl.Datetime("us"), "as_of": pl.Datetime("us")},
    )
    recommended = recommend(predictions, rows, bars.filter(in_sessions), _maker(group), settings.language())
    return recommended.join(closes, on="ts").with_columns(model_version_id=pl.lit(version.id)).select(*SCHEMA)


def predict_directions(
    model: Model, earlier: pl.DataFrame, predictions: pl.DataFrame, sessions: Times
) -> pl.DataFrame:
    """Predictions of whole sessions with their `direction`, given the features of the sessions before them.

    The same model scores those too: a direction is what it would have said all along.
    """
    before = earlier.select(*KEY, score_rank=score_ranks(earlier, score_ensemble(model, earlier)))
    ranked = pl.concat([before, predictions.select(*KEY, "score_rank")])
    return predictions.with_columns(direction=find_directions(ranked, sessions).tail(predictions.height))


def _maker(group: ChampionSessions) -> Maker:
    """The version of some sessions, with all that decides on its labels."""
    abstention = _abstention_text(group.abstention, settings.language()) if group.abstention else None
    standing = Standing.from_metrics(group.version.metrics)
    return Maker(group.version.version, standing, profiles_asking(settings.evidence()), abstention)


def _abstention_text(decision: Decision, language: str) -> str:
    """The justification of every recommendation while there is no champion."""
    date = decision.effective_at.date()
    return explain_abstention(decision.kind, date, decision.reason, decision.numbers, wording_of(language))
