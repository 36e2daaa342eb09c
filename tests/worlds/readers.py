"""Readers: a process that reads a session again and again, and tells which versions it saw.

    python -m worlds.readers US 2023-12-22

What belongs here: the readings, the platform's own and plain SQL; each is the digest of a session's rows. For each
line of standard input it prints what is there now; at its end it prints how often it read each version.
Kept elsewhere: what is written meanwhile (`tests/drills/`).
"""

import datetime as dt
import hashlib
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable

from sqlalchemy import text

from boursomatic_assets import database
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.tables.archive.reading import read_bars
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import read_slice

SQL = text(
    "SELECT md5(string_agg(concat_ws(' ', i.symbol, o, h, l, c, v), ',' ORDER BY i.symbol)) FROM price_bars b"
    " JOIN instruments i ON i.id = b.instrument_id WHERE b.interval = 'daily' AND b.ts = :session"
    " AND i.exchange = ANY(:exchanges)"
)


def readings(part: Slice) -> dict[str, Callable[[], str]]:
    """What is read."""

    def slice_of(asset: str) -> Callable[[], str]:
        return lambda: digest(read_slice(GRAINS[asset], part).rows())

    def by_sql() -> str:
        with database.engine().connect() as connection:
            values = {"session": part.start, "exchanges": list(part.market.exchanges)}
            return str(connection.scalar(SQL, values))

    return {
        "bars": slice_of("price_bars"),
        "features": slice_of("features"),
        "bars by SQL": by_sql,
        "15m bars": lambda: digest(read_bars(part, "15m").drop("known_from").rows()),
    }


def digest(rows: list[tuple[object, ...]]) -> str:
    """A short name for rows."""
    return hashlib.sha256(repr(rows).encode()).hexdigest()[:16] + f" {len(rows)}"


def main() -> None:
    """Read until there is no more input."""
    market, date = sys.argv[1:]
    read, seen = readings(Slice(MARKETS[market], (dt.date.fromisoformat(date),))), Counter[str]()
    over = threading.Event()

    def again_and_again() -> None:
        while not over.is_set():
            for name, version in read.items():
                seen[f"{name}: {version()}"] += 1

    reading = threading.Thread(target=again_and_again)
    reading.start()
    for _ in sys.stdin:
        sys.stdout.write(json.dumps([f"{name}: {version()}" for name, version in read.items()]) + "\n")
        sys.stdout.flush()
    over.set()
    reading.join()
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()
