"""Dumps: all rows of a database at one moment as a stream of bytes, and a database from such a stream.

What belongs here: the snapshot that a dump and its counts of rows share, that no row is hidden from it, and
PostgreSQL's programs that write and read dumps. Kept elsewhere: where dumps are kept (`backups/`), the rights of
roles on what was restored (`roles/grants.py`).

A password is handed over in the environment of a program, or as a file: its arguments can be read by all users.
"""

import os
import re
import subprocess  # nosec B404
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg
from psycopg import IsolationLevel, sql
from sqlalchemy import URL

from boursomatic_assets.database.connections import connect, public_conninfo, secret_environment
from boursomatic_assets.database.embedded.binaries import client_program
from boursomatic_assets.database.errors import DatabaseError
from boursomatic_assets.settings import DRIVER

CHUNK_BYTES = 1 << 20

LONGEST_WAIT = "10min"
"""For how long a dump waits for tables that a migration holds."""

NEWER_SETTING = b"SET transaction_timeout = 0;\n"
"""What a dump as SQL begins with, and a server older than PostgreSQL 17 does not know."""

FIRST_OBJECT = b"-- Name: "
"""What ends the settings that a dump as SQL begins with."""

_NAMES_ROLES = re.compile(r"^\d+; \d+ \d+ (ACL|DEFAULT ACL|POLICY) ")
"""The entries of a dump that name roles, which may have other names here, or not be there yet."""

_FUNCTION_GRANTS = re.compile(r"^\d+; \d+ \d+ ACL \S+ FUNCTION ")

_LIMITS = """
SELECT set_config(name, '0', false) FROM pg_settings WHERE name = ANY (ARRAY[
    'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout'])
"""
_TABLES = """
SELECT n.nspname, c.relname, CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    AND NOT starts_with(n.nspname, 'pg_t') ORDER BY 3
"""
_FILTERED = "SELECT EXISTS (SELECT FROM pg_class WHERE relkind IN ('r', 'p') AND row_security_active(oid))"
_HIDDEN = """
SELECT c.oid::regclass::text FROM pg_class c
WHERE c.relkind IN ('r', 'p') AND row_security_active(c.oid) AND (
    EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid AND NOT polpermissive)
    OR NOT EXISTS (
        SELECT FROM pg_policy p, unnest(p.polroles) AS role
        WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('*', 'r')
            AND pg_get_expr(p.polqual, p.polrelid) = 'true' AND (role = 0 OR pg_has_role(role, 'USAGE'))))
ORDER BY 1
"""
"""Tables of which the connected role may see some rows only: no policy gives it all of them."""


@dataclass(frozen=True)
class Snapshot:
    """One moment of a database, for as long as its transaction lasts."""

    url: URL
    connection: psycopg.Connection
    name: str

    def row_counts(self) -> dict[str, int]:
        """The number of rows of each table, sorted by name."""
        return _count_rows(self.connection)

    def dump(self) -> Iterator[bytes]:
        """The database as pg_dump's custom format, with no row left out.

        Raises:
            DatabaseError: Some rows are hidden from the role, or the dump failed: what came before is no dump.
        """
        bound = self._bound_by_policies()
        words = ["--format=custom", f"--snapshot={self.name}", f"--lock-wait-timeout={LONGEST_WAIT}"]
        words += ["--enable-row-security"] if bound else []
        yield from _output("pg_dump", self.url, *words, f"--dbname={public_conninfo(self.url)}")

    def server_version(self) -> str:
        """The server's version, such as 18.6."""
        return str(self.connection.info.parameter_status("server_version")).partition(" ")[0]

    def _bound_by_policies(self) -> bool:
        hidden = [name for (name,) in self.connection.execute(_HIDDEN)]
        if hidden:
            raise DatabaseError(
                f"{self.connection.info.user} may not see all rows of {', '.join(hidden)}, so a dump would leave"
                " some out: let DATABASE_OWNER_URL name the owner of the tables, or an administrator"
            )
        (bound,) = self.connection.execute(_FILTERED).fetchone() or (False,)
        return bool(bound)


@contextmanager
def snapshot(url: URL) -> Iterator[Snapshot]:
    """One moment of a database: what is committed later is not seen."""
    url = url.set(drivername=DRIVER)
    with connect(url) as connection:
        lift_limits(connection)
        tables = _tables(connection)
        connection.commit()
        connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        connection.set_read_only(True)
        if tables:
            _keep(connection, tables.values())
        (name,) = connection.execute("SELECT pg_export_snapshot()").fetchone() or ("",)
        yield Snapshot(url, connection, str(name))


def _keep(connection: psycopg.Connection, tables: Iterable[sql.Identifier]) -> None:
    """Keep tables from being made anew, before the snapshot, which would see no row of the new ones.

    Raises:
        DatabaseError: A migration holds one for too long, or has removed one.
    """
    wait = sql.SQL("SET LOCAL lock_timeout = {}")
    names = sql.SQL(", ").join(sql.SQL("ONLY {}").format(table) for table in tables)
    try:
        connection.execute(wait.format(LONGEST_WAIT))
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))
        connection.execute(wait.format("0"))
    except psycopg.Error as error:
        reason = str(error).partition("\n")[0]
        raise DatabaseError(
            f"{connection.info.dbname} was not dumped, since a table could not be kept as it is: {reason}"
        ) from error


