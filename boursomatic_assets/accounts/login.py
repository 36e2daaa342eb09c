"""The log-in: whether an e-mail address and a password are an account's.

What belongs here: the order of the steps, and that an answer says no more than yes or no. Kept elsewhere: each
step (`emails.py`, `attempts.py`, `passwords.py`); what an application does for whoever is logged in.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Table, func, select, update

from boursomatic_assets import database
from boursomatic_assets.accounts import attempts, emails, passwords
from boursomatic_assets.accounts.sessions import acting_as
from boursomatic_assets.schema import User

_USERS: Table = User.__table__


class LoginError(ValueError):
    """The log-in is refused; the message does not say whether there is such an account."""


class TooManyAttemptsError(LoginError):
    """Too many attempts failed: every further one is refused for a while, with the right password too.

    Attributes:
        seconds: How long it waits.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many attempts to log in failed: wait {seconds} s, then try again")
        self.seconds = seconds


@dataclass(frozen=True)
class _Candidate:
    """The account of an address, before its password is examined."""

    id: UUID
    password_hash: str
    is_deleted: bool


def authenticate(email: str, password: str, source: str | None = None) -> UUID:
    """Return the id of the account that an e-mail address and a password are those of.

    An address without an account, or of a deactivated one, takes the time of a wrong password and gets its answer.
    A hash of older parameters is replaced. No connection is held while a password is examined.

    Args:
        email: the address, in any spelling.
        password: the password.
        source: where the attempt comes from, such as a client's network address: its attempts are limited too.

    Raises:
        LoginError: they are no account's.
        TooManyAttemptsError: too many attempts of the account or the source failed.
        DatabaseError: the database cannot be reached.
    """
    address = emails.normalised_or_none(email)
    counted = email if address is None else address
    with database.engine("app").begin() as connection:
        if seconds := attempts.begin(connection, counted, source):
            raise TooManyAttemptsError(seconds)
        candidate = _look_up(connection, address or "")
    fits = passwords.fits(password, candidate.password_hash if candidate else None)
    if candidate is None or candidate.is_deleted or not fits:
        raise _refusal()
    replacement = passwords.hashed_anew(password, candidate.password_hash)
    with acting_as(candidate.id) as connection:
        _require_active(connection, candidate)
        attempts.succeed(connection, counted, source)
        if replacement:
            _replace_hash(connection, candidate, replacement)
    return candidate.id


def account_id(email: str) -> UUID | None:
    """Return the id of the account of an address, as an application finds it; None if there is none.

    Raises:
        EmailError: it is no e-mail address.
    """
    with database.engine("app").connect() as connection:
        found = _look_up(connection, emails.normalised(email))
    return found.id if found else None


def _look_up(connection: Connection, address: str) -> _Candidate | None:
    found = func.account_for_login(address).table_valued("id", "password_hash", "is_deleted")
    row = connection.execute(select(found)).one_or_none()
    return _Candidate(*row) if row else None


def _require_active(connection: Connection, candidate: _Candidate) -> None:
    """Require that the account was not deactivated while its password was examined."""
    u = _USERS.c
    if connection.scalar(select(u.is_deleted).where(u.id == candidate.id)) is not False:
        raise _refusal()


def _replace_hash(connection: Connection, candidate: _Candidate, replacement: str) -> None:
    u = _USERS.c
    unchanged = (u.id == candidate.id) & (u.password_hash == candidate.password_hash)
    connection.execute(update(_USERS).where(unchanged).values(password_hash=replacement))


def _refusal() -> LoginError:
    return LoginError("the e-mail address or the password is wrong")
