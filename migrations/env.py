"""How Alembic works on the database: one run at a time, one transaction per migration.

What belongs here: what every Alembic command needs, whoever calls it. Kept elsewhere: the commands for people
(`boursomatic_assets/database/migrate.py`), the address of the database (`boursomatic_assets/database/`).
A caller may hand over an engine or a connection as `config.attributes["connection"]`.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text

from boursomatic_assets import database
from boursomatic_assets.schema import Table

LOCK = text("SELECT pg_try_advisory_lock(hashtext('alembic_version'))")


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Wait for other runs, by asking again: a statement that waits would block a concurrent index build."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()  # a session of its own: closing it gives the lock back
        while not connection.scalar(LOCK):
            time.sleep(0.1)
        yield


def _session(engine: Engine) -> Connection:
    """A session that gives up rather than queue for a table, with every reader queueing behind it."""
    connection = engine.connect()
    connection.detach()  # the setting ends with the session
    connection.execute(text("SET lock_timeout = '10s'"))
    connection.commit()
    return connection


def _run(**how: Any) -> None:
    context.configure(
        target_metadata=Table.metadata,
        transaction_per_migration=True,
        compare_type=True,
        compare_server_default=True,
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
        **how,
    )
    with context.begin_transaction():
        context.run_migrations()


def _main() -> None:
    if context.config.cmd_opts:  # the `alembic` command: it tells what it does
        logging.basicConfig(format="%(message)s")
        logging.getLogger("alembic.runtime.migration").setLevel(logging.INFO)
    if context.is_offline_mode():
        _run(dialect_name="postgresql", literal_binds=True)
        return
    given = context.config.attributes.get("connection") or database.engine()
    with (
        _alone(given.engine),
        nullcontext(given) if isinstance(given, Connection) else _session(given) as session,
    ):
        _run(connection=session)


try:
    _main()
except database.DatabaseError as error:
    raise CommandError(str(error)) from error  # which the command line prints as one line
