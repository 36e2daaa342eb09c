"""What each role may do with each table: the matrix that is declared, and what the server lets each login do."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine

from boursomatic_assets.database import migrate
from boursomatic_assets.database.roles.privileges import PRIVILEGES, Privilege, privileges_of
from boursomatic_assets.schema import Table
from boursomatic_assets.vocabulary import GRANTED_ROLES, Role

Login = Callable[[Role], psycopg.Connection]

STATEMENTS = {
    "SELECT": "SELECT {column} FROM {table} WHERE false",
    "INSERT": "INSERT INTO {table} ({column}) SELECT NULL WHERE false",
    "UPDATE": "UPDATE {table} SET {column} = NULL WHERE false",
    "DELETE": "DELETE FROM {table} WHERE false",
    "TRUNCATE": "TRUNCATE {table}",
}
BY_COLUMN = ("SELECT", "INSERT", "UPDATE")

SUMMARIES = ("advice_by_sector", "coverage_by_month", "track_record_by_month")
VIEWS = ("account_counts", "current_advice", "user_recommendations", *SUMMARIES)

DDL = (
    "ALTER TABLE {table} ADD COLUMN added int",
    "CREATE INDEX ON {table} ({column})",
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "DROP TABLE {table}",
)


@pytest.fixture
def granted(database: Engine) -> Engine:
    """A database of its own: a clone has no privileges of the database itself."""
    migrate.upgrade()
    return database


def is_permitted(connection: psycopg.Connection, statement: str, table: str, column: str) -> bool:
    """Whether a role may run a statement; whatever it did is taken back."""
    names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(sql.SQL(statement).format(**names))
    except psycopg.errors.InsufficientPrivilege:
        return False
    except psycopg.Error:
        return True  # it was permitted, and failed for another reason
    return True


def columns_of(database: Engine) -> dict[str, list[str]]:
    """The columns of each table and view, but for those that are generated, which nobody may write."""
    with database.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT c.relname, array_agg(a.attname::text) FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p') AND a.attnum > 0"
            " AND a.attgenerated = '' GROUP BY c.relname"
        )
        return dict(found.all())


def test_each_table_and_view_has_a_row(granted: Engine) -> None:
    """A new table is in the matrix, or this fails."""
    assert set(columns_of(granted)) == set(PRIVILEGES)
    assert set(Table.metadata.tables) <= set(PRIVILEGES)


def test_no_function_finds_a_temporary_object_before_a_table(granted: Engine) -> None:
    """Else whoever makes a temporary view has it executed with the rights of the tables' owner."""
    with granted.connect() as connection:
        paths = connection.exec_driver_sql(
            "SELECT proname, setting FROM pg_proc CROSS JOIN unnest(proconfig) AS setting"
            " WHERE pronamespace = 'public'::regnamespace AND starts_with(setting, 'search_path=')"
        )
        found = {row.proname: row.setting for row in paths}
    assert found
    assert [name for name, path in found.items() if "public" in path and not path.endswith(", pg_temp")] == []


@pytest.mark.parametrize("role", GRANTED_ROLES)
def test_a_login_may_do_what_the_matrix_says_and_nothing_else(granted: Engine, log_in: Login, role: Role) -> None:
    connection = log_in(role)
    found = {
        (table, word, column)
        for table, columns in columns_of(granted).items()
        for word, statement in STATEMENTS.items()
        if word == "SELECT" or table not in VIEWS
        for column in (columns if word in BY_COLUMN else columns[:1])
        if is_permitted(connection, statement, table, column)
    }
    assert found == set(expected(granted, role))


def expected(database: Engine, role: Role) -> Iterator[tuple[str, str, str]]:
    columns = columns_of(database)
    for table in PRIVILEGES:
        for privilege in privileges_of(table, role):
            if privilege.word in BY_COLUMN:
                for column in privilege.columns or columns[table]:
                    yield table, privilege.word, column
            else:
                yield table, privilege.word, columns[table][0]


@pytest.mark.parametrize("role", GRANTED_ROLES)
def test_no_role_may_change_the_schema(granted: Engine, log_in: Login, role: Role) -> None:
    connection = log_in(role)
    for table, columns in columns_of(granted).items():
        for statement in () if table in VIEWS else DDL:
            assert not is_permitted(connection, statement, table, columns[0]), (table, statement)
    for statement in ("CREATE TABLE {table} ({column} int)", "CREATE SCHEMA {table}"):
        assert not is_permitted(connection, statement, "made", "here")
    may_stage = is_permitted(connection, "CREATE TEMP TABLE {table} ({column} int)", "staged", "id")
    assert may_stage == (role == "writer")


def test_privileges_are_read_from_a_cell() -> None:
    assert privileges_of("recommendations", "writer") == (
        Privilege("SELECT"),
        Privilege("INSERT"),
        Privilege("UPDATE", ("is_active", "superseded_at")),
    )
    assert privileges_of("users", "writer") == ()
