"""What is said of those that follow the database: the lag of the read replica, and what is kept for each slot.

What belongs here: which figure each is. Kept elsewhere: the queries (`database/replica/`).
"""

from collections.abc import Iterator
from typing import Final

import psycopg
from sqlalchemy import Connection

from boursomatic_assets.database import DatabaseError, connect
from boursomatic_assets.database.addresses import replica_url
from boursomatic_assets.database.replica.lag import behind, mark
from boursomatic_assets.database.replica.slots import read_slots
from boursomatic_assets.metrics import descriptions as say
from boursomatic_assets.metrics.descriptions import Figure

LIMITS: Final = {"connect_timeout": "3", "options": "-c statement_timeout=3s"}


def replication(connection: Connection) -> Iterator[Figure]:
    """How far the replica is behind, if one is set, and what the server keeps for its slots."""
    for slot in read_slots(connection):
        yield say.SLOT_BYTES.of(slot.bytes, slot.name)
        yield say.SLOT_USED.of(slot.active, slot.name)
    url = replica_url()
    if url is None:
        return
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    marked = mark(driver)
    try:
        with connect(url.update_query_dict(LIMITS), wait=False) as replica:
            lag = behind(replica, marked)
    except (DatabaseError, psycopg.Error):  # the figure says that it is so, and `doctor` why
        yield say.REPLICA_UP.of(0)
        return
    yield say.REPLICA_UP.of(1)
    yield say.REPLICA_BYTES.of(lag.bytes)
    yield say.REPLICA_SECONDS.of(lag.seconds)
