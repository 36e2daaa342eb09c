"""What a worker requires before it computes: the schema of its code, the store of the others, their code.

What belongs here: each requirement, and why a worker does not meet it, in words. Kept elsewhere: who asks
(`process.py`, `cli/operating/worker.py`).

A worker on another machine has another disk and is updated at another time. What it would compute then is wrong in
ways that nobody sees at once, so it refuses before it begins.
"""

import hashlib

from sqlalchemy import text

from boursomatic_assets import database, settings
from boursomatic_assets.code_version import code_version
from boursomatic_assets.database import migrate
from boursomatic_assets.stores import folders

ACTIVE_MODEL = text("SELECT version, model_path FROM model_versions WHERE is_active")


class UnfitError(RuntimeError):
    """This worker can execute no run; the message says why, and what to do."""


def require_fit() -> None:
    """Require what has nothing to do with the run: the database's schema, and the store of models.

    Raises:
        UnfitError: Something is missing.
    """
    try:
        migrate.require_current_schema(database.engine())
        _require_store()
    except (database.DatabaseError, OSError) as error:
        raise UnfitError(str(error)) from None


def _require_store() -> None:
    """Require the store that the other workers have: the file of the active model is in it, and intact.

    It is not loaded here: who asks has no libraries of models, so that it can be forked.

    Raises:
        OSError: It is not.
    """
    with database.engine().connect() as connection:
        active = connection.execute(ACTIVE_MODEL).one_or_none()
    if active is None:
        return  # no version is promoted yet
    path = folders.inside(settings.models(), active.model_path)
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != path.stem:
        raise OSError(
            f"the file of the active model {active.version} is not in {settings.models()}, or damaged: let all"
            " workers have the same store"
        )


def other_code(launched_by: str | None) -> str | None:
    """Why a run that other code has launched is not executed here; None: it was launched by this code."""
    if launched_by in (None, code_version()):
        return None
    return f"it was launched by code {launched_by}, and this is {code_version()}: install the same on all machines"
