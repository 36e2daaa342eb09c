"""The decision log: champions, the active version, and decisions of a person; the gate is the real one."""

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from worlds.challengers import DUE, NAMES, admit_challengers, skilled_challenger, unskilled_challenger
from worlds.platform import execute, rows, slice_of

from boursomatic_assets import registry
from boursomatic_assets.calendars.markets import all_sessions, first_open
from boursomatic_assets.registry import decisions
from boursomatic_assets.registry.model_files import ModelFileError

EVENINGS = {date: dt.datetime.combine(date, dt.time(23)) for date in DUE}


def read_log(engine: Engine) -> decisions.DecisionLog:
    with engine.connect() as connection:
        return decisions.read_log(connection)


def champions(engine: Engine) -> list[str | None]:
    """The champion in the evening of each due date."""
    versions = [read_log(engine).champion_at(evening) for evening in EVENINGS.values()]
    return [version.version if version else None for version in versions]


def present_champion(engine: Engine) -> str | None:
    """The champion at this moment."""
    version = read_log(engine).champion_at(dt.datetime.now(dt.UTC).replace(tzinfo=None))
    return version.version if version else None


def active_versions(engine: Engine) -> list[str]:
    return [row["version"] for row in rows(engine, "SELECT version FROM model_versions WHERE is_active")]


def stored_decisions(engine: Engine) -> list[dict[str, Any]]:
    """Every decision, with the transaction that wrote it, in the order of writing."""
    return rows(engine, "SELECT xmin::text, * FROM model_decisions ORDER BY decided_at")


def kinds(engine: Engine) -> list[str]:
    return [decision.kind for decision in read_log(engine).decisions]


# --- decisions of the gate


def test_a_version_is_champion_from_its_first_open_until_the_next_promotion(migrated: Engine) -> None:
    admit_challengers(skilled_challenger(), skilled_challenger())
    assert read_log(migrated).champion_at(first_open(DUE[0]) - dt.timedelta(microseconds=1)) is None
    assert read_log(migrated).champion_at(first_open(DUE[0])).version == NAMES[0]
    assert read_log(migrated).champion_at(first_open(DUE[1]) - dt.timedelta(microseconds=1)).version == NAMES[0]
    assert read_log(migrated).champion_at(first_open(DUE[1])).version == NAMES[1]
    assert active_versions(migrated) == [NAMES[1]]


def test_a_refused_challenger_is_never_champion(migrated: Engine) -> None:
    admit_challengers(skilled_challenger("a"), unskilled_challenger("b"), skilled_challenger("a"))
    assert kinds(migrated) == ["promoted", "refused", "retrained"]
    assert champions(migrated)[:3] == [NAMES[0], NAMES[0], NAMES[2]]


def test_after_a_withdrawal_there_is_no_champion_until_a_version_has_skill_again(migrated: Engine) -> None:
    admit_challengers(
        skilled_challenger("a"), unskilled_challenger("a"), unskilled_challenger("b"), skilled_challenger("a")
    )
    assert kinds(migrated) == ["promoted", "withdrawn", "refused", "promoted"]
    assert champions(migrated)[:4] == [NAMES[0], None, None, NAMES[3]]


def test_without_a_champion_the_last_one_stays_active(migrated: Engine) -> None:
    admit_challengers(skilled_challenger(), unskilled_challenger())
    assert present_champion(migrated) is None
    assert active_versions(migrated) == [NAMES[0]]
    assert read_log(migrated).active_version.version == NAMES[0]


def test_before_a_version_has_skill_none_is_active(migrated: Engine) -> None:
    admit_challengers(unskilled_challenger(), unskilled_challenger())
    assert kinds(migrated) == ["refused", "refused"]
    assert active_versions(migrated) == []


