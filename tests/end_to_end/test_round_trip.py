"""Downgrading the schema to the specification and upgrading it again loses no recommendation."""

import datetime as dt

import polars as pl
import pytest
from sqlalchemy import Engine
from worlds.platform import LAST, check, evaluate, frame, slice_of

from boursomatic_assets.database import DatabaseError, migrate
from boursomatic_assets.tables import merging
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import read_slice

RECOMMENDATIONS = "SELECT id::text, as_of, superseded_at, is_active FROM recommendations ORDER BY id"
VERSIONS = "SELECT version, as_of, is_active FROM model_versions ORDER BY version"
HALF_DAY = dt.date(2023, 11, 24)
"""New York closes early."""

LOSSES = (
    r"this loses for good [\d,]+ lines that bars came from, 2 digests of delivered files,"
    r" [\d,]+ views of recommendations"
)

CHECKS = {
    "one_current_row_per_session_and_profile",
    "every_computed_session_has_its_advice",
    "newest_advice_is_active",
    "snapshots_are_valid",
}


OF_US = (
    "SELECT count(*) AS n FROM recommendations r JOIN instruments i ON i.id = r.instrument_id"
    " WHERE exchange <> 'EURONEXT' AND superseded_at IS NULL AND view IS NOT NULL"
)


@pytest.fixture
def superseded(filled: Engine) -> Engine:
    """The platform, with two sessions whose recommendations were superseded by others."""
    grain = GRAINS["recommendations"]
    for session in (HALF_DAY, LAST):
        part = slice_of("US", session, session)
        changed = read_slice(grain, part).drop("market").with_columns(confidence=pl.lit(0.5))
        with filled.begin() as connection:
            merging.supersede(connection, grain, part, changed)
    return filled


def test_recommendations_survive_a_downgrade_and_an_upgrade(superseded: Engine) -> None:
    recommendations, versions = frame(superseded, RECOMMENDATIONS), frame(superseded, VERSIONS)
    ((views,),) = frame(superseded, OF_US).rows()
    assert recommendations["superseded_at"].count() == 2 * 36
    with pytest.raises(DatabaseError, match=LOSSES):
        migrate.downgrade("0001")
    migrate.downgrade("0001", lose=True)
    migrate.upgrade()
    assert frame(superseded, VERSIONS).equals(versions)
    assert frame(superseded, RECOMMENDATIONS).equals(recommendations)
    assert all(found.passed for found in evaluate(CHECKS, "US"))
    assert check("every_version_has_its_decision").passed
    published = check("advice_is_as_it_was_published")
    assert published.metadata["errors"].value == views > 0, (
        "the older schema has no views: that they are lost is said"
    )
