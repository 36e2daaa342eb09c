"""Another day for a whole run of tests: for the product, its server, and the tests alike.

    python tests/clock "2026-11-29 12:00" pytest -n 2 -m "not drill"

The clock is real time plus an offset, in a process and in all that it starts: it goes on, and waits last as long
as ever.

What belongs here: how a command gets that clock. Kept elsewhere: which days are tried (`test_other_days.py`).
"""

import datetime as dt
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

MOMENT = "BOURSOMATIC_TEST_MOMENT"
"""Where a run on another day finds when it began."""

VARIABLES = ("LD_PRELOAD", "CLOCK_OFFSET", "PYTHONPATH")
"""What gives a process the clock."""

OTHER_SERVER = "BOURSOMATIC_TEST_DATABASE_URL"
"""A server that runs already keeps its own time: on another day the embedded one is used."""


def run(moment: str, *command: str, **named: Any) -> "subprocess.CompletedProcess[str]":
    """Run a command on another day.

    Args:
        moment: When it begins, in UTC, e.g. `2026-11-29 12:00`.
        command: A program and its arguments.
        named: What else `subprocess.run` takes.

    Raises:
        ValueError: the moment is none.
        RuntimeError: there is no C compiler, or it fails.
    """
    begin = dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC)
    with tempfile.TemporaryDirectory(prefix="boursomatic-clock-") as folder:
        Path(folder).chmod(0o755)  # the embedded server may be another user's
        environment = _environment(begin, _compiled(Path(folder)))
        return subprocess.run(command, env=environment, check=False, text=True, **named)


class Leaps:
    """A clock for a process and all that it starts, which goes on from a moment and leaps when asked."""

    def __init__(self, moment: str, folder: Path) -> None:
        """Set it to a time in UTC, e.g. `2026-06-01 12:00`; its files go to a folder that every user can read."""
        self._begin = dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC)
        self._file, self._began = folder / "leaps", time.time()
        self._file.write_bytes((0).to_bytes(8, sys.byteorder))
        found = _environment(self._begin, _compiled(folder))
        self.environment = {name: found[name] for name in VARIABLES} | {"CLOCK_FILE": str(self._file)}

    def leap_to(self, moment: dt.datetime) -> None:
        """Let it be a later time, at once and everywhere."""
        real = dt.timedelta(seconds=time.time() - self._began)
        seconds = round((moment.replace(tzinfo=dt.UTC) - self._begin - real).total_seconds())
        with self._file.open("r+b") as file:  # in place: who has mapped it sees it
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))


def _environment(begin: dt.datetime, library: Path) -> dict[str, str]:
    ours = int(os.environ.get("CLOCK_OFFSET", "0"))  # this may be another day already
    paths = [str(HERE / "site"), os.environ.get("PYTHONPATH", "")]
    kept = {name: value for name, value in os.environ.items() if name != OTHER_SERVER}
    return kept | {
        "LD_PRELOAD": str(library),
        "CLOCK_OFFSET": str(round(begin.timestamp() - time.time()) + ours),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        MOMENT: begin.isoformat(),
    }


def _compiled(folder: Path) -> Path:
    if not shutil.which("cc"):
        raise RuntimeError("there is no C compiler `cc`: run scripts/require_compiler.sh")
    library = folder / "clock.so"
    command = ["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(HERE / "clock.c"), "-ldl", "-lpthread"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{HERE / 'clock.c'} cannot be compiled: {done.stderr}")
    return library
