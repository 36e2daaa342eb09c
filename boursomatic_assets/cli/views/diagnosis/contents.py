"""What a run needs of what the platform keeps: Dagster's storage, living runs, the active model, files.

What belongs here: a check for each, as one line or an error. Kept elsewhere: what is looked up (`tables/`,
`registry/`).
"""

import os

from sqlalchemy import select

from boursomatic_assets import database, settings
from boursomatic_assets.schema import ModelVersion
from boursomatic_assets.tables.claims import liveness


def check_dagster_storage() -> str:
    """Check that Dagster's database answers."""
    from dagster import DagsterInstance

    from boursomatic_assets.orchestration.instance import ensure_dagster_home

    os.environ["DAGSTER_HOME"] = str(ensure_dagster_home())
    with DagsterInstance.get() as instance:
        return f"{instance.get_runs_count()} runs in its own database"


def check_runs() -> str:
    """Check that no run is dead."""
    with database.engine().connect() as connection:
        dead = liveness.unended_runs(connection)
    if dead:
        raise RuntimeError(
            f"{len(dead):,} dead, such as {next(iter(dead))[:8]}: {next(iter(dead.values()))}. The daemon ends it"
            " within a minute, and `boursomatic runs end-dead` at once"
        )
    return "none is dead"


def check_active_model() -> str:
    """Check that the file of the active model is intact."""
    from boursomatic_assets import registry

    v = ModelVersion.__table__.c
    with database.engine().connect() as connection:
        row = connection.execute(select(v.version, v.model_path).where(v.is_active)).first()
    if row is None:
        return "none is promoted yet"
    registry.model_store().read(row.model_path)
    return f"{row.version}, its file is intact"


def check_store() -> str:
    """Check that the store answers and has what rows name; what no row names is said, and hinders nothing."""
    from boursomatic_assets.tables import named_files
    from boursomatic_assets.tables.archive import adoption

    named_files.require_store()
    found = named_files.survey()
    if former := adoption.former_files():
        raise RuntimeError(
            f"{len(former):,} files of the archive are named by no row, such as {former[0].name}, so they are not"
            " read: run `boursomatic archive adopt`"
        )
    if found.missing:
        raise RuntimeError(
            f"{len(found.missing):,} of {found.named:,} files are missing from {settings.store()}, or have another"
            f" size than their rows say, such as {found.missing[0]}: bring them back from a backup"
        )
    unnamed = f"; no row names {len(found.unnamed):,} files, such as {found.unnamed[0]}" if found.unnamed else ""
    return f"{settings.store()} has the {found.named:,} files that rows name{unnamed}"
