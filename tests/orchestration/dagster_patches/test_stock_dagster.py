"""Without the patches of Dagster the platform gives the same answers: on request, and on a version nobody proved.

`small_backfill.py` runs in two processes over one filled platform, one of them with BOURSOMATIC_STOCK_DAGSTER=1.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Admin, _fill_dagster
from sqlalchemy import Engine
from worlds.patched import only_patched
from worlds.small_backfill import BAD, keys_of
from worlds.webserver import DONE, FAILED, STAGES, write_settings

BAD_DATE = BAD.partition("|")[0]
TESTS = Path(__file__).parents[2]
SHORT = ("2024-01-30", (BAD_DATE,))
LONG = ("2023-01-03", ("2024-02-01", BAD_DATE))
"""The first session of all, and the dates of the backfill.

Stock Dagster walks through all sessions since the first one for each partition. All sessions of the small platform
are a drill; its short twin has one date.
"""


def report_of(admin: Admin, folder: Path, first: str, dates: tuple[str, ...], stock: bool) -> dict[str, Any]:
    """What the small backfill reports, on an instance of its own."""
    folder.mkdir()
    write_settings(folder)
    name = admin.create(admin.template("dagster", _fill_dagster))
    environment = os.environ | {
        "BOURSOMATIC_STOCK_DAGSTER": str(int(stock)),
        "BOURSOMATIC_START": first,
        "DAGSTER_DATABASE_URL": admin.address(name),
        "DAGSTER_HOME": str(folder),
        "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)]),
    }
    command = [sys.executable, "-W", "ignore", "-m", "worlds.small_backfill", *dates]
    done = subprocess.run(command, cwd=TESTS, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    admin.drop(name)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["patched"] is not stock
    return found


@only_patched
@pytest.mark.parametrize(
    ("first", "dates"), [SHORT, pytest.param(*LONG, marks=pytest.mark.drill)], ids=["a date", "all sessions"]
)
def test_both_ways_give_the_same_answer(
    admin: Admin, filled: Engine, tmp_path: Path, first: str, dates: tuple[str, ...]
) -> None:
    """Partitions, colours, rows, events, what shares a run, and what is reported of each partition."""
    theirs, ours = (
        report_of(admin, tmp_path / name, first, dates, stock=name == "stock") for name in ("stock", "patched")
    )
    assert ours["statuses"] == theirs["statuses"] == [*["COMPLETED_SUCCESS"] * len(STAGES), "COMPLETED_FAILED"]
    for subject in ("keys", "groups", "colours", "toys", "metadata", "events", "digests"):
        assert ours[subject] == theirs[subject], subject
    assert ours["colours"]["features"] == {DONE.value: sorted(keys_of(dates))}
    assert ours["toys"]["bars"] == {DONE.value: sorted(keys_of(dates) - {BAD}), FAILED.value: [BAD]}
