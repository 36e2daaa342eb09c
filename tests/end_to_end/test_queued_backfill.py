"""`boursomatic backfill --queue` without a broker: the daemon carries it out, and the command looks on.

With a broker: `tests/drills/test_workers.py`, whose backfills are all handed over.
"""

import signal
from collections.abc import Iterator

import pytest
from worlds import workers
from worlds.place import Place, place

from boursomatic_assets.cli.running import queued

pytestmark = pytest.mark.database

WEEK = ("--from", "2023-01-03", "--to", "2023-01-06", "--market", "US", "--assets", "price_bars")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place without a broker, whose daemon does not run."""
    folder = tmp_path_factory.mktemp("queued")
    folder.chmod(0o711)
    with place(folder / "home") as made:
        yield made


def test_the_daemon_carries_on_what_was_handed_over_before_it_began(here: Place) -> None:
    """The command says that no daemon lives; Ctrl-C ends the looking alone."""
    process = here.start("backfill", "--queue", *WEEK)
    assert process.stderr
    said = ""
    while queued.ABSENT not in said:
        said += process.stderr.readline()
        assert process.poll() is None, said
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert queued.GOES_ON_ALONE in process.communicate()[1]
    with workers.daemon(here):
        result = here.run("backfill", "--queue", *WEEK)
        assert result.returncode == 0, result.stderr
        assert "instruments 4 of 4, price_bars 4 of 4; runs: 1 done" in result.stdout
        assert "price_bars 0 of 4" in result.stderr
        assert here.rows("SELECT count(DISTINCT ts) FROM price_bars") == [(4,)]
        of_both = "SELECT value FROM run_tags WHERE key = 'boursomatic/launched_by'"
        both = [("command line",)] * 2
        workers.eventually(lambda: here.rows(of_both, "dagster") == both, 60, "the first one is lost")


def test_one_that_fails_names_its_runs(here: Place) -> None:
    with workers.daemon(here, BOURSOMATIC_SOURCE="files", BOURSOMATIC_FILES=str(here.home / "nowhere")):
        result = here.run("backfill", "--queue", *WEEK)
    ((run,),) = here.rows("SELECT run_id FROM runs WHERE status = 'FAILURE'", "dagster")
    assert result.returncode == 1
    assert "error: not all of the backfill" in result.stderr
    assert f"see the runs {run[:8]} in the UI" in result.stderr
    assert "Traceback" not in result.stderr
