"""The check of feature drift on the small platform: which sessions it measures, and what it reports."""

import datetime as dt
from typing import Any

import dagster as dg
import numpy as np
import pytest
from sqlalchemy import Engine
from worlds.platform import ALL_HIGH, FIRST, LAST, check, execute, platform

from boursomatic_assets.calendars.markets import MARKETS, all_sessions
from boursomatic_assets.cli import launching

NAME = "features_resemble_what_the_model_learned"
FIRST_VERSION = np.datetime64("2023-08-01")
FEBRUARY = dt.date(2024, 2, 1)
SESSION = dt.date(2024, 2, 14)


def check_figures(market: str = "US", start: dt.date | None = None, end: dt.date = LAST) -> dict[str, Any]:
    """The result and metadata of the check for a range; for all sessions without a start."""
    evaluation = check(NAME, market, start, end) if start else check(NAME, market)
    return {"passed": evaluation.passed} | {name: value.value for name, value in evaluation.metadata.items()}


@pytest.mark.parametrize("market", MARKETS)
def test_a_long_range_is_sampled_like_training_data(filled: Engine, market: str) -> None:
    sampled = np.intersect1d(all_sessions()[::5], MARKETS[market].sessions())
    measured = (sampled >= FIRST_VERSION) & (sampled <= np.datetime64(LAST))
    assert check_figures(market)["sessions_measured"] == measured.sum() > 20


def test_every_session_of_a_short_range_is_measured(filled: Engine) -> None:
    figures = check_figures(start=FEBRUARY)
    assert figures["passed"]
    assert figures["sessions_measured"] == 20


def test_a_drifted_session_is_named_with_its_version_and_features(filled: Engine) -> None:
    execute(filled, f"UPDATE features SET {ALL_HIGH} WHERE ts = '{SESSION}'")
    figures = check_figures(start=FEBRUARY)
    assert not figures["passed"]
    assert (figures["errors"], figures["warnings"]) == (0, 1)
    assert figures["sessions_above"] == f"US {SESSION}"
    assert figures["worst_session"] == f"US {SESSION} against v2024.02.01"
    assert figures["worst_mean_psi"] > figures["mean_psi_allowed"] > figures["median_mean_psi"]
    assert figures["worst_features"].count(",") == 4
    assert "market_vol_20d 1e+09 above nine tenths" in figures["context"]


def test_a_session_has_the_same_figures_alone_and_in_a_range(filled: Engine) -> None:
    execute(filled, f"UPDATE features SET {ALL_HIGH} WHERE ts = '{SESSION}'")
    single, in_range = check_figures(start=SESSION, end=SESSION), check_figures(start=FEBRUARY)
    assert single["sessions_measured"] == 1
    for figure in ("worst_session", "worst_mean_psi", "worst_features", "context", "sessions_above"):
        assert single[figure] == in_range[figure]


def test_the_champion_is_preferred_to_the_newest_version(filled: Engine) -> None:
    execute(
        filled,
        "UPDATE model_decisions SET speaker_id = (SELECT id FROM model_versions WHERE version = 'v2023.10.02')"
        " WHERE kind IN ('promoted', 'retrained')",
    )
    assert check_figures(start=SESSION, end=SESSION)["worst_session"] == f"US {SESSION} against v2023.10.02"


@pytest.mark.parametrize(
    "gone",
    [
        "TRUNCATE model_versions CASCADE",
        "UPDATE model_versions SET metrics_json = (metrics_json::jsonb - 'deciles')::json",
    ],
    ids=["no version", "no deciles"],
)
def test_the_check_passes_with_a_note_if_there_is_nothing_to_compare_with(filled: Engine, gone: str) -> None:
    execute(filled, gone)
    figures = check_figures()
    assert figures["passed"]
    assert (figures["sessions_measured"], figures["note"]) == (0, "no version with deciles, or no features")


@pytest.mark.parametrize(("since", "warned"), [(None, 0), (dt.date(2024, 2, 5), 3)], ids=["steady", "drifting"])
def test_a_first_backfill_judges_each_session_by_the_version_known_then(
    filled: Engine, since: dt.date | None, warned: int
) -> None:
    """In the run that trains the first versions, with the figures of a platform that has them."""
    if since:
        execute(filled, f"UPDATE features SET {ALL_HIGH} WHERE ts >= '{since}'")
    expected = check_figures()
    execute(filled, "TRUNCATE model_versions CASCADE")
    job = platform.resolve_job_def("market_session").get_subset(asset_selection={dg.AssetKey("model_versions")})
    result = job.execute_in_process(tags=launching.Run((), "US", FIRST, LAST).tags, raise_on_error=False)
    (found,) = [one for one in result.get_asset_check_evaluations() if one.check_name == NAME]
    assert result.success
    assert {"passed": found.passed} | {name: value.value for name, value in found.metadata.items()} == expected
    assert (found.passed, expected["warnings"]) == (warned == 0, warned)
    assert expected["sessions_measured"] > 20
