"""A finding: how many rows violate an invariant, and on which sessions.

What belongs here: counts by market and session, sums of findings.
Kept elsewhere: counts in SQL (`counting.py`), words and tables (`results.py`).
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from boursomatic_assets.calendars.markets import all_sessions

MAX_NAMED = 20
"""Violations of a kind that a check lists; it counts all of them."""

Sessions = Mapping[dt.date | None, int]
"""Violations by date; None stands for those that belong to no session of their market."""


@dataclass(frozen=True)
class Counts:
    """How many rows violate an invariant (`errors`), or are only unusual (`warnings`)."""

    errors: int = 0
    warnings: int = 0

    def __add__(self, other: Self) -> "Counts":
        """The counts of both together."""
        return Counts(self.errors + other.errors, self.warnings + other.warnings)


@dataclass(frozen=True)
class Finding:
    """How many rows violate an invariant (`errors`) or are only unusual (`warnings`), and other figures.

    A figure may be a list of rows, each a text or a mapping of columns: a check shows the first MAX_NAMED of them,
    and leaves an empty list out.

    Attributes:
        errors: All violations.
        warnings: All rows that are only unusual.
        figures: What else is known.
        by_session: The counts of each market and session; a session of None is none of the market's. What the
            totals hold beyond them belongs to the whole table.
    """

    errors: int = 0
    warnings: int = 0
    figures: Mapping[str, Any] = field(default_factory=dict)
    by_session: Mapping[tuple[str, dt.date | None], Counts] = field(default_factory=dict)

    def __add__(self, other: Self) -> "Finding":
        """The finding of both together: counts, numeric figures and lists are added."""
        shared = self.figures.keys() & other.figures.keys()
        sums = {name: self.figures[name] + other.figures[name] for name in shared}
        keys = [*self.by_session, *(key for key in other.by_session if key not in self.by_session)]
        return Finding(
            self.errors + other.errors,
            self.warnings + other.warnings,
            {**self.figures, **other.figures, **sums},
            {key: self.by_session.get(key, Counts()) + other.by_session.get(key, Counts()) for key in keys},
        )

    @property
    def passed(self) -> bool:
        """Whether there is neither an error nor a warning."""
        return not self.errors and not self.warnings

    @property
    def of_whole_table(self) -> Counts:
        """The counts that belong to no market and session."""
        counted = sum(self.by_session.values(), Counts())
        return Counts(self.errors - counted.errors, self.warnings - counted.warnings)


def on_sessions(
    market: str,
    *,
    errors: Sessions | None = None,
    warnings: Sessions | None = None,
    figures: Mapping[str, Any] | None = None,
) -> Finding:
    """A finding in one market from counts by date; the totals are their sums.

    A date on which no market trades counts for the session before it, whose partition holds its rows.
    """
    bad, unusual = _on_partition_dates(errors or {}), _on_partition_dates(warnings or {})
    by_session = {
        (market, date): Counts(bad[date], unusual[date]) for date in sorted(bad | unusual, key=_in_order)
    }
    return Finding(bad.total(), unusual.total(), figures or {}, by_session)


def partition_date(date: dt.date) -> dt.date | None:
    """The date of the partition that holds the rows of a date, None before the calendars begin."""
    dates = all_sessions()
    place = int(np.searchsorted(dates, np.datetime64(date), side="right")) - 1
    return None if place < 0 else dates[place].item()


def _on_partition_dates(counts: Sessions) -> Counter[dt.date | None]:
    summed = Counter[dt.date | None]()
    for date, count in counts.items():
        if count:
            summed[None if date is None else partition_date(date)] += count
    return summed


def _in_order(date: dt.date | None) -> dt.date:
    return date or dt.date.max
