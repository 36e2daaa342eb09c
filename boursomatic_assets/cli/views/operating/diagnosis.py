"""`boursomatic doctor`: one check for each thing that a run needs.

What belongs here: the checks, each with one line about what it finds. Kept elsewhere: the command (`main.py`).
"""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from boursomatic_assets import database, settings
from boursomatic_assets.backups import mark
from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.cli.views.operating.workers import check_broker
from boursomatic_assets.database import migrate, pooling, server_time
from boursomatic_assets.database.addresses import replica_url
from boursomatic_assets.database.embedded import cluster as embedded_cluster
from boursomatic_assets.database.embedded.binaries import OS_USER
from boursomatic_assets.database.errors import explain
from boursomatic_assets.database.replica import lag, slots
from boursomatic_assets.database.roles.surplus import surplus_of_writer
from boursomatic_assets.schema import ModelVersion
from boursomatic_assets.sources import open_source
from boursomatic_assets.tables.claims import liveness
from boursomatic_assets.tables.freshness import read_freshness
from boursomatic_assets.tables.summaries import refreshing

MIN_FREE_DISK = 1 << 30
"""Bytes."""


LATE, UNKNOWN = "late", "?"
"""The words of findings that stop no run by themselves, and are no good news either."""

_FUTURE_BARS = text(
    "SELECT count(*), max(b.ts) FROM instruments i CROSS JOIN LATERAL ("
    "SELECT ts FROM price_bars WHERE instrument_id = i.id AND ts > now()::timestamp) b"
)
"""By instrument, as the index has them."""


@dataclass(frozen=True)
class Finding:
    """The result of a check: its subject, whether that is healthy, one line about it, and the word before it."""

    subject: str
    healthy: bool
    detail: str
    word: str = ""

    def __str__(self) -> str:
        word = self.word or ("ok" if self.healthy else "FAIL")
        return f"{word:<4}  {self.subject:<18} {self.detail}"


def run_diagnosis() -> Iterator[Finding]:
    """Run every check on its own, so that one failure hides no other."""
    for subject, check in _CHECKS.items():
        try:
            yield Finding(subject, True, check())
        except (RuntimeError, ValueError, OSError, SQLAlchemyError, psycopg.Error) as error:
            yield Finding(subject, False, (explain(error) or str(error)).splitlines()[0])
    yield from _find_late_markets()
    yield from _find_outdated_summaries()


def _find_outdated_summaries() -> Iterator[Finding]:
    """A finding about summaries: one that is out of date hinders no run."""
    try:
        with database.engine().connect() as connection:
            outdated = refreshing.outdated(connection)
    except (RuntimeError, SQLAlchemyError) as error:
        yield Finding("summaries", True, f"not known: {explain(error) or error}", UNKNOWN)
        return
    detail = f"{', '.join(outdated)}: out of date, and made anew once nothing is computed (job `summaries`)"
    yield Finding("summaries", True, detail if outdated else "all are up to date", LATE if outdated else "")


def _find_late_markets() -> Iterator[Finding]:
    """A finding for each market: what is late hinders no run, which may be what it waits for."""
    for market in MARKETS.values():
        try:
            with database.engine().connect() as connection:
                freshness = read_freshness(connection, market, utc_now())
        except (RuntimeError, SQLAlchemyError) as error:
            yield Finding("freshness", True, f"not known: {explain(error) or error}", UNKNOWN)
            return
        yield Finding("freshness", True, str(freshness), "" if freshness.fresh else LATE)


def _check_python() -> str:
    return platform.python_version()


def _check_settings() -> str:
    settings.require_valid()
    return "all are valid"


def _check_database() -> str:
    with database.engine().connect() as connection:
        version, zone = connection.execute(select(func.version(), func.current_setting("TimeZone"))).one()
    if zone != "UTC":
        raise RuntimeError(f"connections use the time zone {zone}: they must use UTC")
    return f"{version.split(' on ')[0]}, {_describe_server()}"


def _describe_server() -> str:
    address = settings.database_address()
    if address is None:
        return f"the embedded server in {embedded_cluster.find_cluster(settings.home()).folder}"
    return f"at {settings.redacted(address)}"


def _check_clock() -> str:
    with database.engine().connect() as connection:
        server_time.require_same_clock(server_time.database_time(connection))
        count, last = connection.execute(_FUTURE_BARS).one()
    if count:
        raise RuntimeError(
            f"{count:,} bars lie in the future, the last on {last:%Y-%m-%d}: a clock was wrong when they were"
            " stored; delete them, and compute again what looks back on them"
        )
    return "that of the database, and no bar lies after it"


def _check_sessions() -> str:
    if pooling.shares_sessions(database.database_url()):
        raise RuntimeError(
            "clients share sessions, as behind PgBouncer with pool_mode = transaction, and locks of a run would be"
            " another's: set pool_mode = session for this database there, or let DATABASE_URL name"
            " the server itself"
        )
    return "each client has one of its own, which its locks need"


def _check_replica() -> str:
    url = replica_url()
    if url is None:
        return "none is set, and the primary is read"
    return f"{settings.redacted(url)} {lag.measure(url)}"


