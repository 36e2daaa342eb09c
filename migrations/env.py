"""Alembic's environment: one run at a time, one transaction per migration.

What belongs here: the setup of every Alembic command. Kept elsewhere: the commands for people
(`boursomatic_assets/database/migrate.py`), the address of the database
(`boursomatic_assets/database/addresses.py`).
A caller may pass an engine or a connection as `config.attributes["connection"]`, and that a downgrade may lose
something as `config.attributes["lose"]`.
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
from boursomatic_assets.database.losses import refusing_losses
from boursomatic_assets.schema import Table

LOCK = text("SELECT pg_try_advisory_lock(hashtext('alembic_version'))")


@contextmanager
def _migration_lock(engine: Engine) -> Iterator[None]:
    """Hold the lock of migrations. It is polled: a waiting statement would block a concurrent index build."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()  # a session of its own: closing it releases the lock
        while not connection.scalar(LOCK):
            time.sleep(0.1)
        yield


def _connect(engine: Engine) -> Connection:
    """A connection with a lock timeout: readers queue behind a migration that waits for a table."""
    connection = engine.connect()
    connection.detach()  # the setting ends with the session
    connection.execute(text("SET lock_timeout = '10s'"))
    connection.commit()
    return connection


def _configure(**options: Any) -> None:
    context.configure(
        target_metadata=Table.metadata,
        transaction_per_migration=True,
        compare_type=True,
        compare_server_default=True,
        autogenerate_plugins=["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
        **options,
    )


def _run_migrations() -> None:
    with context.begin_transaction():
        context.run_migrations()


def _refuse_losses(connection: Connection) -> None:
    """Let a downgrade that loses something fail before it begins, without consent."""
    if not context.config.attributes.get("lose"):
        steps = context.get_context().opts["fn"]
        _configure(connection=connection, fn=refusing_losses(steps))


def _main() -> None:
    if context.config.cmd_opts:  # the `alembic` command prints its progress
        logging.basicConfig(format="%(message)s")
        logging.getLogger("alembic.runtime.migration").setLevel(logging.INFO)
    if context.is_offline_mode():
        _configure(dialect_name="postgresql", literal_binds=True)
        _run_migrations()
        return
    connectable = context.config.attributes.get("connection") or database.engine("owner")
    with (
        _migration_lock(connectable.engine),
        nullcontext(connectable) if isinstance(connectable, Connection) else _connect(connectable) as connection,
    ):
        _configure(connection=connection)
        _refuse_losses(connection)
        _run_migrations()


try:
    _main()
except database.DatabaseError as error:
    raise CommandError(str(error)) from error  # which the command line prints as one line
