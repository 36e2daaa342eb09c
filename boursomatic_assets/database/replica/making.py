"""Making a replica of the embedded server, and its end.

What belongs here: the role by which it follows and the slot on the primary, in the order that leaves nothing
behind. Kept elsewhere: its folder (`database/embedded/standby.py`).

Both have one name, made from the path of the folder: what a creation that was killed has left behind is found
again.
"""

import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql
from sqlalchemy import URL

from boursomatic_assets.database import embedded
from boursomatic_assets.database.addresses import database_url, embedded_address, is_embedded
from boursomatic_assets.database.connections import connect
from boursomatic_assets.database.embedded import standby
from boursomatic_assets.database.embedded.cluster import Cluster, find_cluster
from boursomatic_assets.database.errors import DatabaseError
from boursomatic_assets.database.locks import lock
from boursomatic_assets.database.replica.lag import await_all
from boursomatic_assets.database.roles import role_name
from boursomatic_assets.database.roles.logins import PASSWORD_BYTES, set_password
from boursomatic_assets.settings import home

MOST_KEPT: Final = "8GB"
"""How much of its log the embedded server keeps for a replica that is away; one that needs more is made anew."""

CATCH_UP_SECONDS: Final = 120.0
END_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.1


def create(folder: Path) -> URL:
    """Make a replica of the embedded server in a folder, or start the one that is there; wait until it follows.

    Returns:
        the address of the platform's database on it, for the role `reader`.

    Raises:
        DatabaseError: `DATABASE_URL` names another server, the replica was given up, or does not follow.
        ServerError: The folder holds something else, or a server cannot be copied or started.
    """
    folder, primary, name = _prepare(folder)
    with _primary(name) as connection:
        exists = standby.is_standby(folder)
        if exists and _slot_status(connection, name) in (None, "lost"):
            raise DatabaseError(
                f"the server keeps nothing any more for the replica in {folder}: end it with"
                f" `boursomatic db replica stop {folder}`, and create it again"
            )
        if not exists:
            _make(connection, folder, name)
        server = standby.start(primary, folder, name)
        passfile = primary.passfile_of("reader")
        user, passfile = (role_name("reader"), passfile) if passfile.exists() else (server.user, server.passfile)
        url = embedded_address(server, user, passfile)
        _await_stream(url, server)
    return url


def stop(folder: Path) -> bool:
    """End a replica: stop it, remove its copy, and drop its slot, so that nothing is kept for it.

    Returns:
        whether there was one, or what a creation that was cut off has left behind.

    Raises:
        DatabaseError: `DATABASE_URL` names another server.
        ServerError: It cannot be stopped.
    """
    folder, _, name = _prepare(folder)
    with _primary(name) as connection:
        removed = standby.remove(folder)
        return _drop(connection, name) or removed


def _prepare(folder: Path) -> tuple[Path, Cluster, str]:
    """The folder with its whole path, the embedded server's cluster, and the name of role and slot."""
    if not is_embedded():
        raise DatabaseError(
            "DATABASE_URL names a server that is not the embedded one: make its replica where it runs, with"
            " pg_basebackup, and set BOURSOMATIC_READ_URL to the replica's address"
        )
    folder = folder.expanduser().resolve()
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return folder, find_cluster(home()), f"boursomatic_replica_{digest}"


def _primary(name: str) -> psycopg.Connection:
    """A connection to the embedded server, by which nobody else makes or ends the same replica meanwhile."""
    connection = connect(database_url("owner"))
    connection.autocommit = True
    lock(connection, name, "the replica of this folder")
    return connection


def _make(connection: psycopg.Connection, folder: Path, name: str) -> None:
    standby.remove(folder)  # of root: that of a folder that was removed since
    _drop(connection, name)
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    connection.execute(sql.SQL("CREATE ROLE {} REPLICATION").format(sql.Identifier(name)))
    try:
        set_password(connection, name, password)
        connection.execute(sql.SQL("ALTER SYSTEM SET max_slot_wal_keep_size = {}").format(sql.Literal(MOST_KEPT)))
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("SELECT pg_create_physical_replication_slot(%s, true)", [name])
        standby.make(find_cluster(home()), folder, name, password)
    except BaseException:
        _drop(connection, name)
        raise


def _await_stream(url: URL, server: embedded.Server) -> None:
    """Wait until a replica has what the primary has now.

    Raises:
        DatabaseError: It does not get it.
    """
    with connect(database_url("owner")) as primary, connect(url) as replica:
        lag = await_all(primary, replica, CATCH_UP_SECONDS)
    if lag.bytes:
        raise DatabaseError(f"the replica {lag} after {CATCH_UP_SECONDS:.0f} s: see {server.data}/server.log")


def _slot_status(connection: psycopg.Connection, name: str) -> str | None:
    """What the server says of a slot: reserved, extended, unreserved or lost; None: there is none."""
    query = "SELECT coalesce(wal_status, 'lost') FROM pg_replication_slots WHERE slot_name = %s"
    row = connection.execute(query, [name]).fetchone()
    return row[0] if row else None


def _drop(connection: psycopg.Connection, name: str) -> bool:
    """Drop a slot and its role once nobody uses them; return whether there was one of them."""
    until = time.monotonic() + END_SECONDS
    slots = "FROM pg_replication_slots WHERE slot_name = %s"
    while connection.execute(f"SELECT {slots} AND active".encode(), [name]).rowcount:
        connection.execute(f"SELECT pg_terminate_backend(active_pid) {slots}".encode(), [name])
        if time.monotonic() > until:
            raise DatabaseError(f"the slot {name} is still used: end what follows by it, and try again")
        time.sleep(POLL_SECONDS)
    dropped = connection.execute(f"SELECT pg_drop_replication_slot(slot_name) {slots}".encode(), [name]).rowcount
    role = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [name]).rowcount
    connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
    return bool(dropped or role)
