"""One reading of all figures, from both databases.

What belongs here: connecting for it, and what is done about what cannot be read.
Kept elsewhere: the figures (`platform.py`, `dagster.py`), who asks for a reading (`server.py`).

A group of figures that cannot be read is left out, is said to be down, and its error is logged. What is stuck ends
after a while by the server's limit. Nothing is written: the server is told to refuse it.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client.metrics_core import Metric
from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from boursomatic_assets import database
from boursomatic_assets.database import errors
from boursomatic_assets.metrics import dagster, descriptions, platform, replication
from boursomatic_assets.metrics.descriptions import Figure
from boursomatic_assets.orchestration.dagster_patches.counts.runs import tables_exist

Group = Callable[[Connection], Iterable[Figure]]

PLATFORM: Final[dict[str, Group]] = {
    "freshness": platform.freshness,
    "rows": platform.rows,
    "computed": platform.computed,
    "champion": platform.champion,
    "alerts": platform.alerts,
    "replication": replication.replication,
}
LIMITS: Final = {
    "connect_timeout": "3",
    "options": "-c timezone=UTC -c default_transaction_read_only=on -c statement_timeout=5s -c work_mem=64MB",
}

logger = logging.getLogger(__name__)


class Readings:
    """Reads all figures, each time from new connections.

    The addresses are looked up once, so that asking starts no embedded server that somebody has stopped.
    """

    def __init__(self) -> None:
        self._platform = _engine(database.database_url("reader"))
        self._dagster = _engine(database.dagster_url())
        self._groups: dict[str, Group] = {
            "runs": dagster.runs,
            "checks": dagster.Checks(),
            "daemon": dagster.daemon,
        }
        self._logged: dict[str, str] = {}

    def read(self) -> list[Metric]:
        """Read them; what cannot be read is left out."""
        figures = [*self._read(self._platform, PLATFORM), *self._read(self._dagster, self._groups, tables_exist)]
        is_up = all(value for description, value, _ in figures if description is descriptions.GROUP_UP)
        return descriptions.families([descriptions.UP.of(is_up), *figures])

    def _read(
        self, engine: Engine, groups: Mapping[str, Group], is_filled: Callable[[Connection], bool] | None = None
    ) -> Iterator[Figure]:
        """The figures of a database; each group is a transaction of its own."""
        try:
            with engine.connect() as connection:
                self._log(", ".join(groups), None)
                empty = is_filled is not None and not is_filled(connection)
                for name, group in groups.items():
                    yield from self._read_group(connection, name, (lambda _: iter(())) if empty else group)
        except Exception as error:  # whatever it is, the other database is still read
            self._log(", ".join(groups), error)
            yield from (descriptions.GROUP_UP.of(0, name) for name in groups)

    def _read_group(self, connection: Connection, name: str, group: Group) -> Iterable[Figure]:
        """A group of figures, with how long it took; without them if one cannot be read."""
        started = time.perf_counter()
        try:
            figures, up = list(group(connection)), 1
            self._log(name, None)
        except Exception as error:  # whatever it is, the other groups are still read
            figures, up = [], 0
            self._log(name, error)
        connection.rollback()
        seconds = time.perf_counter() - started
        return [*figures, descriptions.GROUP_UP.of(up, name), descriptions.GROUP_SECONDS.of(seconds, name)]

    def _log(self, names: str, error: Exception | None) -> None:
        """Log what went wrong, but not again as long as it stays the same; and that it is right again."""
        if error is None:
            if self._logged.pop(names, None):
                logger.warning("figures of %s are read again", names)
            return
        first_line = (str(error) or "no message").splitlines()[0]
        reason = errors.explain(error) or f"{type(error).__name__}: {first_line}"
        if self._logged.get(names) != reason:
            logger.error("no figures of %s: %s", names, reason)
        self._logged[names] = reason


def _engine(url: URL) -> Engine:
    """An engine without a pool: a connection that is kept may be a lost one."""
    limited = url.update_query_dict(LIMITS)
    return create_engine("postgresql+psycopg://", creator=lambda: database.connect(limited), poolclass=NullPool)
