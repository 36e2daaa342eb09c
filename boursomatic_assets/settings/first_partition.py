"""The first partition of a home with simulated bars: they begin where they were first asked for.

What belongs here: the date that a home keeps, as a file.
Kept elsewhere: when it counts (`settings.start`), when it is recorded (`cli/compute.py`).

Bars of files or a service begin where they begin, and partitions before them take older ones in. Simulated bars
can be had from any date, so two years of them need not have twenty-five more years of empty partitions.
"""

import datetime as dt
import os
from pathlib import Path

from boursomatic_assets.settings.environment import SettingError

NAME = "first_partition"


def read(home: Path) -> dt.date | None:
    """Return the recorded date; None if there is none.

    Raises:
        SettingError: The file holds no date.
    """
    file = home / NAME
    try:
        return dt.date.fromisoformat(file.read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return None
    except ValueError:
        raise SettingError(f"{file} holds no date: delete it, or write YYYY-MM-DD into it") from None


def record(home: Path, date: dt.date) -> None:
    """Keep a date; a reader sees it whole or not at all."""
    fresh = home / f"{NAME}.{os.getpid()}"
    fresh.write_text(f"{date}\n", encoding="utf-8")
    fresh.replace(home / NAME)
