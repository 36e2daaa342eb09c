"""Advice as a record: what is missing is seen, what only waits to be computed anew is not held against it."""

from sqlalchemy import Engine
from worlds.platform import check, execute

OF_LAST = (
    "as_of >= '2024-02-29' AND instrument_id IN (SELECT id FROM instruments WHERE exchange <> 'EURONEXT')"
    " AND profile = 'moderate'"
)


def errors(name: str) -> object:
    return check(name).metadata["errors"].value


def test_a_session_whose_features_changed_since_is_stale_not_incomplete(filled: Engine) -> None:
    execute(
        filled,
        f"DELETE FROM recommendations WHERE {OF_LAST}",
        "UPDATE computed_sessions SET changed_at = clock_timestamp()"
        " WHERE asset = 'features' AND market = 'US' AND session = '2024-02-29'",
    )
    assert errors("every_computed_session_has_its_advice") == 0
    assert check("advice_follows_its_features").metadata["warnings"].value == 1


def test_of_features_that_no_model_knows_anything_of_no_advice_is_missed(filled: Engine) -> None:
    execute(filled, f"DELETE FROM recommendations WHERE {OF_LAST}")
    assert errors("every_computed_session_has_its_advice") == 12
    execute(
        filled,
        'UPDATE features SET additional_features = \'{"ret_1d_rank": null, "market_ret_20d": 0.1}\''
        " WHERE ts = '2024-02-29'",
    )
    assert errors("every_computed_session_has_its_advice") == 0
