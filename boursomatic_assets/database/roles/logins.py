"""Logins: which roles may log in, with which password, and who is a member of one.

What belongs here: passwords and members; the logins of the embedded server, each with a file of its own.
Kept elsewhere: what a role may do (`privileges.py`), where the files lie (`embedded/cluster.py`).
"""

import secrets

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from boursomatic_assets import settings
from boursomatic_assets.database.addresses import dagster_url, database_url
from boursomatic_assets.database.connections import connect, engine
from boursomatic_assets.database.embedded.cluster import find_cluster
from boursomatic_assets.database.errors import DatabaseError
from boursomatic_assets.database.roles import grants, role_name
from boursomatic_assets.settings import DRIVER, home
from boursomatic_assets.vocabulary import GRANTED_ROLES, Role

PASSWORD_BYTES = 32

_OWNED = """
SELECT format('ALTER %%s %%I.%%I OWNER TO %%I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW'
    ELSE 'TABLE' END, n.nspname, c.relname, %(owner)s::text)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'v', 'S') AND c.relowner <> to_regrole(%(owner)s::text)
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype IN ('a', 'i') AND c.relkind = 'S')
"""


def set_password(connection: psycopg.Connection, name: str, password: str) -> None:
    """Let a role log in with a password. The server is sent its SCRAM verifier, so that no log can hold it."""
    verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    statement = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(verifier))
    connection.execute(statement)


def add_member(connection: psycopg.Connection, name: str, member: str) -> None:
    """Give another login what a role may do."""
    connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(name), sql.Identifier(member)))


def grant(role: Role | None = None, member: str | None = None, password: str | None = None) -> list[str]:
    """Make the roles and grant what they may, as the owner; then give one of them a member, or a password.

    Returns:
        a line for each thing that was done, once it is committed.

    Raises:
        DatabaseError: the owner may not create roles, or not give them to others.
    """
    with engine("owner").begin() as connection:
        if missing := grants.apply(connection):
            raise DatabaseError(
                f"the owner may not create the roles {', '.join(missing)}:"
                " have an administrator run what `boursomatic db grant --sql` prints"
            )
        done = [f"granted: {', '.join(map(role_name, GRANTED_ROLES))}"]
        driver = connection.connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        if role and member:
            add_member(driver, role_name(role), member)
            done.append(_logged(connection, f"{member} is a member of {role_name(role)}"))
        if role and password:
            set_password(driver, role_name(role), password)
            done.append(_logged(connection, f"{role_name(role)} logs in with the new password"))
    return done


def _logged(connection: Connection, action: str) -> str:
    """The action, once it is in the log of the audit."""
    connection.execute(
        text(
            "INSERT INTO audit_log (id, actor, subject, action)"
            " VALUES (gen_random_uuid(), session_user, 'roles', :action)"
        ),
        {"action": action},
    )
    return action


def statements(role: Role | None = None, member: str | None = None) -> list[str]:
    """The statements that `grant` would run, but for passwords, which psql sets without showing them."""
    with engine("owner").connect() as connection:
        found = grants.statements(connection)
        if role and member:
            found.append(f"GRANT {grants.quote(role_name(role))} TO {grants.quote(member)}")
    return found


def provide_embedded_logins() -> None:
    """Let each role of the embedded server log in, and make the writer the owner of Dagster's database there.

    Each has a password of its own, in a file that only the client can read; one that is there stays. On another
    server this is the administrator's: `boursomatic db grant`.
    """
    cluster = find_cluster(home())
    with connect(database_url("owner")) as connection:
        connection.execute("SELECT pg_advisory_lock(hashtext('logins'))")  # until the connection is closed
        for role in _existing_roles(connection):
            name, passfile = role_name(role), cluster.passfile_of(role)
            if not passfile.exists():
                password = secrets.token_urlsafe(PASSWORD_BYTES)
                set_password(connection, name, password)
                connection.commit()
                cluster.write_passfile(passfile, name, password)
        if "writer" in _existing_roles(connection) and settings.dagster_address() is None:
            with connect(dagster_url("owner").set(drivername=DRIVER)) as storage:
                give_dagster_storage(storage, role_name("writer"))


def give_dagster_storage(connection: psycopg.Connection, writer: str) -> None:
    """Make the writer the owner of the database of Dagster's storage, which makes its tables there."""
    names = sql.Identifier(connection.info.dbname), sql.Identifier(writer)
    connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(*names))
    for (statement,) in connection.execute(_OWNED, {"owner": writer}).fetchall():
        connection.execute(statement)


def _existing_roles(connection: psycopg.Connection) -> list[Role]:
    existing = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
    return [role for role in GRANTED_ROLES if role_name(role) in existing]
