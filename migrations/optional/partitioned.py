"""`price_bars` and `features` partitioned by the year of `ts`; docs/adr/0001-plain-tables.md says for whom.

What belongs here: this optional migration, `upgrade` and `downgrade`. Kept elsewhere: the schema itself
(`migrations/versions/`), and what runs this (`boursomatic db partition`, in
`boursomatic_assets/database/migrate.py`).

It is no revision, and no table records it: PostgreSQL's catalogue says whether a table is partitioned, which no
later upgrade, downgrade or restore can contradict. So each direction may be run again at any time. `upgrade` on
partitioned tables creates the missing years.

PostgreSQL cannot partition a table in place, so each direction creates a new table, copies the rows and recreates
all that the old table had: owner, privileges, defaults, constraints, indexes by name, foreign keys, triggers. An
object that cannot be recreated raises an error. The tables are locked meanwhile; a failure undoes all of it.

The partitions are in a schema of their own, where neither Alembic nor a reader of `public` takes them for tables.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

TABLES = ("price_bars", "features")
BY_YEAR = "PARTITION BY RANGE (ts)"
# Rows outside of these years are taken for errors: they stay in the default partition.
FIRST_YEAR, YEARS_AHEAD = 1970, 10

OWNER = "SELECT relowner::regrole::text FROM pg_class WHERE oid = to_regclass(:table)"

# In the order in which they can be created on a new table.
DEPENDENT_OBJECTS = """
SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i WHERE i.indrelid = to_regclass(:table)
    AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
UNION ALL
SELECT format('ALTER TABLE %I ADD CONSTRAINT %I %s', CAST(:table AS text), conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE conrelid = to_regclass(:table) AND contype IN ('u', 'x', 'f')
UNION ALL
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = to_regclass(:table) AND NOT tgisinternal
UNION ALL
SELECT format('COMMENT ON TABLE %I IS %L', CAST(:table AS text), description)
    FROM obj_description(to_regclass(:table), 'pg_class') AS description WHERE description IS NOT NULL
"""
PRIVILEGES = """
SELECT format('%s%s ON %I', privilege_type, part, CAST(:table AS text)) AS what,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS who, is_grantable
FROM (
    SELECT '' AS part, a.* FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner))) AS a
        WHERE oid = to_regclass(:table)
    UNION ALL
    SELECT format(' (%I)', attname), a.* FROM pg_attribute, aclexplode(attacl) AS a
        WHERE attrelid = to_regclass(:table)
) AS granted
"""
UNSUPPORTED_OBJECTS = """
SELECT 'the policy ' || polname FROM pg_policy WHERE polrelid = to_regclass(:table)
UNION ALL
SELECT 'row-level security' FROM pg_class WHERE oid = to_regclass(:table) AND relrowsecurity
UNION ALL
SELECT 'the publication ' || pubname FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid
    WHERE prrelid = to_regclass(:table)
UNION ALL
SELECT DISTINCT 'the view ' || r.ev_class::regclass FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = to_regclass(:table)
UNION ALL
SELECT format('the foreign key %I of %s', conname, conrelid::regclass) FROM pg_constraint
    WHERE contype = 'f' AND confrelid = to_regclass(:table)