def test_the_timeline_has_the_champion_the_abstention_and_the_newest_version(migrated: Engine) -> None:
    admit_challengers(skilled_challenger(), unskilled_challenger(), due=DUE[1:])
    timeline = {moment.date: moment for moment in registry.champion_timeline(slice_of("US", DUE[0], DUE[3]))}
    early, first, later, abstaining = (timeline[date] for date in (DUE[0], DUE[1], dt.date(2023, 10, 31), DUE[2]))
    assert (early.champion, early.abstention, early.newest) == (None, None, None)
    assert first.champion == first.challenger == first.newest
    assert first.decision.kind == "promoted"
    assert (later.champion, later.challenger, later.abstention) == (first.champion, None, None)
    assert abstaining.champion is None
    assert abstaining.abstention == abstaining.decision
    assert abstaining.abstention.kind == "withdrawn"
    assert abstaining.newest == abstaining.challenger
    assert timeline[DUE[3]].abstention == abstaining.abstention, "and so on until the next decision"


def test_a_decision_has_the_numbers_of_both_versions_and_who_decided(migrated: Engine) -> None:
    admit_challengers(skilled_challenger(), skilled_challenger(by_month={"2023-09": [0.05, 1.08, 4]}))
    first, second = read_log(migrated).decisions
    assert first.numbers["versions"] == {"challenger": NAMES[0], "champion": None}
    assert second.numbers["versions"] == {"challenger": NAMES[1], "champion": NAMES[0]}
    assert second.numbers["challenger"]["rank_ic"] == second.numbers["champion"]["rank_ic"] == 0.04
    assert (second.decided_by, second.effective_at) == ("gate", first_open(DUE[1]))


def test_a_due_date_that_is_trained_late_changes_no_later_decision(migrated: Engine) -> None:
    """Earlier history is loaded after the versions of November and December were made."""
    admit_challengers(skilled_challenger(), unskilled_challenger("b"), due=DUE[2:4])
    before = stored_decisions(migrated)
    admit_challengers(skilled_challenger("c", rank_ic=0.9, rank_ic_t=9.0), unskilled_challenger("c"))
    assert stored_decisions(migrated)[:2] == before
    assert champions(migrated) == [NAMES[0], None, NAMES[2], NAMES[2], NAMES[2], NAMES[2]]
    assert active_versions(migrated) == [NAMES[2]]


def test_decisions_are_only_added(migrated: Engine) -> None:
    admit_challengers(skilled_challenger(), skilled_challenger("b"))
    for decide in (
        lambda: admit_challengers(unskilled_challenger("b"), due=DUE[2:]),
        lambda: registry.promote(NAMES[0], "trusted", "ann"),
    ):
        before = stored_decisions(migrated)
        decide()
        assert stored_decisions(migrated)[:-1] == before


# --- decisions of a person


@pytest.mark.calendar
def test_a_forced_version_is_champion_from_now_on_and_never_in_the_past(migrated: Engine) -> None:
    admit_challengers(skilled_challenger("a"), unskilled_challenger("b"))
    before = registry.champion_timeline(slice_of("US"))
    decided = registry.promote(NAMES[1], "its data were wrong", "ann")
    assert registry.champion_timeline(slice_of("US")) == before
    assert present_champion(migrated) == NAMES[1]
    assert active_versions(migrated) == [NAMES[1]]
    assert (decided.kind, decided.reason, decided.decided_by) == ("forced", "its data were wrong", "ann")
    assert decided.effective_at == decided.decided_at
    assert decided.numbers["versions"] == {"challenger": NAMES[1], "champion": NAMES[0]}
    assert read_log(migrated).decisions[-1] == decided


@pytest.mark.calendar
def test_the_next_challenger_is_compared_with_the_forced_champion(migrated: Engine) -> None:
    admit_challengers(skilled_challenger("a"), skilled_challenger("b"))
    registry.promote(NAMES[0], "trusted", "ann")
    coming = [date for date in all_sessions().tolist() if date > dt.datetime.now(dt.UTC).date() + dt.timedelta(1)]
    admit_challengers(skilled_challenger("b"), due=coming)
    assert read_log(migrated).decisions[-1].numbers["versions"]["champion"] == NAMES[0]


