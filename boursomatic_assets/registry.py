"""The model registry: which versions there are, which one spoke when, and training those that are due.

What belongs here: `model_versions` and the store of model files, kept in step.
Kept elsewhere: what training and the gate are (`learning/`, which sees frames only).

The champion at any moment is a fold over the due dates up to it: each due date's challenger is held against
the champion before it. A version is trained once, under a lock; whoever comes later finds it.
"""

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl
from sqlalchemy import Connection, text

from boursomatic_assets import database
from boursomatic_assets.learning.evaluation import Metrics
from boursomatic_assets.learning.gate import gate
from boursomatic_assets.learning.history import History
from boursomatic_assets.learning.labels import KEY
from boursomatic_assets.learning.model_files import ModelStore
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.splits import NotEnoughHistory
from boursomatic_assets.learning.training import Challenger, train
from boursomatic_assets.markets import MARKETS, all_sessions, first_open
from boursomatic_assets.slices import Slice, slices_of
from boursomatic_assets.staging import advisory_lock
from boursomatic_assets.tables import GRAINS, read

TRAININGS_AT_ONCE = 2
"""Models trained side by side, each by one thread: what is trained is the same, and memory stays bounded."""


@dataclass(frozen=True)
class Version:
    """A row of `model_versions`."""

    id: str
    version: str
    as_of: dt.datetime
    model_path: str
    metrics: dict[str, Any]

    @property
    def promoted(self) -> bool:
        """Whether it passed its gate; a version that did not never speaks."""
        return bool(self.metrics["promoted"])


@dataclass(frozen=True)
class Moment:
    """A date, the version that spoke at its close (none before the first promotion), and the one due on it."""

    date: dt.date
    champion: Version | None
    challenger: Version | None


def store() -> ModelStore:
    """The one small store of model files."""
    return ModelStore(database.home() / "models")


def due_dates(first: dt.date, last: dt.date) -> list[dt.date]:
    """The first session of each month, of either market, between two dates, both included."""
    months: dict[tuple[int, int], dt.date] = {}
    for date in all_sessions().tolist():
        months.setdefault((date.year, date.month), date)
    return [date for date in months.values() if first <= date <= last]


def versions(connection: Connection, before: dt.datetime) -> list[Version]:
    """Versions with `as_of` before a moment, promoted or not, in order of time."""
    rows = connection.execute(
        text(
            "SELECT id::text, version, as_of, model_path, metrics_json FROM model_versions"
            " WHERE as_of < :before ORDER BY as_of"
        ),
        {"before": before},
    )
    return [Version(*row) for row in rows]


def champion(known: list[Version], moment: dt.datetime) -> Version | None:
    """The version that spoke at a moment: the last one that was promoted until then."""
    return max(
        (version for version in known if version.promoted and version.as_of <= moment),
        key=lambda version: version.as_of,
        default=None,
    )


def timeline(part: Slice) -> list[Moment]:
    """Who spoke on each date of a slice, in order."""
    with database.engine().connect() as connection:
        known = versions(connection, part.end)
    return [
        Moment(
            date,
            champion(known, part.market.closes(date) if part.market.is_session(date) else _midnight(date)),
            next((version for version in known if version.as_of.date() == date), None),
        )
        for date in part.dates
    ]


def train_due(last: dt.date, parameters: Parameters) -> list[Version]:
    """Train every version that is due until a date and is not there; returns those that were trained here.

    One run trains for all: another waits for the lock, asleep, and then finds the versions. Each is committed
    as soon as it is there.
    """
    if not _missing(last, parameters):
        return []
    with database.engine().begin() as connection:
        advisory_lock(connection, "model_versions")
        missing = _missing(last, parameters)
        return _train(missing, _history(missing[-1], parameters), parameters) if missing else []


def _train(due: list[dt.date], history: History, parameters: Parameters) -> list[Version]:
    """Train challengers, several at a time, and hold each against its champion, one after the other."""
    pool = ThreadPoolExecutor(TRAININGS_AT_ONCE)
    try:
        challengers = pool.map(lambda date: _challenger(date, history, parameters), due)
        trained = zip(due, challengers, strict=True)
        return [_admit(date, challenger, history, parameters) for date, challenger in trained if challenger]
    finally:
        pool.shutdown(cancel_futures=True)


