"""A standby: a cluster that follows the embedded server, in a folder that is laid out as a home.

What belongs here: copying the server into the folder, starting the copy, and removing it.
Kept elsewhere: its slot and its role on the server that it follows (`database/replica/making.py`), the folders of
any cluster (`cluster.py`).

A standby has the passwords of the server that it copies. So its `passfile` is a link to that one's, and only the
password by which it follows is its own (`passfile.replication`), which its server reads.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Final

from psycopg.conninfo import make_conninfo

from boursomatic_assets.database.embedded.binaries import ServerError, folder_lock, run_program
from boursomatic_assets.database.embedded.cluster import (
    PORT,
    Cluster,
    abandoned_clusters,
    find_cluster,
    make_cluster,
)
from boursomatic_assets.database.embedded.server import Server, start_cluster, stop_cluster

SIGNAL: Final = "standby.signal"
"""The file by which PostgreSQL knows a standby; it is gone once the standby was made a primary."""

SETTINGS: Final = {
    "wal_retrieve_retry_interval": "1s",
    # A reader who takes long is waited for, and whoever comes meanwhile reads the primary. To let the primary keep
    # what a reader sees (hot_standby_feedback) would hold up its vacuum for as long as the standby is stopped.
    "max_standby_streaming_delay": "5min",
}


def is_standby(folder: Path) -> bool:
    """Return whether there is a standby in a folder, whether or not it runs."""
    return (find_cluster(folder).data / SIGNAL).exists()


def make(primary: Cluster, folder: Path, name: str, password: str) -> None:
    """Copy a server that runs into an empty folder, in one piece or not at all.

    Args:
        primary: The cluster of the server.
        folder: Where the standby comes to lie; made if it is not there.
        name: The role by which it follows, and the slot that keeps what it still needs.
        password: The role's.

    Raises:
        ServerError: The folder holds something else, or the server cannot be copied.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with folder_lock(folder):
        foreign = [path for path in folder.iterdir() if path.name != "postgres"]
        if foreign or find_cluster(folder).data.exists():
            raise ServerError(f"{folder} is not empty: name a folder that is, or that does not exist yet")
        cluster = make_cluster(folder)
        try:
            _copy(primary, cluster, name, password)
        except BaseException:
            discard(cluster)
            discard_link(folder)
            raise


def _copy(primary: Cluster, cluster: Cluster, name: str, password: str) -> None:
    for unfinished in cluster.folder.glob("init-*"):  # of a process that was killed
        shutil.rmtree(unfinished)
    cluster.passfile.unlink(missing_ok=True)
    cluster.passfile.symlink_to(primary.passfile)
    own = cluster.passfile_of("replication")
    cluster.write_passfile(own, name, password)
    cluster.chown_to_server(own)
    scratch = Path(tempfile.mkdtemp(prefix="init-", dir=cluster.folder))
    cluster.chown_to_server(scratch)
    source = ("--dbname", _conninfo(primary, cluster, name), "--slot", name, "--wal-method=stream")
    target = ("--pgdata", scratch / "data", "--write-recovery-conf", "--checkpoint=fast")
    run_program(cluster.server_ids(), "pg_basebackup", *source, *target)
    (scratch / "data" / cluster.log.name).unlink(missing_ok=True)  # that of the server that was copied
    (scratch / "data").rename(cluster.data)
    scratch.rmdir()


def start(primary: Cluster, folder: Path, name: str) -> Server:
    """Start the standby of a folder if it does not run, where its primary's socket is now.

    Raises:
        ServerError: It does not start.
    """
    with folder_lock(folder):
        cluster = find_cluster(folder)
        follows = {"primary_conninfo": _conninfo(primary, cluster, name), "primary_slot_name": name}
        return start_cluster(cluster, SETTINGS | follows)


def remove(folder: Path) -> bool:
    """Stop the standby of a folder and remove it; return whether there was one. What else is there stays.

    For root, it removes those of removed folders with the same path too.

    Raises:
        ServerError: The server in the folder follows nobody, or cannot be stopped.
    """
    if find_cluster(folder).data.exists() and not is_standby(folder):
        raise ServerError(f"the server in {folder} is no replica, or none any more: it is left alone")
    own = [find_cluster(folder)] if is_standby(folder) else []
    abandoned = [cluster for cluster in abandoned_clusters(folder) if (cluster.data / SIGNAL).exists()]
    for cluster in (*own, *abandoned):
        stop_cluster(cluster)
        discard(cluster)
    if own:
        discard_link(folder)
    return bool(own or abandoned)


def discard(cluster: Cluster) -> None:
    """Remove the folders of a cluster that does not run."""
    shutil.rmtree(cluster.socket, ignore_errors=True)  # it may lie elsewhere, and hold nothing
    shutil.rmtree(cluster.folder)


def discard_link(folder: Path) -> None:
    """Remove what led to a cluster, and the folder if nothing else is there."""
    (folder / "postgres").unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _conninfo(primary: Cluster, standby: Cluster, name: str) -> str:
    """How the standby connects. It holds no password: the file has it."""
    return make_conninfo(
        host=str(primary.socket),
        port=PORT,
        user=name,
        passfile=str(standby.passfile_of("replication")),
        application_name=name,
    )
