"""Reading: whether what only reads goes to the replica or to the primary.

What belongs here: the choice, in this one place, and what is said of it.
Kept elsewhere: the proof that the replica has what is needed (`lag.py`), who only reads (`cli/common.py`,
`checks/invariant.py`), the connections (`database/connections.py`).

Nobody sees an older session as the newest one: a replica is read if it has all that the primary had committed
when the reader came. If the primary is away, a command is answered by the replica, and says that this is
unverified.
"""

import contextlib
from collections.abc import Iterator
from typing import Final

import psycopg
from sqlalchemy import URL

from boursomatic_assets import absorbed
from boursomatic_assets.database.addresses import database_url, replica_url
from boursomatic_assets.database.connections import connect, reads_from
from boursomatic_assets.database.errors import AwayError, DatabaseError
from boursomatic_assets.database.replica.lag import await_all, replayed_until

ASKING: Final = {"connect_timeout": "3"}
"""How a server is asked on the way: the other one is there to answer."""


class BehindError(DatabaseError):
    """The replica does not have all that the primary has."""


class _Told:
    """What this process has said last, for whoever reads again and again."""

    kind: type[Exception] | None = None


@contextlib.contextmanager
def reading(*, verified: bool = False) -> Iterator[None]:
    """Let the context read the replica, if there is one and it has all that the primary has; else the primary.

    Each fallback is recorded as an absorbed error.

    Args:
        verified: Nothing unverified is read: where the primary is away, it is waited for. A fallback is then
            recorded once, as long as its reason stays the same: for a run, whose checks each ask.

    Raises:
        DatabaseError: The primary refuses the connection.
    """
    given = reads_from.set(_choose(verified))
    try:
        yield
    finally:
        reads_from.reset(given)


def begin_anew() -> None:
    """Let this process, which has done with a run, record a fallback anew."""
    _Told.kind = None


@contextlib.contextmanager
def from_primary() -> Iterator[None]:
    """Let the context read the primary: what only the primary has, such as its locks."""
    given = reads_from.set(None)
    try:
        yield
    finally:
        reads_from.reset(given)


def _choose(verified: bool) -> URL | None:
    """The address of the replica, if that is to be read."""
    url = replica_url()
    if url is None:
        return None
    try:
        primary = connect(database_url().update_query_dict(ASKING), wait=False)
    except AwayError as error:
        return None if verified else _unverified(url, error)
    try:
        with primary, connect(url.update_query_dict(ASKING), wait=False) as replica:
            lag = await_all(primary, replica)
        if lag.bytes:
            raise BehindError(f"the replica {lag}")
    except (DatabaseError, psycopg.Error) as error:
        _say_fallback(error, verified)
        return None
    _Told.kind = None
    return url


def _say_fallback(error: Exception, verified: bool) -> None:
    """Say that the primary is read, and why; to a run once."""
    if not (verified and _Told.kind is type(error)):
        absorbed.record(error, "the primary is read instead of the replica")
    _Told.kind = type(error)


def _unverified(url: URL, error: AwayError) -> URL | None:
    """The address of the replica, while nobody can say what it lacks; None if it does not answer, or is none."""
    try:
        with connect(url.update_query_dict(ASKING), wait=False) as replica:
            replayed = replayed_until(replica)
    except (DatabaseError, psycopg.Error) as other:
        absorbed.record(other, "the primary is waited for")
        return None
    when = f"{replayed:%Y-%m-%d %H:%M:%S} UTC" if replayed else "its start"
    absorbed.record(
        error, f"unverified: the replica answers with what it had by {when}; newer sessions may be there"
    )
    return url
