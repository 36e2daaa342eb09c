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

import psycopg
from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from boursomatic_assets import database
from boursomatic_assets.database import locks
from boursomatic_assets.database.losses import refusing_losses
from boursomatic_assets.database.roles import grants
from boursomatic_assets.schema import Table

KEY = text("SELECT hashtext('alembic_version')::bigint")
LOCK = text("SELECT pg_try_advisory_lock(hashtext('alembic_version'))")


PRINTED = {"paramstyle": "named"}
"""With the driver's own style each percent sign would be printed twice."""

LOCK_TIMEOUT = "300ms"
PATIENCE_SECONDS = 60
"""How long one request for a table may take, and for how long requests are repeated where no command states it."""

USERS = text("""
SELECT array_agg(DISTINCT l.pid) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
WHERE l.granted AND l.pid <> pg_backend_pid() AND c.relnamespace = 'public'::regnamespace
""")
"""The sessions that use tables."""


@contextmanager
def _migration_lock(engine: Engine) -> Iterator[None]:
    """Hold the lock of migrations. It is polled: a waiting statement would block a concurrent index build."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.detach()  # a session of its own: closing it releases the lock
        notice = locks.Notice()
        while not connection.scalar(LOCK):
            _say_who_migrates(connection, notice)
            time.sleep(0.1)
        yield


def _say_who_migrates(connection: Connection, notice: locks.Notice) -> None:
    """Say for whom the lock is waited, if it is time to.

    Raises:
        LockWaitError: A person has waited as long as he may.
    """
    what, driver = "the lock of migrations", connection.connection.dbapi_connection
    if notice.is_due() and (holder := locks.holder_of(driver, connection.scalar(KEY))):
        notice.say(what, holder)
    if locks.patience is not None and notice.seconds > locks.patience:
        raise notice.give_up(what)


def _connect(engine: Engine) -> Connection:
    """A connection with a lock timeout shorter than a reader notices, since readers queue behind who waits."""
    connection = engine.connect()
    connection.detach()  # the setting ends with the session
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
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


def _print_migrations() -> None:
    """Print migrations, and after the newest one all grants: those of an earlier one would name later tables."""
    with context.begin_transaction():
        context.run_migrations()
        if context.get_revision_argument() == context.get_head_revision():
            for statement in grants.script():
                context.execute(statement)


def _run_migrations_beside_others(connection: Connection) -> None:
    """Run the migrations; one that does not get its tables at once is undone, and run again a second later."""
    notice = locks.Notice()
    while True:
        try:
            return _run_migrations()
        except OperationalError as error:
            over = notice.seconds > (locks.patience or PATIENCE_SECONDS)
            if connection.in_transaction() or not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                raise
            if over:
                raise notice.give_up("the tables that a migration changes") from None
        if notice.is_due():
            _say_who_uses_tables(connection, notice)
        time.sleep(1)


def _say_who_uses_tables(connection: Connection, notice: locks.Notice) -> None:
    with connection.begin():
        pids, driver = connection.scalar(USERS), connection.connection.dbapi_connection
        if pids and (holder := locks.describe(driver, pids)):
            notice.say("the tables that a migration changes", holder)


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
        _configure(dialect_name="postgresql", literal_binds=True, dialect_opts=PRINTED)
        _print_migrations()
        return
    connectable = context.config.attributes.get("connection") or database.engine("owner")
    with (
        _migration_lock(connectable.engine),
        nullcontext(connectable) if isinstance(connectable, Connection) else _connect(connectable) as connection,
    ):
        _configure(connection=connection)
        _refuse_losses(connection)
        _run_migrations_beside_others(connection)


try:
    _main()
except database.DatabaseError as error:
    raise CommandError(str(error)) from error  # which the command line prints as one line
