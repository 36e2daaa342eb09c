"""Promises about decisions: who speaks when, who is active, and what a person may do; the gate is the real one."""

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from worlds.challengers import DUE, NAMES, admit_challengers, unskilled_challenger, skilled_challenger
from worlds.platform import execute, rows, slice_of

from boursomatic_assets import registry
from boursomatic_assets.calendars.markets import all_sessions, first_open
from boursomatic_assets.learning.model_files import ModelFileError
from boursomatic_assets.registry import decisions

SPEAKERS_AFTER = {date: dt.datetime.combine(date, dt.time(23)) for date in DUE}


def book(engine: Engine) -> decisions.DecisionLog:
    with engine.connect() as connection:
        return decisions.read_log(connection)


def spoke(engine: Engine) -> list[str | None]:
    """Who spoke late on each due date."""
    speakers = [book(engine).champion_at(evening) for evening in SPEAKERS_AFTER.values()]
    return [speaker.version if speaker else None for speaker in speakers]


def speaks(engine: Engine) -> str | None:
    """Who speaks now."""
    speaker = book(engine).champion_at(dt.datetime.now(dt.UTC).replace(tzinfo=None))
    return speaker.version if speaker else None


def active(engine: Engine) -> list[str]:
    return [row["version"] for row in rows(engine, "SELECT version FROM model_versions WHERE is_active")]


def stored(engine: Engine) -> list[dict[str, Any]]:
    """Every decision, with the transaction that wrote it, in the order of writing."""
    return rows(engine, "SELECT xmin::text, * FROM model_decisions ORDER BY decided_at")


def kinds(engine: Engine) -> list[str]:
    return [decision.kind for decision in book(engine).decisions]


# --- the gate's decisions


def test_a_version_speaks_from_its_due_dates_first_open_until_the_next_one_is_promoted(migrated: Engine) -> None:
    admit_challengers(skilled_challenger(), skilled_challenger())
    assert book(migrated).champion_at(first_open(DUE[0]) - dt.timedelta(microseconds=1)) is None
    assert book(migrated).champion_at(first_open(DUE[0])).version == NAMES[0]
    assert book(migrated).champion_at(first_open(DUE[1]) - dt.timedelta(microseconds=1)).version == NAMES[0]
    assert book(migrated).champion_at(first_open(DUE[1])).version == NAMES[1]
    assert active(migrated) == [NAMES[1]]


def test_a_refused_challenger_never_speaks(migrated: Engine) -> None:
    admit_challengers(skilled_challenger("a"), unskilled_challenger("b"), skilled_challenger("a"))
    assert kinds(migrated) == ["promoted", "refused", "promoted"]
    assert spoke(migrated)[:3] == [NAMES[0], NAMES[0], NAMES[2]]


def test_where_the_champions_recipe_lost_its_skill_nobody_speaks_until_one_has_it_again(migrated: Engine) -> None:
    admit_challengers(skilled_challenger("a"), unskilled_challenger("a"), unskilled_challenger("b"), skilled_challenger("a"))
    assert kinds(migrated) == ["promoted", "withdrawn", "refused", "promoted"]
    assert spoke(migrated)[:4] == [NAMES[0], None, None, NAMES[3]]


def test_while_nobody_speaks_the_last_speaker_stays_active(migrated: Engine) -> None:
    admit_challengers(skilled_challenger(), unskilled_challenger())
    assert speaks(migrated) is None
    assert active(migrated) == [NAMES[0]]
    assert book(migrated).active_version.version == NAMES[0]


def test_before_a_version_has_skill_none_is_active(migrated: Engine) -> None:
    admit_challengers(unskilled_challenger(), unskilled_challenger())
    assert kinds(migrated) == ["refused", "refused"]
    assert active(migrated) == []


def test_a_moment_says_why_nobody_speaks_and_which_version_is_the_newest(migrated: Engine) -> None:
    admit_challengers(skilled_challenger(), unskilled_challenger(), due=DUE[1:])
    moments = {moment.date: moment for moment in registry.champion_timeline(slice_of("US", DUE[0], DUE[3]))}
    early, first, spoken, silent = (moments[date] for date in (DUE[0], DUE[1], dt.date(2023, 10, 31), DUE[2]))
    assert (early.champion, early.abstention, early.newest) == (None, None, None)
    assert first.champion == first.challenger == first.newest
    assert first.decision.kind == "promoted"
    assert (spoken.champion, spoken.challenger, spoken.abstention) == (first.champion, None, None)
    assert silent.champion is None
    assert silent.abstention == silent.decision
    assert silent.abstention.kind == "withdrawn"
    assert silent.newest == silent.challenger
    assert moments[DUE[3]].abstention == silent.abstention, "and so on until the next decision"


def test_a_decision_keeps_both_sides_numbers_and_who_decided(migrated: Engine) -> None:
    admit_challengers(skilled_challenger(), skilled_challenger(by_month={"2023-09": [0.05, 1.08, 4]}))
    first, second = book(migrated).decisions
    assert first.numbers["versions"] == {"challenger": NAMES[0], "champion": None}
    assert second.numbers["versions"] == {"challenger": NAMES[1], "champion": NAMES[0]}
    assert second.numbers["challenger"]["rank_ic"] == second.numbers["champion"]["rank_ic"] == 0.04
    assert (second.decided_by, second.effective_at) == ("gate", first_open(DUE[1]))


def test_a_due_date_that_is_trained_late_changes_nothing_later(migrated: Engine) -> None:
    """Earlier history is loaded after the versions of November and December were made."""
    admit_challengers(skilled_challenger(), unskilled_challenger("b"), due=DUE[2:4])
    then = stored(migrated)
    admit_challengers(skilled_challenger("c", rank_ic=0.9, rank_ic_t=9.0), unskilled_challenger("c"))
    assert stored(migrated)[:2] == then
    assert spoke(migrated) == [NAMES[0], None, NAMES[2], NAMES[2], NAMES[2], NAMES[2]]
    assert active(migrated) == [NAMES[2]]


