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
from boursomatic_assets.learning.gate import compare, decide
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.labels import sample_sessions
from boursomatic_assets.learning.model_files import ModelStore
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.training import Challenger, challengers
from boursomatic_assets.learning.walk import due_dates
from boursomatic_assets.registry import decisions
from boursomatic_assets.registry.decisions import GATE, VERSIONS, Decision, Version
from boursomatic_assets.registry.decisions import ChampionAsOf as ChampionAsOf
from boursomatic_assets.registry.decisions import timeline as timeline
from boursomatic_assets.tables.reading import GRAINS, read
from boursomatic_assets.tables.staging import advisory_lock, transaction
from boursomatic_assets.tables.staleness import database_time

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


def promote(name: str, because: str, by: str) -> Decision:
    """Let a version speak from now on, because a person says so; the next due date's gate decides again.

    Raises:
        ValueError: there is no such version, it speaks already, or no reason or name is given.
        ModelFileError: its file is missing or damaged.
    """
    with decisions.decision_transaction() as connection:
        book, now = decisions.read(connection), database_time(connection)
        version, speaker = book.version_named(name), book.champion_at(now)
        if version == speaker:
            raise ValueError(f"{name} speaks already: `boursomatic models live` says since when")
        return _record_manual_decision(connection, "forced", version, speaker, version, because, by)


def roll_back(because: str, by: str) -> Decision:
    """Let the version speak again, from now on, that spoke before the present one; twice is there and back.

    Raises:
        ValueError: no other version spoke before, or no reason or name is given.
        ModelFileError: its file is missing or damaged.
    """
    with decisions.decision_transaction() as connection:
        book, now = decisions.read(connection), database_time(connection)
        former, present = book.champion_before(now), book.decision_at(now)
        if former is None or present is None:
            raise ValueError("no other version spoke before: `boursomatic models promote` lets one speak")
        about = present.champion or present.version
        return _record_manual_decision(connection, "rolled back", about, present.champion, former, because, by)


def _record_manual_decision(
    connection: Connection,
    kind: str,
    about: Version,
    left: Version | None,
    speaker: Version,
    because: str,
    by: str,
) -> Decision:
    """Add a person's decision: from now on `speaker` speaks instead of `left`."""
    if not because.strip():
        raise ValueError("a decision needs a reason: say --because")
    if not by.strip() or by == GATE:
        raise ValueError(f"a decision needs the name of a person, not {by!r}: say --by")
    model_store().load(speaker.model_path)
    numbers = _version_names(speaker, left) | compare(speaker.metrics, left.metrics if left else None)
    return decisions.record(connection, about, kind, speaker, because, numbers, by)


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
