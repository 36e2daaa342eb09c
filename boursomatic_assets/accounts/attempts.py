"""Attempts to log in: how many may fail, and how long an account or a source waits then.

What belongs here: what is counted, and under which name. Kept elsewhere: the limits and the counting, which the
database does for all processes at once (`begin_login_attempt` in the migrations).
"""

import hashlib
import ipaddress

from sqlalchemy import Connection, Table, delete, func, select

from boursomatic_assets.schema import LoginAttempts

_ATTEMPTS: Table = LoginAttempts.__table__


def begin(connection: Connection, address: str, source: str | None) -> int:
    """Count an attempt as failed until `succeed` takes that back, unless its account or source waits.

    Args:
        connection: a transaction, which is to be committed before the password is examined.
        address: the e-mail address that was given; one without an account is counted in the same way.
        source: where the attempt comes from, if that is known.

    Returns:
        0, or for how many seconds every attempt is refused, this one included.
    """
    return int(connection.scalar(select(func.begin_login_attempt(*_subjects(address, source)))) or 0)


def succeed(connection: Connection, address: str, source: str | None) -> None:
    """Forget the account's failures, and that this attempt counted against its source."""
    connection.execute(select(func.login_succeeded(*_subjects(address, source))))


def forget(connection: Connection, address: str) -> None:
    """Forget the failures of an account, as an administrator."""
    subject, _ = _subjects(address, None)
    a = _ATTEMPTS.c
    connection.execute(delete(_ATTEMPTS).where(a.kind == "account", a.subject == subject))


def _subjects(address: str, source: str | None) -> tuple[str, str | None]:
    return _digest(address), None if source is None else _digest(_network(source))


def _network(source: str) -> str:
    """A source under one name: a network address in its usual form, of IPv6 the /64 that one customer gets."""
    try:
        address = ipaddress.ip_address(source.strip().partition("%")[0])
    except ValueError:  # any other name of a source is its own
        return source
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.ip_network((address, 64), strict=False))
        return str(address.ipv4_mapped)
    return str(address)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
