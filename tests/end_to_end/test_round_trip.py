"""Taking the schema down to the specification and up again loses no advice, and what stood stands."""

import datetime as dt

import polars as pl
import pytest
from sqlalchemy import Engine
from worlds.platform import LAST, check, evaluate, frame, slice_of

from boursomatic_assets.database import migrate
from boursomatic_assets.tables import merging
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import read_slice

ADVICE = "SELECT id::text, as_of, superseded_at, is_active FROM recommendations ORDER BY id"
VERSIONS = "SELECT version, as_of, is_active FROM model_versions ORDER BY version"
HALF_DAY = dt.date(2023, 11, 24)
"""On which New York closes early."""

PROMISES = {
    "one_current_row_per_session_and_profile",
    "every_computed_session_has_its_advice",
    "advice_is_as_it_was_published",
    "newest_advice_is_active",
    "snapshots_are_valid",
}


@pytest.fixture
def superseded(filled: Engine) -> Engine:
    """The platform, two sessions of which were computed anew with another result."""
    grain = GRAINS["recommendations"]
    for session in (HALF_DAY, LAST):
        part = slice_of("US", session, session)
        other = read_slice(grain, part).drop("market").with_columns(confidence=pl.lit(0.5))
        with filled.begin() as connection:
            merging.supersede(connection, grain, part, other)
    return filled


def test_advice_keeps_its_session_and_its_place_on_the_way_down_and_up(superseded: Engine) -> None:
    advice, versions = frame(superseded, ADVICE), frame(superseded, VERSIONS)
    assert advice["superseded_at"].count() == 2 * 36
    migrate.downgrade("0001")
    migrate.upgrade()
    assert frame(superseded, VERSIONS).equals(versions)
    assert frame(superseded, ADVICE).equals(advice)
    assert all(found.passed for found in evaluate(PROMISES, "US"))
    assert check("every_version_has_its_decision").passed