"""
YEARS = """
SELECT generate_series(
    greatest(least(extract(year FROM min(ts)), extract(year FROM now())), {earliest}),
    least(greatest(extract(year FROM max(ts)), extract(year FROM now()) + 1), extract(year FROM now()) + {ahead})
)::int
FROM {source}
"""
PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:table)"


def upgrade() -> None:
    """Partition the tables; on those that are partitioned, create the missing years."""
    _rebuild([table for table in TABLES if not _is_partitioned(table)], BY_YEAR)
    for table in TABLES:
        if created := _create_years(table, table):
            _set_owner(_owner(table), created)
            op.execute(f"ANALYZE {table}")


def downgrade() -> None:
    """Make the tables plain again, with `id` as the primary key; detached partitions stay as they are."""
    _rebuild([table for table in TABLES if _is_partitioned(table)], "")
    if not _query("SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace('partitions')"):
        op.execute("DROP SCHEMA IF EXISTS partitions")


def _rebuild(tables: Sequence[str], form: str) -> None:
    if not tables:
        return
    _lock(*tables)
    if _query("SELECT to_regnamespace('partitions')") == [None]:
        op.execute(f"CREATE SCHEMA partitions AUTHORIZATION {_owner(tables[0])}")
    for table in tables:
        _rebuild_table(table, form)


def _rebuild_table(table: str, form: str) -> None:
    """Move the old table to the schema of the partitions, so that its names are free, and fill a new one."""
    _require_supported(table)
    owner, dependent_objects, grants = _owner(table), _query(DEPENDENT_OBJECTS, table), _grants(table)
    old = f"partitions.{table}"
    op.execute(f"ALTER TABLE {table} SET SCHEMA partitions")
    op.execute(f"CREATE TABLE {table} (LIKE {old} INCLUDING ALL EXCLUDING INDEXES) {form}")
    if form:
        op.execute(f"CREATE TABLE {old}_default PARTITION OF {table} DEFAULT")
        _create_years(table, old)
    op.execute(f"INSERT INTO {table} SELECT * FROM {old}")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} PRIMARY KEY ({'id, ts' if form else 'id'})")
    _set_owner(owner, [table, *_query(PARTITIONS, table)])
    for statement in (*dependent_objects, *_revocations(table), *grants):
        op.execute(statement)
    op.execute(f"DROP TABLE {old}")
    op.execute(f"ANALYZE {table}")


def _create_years(table: str, source: str) -> list[str]:
    """Create the missing partitions of the years from the first row of `source` to the next year.

    Rows of those years move from the default partition. Returns the names of the created partitions.
    """
    existing = _query(PARTITIONS, table)
    wanted = _query(YEARS.format(source=source, earliest=FIRST_YEAR, ahead=YEARS_AHEAD))
    missing = {
        f"partitions.{table}_{year}": year for year in wanted if f"partitions.{table}_{year}" not in existing
    }
    if missing:
        _lock(table)
        moved_rows = f"late_{table}"
        op.execute(f"CREATE TEMP TABLE {moved_rows} (LIKE {table})")
        op.execute(
            f"WITH deleted AS (DELETE FROM partitions.{table}_default"
            f" WHERE extract(year FROM ts) IN ({', '.join(map(str, missing.values()))}) RETURNING *)"
            f" INSERT INTO {moved_rows} SELECT * FROM deleted"
        )
        for name, year in missing.items():
            bounds = f"FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
            op.execute(f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES {bounds}")
        op.execute(f"INSERT INTO {table} SELECT * FROM {moved_rows}")
        op.execute(f"DROP TABLE {moved_rows}")
    return list(missing)


def _lock(*tables: str) -> None:
    op.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")


def _require_supported(table: str) -> None:
    if left := _query(UNSUPPORTED_OBJECTS, table):
        raise RuntimeError(f"{table} has {left[0]}, which would be lost: drop it, and make it again afterwards")


def _revocations(table: str) -> list[str]:
    """Statements that revoke what default privileges grant on a new table."""
    return [f"REVOKE {what} FROM {who}" for what, who, _ in _privileges(table)]


def _grants(table: str) -> list[str]:
    """Statements that repeat the grants on a table."""
    option = {True: " WITH GRANT OPTION", False: ""}
    return [f"GRANT {what} TO {who}{option[grantable]}" for what, who, grantable in _privileges(table)]


def _privileges(table: str) -> list[Any]:
    return list(op.get_bind().execute(sa.text(PRIVILEGES), {"table": table}))


def _set_owner(owner: str, relations: Sequence[str]) -> None:
    for relation in relations:
        op.execute(f"ALTER TABLE {relation} OWNER TO {owner}")


def _owner(table: str) -> str:
    return str(_query(OWNER, table)[0])


def _is_partitioned(table: str) -> bool:
    return bool(_query("SELECT partrelid FROM pg_partitioned_table WHERE partrelid = to_regclass(:table)", table))


def _query(query: str, table: str = "") -> list[Any]:
    """The first column of a query's result."""
    parameters = {"table": table} if ":table" in query else {}
    return list(op.get_bind().execute(sa.text(query), parameters).scalars())
