"""Training of the versions that are due: each once, each judged by the gate, the same in any order.

Champions are tested in `test_decisions.py`.
"""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import Admin
from sqlalchemy import Engine
from worlds.platform import FIRST, LAST, execute, midnight, outcomes_of, rows, slice_of

from boursomatic_assets import database, registry
from boursomatic_assets.assets.recommendations import champion_sessions
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.learning.walk import due_dates

DUE = [
    "v2023.08.01", "v2023.09.01", "v2023.10.02", "v2023.11.01", "v2023.12.01", "v2024.01.02", "v2024.02.01",
]  # fmt: skip
VERSIONS = (
    "SELECT v.version, params_hash, metrics_json::text, model_path, as_of, is_active, kind, effective_at,"
    " (SELECT s.version FROM model_versions s WHERE s.id = speaker_id) AS champion, reason, numbers::text,"
    " decided_by FROM model_versions v LEFT JOIN model_decisions ON version_id = v.id ORDER BY as_of"
)
DELETE_VERSIONS = tuple(
    f"DELETE FROM {table}" for table in ("track_record", "recommendations", "model_decisions", "model_versions")
)


def versions(engine: Engine) -> list[dict[str, Any]]:
    """The versions and the decisions about them, without ids and wall clocks."""
    return rows(engine, VERSIONS)


def names(engine: Engine) -> list[str]:
    return [row["version"] for row in versions(engine)]


def test_a_model_is_due_on_the_first_session_of_a_month_of_either_market() -> None:
    due = due_dates(dt.date(2023, 12, 2), dt.date(2024, 6, 30))
    assert [str(date) for date in due] == [
        "2024-01-02", "2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01", "2024-06-03",
    ]  # fmt: skip
    assert not MARKETS["EURONEXT"].is_session(dt.date(2024, 4, 1)), "Easter Monday, on which New York trades"
    assert not MARKETS["EURONEXT"].is_session(dt.date(2024, 5, 1))


def test_both_bounds_of_due_dates_belong_to_them() -> None:
    first, last = dt.date(2024, 1, 2), dt.date(2024, 2, 1)
    assert due_dates(first, last) == [first, last]


def test_a_version_is_of_the_first_open_of_its_due_date(filled: Engine) -> None:
    assert names(filled) == DUE
    for row in versions(filled):
        date = dt.datetime.strptime(row["version"], "v%Y.%m.%d").date()
        opens = [market.open_time(date) for market in MARKETS.values() if market.is_session(date)]
        assert row["as_of"] == min(opens)


def test_both_markets_have_the_same_challenger_and_champion(filled: Engine) -> None:
    us, euronext = (registry.champion_timeline(slice_of(market)) for market in MARKETS)
    assert [moment.challenger for moment in us] == [moment.challenger for moment in euronext]
    assert [moment.champion for moment in us] == [moment.champion for moment in euronext]
    assert [moment.abstention for moment in us] == [moment.abstention for moment in euronext]
    assert [moment.challenger.version for moment in us if moment.challenger] == DUE


def test_a_version_is_trained_once(filled: Engine) -> None:
    tables = ("model_versions", "model_decisions")
    before = [rows(filled, f"SELECT xmin::text, * FROM {table} ORDER BY id") for table in tables]
    assert registry.train_due_versions(LAST, Parameters()) == []
    assert [rows(filled, f"SELECT xmin::text, * FROM {table} ORDER BY id") for table in tables] == before


def test_a_partition_trains_what_was_due_before_it(filled: Engine) -> None:
    whole = versions(filled)
    execute(filled, *DELETE_VERSIONS)
    trained = registry.train_due_versions(dt.date(2023, 11, 15), Parameters())
    assert [version.version for version in trained] == names(filled) == DUE[:4]
    for now, then in zip(versions(filled), whole, strict=False):
        assert {**now, "is_active": None} == {**then, "is_active": None}


@pytest.mark.parametrize("trained_at", ["2023-08-01 02:00", "2023-08-01 20:00"])
def test_a_version_of_another_program_is_neither_what_is_due_nor_what_speaks(
    filled: Engine, trained_at: str
) -> None:
    """It knows the specification alone: no due date, no decision, no file."""
    whole = versions(filled)
    execute(
        filled,
        *DELETE_VERSIONS,
        "INSERT INTO model_versions (id, version, trained_at, params_hash, metrics_json)"
        f" VALUES (gen_random_uuid(), 'v1.0.0', '{trained_at}', '0', '{{}}')",
    )
    part = slice_of("US", dt.date(2023, 8, 1), dt.date(2023, 9, 15))
    assert champion_sessions(part) == []
    registry.train_due_versions(LAST, Parameters())
    assert [row for row in versions(filled) if row["version"] != "v1.0.0"] == whole
    assert {group.version.version for group in champion_sessions(part)} == set(DUE[:2])
    due = registry.champion_timeline(part)[0]
    assert due.challenger and due.challenger.version == DUE[0]


