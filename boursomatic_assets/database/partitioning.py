"""Partitioning: the optional migration, which makes two large tables partitioned ones, and plain again.

What belongs here: running it, and which form the tables have. Kept elsewhere: what it does
(`migrations/optional/`), the revision of the schema, which it leaves alone (`migrate.py`).
"""

from typing import Never

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError, load_python_file
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from boursomatic_assets import database
from boursomatic_assets.database import DatabaseError
from boursomatic_assets.database.migrate import CONFIG, require_current_schema

OPTIONAL_MIGRATIONS = CONFIG.parent / "migrations" / "optional"


def partition() -> None:
    """Partition `price_bars` and `features` by year; if they are partitioned, create the missing years.

    Raises:
        DatabaseError: the schema is not at the revision of this code, or the change failed and was undone.
    """
    _run("upgrade")


def unpartition() -> None:
    """Make `price_bars` and `features` plain tables again.

    Raises:
        DatabaseError: as for `partition`.
    """
    _run("downgrade")


def status() -> str:
    """A line for each of the two tables: plain, or how many partitions it has."""
    children = "(SELECT count(*) FROM pg_inherits WHERE inhparent = relid)"
    form = f"CASE relkind WHEN 'p' THEN 'partitioned, ' || {children} || ' partitions' ELSE 'plain' END"
    tables = "(VALUES ('price_bars'::regclass), ('features')) AS t(relid) JOIN pg_class ON oid = relid"
    with database.engine("owner").connect() as connection:
        rows = connection.execute(text(f"SELECT relname || ': ' || {form} FROM {tables}"))
        return "\n".join(rows.scalars())


def _run(direction: str) -> None:
    """Run one direction of the optional migration under Alembic's lock, in one transaction."""
    require_current_schema(database.engine("owner"))
    config = Config(CONFIG)
    scripts = ScriptDirectory.from_config(config)
    change = load_python_file(str(OPTIONAL_MIGRATIONS), "partitioned.py")

    def run(_heads: object, context: MigrationContext) -> list[Never]:
        with context.begin_transaction(_per_migration=True):
            getattr(change, direction)()
        return []  # no revision is recorded

    try:
        with EnvironmentContext(config, scripts, fn=run):
            scripts.run_env()
    except (DBAPIError, CommandError) as error:
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        raise DatabaseError(f"the tables stay as they are: {reason}") from error
