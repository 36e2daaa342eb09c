"""Findings: what each check says, and what is late, which hinders no run.

What belongs here: the table of checks, and running each on its own. Kept elsewhere: the checks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from boursomatic_assets import database
from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.cli.views.diagnosis import contents, machine, server
from boursomatic_assets.cli.views.operating.workers import check_broker
from boursomatic_assets.database.errors import explain
from boursomatic_assets.tables.freshness import read_freshness
from boursomatic_assets.tables.summaries import refreshing

LATE, UNKNOWN = "late", "?"
"""The words of findings that stop no run by themselves, and are no good news either."""


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


_CHECKS: dict[str, Callable[[], str]] = {
    "python": machine.check_python,
    "settings": machine.check_settings,
    "database": server.check_database,
    "clock": server.check_clock,
    "home": machine.check_home,
    "disk": machine.check_disk,
    "schema": server.check_schema,
    "privileges": server.check_privileges,
    "sessions": server.check_sessions,
    "read replica": server.check_replica,
    "replication slots": server.check_slots,
    "dagster storage": contents.check_dagster_storage,
    "broker": check_broker,
    "runs": contents.check_runs,
    "source of bars": machine.check_source,
    "active model": contents.check_active_model,
    "store": contents.check_store,
}
