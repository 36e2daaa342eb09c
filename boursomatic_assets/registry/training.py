"""The model registry: training the versions that are due, admitting them, and what a person may decide.

What belongs here: `model_versions` and the store of model files, kept in step.
Kept elsewhere: what training and the gate are (`learning/`, which sees frames and metrics only), who speaks at a
moment (`decisions.py`).

The speaker at any moment is a fold over the due dates up to it: each due date's challenger is held against the
speaker before it. A version is trained once, under a lock; whoever comes later finds it.
"""

import datetime as dt

import numpy as np
import polars as pl
from sqlalchemy import Connection, exists, func, insert, select

from boursomatic_assets import database, settings
from boursomatic_assets.arrays import KEY
from boursomatic_assets.calendars.markets import MARKETS, all_sessions, first_open
from boursomatic_assets.calendars.slices import slices_of
from boursomatic_assets.features.additional_features import unpack
from boursomatic_assets.learning.gate import decide
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.labels import sample_sessions
from boursomatic_assets.learning.model_files import ModelStore
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.training import Challenger, challengers
from boursomatic_assets.learning.walk import due_dates
from boursomatic_assets.registry import decisions
from boursomatic_assets.registry.decisions import GATE, VERSIONS, Version
from boursomatic_assets.registry.decisions import ChampionAsOf as ChampionAsOf
from boursomatic_assets.registry.decisions import timeline as timeline
from boursomatic_assets.tables.reading import GRAINS, read
from boursomatic_assets.tables.staging import advisory_lock, transaction

FEATURES = GRAINS["features"].table

SESSIONS_AT_ONCE = 260
"""Sessions of a market whose features are read at once; what is kept of them is a fifth."""


def model_store() -> ModelStore:
    """The one small store of model files."""
    return ModelStore(settings.home() / "models")


def train_due_versions(last: dt.date, parameters: Parameters) -> list[Version]:
    """Train every version that is due until a date and is not there; returns those that were trained here.

    One run trains for all: another waits for the lock, asleep, and then finds the versions. Each is committed
    as soon as it is there.
    """
    if not _untrained_due_dates(last, parameters):
        return []
    with transaction() as connection:
        advisory_lock(connection, "model_versions")
        missing = _untrained_due_dates(last, parameters)
        return _train_versions(missing, load_history(missing[-1], parameters), parameters) if missing else []


def _train_versions(due: list[dt.date], known: History, parameters: Parameters) -> list[Version]:
    """Train challengers, and hold each against its champion, in order of time."""
    trained = challengers(known, due, parameters)
    return [admit_challenger(date, challenger, parameters) for date, challenger in trained if challenger]


def _untrained_due_dates(last: dt.date, parameters: Parameters) -> list[dt.date]:
    """Due dates with no version, enough sessions of features before them, and features of the very last one.

    Without the last one, what is loaded ends before the due date: a version is trained once, so it waits.
    """
    with database.engine().connect() as connection:
        begin = connection.scalar(select(func.min(FEATURES.c.ts)))
        if begin is None:
            return []
        done = {version.as_of.date() for version in decisions.read(connection).versions}
        sessions = all_sessions()[all_sessions() >= np.datetime64(begin, "D")].tolist()
        first = sessions[parameters.minimum_training_sessions * parameters.stride + parameters.horizon]
        return [
            due
            for due in due_dates(first, last)
            if due not in done and _has_features(connection, sessions[sessions.index(due) - 1])
        ]


def _has_features(connection: Connection, session: dt.date) -> bool:
    return bool(connection.scalar(select(exists().where(FEATURES.c.ts == session))))


def load_history(last: dt.date, parameters: Parameters) -> History:
    """Return the stored features and closes of both markets before a date, as training sees them."""
    dates = [date for date in all_sessions().tolist() if date < last]
    parts = [part for market in MARKETS.values() for part in slices_of(market, dates)]
    pieces = [piece for part in parts for piece in part.chunks(SESSIONS_AT_ONCE)]
    rows = [sample_sessions(read(GRAINS["features"], piece), parameters.stride) for piece in pieces]
    closes = [read(GRAINS["price_bars"], part, (*KEY, "c")) for part in parts]
    return History.of(pl.concat(map(unpack, rows)), pl.concat(closes), parameters)


def admit_challenger(due: dt.date, challenger: Challenger, parameters: Parameters) -> Version:
    """Hold a challenger against the speaker before it, and store it with the decision, in one transaction."""
    as_of = first_open(due)
    with decisions.decision_transaction() as connection:
        champion = decisions.read(connection).champion_at(as_of)
        decision = decide(
            challenger.metrics,
            champion.metrics if champion else None,
            parameters,
            same_recipe=champion is not None and champion.params_hash == challenger.params_hash,
        )
        version = _store_version(connection, due, challenger, parameters)
        speaker = {"promoted": version, "refused": champion, "withdrawn": None}[decision.kind]
        numbers = _version_names(version, champion) | decision.numbers
        decisions.record(connection, version, decision.kind, speaker, decision.reason, numbers, GATE, as_of)
    return version


def _version_names(challenger: Version, champion: Version | None) -> dict[str, dict[str, str | None]]:
    """The names of the two sides whose numbers are stored."""
    return {"versions": {"challenger": challenger.version, "champion": champion.version if champion else None}}


def _store_version(
    connection: Connection, due: dt.date, challenger: Challenger, parameters: Parameters
) -> Version:
    """Keep a challenger's file and its row."""
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