def _check_slots() -> str:
    with database.engine().connect() as connection:
        found = slots.read_slots(connection)
    if filling := [slot for slot in found if slot.fills_disk]:
        raise RuntimeError(
            f"{'; '.join(map(str, filling))}: start what follows by it (`boursomatic db replica create` starts a"
            " replica that is there), or end it with `boursomatic db replica stop`, or one of others with"
            " pg_drop_replication_slot. Until then the log grows and may fill the disk"
        )
    return "; ".join(map(str, found)) or "there is none"


def _check_privileges() -> str:
    """Tell a role that may do more than its work needs; one address for all is allowed, and not advised."""
    with database.engine().connect() as connection:
        user, surplus = connection.scalar(select(func.current_user())), surplus_of_writer(connection)
    if not surplus:
        return f"{user} may do what a writer must, and no more"
    return (
        f"{user} may do more than a writer should: {'; '.join(surplus)}. `boursomatic db grant writer --password`"
        " makes a login for DATABASE_URL; this one is then for DATABASE_OWNER_URL"
    )


def _check_schema() -> str:
    migrate.require_current_schema(database.engine())
    return f"at revision {migrate.head_revision()}"


def _check_dagster_storage() -> str:
    from dagster import DagsterInstance

    from boursomatic_assets.orchestration.instance import ensure_dagster_home

    os.environ["DAGSTER_HOME"] = str(ensure_dagster_home())
    with DagsterInstance.get() as instance:
        return f"{instance.get_runs_count()} runs in its own database"


def _check_runs() -> str:
    with database.engine().connect() as connection:
        dead = liveness.unended_runs(connection)
    if dead:
        raise RuntimeError(
            f"{len(dead):,} dead, such as {next(iter(dead))[:8]}: {next(iter(dead.values()))}. The daemon ends it"
            " within a minute, and `boursomatic runs end-dead` at once"
        )
    return "none is dead"


def _check_source() -> str:
    source = open_source(settings.source(), settings.files())
    return f"{settings.source()}: {source.instruments().height} instruments"


def _check_active_model() -> str:
    from boursomatic_assets import registry

    v = ModelVersion.__table__.c
    with database.engine().connect() as connection:
        row = connection.execute(select(v.version, v.model_path).where(v.is_active)).first()
    if row is None:
        return "none is promoted yet"
    registry.model_store().read(row.model_path)
    return f"{row.version}, its file is intact"


def _check_store() -> str:
    """Check that the store answers and has what rows name; what no row names is said, and hinders nothing."""
    from boursomatic_assets.tables import named_files
    from boursomatic_assets.tables.archive import adoption

    named_files.require_store()
    found = named_files.survey()
    if former := adoption.former_files():
        raise RuntimeError(
            f"{len(former):,} files of the archive are named by no row, such as {former[0].name}, so they are not"
            " read: run `boursomatic archive adopt`"
        )
    if found.missing:
        raise RuntimeError(
            f"{len(found.missing):,} of {found.named:,} files are missing from {settings.store()}, or have another"
            f" size than their rows say, such as {found.missing[0]}: bring them back from a backup"
        )
    unnamed = f"; no row names {len(found.unnamed):,} files, such as {found.unnamed[0]}" if found.unnamed else ""
    return f"{settings.store()} has the {found.named:,} files that rows name{unnamed}"


def _check_home() -> str:
    """Check that no other user enters the home; root's server may pass through it, if its cluster lies there."""
    mark.require_none()
    home = settings.home()
    passes = os.geteuid() == 0 and embedded_cluster.find_cluster(home).folder.is_relative_to(home.resolve())
    mode = home.stat().st_mode & 0o777
    if mode & (0o067 if passes else 0o077):
        group = f"chgrp {OS_USER} {home} && chmod 710" if passes else "chmod 700"
        raise RuntimeError(f"{home} is open to other users (mode {mode:o}): run `{group} {home}`")
    return f"{home} is closed to other users"


def _check_disk() -> str:
    """Check the home folder, and the embedded database's folder where that lies elsewhere, as root's does."""
    home = settings.home()
    cluster = embedded_cluster.find_cluster(home).folder
    elsewhere = cluster.exists() and not cluster.is_relative_to(home.resolve())
    folders = (home, cluster) if elsewhere and "DATABASE_URL" not in settings.environment_values() else (home,)
    free_bytes = {folder: shutil.disk_usage(folder).free for folder in folders}
    for folder, free in free_bytes.items():
        if free < MIN_FREE_DISK:
            raise RuntimeError(f"only {free >> 20} MiB are free in {folder}: make room")
    return ", and for the database ".join(
        f"{free >> 30} GiB free in {folder}" for folder, free in free_bytes.items()
    )


_CHECKS: dict[str, Callable[[], str]] = {
    "python": _check_python,
    "settings": _check_settings,
    "database": _check_database,
    "clock": _check_clock,
    "home": _check_home,
    "disk": _check_disk,
    "schema": _check_schema,
    "privileges": _check_privileges,
    "sessions": _check_sessions,
    "read replica": _check_replica,
    "replication slots": _check_slots,
    "dagster storage": _check_dagster_storage,
    "broker": check_broker,
    "runs": _check_runs,
    "source of bars": _check_source,
    "active model": _check_active_model,
    "store": _check_store,
}