def lift_limits(connection: psycopg.Connection) -> None:
    """Let a session take as long as it takes, whatever timeouts the server prefers."""
    connection.execute(_LIMITS)


def row_counts(url: URL) -> dict[str, int]:
    """The number of rows of each table of a database; nothing for one without tables."""
    with connect(url.set(drivername=DRIVER)) as connection:
        return _count_rows(connection)


def restore(url: URL, path: Path) -> None:
    """Fill an empty database from a dump, as a whole or not at all; owners, grants and policies are left out.

    The dump is sent as SQL, and its transaction is committed once all of it has come: a process that is killed
    leaves the database empty.

    Raises:
        DatabaseError: It failed, and nothing is written.
    """
    url = url.set(drivername=DRIVER)
    words = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={public_conninfo(url)}")
    with _started("psql", url, *words) as (psql, complaints):
        assert psql.stdin
        try:
            psql.stdin.write(b"BEGIN;\n")
            for chunk in _as_sql(url, path):
                psql.stdin.write(chunk)
            psql.stdin.write(b"COMMIT;\n")
            psql.stdin.close()
        except BrokenPipeError:  # it has ended, and says why
            psql.wait()
        if psql.wait():
            raise _failure("psql", complaints, f"nothing of {path.name} is restored")


def analyze(url: URL) -> None:
    """Gather the statistics of all tables: a plan of a query should not depend on autovacuum's next round."""
    with connect(url.set(drivername=DRIVER)) as connection:
        connection.execute("ANALYZE")


def _as_sql(url: URL, path: Path) -> Iterator[bytes]:
    """A dump as SQL, without owners, grants and policies, and the one setting that older servers do not know.

    Row-level security stays, and that a function is closed to the public: no later step would say so again.
    """
    contents = list(_output("pg_restore", url, "--list", str(path)))
    entries = b"".join(contents).decode().splitlines()
    pieces = _selected(url, path, [entry for entry in entries if not _NAMES_ROLES.search(entry)])
    settings, mark, rest = next(pieces).partition(FIRST_OBJECT)
    yield settings.replace(NEWER_SETTING, b"") + mark + rest
    yield from pieces
    for line in b"".join(_selected(url, path, list(filter(_FUNCTION_GRANTS.search, entries)))).splitlines(True):
        if line.startswith(b"REVOKE ALL ON FUNCTION") and line.endswith(b" FROM PUBLIC;\n"):
            yield line


def _selected(url: URL, path: Path, entries: list[str]) -> Iterator[bytes]:
    """Some entries of a dump as SQL."""
    with tempfile.NamedTemporaryFile("w", suffix=".list") as chosen:
        chosen.write("\n".join(entries) + "\n")
        chosen.flush()
        yield from _output("pg_restore", url, "--no-owner", f"--use-list={chosen.name}", "--file=-", str(path))


def _output(program: str, url: URL, *words: str) -> Iterator[bytes]:
    with _started(program, url, *words) as (process, complaints):
        assert process.stdout
        while chunk := process.stdout.read(CHUNK_BYTES):
            yield chunk
        if process.wait():
            raise _failure(program, complaints, f"the database {url.database} stays as it is")


@contextmanager
def _started(program: str, url: URL, *words: str) -> Iterator[tuple["subprocess.Popen[bytes]", IO[bytes]]]:
    """A client program with pipes, ended with the context; and the file of its messages."""
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(  # nosec B603
            [client_program(program), *words],
            stdin=subprocess.PIPE if program == "psql" else subprocess.DEVNULL,
            stdout=subprocess.PIPE if program != "psql" else subprocess.DEVNULL,
            stderr=complaints,
            env=os.environ | secret_environment(url) | {"LC_ALL": "C"},
        )
        try:
            yield process, complaints
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdout, process.stdin):
                if pipe and not pipe.closed:
                    _close(pipe)


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:  # what it still held was for a process that has ended
        return


def _failure(program: str, complaints: IO[bytes], consequence: str) -> DatabaseError:
    complaints.seek(0)
    lines = [line for line in complaints.read().decode(errors="replace").splitlines() if "error:" in line.lower()]
    reason = lines[0] if lines else "it ended without a word"
    return DatabaseError(f"{consequence}: {program} says: {reason.removeprefix(f'{program}: ')}")


def _count_rows(connection: psycopg.Connection) -> dict[str, int]:
    count = sql.SQL("SELECT count(*) FROM {}")
    counts = dict[str, int]()
    for shown, table in _tables(connection).items():
        row = connection.execute(count.format(table)).fetchone()
        counts[shown] = row[0] if row else 0
    return counts


def _tables(connection: psycopg.Connection) -> dict[str, sql.Identifier]:
    """Each table of a database, by its name as it is shown, in this order."""
    rows = connection.execute(_TABLES).fetchall()
    return {shown: sql.Identifier(schema, table) for schema, table, shown in rows}
