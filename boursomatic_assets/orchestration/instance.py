"""The Dagster instance: its folder and its settings files.

What belongs here: where `DAGSTER_HOME` is, which `dagster.yaml` it holds, and where the workspace's file is.
Kept elsewhere: the settings (`dagster.yaml`), the storage named there (`dagster_storage.py`,
`dagster_patches/storage.py`).
"""

import os
from pathlib import Path

from boursomatic_assets import settings

CONFIG = settings.PROJECT / "dagster.yaml"

WORKSPACE = settings.PROJECT / "workspace.yaml"
"""Names the code location, for the webserver, the daemon and the runs of the command line."""


def ensure_dagster_home() -> Path:
    """Create Dagster's folder if it is missing, link the project's `dagster.yaml` into it, and return it.

    The folder is `DAGSTER_HOME`, or `dagster` in the home folder. A `dagster.yaml` that is no link is kept.
    """
    folder = settings.dagster_home()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = folder / "dagster.yaml"
    if config.is_symlink() or not config.exists():
        fresh = folder / f"dagster.yaml.{os.getpid()}"
        fresh.symlink_to(CONFIG)
        fresh.replace(config)
    return folder
