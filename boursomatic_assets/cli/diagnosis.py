"""`boursomatic doctor`: what a run needs, looked at one by one.

What belongs here: a question, whether the answer is healthy, and what to do if it is not.
"""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import func, select

from boursomatic_assets import database, settings
from boursomatic_assets.database import migrate
from boursomatic_assets.database.embedded import place as embedded_place
from boursomatic_assets.schema import ModelVersion
from boursomatic_assets.sources import open_source

ENOUGH_DISK = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One subject, whether it is healthy, and one line about it."""

    subject: str
    healthy: bool
    detail: str


def examine() -> Iterator[Finding]:
    """Look at every subject, each on its own, so that one failure hides no other."""
    for subject, look in _SUBJECTS.items():
        try:
            yield Finding(subject, True, look())
        except (RuntimeError, ValueError, OSError) as error:
            yield Finding(subject, False, str(error).splitlines()[0])


def _python() -> str:
    return platform.python_version()


def _settings() -> str:
    settings.require_valid()
    return "each can be meant"


def _server() -> str:
    with database.engine().connect() as connection:
        version, zone = connection.execute(select(func.version(), func.current_setting("TimeZone"))).one()
    if zone != "UTC":
        raise RuntimeError(f"connections speak {zone}: they must speak UTC")
    return f"{version.split(' on ')[0]} at {settings.redacted(database.database_url())}"


def _schema() -> str:
    migrate.require_current(database.engine())
    return f"at revision {migrate.head()}"


def _dagster() -> str:
    from dagster import DagsterInstance

    from boursomatic_assets.orchestration.instance import ensure_dagster_home

    os.environ["DAGSTER_HOME"] = str(ensure_dagster_home())
    with DagsterInstance.get() as instance:
        return f"{instance.get_runs_count()} runs in its own database"


def _source() -> str:
    found = open_source(settings.source(), settings.files(), settings.simulated_instruments()).instruments()
    return f"{settings.source()}: {found.height} instruments"


def _model() -> str:
    from boursomatic_assets import registry

    v = ModelVersion.__table__.c
    with database.engine().connect() as connection:
        row = connection.execute(select(v.version, v.model_path).where(v.is_active)).first()
    if row is None:
        return "none is promoted yet"
    registry.model_store().load(row.model_path)
    return f"{row.version}, its file is intact"


def _disk() -> str:
    """Of the home folder, and of the embedded database where that lies elsewhere, as root's does."""
    home = settings.home()
    cluster = embedded_place.find(home).folder
    elsewhere = cluster.exists() and not cluster.is_relative_to(home.resolve())
    places = (home, cluster) if elsewhere and "DATABASE_URL" not in settings.environment_values() else (home,)
    for place in places:
        if (free := shutil.disk_usage(place).free) < ENOUGH_DISK:
            raise RuntimeError(f"only {free >> 20} MiB are free in {place}: make room")
    told = (f"{shutil.disk_usage(place).free >> 30} GiB free in {place}" for place in places)
    return ", and for the database ".join(told)


_SUBJECTS: dict[str, Callable[[], str]] = {
    "python": _python,
    "settings": _settings,
    "database": _server,
    "disk": _disk,
    "schema": _schema,
    "dagster storage": _dagster,
    "source of bars": _source,
    "active model": _model,
}