def test_a_version_can_be_forced_without_a_champion(migrated: Engine) -> None:
    admit_challengers(skilled_challenger(), unskilled_challenger())
    assert registry.promote(NAMES[0], "better than nothing", "ann").numbers["champion"] is None
    assert present_champion(migrated) == NAMES[0]


def test_a_rollback_returns_to_the_former_champion_and_a_second_one_back(migrated: Engine) -> None:
    admit_challengers(skilled_challenger("a"), skilled_challenger("b"), unskilled_challenger("c"))
    first = registry.roll_back("it lost money", "ann")
    assert (first.kind, first.version.version, first.champion.version) == ("rolled back", NAMES[1], NAMES[0])
    assert present_champion(migrated) == NAMES[0]
    registry.roll_back("on second thoughts", "bob")
    assert present_champion(migrated) == NAMES[1]
    assert active_versions(migrated) == [NAMES[1]]


def test_a_rollback_ends_an_abstention(migrated: Engine) -> None:
    admit_challengers(skilled_challenger(), unskilled_challenger())
    decided = registry.roll_back("the record was too short", "ann")
    assert (decided.version.version, decided.champion.version) == (NAMES[1], NAMES[0])
    assert decided.numbers["versions"] == {"challenger": NAMES[0], "champion": None}
    assert active_versions(migrated) == [NAMES[0]]


REJECTED: dict[str, tuple[Callable[[], object], str]] = {
    "a version that does not exist": (
        lambda: registry.promote("v1", "because", "ann"),
        "there is no version 'v1'",
    ),
    "the present champion": (lambda: registry.promote(NAMES[0], "because", "ann"), "is champion already"),
    "without a reason": (lambda: registry.promote(NAMES[1], " ", "ann"), "needs a reason: say --because"),
    "without a name": (lambda: registry.promote(NAMES[1], "because", ""), "needs the name of a person"),
    "in the gate's name": (lambda: registry.promote(NAMES[1], "because", "gate"), "not 'gate': say --by"),
    "without an earlier champion": (lambda: registry.roll_back("because", "ann"), "there is no earlier champion"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_other_decisions_of_a_person_are_errors(migrated: Engine, case: str) -> None:
    admit_challengers(skilled_challenger("a"), unskilled_challenger("b"))
    before = stored_decisions(migrated)
    attempt, message = REJECTED[case]
    with pytest.raises(ValueError, match=message):
        attempt()
    assert stored_decisions(migrated) == before
    assert active_versions(migrated) == [NAMES[0]]


def test_without_any_version_there_is_no_rollback(migrated: Engine) -> None:
    with pytest.raises(ValueError, match="there is no earlier champion"):
        registry.roll_back("because", "ann")


def test_a_version_without_its_file_cannot_be_promoted(migrated: Engine, home: Path) -> None:
    admit_challengers(skilled_challenger("a"), unskilled_challenger("b"))
    for path in (home / "models").iterdir():
        path.unlink()
    with pytest.raises(ModelFileError, match="is missing"):
        registry.promote(NAMES[1], "because", "ann")
    assert present_champion(migrated) == NAMES[0]


def test_after_many_decisions_at_once_one_version_is_active(migrated: Engine) -> None:
    admit_challengers(*(skilled_challenger(recipe) for recipe in "abcdef"))
    execute(migrated, "UPDATE model_versions SET is_active = false")

    def attempt(place: int) -> bool:
        try:
            registry.promote(NAMES[place % 5], f"attempt {place}", "ann")
        except ValueError as error:
            assert "is champion already" in str(error)
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        decided = sum(pool.map(attempt, range(40)))
    assert kinds(migrated).count("forced") == decided > 5
    assert (
        active_versions(migrated)
        == [read_log(migrated).decisions[-1].champion.version]
        == [present_champion(migrated)]
    )
