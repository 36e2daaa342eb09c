"""The clock of the database server: the one that stamps rows.

What belongs here: asking for its time. Kept elsewhere: what is stamped (`schema/`), which sessions were computed
when (`tables/staleness.py`).
"""

import datetime as dt

from sqlalchemy import Connection, DateTime, cast, func, select


def database_time(connection: Connection) -> dt.datetime:
    """What time it is for the database, naive UTC."""
    now: dt.datetime = connection.execute(select(cast(func.clock_timestamp(), DateTime))).scalar_one()
    return now
