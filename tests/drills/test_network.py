"""The network fails: a client vanishes, or answers are late and connections are cut.

Promise: a client that vanished frees its locks within two minutes; nothing is written twice; a command ends well,
or fails with a sentence and its repetition ends well.
"""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from worlds import namespaces
from worlds.place import Place, place
from worlds.slow_network import slow_network

from boursomatic_assets.database import embedded
from boursomatic_assets.database.embedded.cluster import find_cluster

HOLD = """
import datetime as dt
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.tables.staging import lock_slice, transaction
with transaction() as connection:
    lock_slice(connection, "price_bars", Slice(MARKETS["US"], [dt.date(2023, 1, 3), dt.date(2023, 1, 4)]))
    print("locked", flush=True)
    import time
    time.sleep(600)
"""
FREE = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
    AND (classid::bigint << 32 | objid::bigint) = hashtextextended('price_bars|US', 0)
"""
SOON = "-c tcp_keepalives_idle=1 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=2 -c tcp_user_timeout=3000"
COMMAND = (
    "backfill",
    "--from",
    "2023-01-03",
    "--to",
    "2023-01-06",
    "--market",
    "US",
    "--assets",
    "price_bars,features",
)
TABLES = "SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables WHERE schemaname = 'public'"


def listen(here: Place, address: str) -> None:
    """Let the server of a place listen at an address too."""
    with here.connected() as connection:
        connection.execute(f"ALTER SYSTEM SET listen_addresses = '{address}'")
    with (find_cluster(here.home).data / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {address}/30 scram-sha-256\n")
    here.stop_server()


def address_of(here: Place, host: str, port: int, **query: str) -> str:
    """The address of a place's server over TCP."""
    server = embedded.ensure_running(here.home)
    options = "".join(f"&{name}={value}" for name, value in query.items())
    return f"postgresql://{server.user}@{host}:{port}/boursomatic?passfile={server.passfile}{options}"


@pytest.mark.skipif(bool(namespaces.missing()), reason=namespaces.missing() or "possible")
@pytest.mark.parametrize(
    ("options", "seconds"),
    [pytest.param(SOON, 20, id="soon"), pytest.param("", 120, id="as it is", marks=pytest.mark.drill)],
)
def test_a_client_that_vanished_frees_its_lock(tmp_path: Path, options: str, seconds: float) -> None:
    """The short twin has keepalives of seconds, which the address states."""
    with namespaces.namespace() as there, place(tmp_path / "home") as here:
        listen(here, namespaces.HERE)
        address = address_of(here, namespaces.HERE, embedded.ensure_running(here.home).port)
        here.settings["DATABASE_URL"] = address + (f"&options={options.replace(' ', '%20')}" if options else "")
        words = [*there.enter, sys.executable, "-c", HOLD]
        with subprocess.Popen(words, env=here.environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                assert process.stdout.readline() == "locked\n"
                assert here.rows(FREE) == [(1,)]
                there.cut()
                began = time.monotonic()
                while here.rows(FREE) != [(0,)]:
                    assert time.monotonic() - began < seconds, "the lock is held by nobody"
                    time.sleep(0.2)
                assert process.poll() is None, "the client lives on, elsewhere"
            finally:
                process.kill()
        assert time.monotonic() - began > 1, "it was not the end of the process that freed it"


@pytest.mark.parametrize(
    ("seconds", "cuts", "longest", "seeds"),
    [
        pytest.param(0.002, 0.2, 2.0, (1,), id="short"),
        pytest.param(0.2, 0.1, 60.0, (1, 2, 3), id="200 ms", marks=pytest.mark.drill),
    ],
)
def test_with_late_answers_and_cut_connections_nothing_is_written_twice(
    tmp_path: Path, seconds: float, cuts: float, longest: float, seeds: tuple[int, ...]
) -> None:
    with place(tmp_path / "home") as here:
        here.done(*COMMAND)
        calm = here.digests()
        ((tables,),) = here.rows(TABLES)
        server = embedded.ensure_running(here.home)
        for seed in seeds:
            with here.connected() as connection:
                connection.execute(f"TRUNCATE {tables.replace('alembic_version, ', '')}".encode())
            with slow_network(f"{server.host}/.s.PGSQL.{server.port}", seconds, cuts, longest, seed) as network:
                here.settings["DATABASE_URL"] = address_of(here, "127.0.0.1", network.port)
                for _ in range(20):
                    result = here.run(*COMMAND)
                    if result.returncode == 0:
                        break
                    assert result.returncode == 1
                    assert "Traceback" not in result.stderr, result.stderr
                    assert "\nerror: " in f"\n{result.stderr}"
                else:
                    pytest.fail(f"with seed {seed} it never ends well: {result.stderr}")
                assert network.cut, "no connection was cut"
            del here.settings["DATABASE_URL"]
            assert here.digests() == calm, f"seed {seed}"
