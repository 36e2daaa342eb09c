"""Revisions: due dates that are trained again since the history that they should have known has changed."""

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import Engine
from worlds.challengers import DUE, NAMES, admit_challengers, skilled_challenger, unskilled_challenger
from worlds.platform import execute, rows, slice_of

from boursomatic_assets import registry
from boursomatic_assets.calendars.markets import first_open
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.registry import decisions
from boursomatic_assets.tables.chains import verification

MARK = "UPDATE computed_sessions SET changed_at = clock_timestamp() WHERE asset = 'price_bars' AND session = '{}'"
CORRECTED = (
    "UPDATE price_bars SET c = (l + h) / 2 WHERE ts = '2023-12-15' AND interval = 'daily'",
    MARK.format("2023-12-15"),
)


def stale(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [version.version for version in registry.stale_versions(connection, Parameters())]


def read_log(engine: Engine) -> decisions.DecisionLog:
    with engine.connect() as connection:
        return decisions.read_log(connection)


def champions(engine: Engine) -> list[str | None]:
    """The champion from the first open of each due date on."""
    found = [read_log(engine).champion_at(first_open(date)) for date in DUE]
    return [version.version if version else None for version in found]


def table(engine: Engine, name: str) -> list[dict[str, Any]]:
    return rows(engine, f"SELECT * FROM {name} ORDER BY id")


# --- which versions are stale


def test_nothing_is_stale_before_anything_changes(filled: Engine) -> None:
    assert stale(filled) == []
    assert registry.retrain_stale_versions(Parameters()) == []


def test_versions_are_stale_whose_history_is_not_the_one_that_they_learned_from(filled: Engine) -> None:
    execute(filled, *CORRECTED)
    assert stale(filled) == ["v2024.01.02", "v2024.02.01"]


def test_a_change_that_no_version_learns_from_makes_none_stale(filled: Engine) -> None:
    execute(
        filled,
        "UPDATE features SET momentum_5d = 0 WHERE ts < '2023-12-15'",
        MARK.format("2023-12-15"),
    )
    assert stale(filled) == []


def test_a_correction_that_is_taken_back_makes_none_stale(filled: Engine) -> None:
    before = rows(filled, "SELECT id, c FROM price_bars WHERE ts = '2023-12-15'")
    execute(filled, *CORRECTED)
    execute(filled, *(f"UPDATE price_bars SET c = {row['c']!r} WHERE id = '{row['id']}'" for row in before))
    assert stale(filled) == []


def test_a_version_without_a_digest_is_stale_since_nobody_knows_what_it_learned_from(filled: Engine) -> None:
    """As are all versions of a database from before there were digests."""
    latest = "UPDATE model_versions SET history_digest = NULL, history_read_at = NULL WHERE as_of > '2024-01-01'"
    execute(filled, latest)
    assert stale(filled) == ["v2024.01.02", "v2024.02.01"]
    trained = registry.retrain_stale_versions(Parameters())
    assert [version.version for version in trained] == ["v2024.01.02.r2", "v2024.02.01.r2"]
    assert stale(filled) == []


# --- training again


def test_due_dates_are_trained_again_from_the_first_that_is_stale_on(filled: Engine) -> None:
    versions, decided = table(filled, "model_versions"), table(filled, "model_decisions")
    execute(filled, *CORRECTED)
    trained = registry.retrain_stale_versions(Parameters())
    assert [version.version for version in trained] == ["v2024.01.02.r2", "v2024.02.01.r2"]
    assert [version.revision for version in trained] == [2, 2]
    assert stale(filled) == []
    now = {row["id"]: {**row, "is_active": None} for row in table(filled, "model_versions")}
    assert all(now[row["id"]] == {**row, "is_active": None} for row in versions), "older rows stay as they are"
    assert all(row in table(filled, "model_decisions") for row in decided)
    with filled.connect() as connection:
        assert list(verification.verify(connection)) == []


def test_the_newest_revision_counts_from_the_same_due_date_on(filled: Engine) -> None:
    execute(filled, *CORRECTED)
    trained = registry.retrain_stale_versions(Parameters())
    timeline = {moment.date: moment for moment in registry.champion_timeline(slice_of("US"))}
    for version in trained:
        moment = timeline[version.due]
        assert moment.challenger == version
        assert moment.decision and moment.decision.effective_at == version.as_of
    assert timeline[dt.date(2024, 2, 29)].newest == trained[-1]
    active = rows(filled, "SELECT version FROM model_versions WHERE is_active")
    assert [row["version"] for row in active] == [read_log(filled).active_version.version]


def test_an_interrupted_refresh_leaves_everything_as_it_was(
    filled: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [table(filled, name) for name in ("model_versions", "model_decisions")]
    execute(filled, *CORRECTED)

    def fail_after_one(*given: Any) -> Any:
        monkeypatch.setattr(decisions, "record_decision", lambda *_: 1 / 0)
        return record(*given)

    record = decisions.record_decision
    monkeypatch.setattr(decisions, "record_decision", fail_after_one)
    with pytest.raises(ZeroDivisionError):
        registry.retrain_stale_versions(Parameters())
    assert [table(filled, name) for name in ("model_versions", "model_decisions")] == before
    assert len(stale(filled)) == 2


def test_a_missing_due_date_is_trained_with_all_that_follow(filled: Engine) -> None:
    whole = [version.model_path for version in read_log(filled).versions]
    execute(
        filled,
        "DELETE FROM track_record",
        "DELETE FROM recommendations",
        *(
            f"DELETE FROM {name} WHERE {column} IN (SELECT id FROM model_versions WHERE as_of < '2023-11-01')"
            for name, column in (("model_decisions", "version_id"), ("model_versions", "id"))
        ),
    )
    trained = registry.retrain_stale_versions(Parameters())
    assert [version.model_path for version in trained] == whole
    assert [version.revision for version in trained] == [1, 1, 1, 2, 2, 2, 2]


def test_what_could_not_be_trained_when_recommendations_were_computed_is_trained(filled: Engine) -> None:
    whole = [version.model_path for version in read_log(filled).versions]
    execute(
        filled,
        *(
            f"DELETE FROM {name}"
            for name in ("track_record", "recommendations", "model_decisions", "model_versions")
        ),
    )
    trained = registry.retrain_stale_versions(Parameters())
    assert [version.model_path for version in trained] == whole
    assert {version.revision for version in trained} == {1}


# --- the fold


def test_a_decision_about_an_older_revision_is_in_force_no_more(migrated: Engine) -> None:
    admit_challengers(skilled_challenger("a"), unskilled_challenger("b"))
    assert champions(migrated)[:2] == [NAMES[0], NAMES[0]], "the second was refused, and the champion stays"
    admit_challengers(unskilled_challenger("a"), unskilled_challenger("b"))
    assert champions(migrated)[:2] == [None, None], "there is no champion any more that could stay"
    assert read_log(migrated).active_version is None
    assert rows(migrated, "SELECT FROM model_versions WHERE is_active") == []
    admit_challengers(skilled_challenger("a"), skilled_challenger("b"))
    assert champions(migrated)[:2] == [f"{NAMES[0]}.r3", f"{NAMES[1]}.r3"]
    assert [row["version"] for row in rows(migrated, "SELECT version FROM model_versions WHERE is_active")] == [
        f"{NAMES[1]}.r3"
    ]


def test_a_revision_is_compared_with_the_champion_before_it_and_not_with_itself(migrated: Engine) -> None:
    admit_challengers(skilled_challenger("a"), skilled_challenger("a"))
    admit_challengers(skilled_challenger("a"), due=DUE[1:])
    assert read_log(migrated).decisions[-1].numbers["versions"] == {
        "challenger": f"{NAMES[1]}.r2",
        "champion": NAMES[0],
    }


def test_a_persons_decision_stays_in_force_whatever_is_trained_again(migrated: Engine) -> None:
    admit_challengers(skilled_challenger("a"), unskilled_challenger("b"))
    forced = registry.promote(NAMES[1], "its data were wrong", "ann")
    admit_challengers(skilled_challenger("c"), skilled_challenger("d"))
    assert champions(migrated)[:2] == [f"{NAMES[0]}.r2", f"{NAMES[1]}.r2"]
    assert read_log(migrated).champion_at(forced.effective_at) == forced.champion
    assert registry.roll_back("on second thoughts", "ann").champion.version == f"{NAMES[1]}.r2"


def test_what_was_known_at_a_time_knows_no_later_revision(migrated: Engine) -> None:
    from boursomatic_assets.audit.stored import log_known_at

    admit_challengers(skilled_challenger("a"))
    then = read_log(migrated).decisions[-1].decided_at
    admit_challengers(unskilled_challenger("a"))
    known = log_known_at(read_log(migrated), then).champion_as_of(DUE[0], first_open(DUE[0]))
    assert known.champion and known.champion.version == NAMES[0]
    assert known.challenger == known.champion
