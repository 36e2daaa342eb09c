"""Ratios measured side by side: `make bench`, which writes bench/RESULTS.md.

`python bench/run.py NAME ...` runs some of the benchmarks, and replaces their sections of the results alone.
Those of ON_REQUEST run only so.
Each runs in a process of its own, so that none inherits another's memory, caches or settings.
"""

import datetime as dt
import importlib
import os
import platform
import subprocess
import sys
from pathlib import Path

BENCHMARKS = {
    "reading": "Reading files",
    "writes": "Writing with the IO manager",
    "reads": "Reading with the IO manager",
    "search": "Searching a million recommendations",
    "features": "Features",
    "factors": "Factors out of the database",
    "growth": "Growing tables",
    "signals": "Signals",
    "noise": "Histories without a signal",
    "market_day": "One session of one market",
    "bookkeeping": "Dagster's bookkeeping",
    "backfill": "Whole backfills",
    "ranges": "Sessions per run",
    "partitioning": "Partitioning by time",
    "partitioning_large": "Partitioning 96 million bars",
    "mappings": "Partition mappings of ten years",
    "pages": "Pages of the UI with ten years",
}
"""Each benchmark is the file of its name, with a function `lines`; in the order of RESULTS.md."""

ON_REQUEST = {"partitioning_large"}
"""What only runs when it is named, because it needs hours and tens of gigabytes of disk."""

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = "| work | against | measured | aim | note |\n|---|---|---|---|---|"


def main(names: list[str]) -> None:
    """Run benchmarks, by default all but those of ON_REQUEST, and write what they measured."""
    if unknown := set(names) - BENCHMARKS.keys():
        sys.exit(f"there is no benchmark {min(unknown)!r}: choose from {', '.join(BENCHMARKS)}")
    sections = dict.fromkeys(BENCHMARKS.values(), "not measured yet\n") | _sections()
    for name in names or [name for name in BENCHMARKS if name not in ON_REQUEST]:
        command = [sys.executable, __file__, "--one", name]
        told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        sections[BENCHMARKS[name]] = f"{_machine()}\n\n{HEAD}\n{told}"
        print(f"## {BENCHMARKS[name]}\n\n{told}", flush=True)
        parts = [f"## {title}\n\n{sections[title]}" for title in BENCHMARKS.values()]
        RESULTS.write_text("\n".join(["# Benchmarks: ratios measured side by side\n", *parts]))


def _sections() -> dict[str, str]:
    """The sections that the results hold already, by title."""
    parts = RESULTS.read_text().split("## ")[1:] if RESULTS.exists() else []
    return {title: body.strip() + "\n" for title, _, body in (part.partition("\n") for part in parts)}


def _machine() -> str:
    described = Path("/proc/cpuinfo")
    processors = described.read_text().splitlines() if described.exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in processors if line.startswith("model name")),
        platform.machine(),
    )
    return f"{dt.date.today()}; {os.cpu_count()} cores ({model}), Python {platform.python_version()}."


def _one(name: str) -> None:
    """Run one benchmark in this process, and print its lines."""
    for line in importlib.import_module(name).lines():
        print(line, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        _one(sys.argv[2])
    else:
        main(sys.argv[1:])
