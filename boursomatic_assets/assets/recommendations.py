"""The asset `recommendations`: what is advised."""

import datetime as dt
from itertools import groupby

import dagster as dg
import polars as pl

from boursomatic_assets import registry
from boursomatic_assets.assets.common import ADVICE_POLICY, OWNERS, about
from boursomatic_assets.decisions import Version
from boursomatic_assets.frames import given
from boursomatic_assets.learning.prediction import predict
from boursomatic_assets.models import Recommendation
from boursomatic_assets.partitions import MARKET_SESSIONS, slices_of_run
from boursomatic_assets.pieces import Piecewise
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
    stays. Active is the newest session's current row of each instrument and profile.
    """

    def advised(part: Slice) -> pl.DataFrame:
        rows, bars = features(part), price_bars(part)
        advice = [publish(part, version, sessions, rows, bars) for version, sessions, _ in spoken(part)]
        return pl.concat([pl.DataFrame(schema=SCHEMA), *advice])

    return Piecewise(slices_of_run(context), advised, bars=BARS_OF_A_PIECE)


def spoken(part: Slice) -> list[tuple[Version, list[dt.date], str | None]]:
    """Each version that is asked for a slice, its sessions, and why it may only say HOLD (None: it speaks).

    Where nobody speaks the newest version is asked; before the first version there is nobody to ask.
    """
    moments = [moment for moment in registry.timeline(part) if part.market.is_session(moment.date)]
    grouped = groupby(moments, key=lambda moment: (moment.speaker or moment.newest, moment.silence))
    asked = [(version, [moment.date for moment in group], silence) for (version, silence), group in grouped]
    return [(version, dates, silence) for version, dates, silence in asked if version and not _left_out(silence)]


def _left_out(silence: str | None) -> bool:
    """Whether sessions get no advice: those on which nobody speaks, until HOLD with the reason can be written."""
    return silence is not None


def publish(
    part: Slice, version: Version, sessions: list[dt.date], features: pl.DataFrame, bars: pl.DataFrame
) -> pl.DataFrame:
    """What a version advises for some sessions, with the columns of `recommendations`."""
    own = pl.col("ts").dt.date().is_in(sessions)
    rows = features.filter(own).drop("market")
    predictions = predict(registry.store().load(version.model_path), rows, version.metrics["mean_return_pct"])
    advice = advise(predictions, rows, bars.filter(own), version.version, version.metrics["horizon_days"])
    closes = pl.DataFrame(
        {"ts": sessions, "as_of": [part.market.closes(session) for session in sessions]},
        schema={"ts": pl.Datetime("us"), "as_of": pl.Datetime("us")},
    )
    return advice.join(closes, on="ts").with_columns(model_version_id=pl.lit(version.id)).select(*SCHEMA)