def test_any_order_gives_the_same_versions(filled: Engine) -> None:
    whole = versions(filled)
    for order in ([LAST, dt.date(2023, 10, 2)], [dt.date(2023, 8, 1), dt.date(2023, 12, 31), LAST]):
        execute(filled, *DELETE_VERSIONS)
        for last in order:
            registry.train_due_versions(last, Parameters())
        assert versions(filled) == whole


def test_two_runs_at_once_give_the_same_versions(filled: Engine) -> None:
    whole = versions(filled)
    execute(filled, *DELETE_VERSIONS)
    with ThreadPoolExecutor() as pool:
        trained = list(pool.map(lambda _: registry.train_due_versions(LAST, Parameters()), range(2)))
    assert versions(filled) == whole
    assert sorted(version.version for part in trained for version in part) == DUE, (
        "each was trained by one of them"
    )


def test_a_server_that_ends_idle_transactions_does_not_end_training(filled: Engine, admin: Admin) -> None:
    execute(filled, *DELETE_VERSIONS)
    admin.execute(f"ALTER DATABASE \"{filled.url.database}\" SET idle_in_transaction_session_timeout = '100ms'")
    database.disconnect()
    trained = registry.train_due_versions(dt.date(2023, 8, 1), Parameters())
    assert [version.version for version in trained] == names(filled) == DUE[:1]


def test_the_gate_decides_about_every_version_on_its_due_date(filled: Engine) -> None:
    for row in versions(filled):
        assert (row["decided_by"], row["effective_at"]) == ("gate", row["as_of"])
        assert row["reason"].startswith(row["kind"].capitalize())


def test_a_challenger_below_the_limits_of_the_parameters_is_refused(filled: Engine) -> None:
    execute(filled, *DELETE_VERSIONS)
    registry.train_due_versions(dt.date(2023, 10, 2), Parameters(gate_minimum_sessions=1000))
    assert [(row["kind"], row["champion"], row["is_active"]) for row in versions(filled)] == [
        ("refused", None, False)
    ] * 3


def test_without_a_champion_the_newest_version_publishes_hold(filled: Engine) -> None:
    moments = {moment.date: moment for moment in registry.champion_timeline(slice_of("US"))}
    by_date = {date: published for published in champion_sessions(slice_of("US")) for date in published.sessions}
    assert by_date.keys() == {d for d, moment in moments.items() if moment.newest and MARKETS["US"].is_session(d)}
    for date, published in by_date.items():
        moment = moments[date]
        assert published.version == (moment.champion or moment.newest)
        assert (published.abstention is None) == (moment.champion is not None)
    abstaining = {published.version.version for published in by_date.values() if published.abstention}
    assert abstaining == set(DUE[:3])


def test_without_enough_history_nothing_is_trained(filled: Engine) -> None:
    execute(filled, *DELETE_VERSIONS)
    assert registry.train_due_versions(dt.date(2023, 7, 31), Parameters()) == []
    assert registry.champion_timeline(slice_of("US", FIRST, dt.date(2023, 7, 31)))[-1].champion is None


def test_without_features_nothing_is_due(migrated: Engine) -> None:
    assert registry.train_due_versions(LAST, Parameters()) == []


def test_a_version_learns_from_nothing_at_or_after_its_due_date(filled: Engine) -> None:
    """The bars from the due date on are made absurd; the version stays the same to the last bit."""
    whole = versions(filled)
    execute(
        filled,
        *DELETE_VERSIONS,
        "UPDATE price_bars SET o = 1, h = 1000, l = 1, c = 500 WHERE ts >= '2023-11-01'",
        "UPDATE features SET ret_1d = 9, vol_20d = 9 WHERE ts >= '2023-11-01'",
    )
    registry.train_due_versions(dt.date(2023, 11, 1), Parameters())
    now = versions(filled)
    assert [row["model_path"] for row in now] == [row["model_path"] for row in whole[:4]]
    assert [row["metrics_json"] for row in now] == [row["metrics_json"] for row in whole[:4]]


@pytest.mark.parametrize("change", ["damaged", "missing"])
def test_without_an_intact_model_file_nothing_is_published(filled: Engine, home: Path, change: str) -> None:
    (active,) = rows(filled, "SELECT model_path FROM model_versions WHERE is_active")
    path = home / "models" / active["model_path"]
    path.unlink() if change == "missing" else path.write_text("tree\n")
    execute(filled, "DELETE FROM recommendations WHERE as_of >= '2024-02-29'")
    (outcome,) = outcomes_of(LAST, LAST, ("recommendations",), ("US",))
    assert not outcome.success
    assert f"model file {path.name}" in outcome.problems[0]
    assert change in outcome.problems[0]
    assert not rows(filled, "SELECT FROM recommendations WHERE as_of >= :day", day=midnight(LAST))
