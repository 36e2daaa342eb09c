"""Readers of a replica: a process that asks for the newest session again and again, until its input ends.

    python -m worlds.replica_readers

Each time it asks the primary first, then as what only reads does. It prints a line once it has read, and at the
end how often it read where, and how often it was shown an older session than the primary had before.
"""

import json
import sys
import threading
from collections import Counter

from sqlalchemy import text

from boursomatic_assets import database
from boursomatic_assets.database import replica

NEWEST = text("SELECT max(as_of), pg_is_in_recovery() FROM recommendations")


def main() -> None:
    """Read until there is no more input."""
    seen, over = Counter[str](), threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    while not over.is_set():
        with database.engine().connect() as connection:
            before, _ = connection.execute(NEWEST).one()
        try:
            with replica.reading(), database.engine().connect() as connection:
                shown, on_replica = connection.execute(NEWEST).one()
        except Exception as error:
            if not database.errors.is_lost(error):
                raise
            seen["lost"] += 1  # the replica was killed while it answered, and the command fails
            continue
        seen["replica" if on_replica else "primary"] += 1
        seen["older"] += shown < before
        if seen.total() == 1:
            sys.stdout.write("reads\n")
            sys.stdout.flush()
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()
