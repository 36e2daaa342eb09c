"""The check of drift on the small platform: which sessions it looks at, and what it says of them."""

import datetime as dt
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine
from worlds.platform import ALL_HIGH, LAST, check, execute

from boursomatic_assets.calendars.markets import MARKETS

FIRST_VERSION = np.datetime64("2023-08-01")
FEBRUARY = dt.date(2024, 2, 1)
SESSION = dt.date(2024, 2, 14)


def said(market: str = "US", start: dt.date | None = None, end: dt.date = LAST) -> dict[str, Any]:
    """What the check says of a range; of everything without a start."""
    name = "features_resemble_what_the_model_learned"
    evaluation = check(name, market, start, end) if start else check(name, market)
    return {"passed": evaluation.passed} | {name: value.value for name, value in evaluation.metadata.items()}


@pytest.mark.parametrize("market", MARKETS)
def test_of_a_long_range_the_sessions_that_models_learn_from_are_looked_at(filled: Engine, market: str) -> None:
    sampled = MARKETS[market].sessions()[::5]
    measured = (sampled >= FIRST_VERSION) & (sampled <= np.datetime64(LAST))
    assert said(market)["sessions_measured"] == measured.sum() > 20


def test_of_a_short_range_all_sessions_are_looked_at(filled: Engine) -> None:
    found = said(start=FEBRUARY)
    assert found["passed"]
    assert found["sessions_measured"] == 20


def test_a_session_unlike_the_training_is_named_with_its_version_and_features(filled: Engine) -> None:
    execute(filled, f"UPDATE features SET {ALL_HIGH} WHERE ts = '{SESSION}'")
    found = said(start=FEBRUARY)
    assert not found["passed"]
    assert (found["errors"], found["warnings"]) == (0, 1)
    assert found["sessions_above"] == f"US {SESSION}"
    assert found["worst_session"] == f"US {SESSION} against v2024.02.01"
    assert found["worst_mean_psi"] > found["mean_psi_allowed"] > found["median_mean_psi"]
    assert found["worst_features"].count(",") == 4
    assert "market_vol_20d 1e+09 above nine tenths" in found["context"]


def test_a_session_is_told_the_same_alone_and_in_a_range(filled: Engine) -> None:
    execute(filled, f"UPDATE features SET {ALL_HIGH} WHERE ts = '{SESSION}'")
    alone, among = said(start=SESSION, end=SESSION), said(start=FEBRUARY)
    assert alone["sessions_measured"] == 1
    for figure in ("worst_session", "worst_mean_psi", "worst_features", "context", "sessions_above"):
        assert alone[figure] == among[figure]


def test_the_version_that_speaks_comes_before_the_newest_one(filled: Engine) -> None:
    execute(
        filled,
        "UPDATE model_decisions SET speaker_id = (SELECT id FROM model_versions WHERE version = 'v2023.10.02')"
        " WHERE kind = 'promoted'",
    )
    assert said(start=SESSION, end=SESSION)["worst_session"] == f"US {SESSION} against v2023.10.02"


@pytest.mark.parametrize(
    "gone",
    [
        "TRUNCATE model_versions CASCADE",
        "UPDATE model_versions SET metrics_json = (metrics_json::jsonb - 'deciles')::json",
    ],
    ids=["no version", "no deciles"],
)
def test_without_anything_to_compare_with_it_passes_and_says_so(filled: Engine, gone: str) -> None:
    execute(filled, gone)
    found = said()
    assert found["passed"]
    assert (found["sessions_measured"], found["note"]) == (0, "no version with deciles, or no features")
