"""The clock: what time it is, as all times of the platform are written.

What belongs here: the present time. Kept elsewhere: the hours of the markets (`markets.py`), the server's time
(`database/server_time.py`).
"""

import datetime as dt


def utc_now() -> dt.datetime:
    """Return what time it is, naive UTC."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)