def test_a_decision_is_only_ever_added(migrated: Engine) -> None:
    admit_challengers(skilled_challenger(), skilled_challenger("b"))
    for decide in (lambda: admit_challengers(unskilled_challenger("b"), due=DUE[2:]), lambda: registry.promote(NAMES[0], "trusted", "ann")):
        then = stored(migrated)
        decide()
        assert stored(migrated)[:-1] == then


# --- a person's decisions


@pytest.mark.calendar
def test_a_forced_version_speaks_from_now_on_and_changes_no_past(migrated: Engine) -> None:
    admit_challengers(skilled_challenger("a"), unskilled_challenger("b"))
    then = registry.champion_timeline(slice_of("US"))
    decided = registry.promote(NAMES[1], "its data were wrong", "ann")
    assert registry.champion_timeline(slice_of("US")) == then
    assert speaks(migrated) == NAMES[1]
    assert active(migrated) == [NAMES[1]]
    assert (decided.kind, decided.reason, decided.decided_by) == ("forced", "its data were wrong", "ann")
    assert decided.effective_at == decided.decided_at
    assert decided.numbers["versions"] == {"challenger": NAMES[1], "champion": NAMES[0]}
    assert book(migrated).decisions[-1] == decided


@pytest.mark.calendar
def test_the_next_due_date_decides_against_the_forced_champion(migrated: Engine) -> None:
    admit_challengers(skilled_challenger("a"), skilled_challenger("b"))
    registry.promote(NAMES[0], "trusted", "ann")
    coming = [date for date in all_sessions().tolist() if date > dt.datetime.now(dt.UTC).date() + dt.timedelta(1)]
    admit_challengers(skilled_challenger("b"), due=coming)
    assert book(migrated).decisions[-1].numbers["versions"]["champion"] == NAMES[0]


def test_a_version_can_be_forced_while_nobody_speaks(migrated: Engine) -> None:
    admit_challengers(skilled_challenger(), unskilled_challenger())
    assert registry.promote(NAMES[0], "better than nothing", "ann").numbers["champion"] is None
    assert speaks(migrated) == NAMES[0]


def test_a_rollback_goes_back_to_the_speaker_before_and_a_second_one_returns(migrated: Engine) -> None:
    admit_challengers(skilled_challenger("a"), skilled_challenger("b"), unskilled_challenger("c"))
    first = registry.roll_back("it lost money", "ann")
    assert (first.kind, first.version.version, first.champion.version) == ("rolled back", NAMES[1], NAMES[0])
    assert speaks(migrated) == NAMES[0]
    registry.roll_back("on second thoughts", "bob")
    assert speaks(migrated) == NAMES[1]
    assert active(migrated) == [NAMES[1]]


def test_a_rollback_ends_a_silence(migrated: Engine) -> None:
    admit_challengers(skilled_challenger(), unskilled_challenger())
    decided = registry.roll_back("the record was too short", "ann")
    assert (decided.version.version, decided.champion.version) == (NAMES[1], NAMES[0])
    assert decided.numbers["versions"] == {"challenger": NAMES[0], "champion": None}
    assert active(migrated) == [NAMES[0]]


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "a version that is none": (lambda: registry.promote("v1", "because", "ann"), "there is no version 'v1'"),
    "the one that speaks": (lambda: registry.promote(NAMES[0], "because", "ann"), "speaks already"),
    "without a reason": (lambda: registry.promote(NAMES[1], " ", "ann"), "needs a reason: say --because"),
    "without a name": (lambda: registry.promote(NAMES[1], "because", ""), "needs the name of a person"),
    "in the gate's name": (lambda: registry.promote(NAMES[1], "because", "gate"), "not 'gate': say --by"),
    "back to nobody": (lambda: registry.roll_back("because", "ann"), "no other version spoke before"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_person_cannot_decide_anything_else(migrated: Engine, case: str) -> None:
    admit_challengers(skilled_challenger("a"), unskilled_challenger("b"))
    then = stored(migrated)
    attempt, said = REFUSED[case]
    with pytest.raises(ValueError, match=said):
        attempt()
    assert stored(migrated) == then
    assert active(migrated) == [NAMES[0]]


def test_without_a_version_there_is_nothing_to_go_back_to(migrated: Engine) -> None:
    with pytest.raises(ValueError, match="no other version spoke before"):
        registry.roll_back("because", "ann")


def test_a_version_without_its_file_cannot_speak(migrated: Engine, home: Path) -> None:
    admit_challengers(skilled_challenger("a"), unskilled_challenger("b"))
    for path in (home / "models").iterdir():
        path.unlink()
    with pytest.raises(ModelFileError, match="is missing"):
        registry.promote(NAMES[1], "because", "ann")
    assert speaks(migrated) == NAMES[0]


def test_of_many_decisions_at_once_one_version_is_active(migrated: Engine) -> None:
    admit_challengers(*(skilled_challenger(recipe) for recipe in "abcdef"))
    execute(migrated, "UPDATE model_versions SET is_active = false")

    def attempt(place: int) -> bool:
        try:
            registry.promote(NAMES[place % 5], f"attempt {place}", "ann")
        except ValueError as error:
            assert "speaks already" in str(error)
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        decided = sum(pool.map(attempt, range(40)))
    assert kinds(migrated).count("forced") == decided > 5
    assert active(migrated) == [book(migrated).decisions[-1].champion.version] == [speaks(migrated)]
