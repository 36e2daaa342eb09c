"""What the command line shows of the track record."""

import json

from boursomatic_assets import database
from boursomatic_assets.cli.views.text import as_text_table
from boursomatic_assets.tables import performance
from boursomatic_assets.tables.performance import Figures, readable


def track_record(profile: str | None = None, market: str | None = None) -> Figures:
    """How past advice did, of all profiles and markets or of one.

    Raises:
        ValueError: no horizon has ended yet.
    """
    with database.engine().connect() as connection:
        found = performance.figures(connection, profile, market)
    if found.labels.is_empty():
        raise ValueError(
            "no advice has reached the end of its horizon: run `boursomatic backfill` further on first"
        )
    return found


def as_table(found: Figures) -> str:
    """Figures of past advice as two tables, and the expected calibration error."""
    error = (
        "" if found.calibration_error is None else f"\nexpected calibration error {found.calibration_error:.3f}"
    )
    return f"{as_text_table(readable(found.labels))}\n{as_text_table(readable(found.bins))}{error}"


def as_json(found: Figures) -> str:
    """Figures of past advice as a JSON object; shares are fractions, returns are in percent."""
    tables = {"labels": found.labels.to_dicts(), "bins": found.bins.to_dicts()}
    return json.dumps({**tables, "calibration_error": found.calibration_error}, indent=2)
