"""What all benchmarks share: a throw-away server, interleaved timing, and lines of a table of ratios.

What belongs here: how something is measured and told. Kept elsewhere: what is measured (one file each).

Absolute times say more about the machine than about the code, so a line leads with a ratio: medians of runs
that were interleaved in one process, after the results of both sides were found equal.
"""

import contextlib
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROUNDS = 3


@dataclass(frozen=True)
class Line:
    """One row of the results.

    `figure` is what was measured ("1.08 x"), `aim` what it should be, `note` what one needs to read it.
    """

    work: str
    against: str
    figure: str
    aim: str
    note: str = ""

    def __str__(self) -> str:
        return f"| {self.work} | {self.against} | {self.figure} | {self.aim} | {self.note} |"


def interleaved(*works: Callable[[], object], rounds: int = ROUNDS) -> list[list[float]]:
    """Seconds of each work in each round; in every round each is done once, in turn."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, taken in zip(works, seconds, strict=True):
            taken.append(timed(work))
    return seconds


def timed(work: Callable[[], object]) -> float:
    """Seconds that a work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Median of ours by median of theirs."""
    return statistics.median(ours) / statistics.median(theirs)


def times(figure: float) -> str:
    """A ratio as it stands in the table."""
    return f"{figure:.2f} x"


@contextlib.contextmanager
def server() -> Iterator[Path]:
    """An embedded server in a folder of its own, migrated, and gone afterwards; yields the folder."""
    with tempfile.TemporaryDirectory(prefix="boursomatic-bench-") as home:
        os.environ["BOURSOMATIC_HOME"] = home
        for name in ("DATABASE_URL", "DAGSTER_DATABASE_URL", "DAGSTER_HOME"):
            os.environ.pop(name, None)
        from boursomatic_assets import database
        from boursomatic_assets.database import embedded, migrate

        try:
            migrate.upgrade()
            yield Path(home)
        finally:
            database.disconnect()
            embedded.stop(Path(home))
            data = Path(home, "postgres").resolve()  # of root's servers, outside of the home
            shutil.rmtree(data, ignore_errors=True)


def environment(requirements: Path) -> Path:
    """The Python of an environment with what a peer needs, made at the first use and kept with temporary files."""
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"boursomatic-bench-{os.getuid()}-{digest}"
    python = folder / "bin/python"
    if not (folder / "complete").exists():
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", requirements], check=True)
        (folder / "complete").touch()
    return python
