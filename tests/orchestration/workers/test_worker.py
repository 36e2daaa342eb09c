"""A worker executes what a broker hands over: one process after another run, each run once.

Drills with machines that die are in `tests/drills/test_workers.py`; what a process does with one message is in
`test_execution.py`.
"""

import re
from collections.abc import Iterator

import pytest
from worlds import workers
from worlds.place import Place, place

pytestmark = [workers.needs_redis, pytest.mark.database]

BARS, WEEK = "instruments,price_bars", ("2023-01-03", "2023-01-06")
ABSENT = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'boursomatic (process %s of%%'"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place whose runs go through a broker."""
    folder = tmp_path_factory.mktemp("workers")
    folder.chmod(0o711)
    with workers.redis(folder / "redis") as redis, place(folder / "home") as made:
        workers.listen_on_loopback(made)
        made.settings["BOURSOMATIC_BROKER"] = redis.address
        yield made


def test_one_process_executes_one_run_after_another_and_each_once(here: Place) -> None:
    first, second = workers.launch(here, *(workers.asked(BARS, market, *WEEK) for market in ("US", "EURONEXT")))
    waits = here.done("status")
    assert re.search(
        r"broker: +redis://127.0.0.1:\d+/0, runs that wait for a worker: US 1, EURONEXT 1, OTHER 0", waits
    )
    assert "none answers: start one by `boursomatic worker`" in waits
    with workers.worker(here, "first") as worker:
        assert [workers.ended(here, run) for run in (first, second)] == ["SUCCESS", "SUCCESS"], worker.said
        pid = workers.process_of(here, first)
        assert workers.process_of(here, second) == pid, "each run has a process of its own"
        assert workers.claims(here) == []
        assert here.rows(ABSENT % pid) == [(0,)], "it keeps connections while it has nothing to do"
        shown = here.done("status")
        assert re.search(r"worker: +\d+@\S+, 0 of 1 at work, queues US, EURONEXT, OTHER\n", shown)
        assert workers.CORE not in waits + shown + workers.events(here, first) + workers.events(here, second)
        assert worker.end() == 0, worker.said
    assert here.rows("SELECT count(DISTINCT b.ts) FROM price_bars b") == [(4,)]
    assert "Traceback" not in worker.said
    files = [worker.log, *(path for path in worker.home.rglob("*") if path.is_file())]
    assert [path for path in files if workers.CORE.encode() in path.read_bytes()] == []


def test_a_worker_that_becomes_unfit_computes_nothing_and_ends(here: Place) -> None:
    """Other workers take what waits; one that is started again says at once what is wrong."""
    version = here.rows("SELECT version_num FROM alembic_version")[0][0]
    with workers.worker(here, "outdated") as worker, here.connected() as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        try:
            (run,) = workers.launch(here, workers.asked("features", "US", *WEEK))
            assert workers.ended(here, run) == "FAILURE"
            assert worker.process.wait(60) == 1
            refusal = "refuses: the database is at revision 0001 but this code needs"
            assert refusal in workers.events(here, run)
            assert "this worker ends: the database is at revision 0001" in worker.said
            again = here.run("worker")
            assert (again.returncode, again.stdout) == (1, "")
            assert again.stderr.startswith("error: the database is at revision 0001")
            assert here.rows("SELECT FROM features") == []
        finally:
            connection.execute("UPDATE alembic_version SET version_num = %s", [version])


def test_without_a_broker_a_worker_says_what_to_set(here: Place) -> None:
    broker = here.settings.pop("BOURSOMATIC_BROKER")
    try:
        result = here.run("worker")
    finally:
        here.settings["BOURSOMATIC_BROKER"] = broker
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "error: no broker is set: set BOURSOMATIC_BROKER to its address\n"
