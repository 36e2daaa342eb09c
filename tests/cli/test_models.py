"""`boursomatic models`: what it answers about versions and decisions, and how a person decides."""

import json

import pytest
from sqlalchemy import Engine
from worlds.challengers import DUE, NAMES, RECORD, SKILL, admit, blind, good
from worlds.commands import boursomatic, refusal
from worlds.platform import rows

from boursomatic_assets.calendars.markets import first_open

CURVE = [[0.36, 0.35, 1200], [0.42, 0.44, 300]]


@pytest.fixture
def three(migrated: Engine) -> Engine:
    """A champion, a refused challenger of another recipe, and a promoted one that is sure of itself."""
    admit(good("a"), blind("b"), good("a", rank_ic=0.05, reliability=CURVE, by_market={"US": {"rank_ic": 0.06}}))
    return migrated


def told(*words: str) -> str:
    result = boursomatic("models", *words)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_list_shows_every_version_with_its_decision(three: Engine) -> None:
    listed = json.loads(told("list", "--json"))
    assert [(row["version"], row["decision"], row["speaks"], row["active"]) for row in listed] == [
        (NAMES[0], "promoted", False, False),
        (NAMES[1], "refused", False, False),
        (NAMES[2], "promoted", True, True),
    ]
    assert [row["rank_ic"] for row in listed] == [0.04, 0.001, 0.05]
    table = told("list").splitlines()
    assert [
        line for line in table if NAMES[1] in line and "refused" in line and "0.001" in line and "bbbbbbbb" in line
    ]


def test_versions_without_a_record_are_shown(migrated: Engine) -> None:
    """As those of an older kind, or of a history that is too short, have no figures at all."""
    nothing = dict.fromkeys((*RECORD, *SKILL))
    admit(good(**nothing), good("b", **nothing))
    for listed in (told("list"), told("list", "--json")):
        assert all(name in listed for name in NAMES[:2])
    assert "None" not in told("show", NAMES[0])


def test_while_nobody_speaks_the_list_shows_who_is_active(migrated: Engine) -> None:
    admit(good(), blind())
    listed = json.loads(told("list", "--json"))
    assert [(row["speaks"], row["active"]) for row in listed] == [(False, True), (False, False)]


def test_a_version_is_shown_with_both_sides_numbers_and_its_reliability(three: Engine) -> None:
    shown = told("show", NAMES[2])
    assert f"promoted by gate: from {first_open(DUE[2]):%Y-%m-%d %H:%M:%S} UTC on {NAMES[2]} speaks" in shown
    assert f"versions:             challenger {NAMES[2]}, champion {NAMES[0]}" in shown
    assert "champion:             rank_ic 0.04, rank_ic_t 2.5" in shown
    assert "by_market:            US (rank_ic 0.06)" in shown
    assert shown.splitlines()[-3:] == [
        "  confidence   right       rows",
        "       0.360   0.350      1,200  ##############",
        "       0.420   0.440        300  ##################",
    ]
    assert "reliability" not in told("show", NAMES[0])


def test_a_version_is_shown_as_json(three: Engine) -> None:
    shown = json.loads(told("show", NAMES[2], "--json"))
    assert shown["metrics"]["reliability"] == CURVE
    assert shown["decisions"][0]["numbers"]["champion"]["rank_ic"] == 0.04


def test_who_spoke_at_a_past_moment_is_told(three: Engine) -> None:
    opened = first_open(DUE[0]).isoformat()
    assert told("live", "--at", opened).startswith(f"{NAMES[0]} spoke at")
    assert (
        told("live", "--at", "2023-10-15")
        .splitlines()[1]
        .startswith(f"  refused: decision about {NAMES[1]} by gate")
    )
    assert told("live").startswith(f"{NAMES[2]} spoke at")
    assert told("live", "--at", "2020-01-01") == (
        "no version spoke at 2020-01-01 00:00:00 UTC: there was none yet\n"
    )


