"""The schema according to PostgreSQL's catalogue, independent of any library."""

from sqlalchemy import Connection, text

from worlds.specification import Column

TYPES = {
    "character varying": "VARCHAR",
    "timestamp without time zone": "TIMESTAMP",
    "timestamp without time zone[]": "TIMESTAMP[]",
    "double precision": "FLOAT",
}
DEFAULTS = {"now()": "NOW()", "'moderate'::character varying": "'moderate'"}

OUR_TABLES = "n.nspname = 'public' AND t.relname <> 'alembic_version'"
COLUMNS = f"""
    SELECT t.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
        pg_get_expr(d.adbin, d.adrelid), a.attgenerated <> ''
    FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid JOIN pg_namespace n ON n.oid = t.relnamespace
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE {OUR_TABLES} AND t.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
"""
KEYS = f"""
    SELECT k.contype::text, t.relname || '.' || a.attname, k.confrelid::regclass::text || '.' || f.attname
    FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.conkey[1]
        LEFT JOIN pg_attribute f ON f.attrelid = k.confrelid AND f.attnum = k.confkey[1]
    WHERE {OUR_TABLES} AND cardinality(k.conkey) = 1 AND k.contype IN ('p', 'u', 'f')
"""
INDEXES = f"""
    SELECT t.relname, x.relname, i.indisunique, pg_get_expr(i.indpred, i.indrelid), (
        SELECT string_agg(replace(pg_get_indexdef(x.oid, place, true), '"', ''), ', ' ORDER BY place)
        FROM generate_series(1, i.indnatts) AS place
    )
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
        JOIN pg_namespace n ON n.oid = t.relnamespace
        LEFT JOIN pg_constraint k
            ON k.conindid = x.oid AND k.contype IN ('p', 'u') AND cardinality(k.conkey) = 1
    WHERE {OUR_TABLES} AND t.relkind <> 'm' AND k.oid IS NULL
"""
CONSTRAINTS = f"""
    SELECT t.relname, k.conname, k.convalidated, pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE {OUR_TABLES} AND k.contype <> 't'
"""
DEFINITIONS = """
    SELECT tablename, indexname, indexdef FROM pg_indexes
    WHERE schemaname = 'public' AND tablename <> 'alembic_version'
        AND tablename NOT IN (SELECT matviewname FROM pg_matviews)
"""


def columns(connection: Connection) -> dict[str, Column]:
    """Return every column of our tables in the specification's words, by `table.name`."""
    keys = connection.execute(text(KEYS)).all()
    primary, unique = ({column for kind, column, _ in keys if kind == wanted} for wanted in "pu")
    foreign = {column: target for kind, column, target in keys if kind == "f"}
    found = {}
    for table, name, kind, nullable, default, generated in connection.execute(text(COLUMNS)):
        column = f"{table}.{name}"
        default_text = "generated" if generated else DEFAULTS.get(default, default)
        found[column] = Column(
            _type(kind), nullable, default_text, column in primary, column in unique, foreign.get(column)
        )
    return found


def _type(formatted: str) -> str:
    base, bracket, size = formatted.partition("(")
    return TYPES.get(base, base.upper()) + bracket + size


def indexes(connection: Connection) -> dict[str, set[str]]:
    """Return every index in the specification's words, by table; not those of one-column keys."""
    found: dict[str, set[str]] = {}
    for table, name, unique, where, on in connection.execute(text(INDEXES)):
        words = f"{name} on ({on})" + " UNIQUE" * unique + (f" WHERE {where.strip('()')}" if where else "")
        found.setdefault(table, set()).add(words)
    return found


def fingerprint(connection: Connection) -> set[tuple[object, ...]]:
    """Return all that PostgreSQL knows of our columns, constraints and indexes; order does not count."""
    queries = (COLUMNS, CONSTRAINTS, DEFINITIONS)
    return {tuple(row) for query in queries for row in connection.execute(text(query))}
