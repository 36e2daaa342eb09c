"""The clock of the database server: the one that stamps rows.

What belongs here: asking for its time, and requiring that this machine has the same.
Kept elsewhere: what is stamped (`schema/`), which sessions were computed when (`tables/staleness.py`).
"""

import datetime as dt
from typing import Final

from sqlalchemy import Connection, DateTime, cast, func, select

from boursomatic_assets.calendars.clock import utc_now

MAX_SKEW: Final = dt.timedelta(minutes=1)
"""How far the clock of this machine may be off."""


class ClockError(RuntimeError):
    """The clock of this machine is not that of the database, which decides which sessions are over."""


def database_time(connection: Connection) -> dt.datetime:
    """What time it is for the database, naive UTC."""
    now: dt.datetime = connection.execute(select(cast(func.clock_timestamp(), DateTime))).scalar_one()
    return now


def require_same_clock(server: dt.datetime) -> None:
    """Require that this machine agrees with what time it is for the database.

    Raises:
        ClockError: It is off by more than MAX_SKEW: it would take sessions for closed that are not, or miss some.
    """
    skew = utc_now() - server
    if abs(skew) > MAX_SKEW:
        direction = "ahead of" if skew > dt.timedelta() else "behind"
        raise ClockError(
            f"the clock of this machine is {_duration(abs(skew))} {direction} the database's, which says"
            f" {server:%Y-%m-%d %H:%M} UTC: nothing is computed until both agree; set the wrong one right"
        )


def _duration(skew: dt.timedelta) -> str:
    unit, name = (dt.timedelta(1), "days") if skew >= dt.timedelta(2) else (dt.timedelta(minutes=1), "minutes")
    return f"{round(skew / unit):,} {name}"
