"""`price_bars` and `features` partitioned by the year of `ts`; docs/adr/0001-plain-tables.md says for whom.

What belongs here: this one change of form, there (`upgrade`) and back (`downgrade`). Kept elsewhere: the schema
itself (`migrations/versions/`), and what runs this (`boursomatic db partition`, in `migrate.py`).

It is no revision, and no table remembers it: whether a table is partitioned stands in PostgreSQL's own
catalogue, which no later upgrade, downgrade or restore can contradict. So each way may be run again at any
time. `upgrade` on partitioned tables makes the years that are missing by then.

A table cannot change its form in place, so each way builds a new one beside it, pours the rows over and gives it
all that the old one had: owner, privileges, defaults, constraints, indexes by name, foreign keys, triggers. What
it does not know how to carry stops it. Nobody reads or writes the tables meanwhile; a failure undoes all of it.

The partitions lie in a schema of their own, where neither Alembic nor a reader of `public` takes them for tables.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

TABLES = ("price_bars", "features")
BY_YEAR = "PARTITION BY RANGE (ts)"
# A row outside of these years is a mistake: it stays in the default partition.
EARLIEST, AHEAD = 1970, 10

OWNER = "SELECT relowner::regrole::text FROM pg_class WHERE oid = to_regclass(:table)"

# In the order in which a new table can take them.
BELONGINGS = """
SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i WHERE i.indrelid = to_regclass(:table)
    AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
UNION ALL
SELECT format('ALTER TABLE %I ADD CONSTRAINT %I %s', CAST(:table AS text), conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE conrelid = to_regclass(:table) AND contype IN ('u', 'x', 'f')
UNION ALL
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = to_regclass(:table) AND NOT tgisinternal
UNION ALL
SELECT format('COMMENT ON TABLE %I IS %L', CAST(:table AS text), told)
    FROM obj_description(to_regclass(:table), 'pg_class') AS told WHERE told IS NOT NULL
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
NOT_CARRIED = """
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
    """Partition the tables; on those that are partitioned, make the years that are missing."""
    _rebuild([table for table in TABLES if not _is_partitioned(table)], BY_YEAR)
    for table in TABLES:
        if made := _make_years(table, table):
            _give(_owner(table), made)
            op.execute(f"ANALYZE {table}")


def downgrade() -> None:
    """Make the tables plain again, with `id` alone as the key; partitions that were detached stay as they are."""
    _rebuild([table for table in TABLES if _is_partitioned(table)], "")
    if not _ask("SELECT oid FROM pg_class WHERE relnamespace = to_regnamespace('partitions')"):
        op.execute("DROP SCHEMA IF EXISTS partitions")


def _rebuild(tables: Sequence[str], form: str) -> None:
    if not tables:
        return
    _lock(*tables)
    if _ask("SELECT to_regnamespace('partitions')") == [None]:
        op.execute(f"CREATE SCHEMA partitions AUTHORIZATION {_owner(tables[0])}")
    for table in tables:
        _rebuild_one(table, form)


def _rebuild_one(table: str, form: str) -> None:
    """Put the old table aside, into the schema of the partitions, so that its names are free; fill a new one."""
    _require_carried(table)
    owner, belongings, grants = _owner(table), _ask(BELONGINGS, table), _grants(table)
    old = f"partitions.{table}"
    op.execute(f"ALTER TABLE {table} SET SCHEMA partitions")
    op.execute(f"CREATE TABLE {table} (LIKE {old} INCLUDING ALL EXCLUDING INDEXES) {form}")
    if form:
        op.execute(f"CREATE TABLE {old}_default PARTITION OF {table} DEFAULT")
        _make_years(table, old)
    op.execute(f"INSERT INTO {table} SELECT * FROM {old}")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} PRIMARY KEY ({'id, ts' if form else 'id'})")
    _give(owner, [table, *_ask(PARTITIONS, table)])
    for statement in (*belongings, *_revocations(table), *grants):
        op.execute(statement)
    op.execute(f"DROP TABLE {old}")
    op.execute(f"ANALYZE {table}")


def _make_years(table: str, source: str) -> list[str]:
    """Make a partition for every year from the first row of `source` to the next year, where there is none.

    Rows of those years that went to the default partition until now move; the names of what was made return.
    """
    there = _ask(PARTITIONS, table)
    wanted = _ask(YEARS.format(source=source, earliest=EARLIEST, ahead=AHEAD))
    missing = {f"partitions.{table}_{year}": year for year in wanted if f"partitions.{table}_{year}" not in there}
    if missing:
        _lock(table)
        late = f"late_{table}"
        op.execute(f"CREATE TEMP TABLE {late} (LIKE {table})")
        op.execute(
            f"WITH gone AS (DELETE FROM partitions.{table}_default"
            f" WHERE extract(year FROM ts) IN ({', '.join(map(str, missing.values()))}) RETURNING *)"
            f" INSERT INTO {late} SELECT * FROM gone"
        )
        for name, year in missing.items():
            bounds = f"FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
            op.execute(f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES {bounds}")
        op.execute(f"INSERT INTO {table} SELECT * FROM {late}")
        op.execute(f"DROP TABLE {late}")
    return list(missing)


def _lock(*tables: str) -> None:
    op.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")


def _require_carried(table: str) -> None:
    if left := _ask(NOT_CARRIED, table):
        raise RuntimeError(f"{table} has {left[0]}, which would be lost: drop it, and make it again afterwards")


def _revocations(table: str) -> list[str]:
    """Statements that take back what default privileges gave on a new table."""
    return [f"REVOKE {what} FROM {who}" for what, who, _ in _privileges(table)]


def _grants(table: str) -> list[str]:
    """Statements that grant what is granted on a table."""
    option = {True: " WITH GRANT OPTION", False: ""}
    return [f"GRANT {what} TO {who}{option[grantable]}" for what, who, grantable in _privileges(table)]


def _privileges(table: str) -> list[Any]:
    return list(op.get_bind().execute(sa.text(PRIVILEGES), {"table": table}))


def _give(owner: str, relations: Sequence[str]) -> None:
    for relation in relations:
        op.execute(f"ALTER TABLE {relation} OWNER TO {owner}")


def _owner(table: str) -> str:
    return str(_ask(OWNER, table)[0])


def _is_partitioned(table: str) -> bool:
    return bool(_ask("SELECT partrelid FROM pg_partitioned_table WHERE partrelid = to_regclass(:table)", table))


def _ask(question: str, table: str = "") -> list[Any]:
    """The first column of the answer."""
    given = {"table": table} if ":table" in question else {}
    return list(op.get_bind().execute(sa.text(question), given).scalars())
