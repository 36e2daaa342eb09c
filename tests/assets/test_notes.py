"""Every partition that publishes nothing says why; every other shows its own figures."""

import datetime as dt
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine
from worlds.platform import execute, outcomes_of, rows

HOLIDAY, EARLY, LATE = dt.date(2024, 1, 15), dt.date(2023, 3, 15), dt.date(2024, 2, 28)
"""New York is closed on the first; before any version; with a champion and scores."""


def shown(instance: dg.DagsterInstance, asset: str, date: dt.date) -> dict[str, Any]:
    """What a partition of the US shows, computed anew."""
    outcomes_of(date, date, (asset,), ("US",), instance)
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event and event.asset_materialization
    assert event.asset_materialization.partition == f"{date}|US"
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


WHY_NOT = {
    ("recommendations", EARLY): "no model version yet: the history before this session is too short to train one",
    ("track_record", EARLY): "nothing is due: no recommendation has its horizon end on this session",
    ("recommendations", HOLIDAY): "market closed",
    ("features", HOLIDAY): "market closed",
    ("model_versions", dt.date(2023, 3, 1)): (
        "a version is due on this date, but the history before it is too short to train one, or is not loaded"
    ),
    ("model_versions", EARLY): "no version is due on this date",
}


@pytest.mark.parametrize(("asset", "date"), WHY_NOT, ids=str)
def test_a_partition_that_publishes_nothing_says_why(
    filled: Engine, dagster_instance: dg.DagsterInstance, asset: str, date: dt.date
) -> None:
    assert shown(dagster_instance, asset, date)["note"] == WHY_NOT[asset, date]


def test_what_is_computed_from_bars_says_that_there_are_none(
    filled: Engine, dagster_instance: dg.DagsterInstance
) -> None:
    execute(
        filled,
        f"DELETE FROM features WHERE ts = '{LATE}'",
        f"DELETE FROM price_bars WHERE ts = '{LATE}'",
    )
    assert shown(dagster_instance, "features", LATE)["note"] == "no bars of this session are stored"
    assert shown(dagster_instance, "recommendations", LATE)["note"] == "no features of this session are stored"


def test_a_partition_with_rows_shows_its_own_figures_and_no_note(
    filled: Engine, dagster_instance: dg.DagsterInstance
) -> None:
    found = shown(dagster_instance, "recommendations", LATE)
    labels = rows(
        filled,
        "SELECT avg((label = 'BUY')::int)::float AS share_buy, avg((label = 'HOLD')::int)::float AS share_hold,"
        " avg((label = 'SELL')::int)::float AS share_sell FROM recommendations r"
        " JOIN instruments i ON i.id = r.instrument_id"
        " WHERE as_of::date = :date AND superseded_at IS NULL AND exchange <> 'EURONEXT'",
        date=LATE,
    )
    assert {name: found[f"US/{name}"] for name in labels[0]} == pytest.approx(labels[0])
    assert "note" not in found
    scores = shown(dagster_instance, "track_record", LATE)
    due = rows(
        filled,
        "SELECT count(hit) AS scored, avg(hit::int)::float AS hit_rate FROM track_record t"
        " JOIN instruments i ON i.id = t.instrument_id WHERE ts = :date AND exchange <> 'EURONEXT'",
        date=LATE,
    )
    assert {name: scores[f"US/{name}"] for name in due[0]} == pytest.approx(due[0])
    assert "note" not in scores
