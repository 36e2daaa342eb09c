"""How long the pages of Dagster's UI take with ten years of both markets loaded.

What belongs here: the pages that a data engineer opens, in a real browser, over what a real daemon filled.
Kept elsewhere: the questions behind them alone (`mappings.py`), driving the browser (`pages_browser.py`).

A page's time runs from a click in an open UI until it asks for nothing more; beside it stands its time in a new
tab, which the start of the UI adds to. Medians of three visits after one that is not counted. Needs `chromium` on
the path.
"""

import datetime as dt
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from helpers.daemon import daemon
from helpers.harness import Line, environment, server

from boursomatic_assets.calendars.markets import MARKETS, all_sessions

HERE = Path(__file__).parent / "helpers"
FIRST, LAST = dt.date(2016, 1, 4), dt.date(2025, 12, 31)
INSTRUMENTS = 20
PRICE_BARS = "/assets/price_bars?view="
JOB = "/locations/boursomatic/jobs/market_session"
PAGES = {  # behind a #, a tab of the page that has no address
    "catalogue": "/assets",
    "graph": "/asset-groups",
    "an asset: overview": f"{PRICE_BARS}overview",
    "an asset: partitions": f"{PRICE_BARS}partitions",
    "an asset: events": f"{PRICE_BARS}events",
    "an asset: checks": f"{PRICE_BARS}checks",
    "a check: partitions": f"{PRICE_BARS}checks&checkDetail=prices_are_sane#Partitions",
    "an asset: lineage": f"{PRICE_BARS}lineage",
    "the job": JOB,
    "the job's partitions": f"{JOB}/partitions",
    "runs": "/runs",
    "a run of ten years": "/runs/{run}",
    "backfills": "/runs?view=backfills",
    "a backfill": "/runs/b/{backfill}",
    "automation": "/automation",
}


def lines() -> Iterator[Line]:
    """A line per page."""
    browser = shutil.which("chromium")
    if browser is None:
        raise RuntimeError("pages are measured in a browser: install the package chromium")
    python = environment(HERE / "pages-requirements.txt")
    os.environ |= {"BOURSOMATIC_SOURCE": "simulated", "BOURSOMATIC_SIMULATED_INSTRUMENTS": str(INSTRUMENTS)}
    dates = [date for date in all_sessions().tolist() if FIRST <= date <= LAST]
    with server(), daemon() as running:
        _, runs = running.backfill([f"{date}|{market}" for date, market in product(dates, MARKETS)])
        known = {"run": runs[0]["runId"], "backfill": running.newest_backfill()}
        address = running.address.removesuffix("/graphql")
        visits = {name: address + path.format_map(known) for name, path in PAGES.items()}
        command = [python, HERE / "pages_browser.py", browser, json.dumps(visits)]
        told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    for name, found in json.loads(told).items():
        question = f"its slowest query, {found['question']}: {found['slowest']:.1f} s"
        note = f"in a new tab {found['in_a_new_tab']:.1f} s; {question}"
        yield Line(name, f"{len(dates):,} sessions of both markets", f"{found['clicked']:.1f} s", "< 2 s", note)
