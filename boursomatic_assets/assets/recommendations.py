"""The asset `recommendations`: what is advised."""

import datetime as dt
import os
from itertools import groupby

import dagster as dg
import polars as pl

from boursomatic_assets import registry
from boursomatic_assets.assets.common import ADVICE_POLICY, OWNERS, about
from boursomatic_assets.frames import given
from boursomatic_assets.learning.prediction import predict
from boursomatic_assets.models import Recommendation
from boursomatic_assets.partitions import MARKET_SESSIONS, slices_of_run
from boursomatic_assets.pieces import Piecewise
from boursomatic_assets.registry import Version
from boursomatic_assets.sentences import SETTING, sentences
from boursomatic_assets.signals import advise
from boursomatic_assets.slices import Slice
from boursomatic_assets.tables import GRAINS, Reader

SCHEMA = given(GRAINS["recommendations"].table)

BARS_OF_A_PIECE = 60_000
"""A bar has three pieces of advice, each with its evidence in words: some 4 kB."""


@dg.asset(
    deps=["model_versions"],
    kinds={"postgres", "lightgbm", "polars"},
    owners=OWNERS,
    metadata=about(Recommendation),
    partitions_def=MARKET_SESSIONS,
    backfill_policy=ADVICE_POLICY,
    code_version="1",
)
def recommendations(context: dg.AssetExecutionContext, features: Reader, price_bars: Reader) -> Piecewise:
    """One advice per instrument, session and risk profile, by the model that spoke at that session's close.

    `as_of` is that close in UTC. Rows are never overwritten: a changed one supersedes the old one, which
    stays. Active is the newest session's current row of each instrument and profile. BOURSOMATIC_LANGUAGE (en or
    fr) is the language of the justifications.
    """
    language = sentences(os.environ.get(SETTING, "en")).code

    def advised(part: Slice) -> pl.DataFrame:
        rows, bars = features(part), price_bars(part)
        advice = [publish(part, version, sessions, rows, bars, language) for version, sessions in spoken(part)]
        return pl.concat([pl.DataFrame(schema=SCHEMA), *advice])

    return Piecewise(slices_of_run(context), advised, bars=BARS_OF_A_PIECE)


def spoken(part: Slice) -> list[tuple[Version, list[dt.date]]]:
    """Each version that spoke for a slice, with its sessions; those before the first promotion have none."""
    moments = [moment for moment in registry.timeline(part) if part.market.is_session(moment.date)]
    grouped = groupby(moments, key=lambda moment: moment.champion)
    return [(version, [moment.date for moment in group]) for version, group in grouped if version]


def publish(
    part: Slice,
    version: Version,
    sessions: list[dt.date],
    features: pl.DataFrame,
    bars: pl.DataFrame,
    language: str,
) -> pl.DataFrame:
    """What a version advises for some sessions, with the columns of `recommendations`."""
    own = pl.col("ts").dt.date().is_in(sessions)
    rows = features.filter(own).drop("market")
    predictions = predict(registry.store().load(version.model_path), rows, version.metrics["mean_return_pct"])
    advice = advise(predictions, rows, bars.filter(own), version.version, language=language)
    closes = pl.DataFrame(
        {"ts": sessions, "as_of": [part.market.closes(session) for session in sessions]},
        schema={"ts": pl.Datetime("us"), "as_of": pl.Datetime("us")},
    )
    return advice.join(closes, on="ts").with_columns(model_version_id=pl.lit(version.id)).select(*SCHEMA)
