"""The asset check of drift: do the features of a session look like those that its model learned from?

What belongs here: which sessions are looked at, against which version, and when that is worth a warning.
Kept elsewhere: how distributions are compared (`learning/drift.py`), what a model's parameters are checked against
(`checks_of_models.py`).
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np
import polars as pl
from sqlalchemy import Connection, Text, cast, select

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.check import Finding, invariant
from boursomatic_assets.features.additional_features import RANKED, RAW, unpack
from boursomatic_assets.features.market_context import CONTEXT
from boursomatic_assets.learning import drift
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.walk import midnight
from boursomatic_assets.registry import decisions
from boursomatic_assets.registry.decisions import Version
from boursomatic_assets.tables.reading import GRAINS, INSTRUMENTS, fetch

MOST_PSI = 1.5
"""Mean PSI of a session's features above which it is warned of: docs/models.md says on which real sessions."""

ALL_UP_TO = 60
"""Of a slice of more sessions only those are looked at that models learn from."""

SESSIONS_AT_ONCE = 50
SHOWN = 5
"""Features that are shown by name."""

TABLE = GRAINS["features"].table


@dataclass(frozen=True)
class Session:
    """A session of a market, held against a version: the PSI of each feature, their mean, and the context."""

    name: str
    version: Version
    psi: dict[str, float]
    mean: float
    context: dict[str, float | None]


@invariant("features", blocking=False)
def features_resemble_what_the_model_learned(connection: Connection, parts: Sequence[Slice]) -> Finding:
    """No session's features are distributed unlike those that the model of that session learned from.

    Measured by the mean PSI over the features behind the model's ranks, beyond what chance gives; above 1.5 is a
    warning. The model is the version that speaks at the session's close or, if nobody does, the newest one. Of a
    run over more than 60 sessions every fifth is looked at, those that models learn from. Without a version
    there is nothing to compare with, and the check passes.
    """
    sessions = [session for part in parts for session in _measured(part)]
    if not sessions:
        return Finding(figures={"sessions_measured": 0, "note": "no version with deciles, or no features"})
    above = [session.name for session in sessions if session.mean > MOST_PSI]
    means = [session.mean for session in sessions]
    figures = {
        "sessions_measured": len(sessions),
        "mean_psi_allowed": MOST_PSI,
        "median_mean_psi": median(means),
        "worst_mean_psi": max(means),
        **_shown(sessions[int(np.argmax(means))]),
        "sessions_above": ", ".join(above),
    }
    return Finding(warnings=len(above), figures=figures)


def _shown(session: Session) -> dict[str, str]:
    """What is said of the worst session."""
    worst = sorted(session.psi, key=lambda name: -session.psi[name])[:SHOWN]
    return {
        "worst_session": f"{session.name} against {session.version.version}",
        "worst_features": ", ".join(f"{name} {session.psi[name]:.2f}" for name in worst),
        "context": ", ".join(drift.extremes(session.version.metrics["deciles"], session.context)) or "usual",
    }


def _measured(part: Slice) -> Iterator[Session]:
    """The sessions of a slice that are looked at and have something to be held against, in order."""
    versions = {moment.date: moment.champion or moment.newest for moment in decisions.timeline(part)}
    known = {date: one for date in _looked_at(part) if (one := versions[date]) and "deciles" in one.metrics}
    dates = list(known)
    for first in range(0, len(dates), SESSIONS_AT_ONCE):
        rows = _rows(part, dates[first : first + SESSIONS_AT_ONCE])
        for session in rows.partition_by("ts", maintain_order=True):
            yield from _held(session, known[session["ts"][0].date()])


def _held(rows: pl.DataFrame, version: Version) -> Iterator[Session]:
    """A session held against a version, unless none of its features has both numbers and deciles."""
    psi = drift.of_session(version.metrics["deciles"], rows)
    if psi:
        name = f"{rows['market'][0]} {rows['ts'][0]:%Y-%m-%d}"
        yield Session(name, version, psi, fmean(psi.values()), rows.select(CONTEXT).row(0, named=True))


def _looked_at(part: Slice) -> Sequence[dt.date]:
    """All sessions of a short slice, of a longer one those that models learn from."""
    if len(part.sessions) <= ALL_UP_TO:
        return part.sessions
    sampled = {*part.market.sessions()[:: Parameters().stride].tolist()}
    return [session for session in part.sessions if session in sampled]


def _rows(part: Slice, dates: Sequence[dt.date]) -> pl.DataFrame:
    """market, ts and what is watched: the features of some dates, in order of time."""
    names = [name for name in RANKED if name not in RAW]
    statement = (
        select(TABLE.c.ts, *(TABLE.c[name] for name in names), cast(TABLE.c.additional_features, Text))
        .join_from(TABLE, INSTRUMENTS, TABLE.c.instrument_id == INSTRUMENTS.c.id)
        .where(INSTRUMENTS.c.exchange.in_(part.market.exchanges))
        .where(TABLE.c.ts.in_([midnight(date) for date in dates]))
        .order_by(TABLE.c.ts)
    )
    return unpack(fetch(statement), (*RAW, *CONTEXT)).with_columns(market=pl.lit(part.market.name))
