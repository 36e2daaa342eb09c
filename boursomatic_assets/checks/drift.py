"""The asset check of feature drift: a session's features against the training data of its model version.

What belongs here: which sessions are measured, against which version, and which drift is a warning.
Kept elsewhere: how distributions are compared (`learning/drift.py`), checks of a model's parameters (`models.py`).
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np
import polars as pl
from sqlalchemy import Connection

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.checks.invariant import Finding, invariant, on_sessions
from boursomatic_assets.features.additional_features import RANKED_FEATURES, RAW_FEATURES, unpack
from boursomatic_assets.features.market_context import CONTEXT
from boursomatic_assets.learning import drift
from boursomatic_assets.learning.labels import sampled_dates
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.walk import midnight
from boursomatic_assets.registry import decisions
from boursomatic_assets.registry.decisions import Version
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import read_slice

MAX_MEAN_PSI = 1.5
"""Mean PSI of a session's features above which the check warns; docs/models.md gives examples of real sessions."""

MAX_SESSIONS_UNSAMPLED = 60
"""Of a longer slice only those sessions are measured that models learn from."""

SESSIONS_PER_READ = 50
MAX_FEATURES_NAMED = 5
"""Features of the worst session that are named."""

GRAIN = GRAINS["features"]


@dataclass(frozen=True)
class SessionDrift:
    """A session of a market against a version: the PSI of each feature, their mean, the context features."""

    market: str
    session: dt.date
    version: Version
    psi: dict[str, float]
    mean_psi: float
    context: dict[str, float | None]

    @property
    def name(self) -> str:
        """The session with its market."""
        return f"{self.market} {self.session}"


@invariant("model_versions", blocking=False)
def features_resemble_what_the_model_learned(connection: Connection, parts: Sequence[Slice]) -> Finding:
    """Each session's features are distributed like the training data of that session's model version.

    It runs after the versions of its sessions are there, in a first backfill too, and takes the one known then.
    Drift is the mean PSI, beyond what chance gives, over the features behind the model's ranks; above 1.5 is a
    warning. The version is the champion at the session's close or, without a champion, the newest version. Of a
    slice of more than 60 sessions about every fifth is measured, those that models learn from. Without a version
    the check passes.
    """
    sessions = [session for part in parts for session in _measure_slice(part)]
    if not sessions:
        return Finding(figures={"sessions_measured": 0, "note": "no version with deciles, or no features"})
    above = [session for session in sessions if session.mean_psi > MAX_MEAN_PSI]
    means = [session.mean_psi for session in sessions]
    figures = {
        "sessions_measured": len(sessions),
        "mean_psi_allowed": MAX_MEAN_PSI,
        "median_mean_psi": median(means),
        "worst_mean_psi": max(means),
        **_describe_worst(sessions[int(np.argmax(means))]),
        "sessions_above": ", ".join(session.name for session in above),
    }
    found = (on_sessions(session.market, warnings={session.session: 1}) for session in above)
    return sum(found, Finding(figures=figures))


def _describe_worst(session: SessionDrift) -> dict[str, str]:
    """What the check reports of the session with the largest drift."""
    extremes = drift.describe_extremes(session.version.metrics["deciles"], session.context)
    worst = sorted(session.psi, key=lambda name: -session.psi[name])[:MAX_FEATURES_NAMED]
    return {
        "worst_session": f"{session.name} against {session.version.version}",
        "worst_features": ", ".join(f"{name} {session.psi[name]:.2f}" for name in worst),
        "context": ", ".join(extremes) or "usual",
    }


def _measure_slice(part: Slice) -> Iterator[SessionDrift]:
    """The drift of each measured session of a slice that has a version with deciles, in order of time."""
    versions = {moment.date: moment.champion or moment.newest for moment in decisions.champion_timeline(part)}
    version_of_date = {
        date: version
        for date in _sessions_to_measure(part)
        if (version := versions[date]) and "deciles" in version.metrics
    }
    dates = list(version_of_date)
    for first in range(0, len(dates), SESSIONS_PER_READ):
        rows = _read_features(part, dates[first : first + SESSIONS_PER_READ])
        for session in rows.partition_by("ts", maintain_order=True):
            yield from _measure_session(session, version_of_date[session["ts"][0].date()])


def _measure_session(rows: pl.DataFrame, version: Version) -> Iterator[SessionDrift]:
    """The drift of one session, unless none of its features has both values and deciles."""
    psi = drift.session_psi(version.metrics["deciles"], rows)
    if psi:
        market, session = rows["market"][0], rows["ts"][0].date()
        yield SessionDrift(
            market, session, version, psi, fmean(psi.values()), rows.select(CONTEXT).row(0, named=True)
        )


def _sessions_to_measure(part: Slice) -> Sequence[dt.date]:
    """All sessions of a short slice; of a longer slice those that models learn from."""
    if len(part.sessions) <= MAX_SESSIONS_UNSAMPLED:
        return part.sessions
    sampled = {*sampled_dates(Parameters().stride).tolist()}
    return [session for session in part.sessions if session in sampled]


def _read_features(part: Slice, dates: Sequence[dt.date]) -> pl.DataFrame:
    """market, ts and the measured features of some dates, in order of time."""
    names = (*(name for name in RANKED_FEATURES if name not in RAW_FEATURES), "additional_features")
    within = Slice(part.market, tuple(date for date in part.dates if dates[0] <= date <= dates[-1]))
    rows = read_slice(GRAIN, within, ("ts", *names), ordered=False, at=[midnight(date) for date in dates])
    return unpack(rows.sort("ts"), (*RAW_FEATURES, *CONTEXT))
