"""Training of the versions that are due: each is trained once, judged by the gate, and stored with the decision.

What belongs here: rows of `model_versions` and the store of model files, written together.
Kept elsewhere: how a model is trained and judged (`learning/`, which sees frames and metrics only), the decision
log (`decisions.py`), a person's decisions (`promotion.py`).

The gate compares the challenger of each due date with the champion before it, in order of time. A version is
trained under a lock; a run that comes later finds it.

Ordinary runs train a due date once. When the history that it should have known has changed, it is trained again on
request, as a new revision, and so are all due dates after it: the champion before them may be another one now.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

import numpy as np
from sqlalchemy import Connection, exists, func, insert, select

from boursomatic_assets import database, settings
from boursomatic_assets.advice.profiles import profiles_asking
from boursomatic_assets.calendars.markets import all_sessions, first_open
from boursomatic_assets.learning.gate import Demand, judge_challenger
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.training import Challenger, train_challengers
from boursomatic_assets.learning.walk import due_dates
from boursomatic_assets.registry import decisions
from boursomatic_assets.registry.decisions import GATE, VERSIONS, Version, version_names
from boursomatic_assets.registry.history import KnownHistory, read_history, stale_versions
from boursomatic_assets.registry.model_files import ModelStore
from boursomatic_assets.stores import places
from boursomatic_assets.tables import computations
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.staging import advisory_lock, transaction

FEATURES = GRAINS["features"].table


@dataclass(frozen=True)
class Learned:
    """What a version learned from: the digest of its history, and when that was read."""

    digest: str
    read_at: dt.datetime


def model_store() -> ModelStore:
    """Return the store of model files."""
    return ModelStore(places.models())


def least_demand() -> Demand:
    """Return the evidence that the boldest profile asks for: a version with less is of no use to anybody."""
    boldest = profiles_asking(settings.evidence())[-1]
    return Demand(boldest.horizon, boldest.evidence)


def _do_nothing(version: Version, due: int) -> None:
    """Nobody wants to know."""


def train_due_versions(
    last: dt.date, parameters: Parameters, when_trained: Callable[[Version, int], None] = _do_nothing
) -> list[Version]:
    """Train every version that is due until a date and missing; return those that this call trained.

    `when_trained` is told of each, and how many due dates there are in all.

    One run trains for all: another waits for the lock, asleep, and then finds the versions. Each version is
    committed as soon as it is trained.
    """
    if not _untrained_due_dates(last, parameters):
        return []
    with transaction() as connection:
        advisory_lock(connection, "model_versions")
        missing = _untrained_due_dates(last, parameters)
        if not missing:
            return []
        known = read_history(connection, missing[-1], parameters)
        trained = list[Version]()
        for date, challenger, learned in _train(known, missing, parameters):
            trained.append(admit_challenger(date, challenger, parameters, learned))
            when_trained(trained[-1], len(missing))
        return trained


def retrain_stale_versions(parameters: Parameters) -> list[Version]:
    """Train again from the earliest due date on that is stale, or missing before the newest recommendations.

    Each due date from there on gets a new revision, with the gate's decision about it, all in one transaction: no
    reader sees half of them. A due date without enough history keeps the version that it has.

    Returns:
        The new versions; none if no version is stale or missing.
    """
    with transaction() as connection:
        advisory_lock(connection, "model_versions")
        trained_dates = {version.due for version in decisions.read_log(connection).newest_revisions()}
        newest = computations.newest_session(connection, "recommendations") or dt.date.min
        wanted = {version.due for version in stale_versions(connection, parameters)}
        wanted.update(_untrained_due_dates(max({newest, *trained_dates}), parameters))
        due = sorted({date for date in wanted | trained_dates if date >= min(wanted, default=dt.date.max)})
        if not due:
            return []
        trained = list(_train(read_history(connection, due[-1], parameters), due, parameters))
        first = min((date for date, *_ in trained if date in wanted), default=dt.date.max)
        with decisions.decision_transaction() as deciding:
            return [
                admit(deciding, date, challenger, parameters, learned)
                for date, challenger, learned in trained
                if date >= first
            ]


def _train(
    known: KnownHistory, due: list[dt.date], parameters: Parameters
) -> Iterator[tuple[dt.date, Challenger, Learned]]:
    """Train challengers in order, each with what it learned from; none where there is too little history."""
    digests = known.digests(parameters.features, due)
    history = History.from_frames(known.features, known.closes, parameters)
    for date, challenger in train_challengers(history, due, parameters):
        if challenger:
            yield date, challenger, Learned(digests[date], known.read_at)


def _untrained_due_dates(last: dt.date, parameters: Parameters) -> list[dt.date]:
    """Return due dates without a version, with enough sessions of features before them, the last one included.

    Without features of the last session before a due date it waits: a version is trained only once.
    """
    with database.engine().connect() as connection:
        # Each query by itself: a server may end what waits in a transaction.
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
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
    with database.engine().connect() as connection:
        known = read_history(connection, last, parameters)
    return History.from_frames(known.features, known.closes, parameters)


def admit_challenger(
    due: dt.date, challenger: Challenger, parameters: Parameters, learned: Learned | None = None
) -> Version:
    """Let the gate judge a challenger against the champion before it; store both in one transaction."""
    with decisions.decision_transaction() as connection:
        return admit(connection, due, challenger, parameters, learned)


def admit(
    connection: Connection, due: dt.date, challenger: Challenger, parameters: Parameters, learned: Learned | None
) -> Version:
    """Judge and store a challenger, in a `decision_transaction`; a due date that has versions gets a revision."""
    as_of, log = first_open(due), decisions.read_log(connection)
    champion = log.champion_at(as_of - dt.timedelta.resolution)  # not by a decision about an earlier revision
    verdict = judge_challenger(
        challenger.metrics,
        champion.metrics if champion else None,
        parameters,
        least_demand(),
        same_recipe=champion is not None and champion.params_hash == challenger.params_hash,
    )
    revision = 1 + max((version.revision for version in log.versions if version.as_of == as_of), default=0)
    version = _store_version(connection, due, revision, challenger, learned, parameters)
    successor = {"refused": champion, "withdrawn": None}.get(verdict.kind, version)
    numbers = version_names(version, champion) | verdict.numbers
    decisions.record_decision(connection, version, verdict.kind, successor, verdict.reason, numbers, GATE, as_of)
    return version


def _store_version(
    connection: Connection,
    due: dt.date,
    revision: int,
    challenger: Challenger,
    learned: Learned | None,
    parameters: Parameters,
) -> Version:
    """Store a challenger's file and its row."""
    version = Version(
        id=str(uuid4()),
        version=f"v{due:%Y.%m.%d}" + (f".r{revision}" if revision > 1 else ""),
        as_of=first_open(due),
        model_path=model_store().save(challenger.model_text),
        params_hash=challenger.params_hash,
        metrics={
            **challenger.metrics,
            "features": list(parameters.features),
            "horizon_days": parameters.horizon,
        },
        revision=revision,
        history_digest=learned.digest if learned else None,
    )
    connection.execute(
        insert(VERSIONS).values(
            id=version.id,
            version=version.version,
            params_hash=version.params_hash,
            metrics_json=version.metrics,
            model_path=version.model_path,
            as_of=version.as_of,
            revision=version.revision,
            history_digest=version.history_digest,
            history_read_at=learned.read_at if learned else None,
        )
    )
    return version
