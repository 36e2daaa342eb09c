"""A replica of somebody's own server, the oldest supported PostgreSQL, by a login that is no superuser."""

import re
from pathlib import Path

import pytest
from sqlalchemy import make_url
from worlds.commands import boursomatic
from worlds.own_server import following, own_server
from worlds.replicas import READ_URL, reads_replica

from boursomatic_assets import database


def test_it_is_read_and_its_lag_is_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with own_server() as primary:
        address = primary.create("bars")
        monkeypatch.setenv("DATABASE_URL", address)
        monkeypatch.setenv("DAGSTER_DATABASE_URL", primary.create("dagster"))
        assert boursomatic("db", "upgrade").exit_code == 0
        with following(primary) as replica:
            replica_url = make_url(address).set(port=replica.port).render_as_string(hide_password=False)
            monkeypatch.setenv(READ_URL, replica_url)
            assert reads_replica()
            doctor = boursomatic("doctor").stdout
            assert re.search(r"ok +read replica +postgresql.* has all that the primary has", doctor)
            assert re.search(r"ok +replication slots +replica_of_bars is used and keeps 0 MiB of the log", doctor)
            database.disconnect()
