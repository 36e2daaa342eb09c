"""The asset `recommendations`: what is advised."""

import datetime as dt
from dataclasses import dataclass
from itertools import groupby

import dagster as dg
import polars as pl

from boursomatic_assets import registry, settings
from boursomatic_assets.advice.justification import explain_abstention
from boursomatic_assets.advice.signals import recommend
from boursomatic_assets.assets.common import ADVICE_POLICY, OWNERS, about
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.features.additional_features import unpack
from boursomatic_assets.language.sentences import sentences
from boursomatic_assets.learning.prediction import predict
from boursomatic_assets.orchestration.chunks import ChunkedRows
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS, slices_of_run
from boursomatic_assets.registry.decisions import Decision, Version
from boursomatic_assets.schema import Recommendation
from boursomatic_assets.tables.frames import given
from boursomatic_assets.tables.reading import GRAINS, Reader

SCHEMA = given(GRAINS["recommendations"].table)

BARS_PER_CHUNK = 60_000
"""A bar has three pieces of advice, each with its evidence in words: some 4 kB."""


@dg.asset(
    deps=["model_versions"],
    kinds={"postgres", "lightgbm", "polars"},
    owners=OWNERS,
    metadata=about(Recommendation),
    partitions_def=MARKET_SESSIONS,
    backfill_policy=ADVICE_POLICY,
    code_version="3",
)
def recommendations(context: dg.AssetExecutionContext, features: Reader, price_bars: Reader) -> ChunkedRows:
    """One advice per instrument, session and risk profile, by the model that spoke at that session's close.

    `as_of` is that close in UTC. Rows are never overwritten: a changed one supersedes the old one, which
    stays. Active is the newest session's current row of each instrument and profile. BOURSOMATIC_LANGUAGE (en or
    fr) is the language of the justifications.
    """
    language = settings.language()

    def advised(part: Slice) -> pl.DataFrame:
        rows, bars = unpack(features(part)), price_bars(part)
        advice = [publish(part, one, rows, bars, language) for one in champion_sessions(part)]
        return pl.concat([pl.DataFrame(schema=SCHEMA), *advice])

    return ChunkedRows(slices_of_run(context), advised, bars=BARS_PER_CHUNK)


@dataclass(frozen=True)
class ChampionSessions:
    """A version that is asked for some sessions, and by which decision it may only say HOLD (None: it speaks)."""

    version: Version
    sessions: list[dt.date]
    abstention: Decision | None


def champion_sessions(part: Slice) -> list[ChampionSessions]:
    """Who is asked for a slice, in order of time.

    Where none speaks the newest version is asked; before the first version there is none to ask.
    """
    moments = [moment for moment in registry.timeline(part) if part.market.is_session(moment.date)]
    grouped = groupby(moments, key=lambda moment: (moment.champion or moment.newest, moment.abstention))
    return [
        ChampionSessions(version, [moment.date for moment in group], silence)
        for (version, silence), group in grouped
        if version
    ]


def publish(
    part: Slice, asked: ChampionSessions, features: pl.DataFrame, bars: pl.DataFrame, language: str
) -> pl.DataFrame:
    """What a version advises for some sessions, with the columns of `recommendations`.

    Args:
        part: The slice that the sessions are of.
        asked: The version, and its sessions.
        features: Those of the slice, with all numbers as columns.
        bars: Those of the slice.
        language: Of the justifications.
    """
    own = pl.col("ts").dt.date().is_in(asked.sessions)
    rows, version = features.filter(own), asked.version
    predictions = predict(registry.model_store().load(version.model_path), rows)
    silence = _abstention_text(asked.abstention, language) if asked.abstention else None
    advice = recommend(predictions, rows, bars.filter(own), version.version, silence, language)
    closes = pl.DataFrame(
        {"ts": asked.sessions, "as_of": [part.market.closes(session) for session in asked.sessions]},
        schema={"ts": pl.Datetime("us"), "as_of": pl.Datetime("us")},
    )
    return advice.join(closes, on="ts").with_columns(model_version_id=pl.lit(version.id)).select(*SCHEMA)


def _abstention_text(decided: Decision, language: str) -> str:
    """The justification of every advice while no version speaks."""
    date = decided.effective_at.date()
    return explain_abstention(decided.kind, date, decided.reason, decided.numbers, sentences(language))
