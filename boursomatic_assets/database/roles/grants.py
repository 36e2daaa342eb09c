"""Grants: the statements that make the roles, and give each what `privileges.py` says.

What belongs here: roles, privileges of the database and the schema, grants on tables, views and functions, and the
rows of accounts that each role sees; every statement can be run again.
Kept elsewhere: what is granted (`privileges.py`), passwords and members (`logins.py`), and that accounts have
row-level security at all (`migrations/`).
"""

from collections.abc import Iterator

from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql

from boursomatic_assets.database.roles import role_name
from boursomatic_assets.database.roles.privileges import EXECUTABLE, POLICIES, PRIVILEGES, privileges_of
from boursomatic_assets.vocabulary import GRANTED_ROLES, Role

quote = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]

_CREATE = """DO $$ BEGIN
    CREATE ROLE {name} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$"""
"""Roles belong to the server: another database's migration may make the same one at this moment."""

_ON_DATABASE = """DO $$ BEGIN
    EXECUTE '{privilege} ON DATABASE ' || quote_ident(current_database()) || ' {change}';
END $$"""


_FORCED = text(
    "SELECT oid::regclass::text FROM pg_class"
    " WHERE relforcerowsecurity AND relnamespace = 'public'::regnamespace ORDER BY 1"
)


def apply(connection: Connection) -> tuple[str, ...]:
    """Make the roles and grant what they may, as far as the connected role is allowed to.

    Returns:
        the roles that are missing, since the connected role may not create any: see `statements`.
    """
    may_create = connection.scalar(
        text("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
    )
    missing = _missing_roles(connection)
    if missing and may_create:
        for name in missing:
            connection.exec_driver_sql(_CREATE.format(name=quote(name)))
        missing = ()
    if not missing:
        for statement in _grants(_existing(connection)):
            connection.exec_driver_sql(statement)
    return missing


def apply_after_restore(connection: Connection) -> tuple[str, ...]:
    """Let the owner see all rows where row-level security binds it, and `apply`: a dump names no roles."""
    for table in connection.scalars(_FORCED).all():
        connection.exec_driver_sql(f"DROP POLICY IF EXISTS owner_rows ON {table}")
        connection.exec_driver_sql(
            f"CREATE POLICY owner_rows ON {table} TO CURRENT_USER USING (true) WITH CHECK (true)"
        )
    return apply(connection)


def statements(connection: Connection) -> list[str]:
    """All statements that `apply` would run, for a person who may create roles."""
    create = [f"CREATE ROLE {quote(name)} NOLOGIN" for name in _missing_roles(connection)]
    return [*create, *_grants(_existing(connection))]


def script() -> list[str]:
    """The statements for a database that is not asked, at the newest revision: of a migration that is printed."""
    create = [_CREATE.format(name=quote(role_name(role))) for role in GRANTED_ROLES]
    return [*create, *_grants({*PRIVILEGES, *EXECUTABLE})]


def _missing_roles(connection: Connection) -> tuple[str, ...]:
    existing = set(connection.scalars(text("SELECT rolname FROM pg_roles")))
    return tuple(name for role in GRANTED_ROLES if (name := role_name(role)) not in existing)


def _existing(connection: Connection) -> set[str]:
    """The tables, views and functions that are there: an earlier revision has fewer."""
    found = text(
        "SELECT name FROM unnest(CAST(:tables AS text[])) name WHERE to_regclass(name) IS NOT NULL"
        " UNION ALL"
        " SELECT name FROM unnest(CAST(:functions AS text[])) name WHERE to_regprocedure(name) IS NOT NULL"
    )
    return {*connection.scalars(found, {"tables": [*PRIVILEGES], "functions": [*EXECUTABLE]})}


def _grants(existing: set[str]) -> Iterator[str]:
    names = {role: quote(role_name(role)) for role in GRANTED_ROLES}
    everyone = ", ".join(names.values())
    for privilege, change in (
        ("REVOKE TEMPORARY", "FROM PUBLIC"),
        ("GRANT CONNECT", f"TO {everyone}"),
        ("GRANT TEMPORARY", f"TO {names['writer']}"),
    ):
        yield _ON_DATABASE.format(privilege=privilege, change=change)
    yield "REVOKE CREATE ON SCHEMA public FROM PUBLIC"
    yield f"GRANT USAGE ON SCHEMA public TO {everyone}"
    for table in filter(existing.__contains__, PRIVILEGES):
        yield f"REVOKE ALL ON {table} FROM PUBLIC, {everyone}"
        yield from _table_grants(table, names)
    for function in filter(existing.__contains__, EXECUTABLE):
        yield f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC, {everyone}"
        yield f"GRANT EXECUTE ON FUNCTION {function} TO {', '.join(names[role] for role in EXECUTABLE[function])}"
    for table in filter(existing.__contains__, POLICIES):
        yield from _policies(table, names)


def _table_grants(table: str, names: dict[Role, str]) -> Iterator[str]:
    for role in GRANTED_ROLES:
        for word, columns in privileges_of(table, role):
            only = f" ({', '.join(map(quote, columns))})" if columns else ""
            yield f"GRANT {word}{only} ON {table} TO {names[role]}"


def _policies(table: str, names: dict[Role, str]) -> Iterator[str]:
    rows: dict[Role, tuple[str, str]] = {"account_admin": ("true", "true"), "app": POLICIES[table]}
    for role, (seen, written) in rows.items():
        policy = f"{role}_rows"
        yield f"DROP POLICY IF EXISTS {policy} ON {table}"
        yield f"CREATE POLICY {policy} ON {table} TO {names[role]} USING ({seen}) WITH CHECK ({written})"
