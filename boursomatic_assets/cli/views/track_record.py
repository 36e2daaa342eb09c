"""What the command line shows of the track record.

What belongs here: its figures as text and as JSON. Kept elsewhere: the figures (`tables/performance.py`), options
(`cli/results.py`).
"""

import json

from boursomatic_assets import database
from boursomatic_assets.cli.views.text import as_text_table
from boursomatic_assets.tables import performance
from boursomatic_assets.tables.performance import PerformanceFigures, to_percent_text


def track_record(profile: str | None = None, market: str | None = None) -> PerformanceFigures:
    """The figures of past recommendations, of all profiles and markets or of one.

    Raises:
        ValueError: No horizon has ended yet.
    """
    with database.engine().connect() as connection:
        found = performance.measure(connection, profile, market)
    if found.labels.is_empty():
        raise ValueError(
            "no recommendation has reached the end of its horizon: run `boursomatic backfill` to a later date"
        )
    return found


def as_table(found: PerformanceFigures) -> str:
    """Figures of past recommendations as two tables, and the expected calibration error."""
    error = (
        "" if found.calibration_error is None else f"\nexpected calibration error {found.calibration_error:.3f}"
    )
    return f"{as_text_table(to_percent_text(found.labels))}\n{as_text_table(to_percent_text(found.bins))}{error}"


def as_json(found: PerformanceFigures) -> str:
    """Figures of past recommendations as a JSON object; shares are fractions, returns are in percent."""
    tables = {"labels": found.labels.to_dicts(), "bins": found.bins.to_dicts()}
    return json.dumps({**tables, "calibration_error": found.calibration_error}, indent=2)