def test_why_none_spoke_is_told(migrated: Engine) -> None:
    admit(good(), blind())
    said = told("live", "--at", "2023-10-15")
    assert said.startswith(
        "no version spoke at 2023-10-15 00:00:00 UTC, and HOLD was published\n  withdrawn: decision about"
    )
    assert "shows no skill" in said
    answer = json.loads(told("live", "--at", "2023-10-15", "--json"))
    assert (answer["version"], answer["decision"]["kind"]) == (None, "withdrawn")
    assert json.loads(told("live", "--at", "2020-01-01", "--json"))["decision"] is None
    assert f"none. {NAMES[1]}: Withdrawn, with the version that spoke" in boursomatic("status").output


def test_a_person_promotes_and_rolls_back(three: Engine) -> None:
    said = told("promote", NAMES[1], "--because", "its data were wrong", "--by", "ann")
    assert said.startswith("forced by ann: from ")
    assert f"on {NAMES[1]} speaks\n  its data were wrong\n" in said
    assert told("live").startswith(f"{NAMES[1]} spoke at")
    assert told("rollback", "--because", "on second thoughts", "--by", "bob").startswith("rolled back by bob")
    assert told("live").startswith(f"{NAMES[2]} spoke at")
    assert "rolled back by bob" in told("show", NAMES[1])
    listed = {row["version"]: row for row in json.loads(told("list", "--json"))}
    assert (listed[NAMES[1]]["decision"], listed[NAMES[1]]["decided_by"]) == ("rolled back", "bob")


def test_who_decides_is_the_systems_user_unless_said(three: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "carol")
    assert told("rollback", "--because", "it lost money").startswith("rolled back by carol")


REFUSED = {
    "show v1": "there is no version 'v1': `boursomatic models list` names them",
    "promote v1 --because why": "there is no version 'v1'",
    f"promote {NAMES[1]}": "Missing option '--because'",
    f"promote {NAMES[2]} --because why": f"{NAMES[2]} speaks already",
    f"promote {NAMES[1]} --because why --by gate": "needs the name of a person",
    "rollback": "Missing option '--because'",
    "live --at noon": "'noon' does not match",
}


@pytest.mark.parametrize("command", REFUSED)
def test_what_cannot_be_done_is_said_and_changes_nothing(three: Engine, command: str) -> None:
    before = rows(three, "SELECT xmin::text, * FROM model_decisions ORDER BY id")
    assert REFUSED[command] in refusal(boursomatic("models", *command.split()))
    assert rows(three, "SELECT xmin::text, * FROM model_decisions ORDER BY id") == before


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("list", "there is no model version yet: `boursomatic backfill` trains those that are due"),
        ("rollback --because why", "no other version spoke before"),
    ],
)
def test_before_there_is_a_version_that_is_said(migrated: Engine, command: str, said: str) -> None:
    assert said in refusal(boursomatic("models", *command.split()))


def test_a_schema_of_other_code_is_refused(database: Engine) -> None:
    assert "run `boursomatic db upgrade`" in refusal(boursomatic("models", "list"))


def test_a_search_reads_the_stored_history_and_changes_nothing(filled: Engine) -> None:
    before = rows(filled, "SELECT xmin::text, version FROM model_versions ORDER BY version")
    said = told("search", "--until", "2024-02-01", "--trials", "2")
    assert "rank_ic_before" in said
    assert "parameters.py:" in said or "no trial was better" in said
    assert rows(filled, "SELECT xmin::text, version FROM model_versions ORDER BY version") == before


@pytest.mark.parametrize(
    ("until", "said"),
    [
        ("2023-05-02", "nothing was scored and known before 2023-05-02"),
        ("soon", "'soon' is no date: write YYYY-MM-DD"),
    ],
)
def test_a_date_that_cannot_be_searched_until_is_refused(filled: Engine, until: str, said: str) -> None:
    assert said in refusal(boursomatic("models", "search", "--until", until))
