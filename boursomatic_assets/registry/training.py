"""Training of the versions that are due: each is trained once, judged by the gate, and stored with the decision.

What belongs here: rows of `model_versions` and the store of model files, written together.
Kept elsewhere: how a model is trained and judged (`learning/`, which sees frames and metrics only), the decision
log (`decisions.py`), a person's decisions (`promotion.py`).

The gate compares the challenger of each due date with the champion before it, in order of time. A version is
trained under a lock; a run that comes later finds it.
"""

import datetime as dt

import numpy as np
import polars as pl
from sqlalchemy import Connection, exists, func, insert, select

from boursomatic_assets import database, settings
from boursomatic_assets.advice.profiles import profiles_asking
from boursomatic_assets.arrays import KEY
from boursomatic_assets.calendars.markets import MARKETS, all_sessions, first_open
from boursomatic_assets.calendars.slices import slices_of
from boursomatic_assets.features.additional_features import unpack
from boursomatic_assets.learning.gate import Demand, judge_challenger
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.labels import sample_sessions
from boursomatic_assets.learning.model_files import ModelStore
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.training import Challenger, train_challengers
from boursomatic_assets.learning.walk import due_dates
from boursomatic_assets.registry import decisions
from boursomatic_assets.registry.decisions import GATE, VERSIONS, Version, version_names
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import read_slice
from boursomatic_assets.tables.staging import advisory_lock, transaction

FEATURES = GRAINS["features"].table

SESSIONS_PER_CHUNK = 260
"""Sessions of a market whose features are read at once; a fifth of the rows is kept."""


def model_store() -> ModelStore:
    """Return the store of model files."""
    return ModelStore(settings.home() / "models")


def least_demand() -> Demand:
    """Return the evidence that the boldest profile asks for: a version with less is of no use to anybody."""
    boldest = profiles_asking(settings.evidence())[-1]
    return Demand(boldest.horizon, boldest.evidence)


def train_due_versions(last: dt.date, parameters: Parameters) -> list[Version]:
    """Train every version that is due until a date and missing; return those that this call trained.

    One run trains for all: another waits for the lock, asleep, and then finds the versions. Each version is
    committed as soon as it is trained.
    """
    if not _untrained_due_dates(last, parameters):
        return []
    with transaction() as connection:
        advisory_lock(connection, "model_versions")
        missing = _untrained_due_dates(last, parameters)
        return _train_versions(missing, load_history(missing[-1], parameters), parameters) if missing else []


def _train_versions(due: list[dt.date], history: History, parameters: Parameters) -> list[Version]:
    """Train challengers, and let the gate decide about each, in order of time."""
    trained = train_challengers(history, due, parameters)
    return [admit_challenger(date, challenger, parameters) for date, challenger in trained if challenger]


def _untrained_due_dates(last: dt.date, parameters: Parameters) -> list[dt.date]:
    """Return due dates without a version, with enough sessions of features before them, the last one included.

    Without features of the last session before a due date it waits: a version is trained only once.
    """
    with database.engine().connect() as connection:
        start = connection.scalar(select(func.min(FEATURES.c.ts)))
        if start is None:
            return []
        trained = {version.as_of for version in decisions.read_log(connection).versions}
        sessions = all_sessions()[all_sessions() >= np.datetime64(start, "D")].tolist()
        first = sessions[parameters.minimum_training_sessions * parameters.stride + parameters.horizon]
        return [
            due
            for due in due_dates(first, last)
            if first_open(due) not in trained and _has_features(connection, sessions[sessions.index(due) - 1])
        ]


def _has_features(connection: Connection, session: dt.date) -> bool:
    return bool(connection.scalar(select(exists().where(FEATURES.c.ts == session))))


def load_history(last: dt.date, parameters: Parameters) -> History:
    """Return the history of both markets before a date, from the stored features and closes."""
    dates = [date for date in all_sessions().tolist() if date < last]
    parts = [part for market in MARKETS.values() for part in slices_of(market, dates)]
    chunks = [chunk for part in parts for chunk in part.chunks(SESSIONS_PER_CHUNK)]
    rows = [sample_sessions(read_slice(GRAINS["features"], chunk), parameters.stride) for chunk in chunks]
    closes = [read_slice(GRAINS["price_bars"], part, (*KEY, *"ohlcv")) for part in parts]
    return History.from_frames(pl.concat(map(unpack, rows)), pl.concat(closes), parameters)


def admit_challenger(due: dt.date, challenger: Challenger, parameters: Parameters) -> Version:
    """Let the gate judge a challenger against the champion before it; store both in one transaction."""
    as_of = first_open(due)
    with decisions.decision_transaction() as connection:
        champion = decisions.read_log(connection).champion_at(as_of)
        verdict = judge_challenger(
            challenger.metrics,
            champion.metrics if champion else None,
            parameters,
            least_demand(),
            same_recipe=champion is not None and champion.params_hash == challenger.params_hash,
        )
        version = _store_version(connection, due, challenger, parameters)
        successor = {"refused": champion, "withdrawn": None}.get(verdict.kind, version)
        numbers = version_names(version, champion) | verdict.numbers
        decisions.record_decision(
            connection, version, verdict.kind, successor, verdict.reason, numbers, GATE, as_of
        )
    return version


def _store_version(
    connection: Connection, due: dt.date, challenger: Challenger, parameters: Parameters
) -> Version:
    """Store a challenger's file and its row."""
    as_of = first_open(due)
    version = f"v{due:%Y.%m.%d}"
    path = model_store().save(challenger.model_text)
    metrics = {
        **challenger.metrics,
        "features": list(parameters.features),
        "horizon_days": parameters.horizon,
    }
    row = insert(VERSIONS).values(
        id=func.gen_random_uuid(),
        version=version,
        params_hash=challenger.params_hash,
        metrics_json=metrics,
        model_path=path,
        as_of=as_of,
    )
    identifier = connection.scalar(row.returning(VERSIONS.c.id))
    return Version(str(identifier), version, as_of, path, challenger.params_hash, metrics)
