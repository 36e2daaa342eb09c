"""What the platform's own tables say: freshness, rows, computations, the champion, alerts.

What belongs here: which figure each is. Kept elsewhere: the queries, each beside its table.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from typing import Final, get_args

from sqlalchemy import Connection

from boursomatic_assets.alerts import outbox
from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.metrics import descriptions as say
from boursomatic_assets.metrics.descriptions import Figure
from boursomatic_assets.registry import decisions
from boursomatic_assets.tables import computations
from boursomatic_assets.tables.deliveries import rejected_rows, sessions
from boursomatic_assets.tables.freshness import State, read_freshness

MAX_REASONS: Final = 100


def freshness(connection: Connection) -> Iterator[Figure]:
    """How far each market is."""
    for market in MARKETS.values():
        found = read_freshness(connection, market, utc_now())
        yield say.BEHIND.of(found.behind, market.name)
        counted = Counter(found.states.values())
        for state in get_args(State):
            yield say.STATES.of(counted[state], market.name, state)
        if found.loaded_until:
            yield say.LOADED.of(_timestamp(found.loaded_until), market.name)
        if found.newest:
            yield say.DONE.of(_timestamp(found.newest), market.name)


def rows(connection: Connection) -> Iterator[Figure]:
    """What became of the rows that were delivered, from the ledgers: bars are not counted."""
    for row in sessions.totals(connection):
        for outcome in ("kept", "merged", "rejected"):
            yield say.ROWS.of(getattr(row, outcome), row.market, row.interval, outcome)
    for reason, count in rejected_rows.count_by_reason(connection, MAX_REASONS).items():
        yield say.REJECTED.of(count, reason)


def computed(connection: Connection) -> Iterator[Figure]:
    """How far each asset is computed, and when."""
    for asset, market, count, last in computations.extents(connection):
        yield say.COMPUTED.of(count, asset, market)
        yield say.COMPUTED_AT.of(_timestamp(last), asset, market)


def champion(connection: Connection) -> Iterator[Figure]:
    """The present champion, if there is one."""
    version = decisions.read_log(connection).champion_at(utc_now())
    if version:
        yield say.CHAMPION.of(1, version.version, version.as_of.isoformat())
        yield say.CHAMPION_AS_OF.of(_timestamp(version.as_of))


def alerts(connection: Connection) -> Iterator[Figure]:
    """Open problems, and messages that have not been sent."""
    about = Counter(subject.partition("|")[0] for subject in outbox.read_open_subjects(connection))
    for kind in ("freshness", "check", "run"):
        yield say.OPEN_ALERTS.of(about[kind], kind)
    for channel, count in outbox.count_unsent(connection).items():
        yield say.UNSENT_ALERTS.of(count, channel)


def _timestamp(moment: dt.date) -> float:
    """A date or a time in naive UTC as seconds since 1970."""
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime.combine(moment, dt.time())
    return moment.replace(tzinfo=dt.UTC).timestamp()
