"""One session of one market through the whole graph, against a run of as many steps that do nothing.

What belongs here: runs in processes of their own, as the command line starts them.
Kept elsewhere: ranges (`backfill.py`).
"""

import datetime as dt
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from helpers.harness import Line, interleaved, server

from boursomatic_assets.cli.launching import ASSETS

SESSION = dt.date(2024, 2, 29)

NOTHING = """
import dagster as dg
from boursomatic_assets.definitions import defs
from boursomatic_assets.orchestration.instance import ensure_dagster_home
import os
os.environ["DAGSTER_HOME"] = str(ensure_dagster_home())
steps = len(list(defs.resolve_job_def("market_session").graph.node_dict))

@dg.op
def nothing(): ...

@dg.job(executor_def=dg.in_process_executor)
def nothing_much():
    for number in range(steps):
        nothing.alias(f"nothing_{number}")()

with dg.DagsterInstance.get() as instance:
    assert nothing_much.execute_in_process(
        instance=instance, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    ).success
"""
DAY = """
import datetime as dt, os, sys
from boursomatic_assets import runs
from boursomatic_assets.orchestration.instance import ensure_dagster_home
import dagster as dg
os.environ["DAGSTER_HOME"] = str(ensure_dagster_home())
day = dt.date.fromisoformat(sys.argv[1])
with dg.DagsterInstance.get() as instance:
    outcome = runs.execute(runs.Run(runs.ASSETS, "US", day, day), instance)
    assert outcome.success, outcome
"""


def lines() -> Iterator[Line]:
    """The difference in seconds, for a session that is new and for one that is there."""
    with server():
        os.environ |= {"BOURSOMATIC_SOURCE": "simulated"}
        from helpers.universe import execute

        program = str(Path(sys.executable).with_name("boursomatic"))
        backfill = [program, "backfill", "--from", "2023-01-03"]
        _call([*backfill, "--to", SESSION.isoformat()])

        def new() -> None:
            _call([sys.executable, "-c", DAY, SESSION.isoformat()])

        def forget() -> None:
            for table, time in (("recommendations", "as_of"), ("features", "ts"), ("price_bars", "ts")):
                execute(f"DELETE FROM {table} WHERE {time} >= '{SESSION}' AND instrument_id IN (SELECT id FROM"
                        " instruments WHERE exchange <> 'EURONEXT')")  # fmt: skip

        nothing, again, _, fresh = interleaved(
            lambda: _call([sys.executable, "-c", NOTHING]), new, forget, new, rounds=5
        )
    against = "a run of as many steps that do nothing"
    for what, seconds in (("new", fresh), ("unchanged", again)):
        more = statistics.median(seconds) - statistics.median(nothing)
        yield Line(f"one market's session, {what}, {len(ASSETS)} assets and their checks", against,
                   f"+ {more:.2f} s", "+ 1 s", f"processes of {statistics.median(nothing):.1f} s")  # fmt: skip


def _call(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