def _challenger(due: dt.date, history: History, parameters: Parameters) -> Challenger | None:
    """The challenger of a due date, which no other one changes; None if there is too little history."""
    try:
        return train(history, _midnight(due), parameters)
    except NotEnoughHistory:
        return None


def _missing(last: dt.date, parameters: Parameters) -> list[dt.date]:
    """Due dates with no version, enough sessions of features before them, and features of the very last one.

    Without the last one, what is loaded ends before the due date: a version is trained once, so it waits.
    """
    with database.engine().connect() as connection:
        begin = connection.scalar(text("SELECT min(ts) FROM features"))
        if begin is None:
            return []
        done = {version.as_of.date() for version in versions(connection, _midnight(last + dt.timedelta(1)))}
        sessions = all_sessions()[all_sessions() >= np.datetime64(begin, "D")].tolist()
        first = sessions[parameters.minimum_training_sessions + parameters.horizon]
        return [
            due
            for due in due_dates(first, last)
            if due not in done and _has_features(connection, sessions[sessions.index(due) - 1])
        ]


def _has_features(connection: Connection, session: dt.date) -> bool:
    there = text("SELECT EXISTS (SELECT FROM features WHERE ts = :session)")
    return bool(connection.scalar(there, {"session": session}))


def _history(last: dt.date, parameters: Parameters) -> History:
    """Features and closes of both markets before a date."""
    dates = [date for date in all_sessions().tolist() if date < last]
    parts = [part for market in MARKETS.values() for part in slices_of(market, dates)]
    seen = tuple(dict.fromkeys((*KEY, "vol_20d", *parameters.features)))
    columns = {"features": seen, "price_bars": (*KEY, "c", "interval")}
    features, bars = (
        pl.concat([read(GRAINS[table], part, names) for part in parts]) for table, names in columns.items()
    )
    return History.of(features, bars, parameters)


def _admit(due: dt.date, challenger: Challenger, history: History, parameters: Parameters) -> Version:
    """Hold a challenger against the champion before it, and store it with the decision, in one transaction."""
    as_of = first_open(due)
    with database.engine().begin() as connection:
        rival = champion(versions(connection, as_of), as_of)
        decision = gate(challenger, _booster(rival), history, parameters)
        metrics = challenger.metrics | {
            "promoted": decision.promoted,
            "reason": decision.reason,
            "champion_before": rival.version if rival else None,
            "features": list(parameters.features),
            "horizon_days": parameters.horizon,
        }
        return _store(connection, due, challenger, metrics)


def _store(connection: Connection, due: dt.date, challenger: Challenger, metrics: Metrics) -> Version:
    """Keep a challenger's file and its row."""
    as_of = first_open(due)
    version = f"v{due:%Y.%m.%d}"
    path = store().save(challenger.model_text)
    row = {"version": version, "params_hash": challenger.params_hash, "path": path, "as_of": as_of}
    identifier = connection.scalar(
        text(
            "INSERT INTO model_versions (id, version, params_hash, metrics_json, model_path, as_of)"
            " VALUES (gen_random_uuid(), :version, :params_hash, :metrics, :path, :as_of) RETURNING id::text"
        ),
        row | {"metrics": json.dumps(metrics, allow_nan=False)},
    )
    _activate_newest(connection)
    return Version(str(identifier), version, as_of, path, metrics)


def _booster(version: Version | None) -> lgb.Booster | None:
    return store().load(version.model_path) if version else None


def _activate_newest(connection: Connection) -> None:
    """Make the newest promoted version the active one; the caller holds the lock."""
    newest = "(SELECT max(as_of) FROM model_versions WHERE (metrics_json->>'promoted')::boolean)"
    for state, relation in (("false", "<>"), ("true", "=")):
        connection.execute(
            text(
                f"UPDATE model_versions SET is_active = {state}"
                f" WHERE is_active <> {state} AND as_of {relation} {newest}"
            )
        )


def _midnight(date: dt.date) -> dt.datetime:
    return dt.datetime.combine(date, dt.time())
