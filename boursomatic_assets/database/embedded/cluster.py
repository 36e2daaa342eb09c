"""The cluster of the embedded server: its folders, their owners and permissions.

What belongs here: the layout of the folders, and that no other user can enter them. Below the home folder::

    postgres/        or, for root, a link to a folder under /var/lib/boursomatic
        data/        the cluster, of the server's user
        socket/      of the server's user; or a link to a shorter folder, since a socket's path is limited
        passfile     the only copy of the owner's password, of the client
        passfile.*   that of each other role

The server's user is the client itself, unless the client is root (`binaries.py`). Kept elsewhere: starting and
stopping the server (`server.py`).
"""

import hashlib
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from boursomatic_assets.database.embedded.binaries import BASE, ServerError, ensure_base, os_user_ids

PORT = 5432  # names the socket file only: nothing listens on the network
LONGEST_SOCKET_PATH = 103  # bytes of a path, on the strictest system


@dataclass(frozen=True)
class Cluster:
    """The folders of one cluster."""

    folder: Path

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The log of the server."""
        return self.data / "server.log"

    @property
    def passfile(self) -> Path:
        """The password, in libpq's format."""
        return self.folder / "passfile"

    def passfile_of(self, role: str) -> Path:
        """The password of a role that is not the owner; there is none until a migration has made the role."""
        return self.folder / f"passfile.{role}"

    def write_passfile(self, path: Path, user: str, password: str) -> None:
        """Write a password for the client alone; a reader sees the whole file or none."""
        unfinished = path.with_name(f"{path.name}.{os.getpid()}")
        write_private(unfinished, f"*:*:*:{user}:{password}\n")
        self.chown_to_client(unfinished)
        unfinished.replace(path)

    @property
    def socket(self) -> Path:
        """The folder of the socket."""
        return (self.folder / "socket").resolve()

    def server_ids(self) -> tuple[int, int]:
        """Return the uid and gid that the server runs as."""
        client = self.folder.stat()
        return (client.st_uid, client.st_gid) if client.st_uid else os_user_ids()

    def chown_to_server(self, path: Path) -> None:
        """Make the server's user the owner of a path."""
        os.chown(path, *self.server_ids(), follow_symlinks=False)

    def chown_to_client(self, path: Path) -> None:
        """Make the client the owner of a path."""
        client = self.folder.stat()
        os.chown(path, client.st_uid, client.st_gid, follow_symlinks=False)

    def has_private_socket(self) -> bool:
        """Return whether the socket's folder belongs to the server's user, and is closed to all others."""
        try:
            socket, data = self.socket.stat(), self.data.stat()
        except OSError:  # one of the folders does not exist
            return False
        return socket.st_uid == data.st_uid and socket.st_mode & 0o077 == 0

    def make_socket_folder(self) -> None:
        """Create a private folder for the socket, of which the path is short and plain enough.

        Raises:
            ServerError: Even the folder for temporary files has too long a path.
        """
        link = self.folder / "socket"
        if link.is_dir() and not link.is_symlink():
            shutil.rmtree(link)  # another user may have put a socket into it
        link.unlink(missing_ok=True)
        if _fits_socket_path(link):
            link.mkdir(mode=0o700)
        else:
            link.symlink_to(tempfile.mkdtemp(prefix="boursomatic-"))
        self.chown_to_server(self.socket)
        if not _fits_socket_path(self.socket):
            raise ServerError(f"{self.socket} is too long for a socket: set TMPDIR to a shorter folder")


def write_private(path: Path, text: str) -> None:
    """Write a file that only the current user can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def find_cluster(home: Path) -> Cluster:
    """Return the cluster of a home folder, whether or not it exists."""
    return Cluster((home / "postgres").resolve())


def make_cluster(home: Path) -> Cluster:
    """Return the cluster of a home folder, and create its folder if it does not exist.

    Raises:
        ServerError: The home folder links to a folder that is gone.
    """
    link = home / "postgres"
    if link.is_symlink() and not link.exists():
        raise ServerError(f"{link.readlink()} is gone: mount it again, or remove {link} to start with no data")
    if not link.exists():
        if os.geteuid() == 0 and not _is_open_to_others(home):
            link.symlink_to(_make_base_folder(home))
        else:
            link.mkdir(mode=0o700)
            _let_server_traverse(link)
    return find_cluster(home)


def abandoned_clusters(home: Path) -> list[Cluster]:
    """Return the clusters under `BASE` of removed home folders with the same path."""
    return [
        Cluster(folder) for folder in BASE.glob(f"{_home_digest(home)}-*") if folder != find_cluster(home).folder
    ]


def _fits_socket_path(folder: Path) -> bool:
    plain = re.fullmatch(r"[\w./-]+", str(folder), re.ASCII)  # a comma would separate two folders
    return bool(plain) and len(f"{folder}/.s.PGSQL.{PORT}") <= LONGEST_SOCKET_PATH


def _is_open_to_others(home: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (home, *home.resolve().parents))


def _make_base_folder(home: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"{_home_digest(home)}-", dir=ensure_base()))
    (folder / "home").write_text(f"{home.resolve()}\n")
    _let_server_traverse(folder)
    return folder


def _home_digest(home: Path) -> str:
    return hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:8]


def _let_server_traverse(folder: Path) -> None:
    """Let the OS user of root's server, and nobody else, traverse a folder of root."""
    if os.geteuid() == 0:
        os.chown(folder, 0, os_user_ids()[1])
        folder.chmod(0o710)
