"""Losses: what a downgrade of the schema would lose for good, counted before anything is undone.

What belongs here: the refusal of such a downgrade without consent.
Kept elsewhere: what each migration loses (`LOSES` in `migrations/versions/`), how it runs (`migrations/env.py`),
consent to drop every table (`migrate.py`).
"""

from collections.abc import Callable, Iterable
from typing import Any

from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.util import CommandError
from sqlalchemy import text

from boursomatic_assets import settings

Steps = Callable[[tuple[str, ...], MigrationContext], Iterable[Any]]
"""Alembic's function of a command: from the revisions of the database to the migrations that it runs."""


def refusing_losses(steps: Steps) -> Steps:
    """Return the same function, which refuses to go down with loss.

    A migration names in `LOSES` what an upgrade would not find again after its downgrade, each with the query that
    counts it. To go down to base is never refused: that is how a database is emptied.

    Raises:
        CommandError: By the function returned, before the first step; the message names everything that is lost.
    """

    def guarded(heads: tuple[str, ...], context: MigrationContext) -> list[Any]:
        planned = list(steps(heads, context))
        down = [step for step in planned if isinstance(step, RevisionStep) and not step.is_upgrade]
        if down and down[-1].to_revisions:
            _refuse(down, context)
        return planned

    return guarded


def _refuse(down: list[RevisionStep], context: MigrationContext) -> None:
    """Refuse steps that lose something, without consent.

    Raises:
        CommandError: They do, and there is none.
    """
    queries = {what: query for step in down for what, query in getattr(step.revision.module, "LOSES", {}).items()}
    assert context.connection is not None
    counts = {what: context.connection.scalar(text(query)) for what, query in queries.items()}
    lost = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    if lost and not settings.consent():
        raise CommandError(f"this loses for good {lost}: make a backup, and set BOURSOMATIC_YES=1 to go ahead")
