"""What a worker requires before it computes: the schema of its code, the store of the others, their code.

What belongs here: each requirement, and why a worker does not meet it, in words. Kept elsewhere: who asks
(`process.py`, `cli/operating/worker.py`).

A worker on another machine has another disk and is updated at another time. What it would compute then is wrong in
ways that nobody sees at once, so it refuses before it begins.
"""

from boursomatic_assets import database
from boursomatic_assets.code_version import code_version
from boursomatic_assets.database import migrate
from boursomatic_assets.stores.store import StoreError
from boursomatic_assets.tables import named_files


class UnfitError(RuntimeError):
    """This worker can execute no run; the message says why, and what to do."""


def require_fit() -> None:
    """Require what has nothing to do with the run: the database's schema, and the store of the others.

    Raises:
        UnfitError: Something is missing.
    """
    try:
        migrate.require_current_schema(database.engine())
        named_files.require_store()
    except (database.DatabaseError, StoreError) as error:
        raise UnfitError(str(error)) from None


def require_same_code(launched_by: str | None) -> None:
    """Require that this code has launched a run; None: the run does not say.

    Raises:
        UnfitError: Other code has.
    """
    if launched_by not in (None, code_version()):
        raise UnfitError(
            f"it was launched by code {launched_by}, and this is {code_version()}: install the same on all"
            " machines"
        )
