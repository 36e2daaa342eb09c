"""The history of recommendations: missing rows are errors, unless their session is stale or has no features."""

from sqlalchemy import Engine
from worlds.platform import check, execute

LAST_MODERATE = (
    "as_of >= '2024-02-29' AND instrument_id IN (SELECT id FROM instruments WHERE exchange <> 'EURONEXT')"
    " AND profile = 'moderate'"
)


def errors(name: str) -> object:
    return check(name).metadata["errors"].value


def test_a_session_whose_features_changed_is_stale_and_not_incomplete(filled: Engine) -> None:
    execute(
        filled,
        f"DELETE FROM recommendations WHERE {LAST_MODERATE}",
        "UPDATE computed_sessions SET changed_at = clock_timestamp()"
        " WHERE asset = 'features' AND market = 'US' AND session = '2024-02-29'",
    )
    assert errors("every_computed_session_has_its_advice") == 0
    assert check("advice_follows_its_features").metadata["warnings"].value == 1


def test_features_without_any_value_for_a_model_need_no_recommendation(filled: Engine) -> None:
    execute(filled, f"DELETE FROM recommendations WHERE {LAST_MODERATE}")
    assert errors("every_computed_session_has_its_advice") == 12
    execute(
        filled,
        'UPDATE features SET additional_features = \'{"ret_1d_rank": null, "market_ret_20d": 0.1}\''
        " WHERE ts = '2024-02-29'",
    )
    assert errors("every_computed_session_has_its_advice") == 0
