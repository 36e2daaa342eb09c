"""In each Python process on another day: children get the same clock, and files the times that belong to it.

The embedded server is started with an environment of its own, in which the clock's variables would be missing.
"""

import os
import pathlib
import subprocess
from typing import Any

NAMES = ("LD_PRELOAD", "CLOCK_OFFSET", "CLOCK_FILE", "PYTHONPATH")
CLOCK = {name: os.environ[name] for name in NAMES if name in os.environ}
LONG = "100000000"
"""Seconds that are longer than any leap."""

OFFSET = int(os.environ.get("CLOCK_OFFSET", "0"))
start, stat, utime = subprocess.Popen.__init__, pathlib.Path.stat, os.utime


def started(self: Any, *args: Any, **named: Any) -> None:
    """`subprocess.Popen`, with the clock."""
    if named.get("env") is not None:
        named["env"] = CLOCK | dict(named["env"])
    if "CLOCK_FILE" in CLOCK and args and isinstance(args[0], list):
        args = (patient(args[0]), *args[1:])
    start(self, *args, **named)


def patient(words: list[Any]) -> list[Any]:
    """A command that does not take a leap of the clock for a silence of those who ask it."""
    pairs = zip(["", *words[:-1]], words, strict=True)
    return [LONG if before == "--heartbeat-timeout" else word for before, word in pairs]


def shifted(self: pathlib.Path, **named: Any) -> os.stat_result:
    """`Path.stat`, as if the file had been written on the other day."""
    found = stat(self, **named)
    times = {name: getattr(found, name) + OFFSET for name in ("st_atime", "st_mtime", "st_ctime")}
    exact = {f"{name}_ns": getattr(found, f"{name}_ns") + OFFSET * 10**9 for name in times}
    more = {name: getattr(found, name) for name in ("st_blksize", "st_blocks", "st_rdev")}
    return os.stat_result((*found[:7], *map(int, times.values())), times | exact | more)


def touched(path: Any, times: Any = None, **named: Any) -> None:
    """`os.utime`, given times of the other day."""
    utime(path, times and tuple(time - OFFSET for time in times), **named)


subprocess.Popen.__init__, pathlib.Path.stat, os.utime = started, shifted, touched  # type: ignore[method-assign]
