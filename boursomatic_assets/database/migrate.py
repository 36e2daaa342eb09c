"""Migrations: upgrade and downgrade the schema of a database, and report its revision.

What belongs here: the commands on the schema, and the number of rows that they would drop.
Kept elsewhere: the migrations and how they run (`migrations/`), the one that is optional (`partitioning.py`), the
connections (`connections.py`).
`scripts/db_migration.sh` calls `main`.
"""

import argparse
import sys
from collections.abc import Callable

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine, func, inspect, select, text
from sqlalchemy.exc import DBAPIError

from boursomatic_assets import database, settings
from boursomatic_assets.database import DatabaseError
from boursomatic_assets.database.addresses import is_embedded
from boursomatic_assets.database.roles.logins import provide_embedded_logins

CONFIG = settings.PROJECT / "alembic.ini"

_READABLE = text("SELECT name FROM unnest(CAST(:names AS text[])) name WHERE has_table_privilege(name, 'SELECT')")


def upgrade(revision: str = "head") -> None:
    """Create missing databases, and upgrade the schema to a revision.

    Raises:
        DatabaseError: the server cannot be reached, the database's revision or `revision` is unknown to this code,
            or a migration failed; that one is undone, those before it stay.
    """
    database.create_databases()
    _run_command(command.upgrade, revision)
    if is_embedded():
        provide_embedded_logins()


def downgrade(revision: str, *, lose: bool = False) -> None:
    """Downgrade the schema to a revision; `base` drops every table.

    Raises:
        DatabaseError: as for `upgrade`; or an upgrade would not find everything again, and neither `lose` nor
            BOURSOMATIC_YES=1 is given.
    """
    _run_command(command.downgrade, revision, lose=lose)


def recreate() -> None:
    """Drop every table with its rows, and create them empty."""
    database.create_databases()
    downgrade("base")
    upgrade()


def status(engine: Engine | None = None) -> str:
    """Three lines: the revision of the database, the revision of this code, and the pending migrations.

    Args:
        engine: Of whom the database is asked; of its owner, if it is not said.
    """
    revision = current_revision(engine or database.engine("owner"))
    if revision and not _find_migration(revision):
        pending = "unknown"
    else:
        migrations = list(_script_directory().iterate_revisions("head", revision or "base"))
        pending = ", ".join(step.revision for step in reversed(migrations)) or "nothing"
    current, head = _describe_revision(revision), _describe_revision(head_revision())
    return f"current: {current}\nhead:    {head}\npending: {pending}"


def current_revision(engine: Engine) -> str | None:
    """The revision of a database; None before the first migration."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head_revision() -> str:
    """The revision that this code needs."""
    return _script_directory().get_revision("head").revision


def knows(revision: str) -> bool:
    """Whether this code has the migration of a revision: of a newer one it does not."""
    return _find_migration(revision) is not None


def require_current_schema(engine: Engine) -> None:
    """Require that the schema is at the revision of this code.

    Raises:
        DatabaseError: the database is behind, or its revision is unknown to this code.
    """
    revision = current_revision(engine)
    _require_known(revision)
    if revision != head_revision():
        raise DatabaseError(
            f"the database is at revision {revision or 'base'} but this code needs {head_revision()}: "
            "run `boursomatic db upgrade`"
        )


def require_consent(yes: bool) -> None:
    """Require consent before rows are dropped; empty tables need none.

    Raises:
        DatabaseError: there are rows, and neither `yes` nor BOURSOMATIC_YES=1 is given.
    """
    rows = ", ".join(
        f"{count} in {table}" for table, count in row_counts(database.engine("owner")).items() if count
    )
    if rows and not yes and not settings.consent():
        raise DatabaseError(f"this drops rows for good ({rows}): say --yes, or set BOURSOMATIC_YES=1, to go ahead")


def row_counts(engine: Engine) -> dict[str, int]:
    """The number of rows of each existing table, but for those that the role may neither read nor count.

    Tables that are made from others are left out.
    """
    from boursomatic_assets.schema import Table  # loading the tables takes longer than a status does

    existing = inspect(engine).get_table_names()
    kept = (table for table in Table.metadata.sorted_tables if not table.info.get("derived"))
    tables = [table for table in kept if table.name in existing]
    with engine.connect() as connection:
        readable = connection.scalars(_READABLE, {"names": [table.name for table in tables]}).all()
        counts = {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0
            for table in tables
            if table.name in readable
        }
        if len(readable) < len(tables):
            counts |= dict(connection.execute(text("SELECT table_name, rows FROM account_counts")).all())
    return {table.name: counts[table.name] for table in tables if table.name in counts}


def main() -> None:
    """The entry point of `scripts/db_migration.sh`."""
    parser = argparse.ArgumentParser(prog="db_migration.sh")
    parser.add_argument("action", choices=("create", "migrate", "status", "rollback", "recreate"))
    parser.add_argument("--yes", action="store_true", help="drop rows without asking")
    arguments = parser.parse_args()
    try:
        _run_action(arguments.action, arguments.yes)
        sys.stdout.write(f"{status()}\n")
    except (DatabaseError, settings.SettingError) as error:
        sys.exit(f"error: {error}")


def _run_action(action: str, yes: bool) -> None:
    match action:
        case "create":
            database.create_databases()
        case "migrate":
            upgrade()
        case "rollback":
            require_consent(yes)
            downgrade("base")
        case "recreate":
            require_consent(yes)
            recreate()


def _run_command(operation: Callable[[Config, str], None], revision: str, *, lose: bool = False) -> None:
    """Run an Alembic command that moves the database to a revision."""
    _require_known(current_revision(database.engine("owner")))
    try:
        operation(Config(CONFIG, attributes={"lose": lose}), revision)
    except CommandError as error:
        raise DatabaseError(f"cannot {operation.__name__} to {revision}: {error}") from error
    except DBAPIError as error:
        reason, at = str(error.orig).partition("\n")[0], current_revision(database.engine("owner"))
        raise DatabaseError(
            f"cannot {operation.__name__} to {revision}: {reason}; "
            f"that migration was undone, so the database is at {_describe_revision(at)}"
        ) from error


def _script_directory() -> ScriptDirectory:
    return ScriptDirectory.from_config(Config(CONFIG))


def _find_migration(revision: str) -> Script | None:
    """The migration of a revision; None if this code has none."""
    try:
        return _script_directory().get_revision(revision)
    except CommandError:  # no such revision: the caller handles None
        return None


def _require_known(revision: str | None) -> None:
    if revision and not _find_migration(revision):
        raise DatabaseError(
            f"the database is at revision {revision}, which this code does not know (it needs {head_revision()}): "
            "newer code migrated it, so update this checkout"
        )


def _describe_revision(revision: str | None) -> str:
    if revision is None:
        return "base (no migration applied)"
    script = _find_migration(revision)
    return f"{revision} ({script.doc if script else 'unknown to this code: update this checkout'})"


if __name__ == "__main__":
    main()
