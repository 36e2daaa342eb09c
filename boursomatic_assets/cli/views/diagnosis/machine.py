"""What a run needs of this machine: Python, settings, folders, room, a source of bars.

What belongs here: a check for each, as one line or an error. Kept elsewhere: the settings (`settings/`).
"""

import os
import platform
import shutil

from boursomatic_assets import settings
from boursomatic_assets.backups import mark
from boursomatic_assets.database.embedded import cluster as embedded_cluster
from boursomatic_assets.database.embedded.binaries import OS_USER
from boursomatic_assets.sources import open_source

MIN_FREE_DISK = 1 << 30
"""Bytes."""


def check_python() -> str:
    """Name the version of Python."""
    return platform.python_version()


def check_settings() -> str:
    """Check every setting."""
    settings.require_valid()
    return "all are valid"


def check_source() -> str:
    """Check that the source of bars answers."""
    source = open_source(settings.source(), settings.files())
    return f"{settings.source()}: {source.instruments().height} instruments"


def check_home() -> str:
    """Check that no other user enters the home; root's server may pass through it, if its cluster lies there."""
    mark.require_none()
    home = settings.home()
    passes = os.geteuid() == 0 and embedded_cluster.find_cluster(home).folder.is_relative_to(home.resolve())
    mode = home.stat().st_mode & 0o777
    if mode & (0o067 if passes else 0o077):
        group = f"chgrp {OS_USER} {home} && chmod 710" if passes else "chmod 700"
        raise RuntimeError(f"{home} is open to other users (mode {mode:o}): run `{group} {home}`")
    return f"{home} is closed to other users"


def check_disk() -> str:
    """Check the home folder, and the embedded database's folder where that lies elsewhere, as root's does."""
    home = settings.home()
    cluster = embedded_cluster.find_cluster(home).folder
    elsewhere = cluster.exists() and not cluster.is_relative_to(home.resolve())
    folders = (home, cluster) if elsewhere and "DATABASE_URL" not in settings.environment_values() else (home,)
    free_bytes = {folder: shutil.disk_usage(folder).free for folder in folders}
    for folder, free in free_bytes.items():
        if free < MIN_FREE_DISK:
            raise RuntimeError(f"only {free >> 20} MiB are free in {folder}: make room")
    return ", and for the database ".join(
        f"{free >> 30} GiB free in {folder}" for folder, free in free_bytes.items()
    )
