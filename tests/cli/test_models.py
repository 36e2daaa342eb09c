"""`boursomatic models`: its output about versions and decisions, and the decisions of a person."""

import json

import pytest
from sqlalchemy import Engine
from worlds.challengers import (
    DUE,
    NAMES,
    RECORD,
    SKILL,
    admit_challengers,
    skilled_challenger,
    unskilled_challenger,
)
from worlds.commands import boursomatic, error_line
from worlds.platform import rows

from boursomatic_assets.calendars.markets import first_open
from boursomatic_assets.cli.views import models

CURVE = [[0.36, 0.35, 1200], [0.42, 0.44, 300]]


@pytest.fixture
def three_versions(migrated: Engine) -> Engine:
    """A champion, a refused challenger of another recipe, and a retrained champion with a reliability curve."""
    admit_challengers(
        skilled_challenger("a"),
        unskilled_challenger("b"),
        skilled_challenger("a", rank_ic=0.05, reliability=CURVE, by_market={"US": {"rank_ic": 0.06}}),
    )
    return migrated


def output(*words: str) -> str:
    result = boursomatic("models", *words)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_list_shows_every_version_with_its_decision(three_versions: Engine) -> None:
    listed = json.loads(output("list", "--json"))
    assert [(row["version"], row["decision"], row["champion"], row["active"]) for row in listed] == [
        (NAMES[0], "promoted", False, False),
        (NAMES[1], "refused", False, False),
        (NAMES[2], "retrained", True, True),
    ]
    assert [row["rank_ic"] for row in listed] == [0.04, 0.001, 0.05]
    table = output("list").splitlines()
    assert [
        line for line in table if NAMES[1] in line and "refused" in line and "0.001" in line and "bbbbbbbb" in line
    ]


def test_the_evidence_for_each_version_is_shown_and_what_each_profile_asks(
    three_versions: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOURSOMATIC_EVIDENCE", "20,5,2")
    listed = json.loads(output("list", "--json"))
    assert [(row["evidence_10"], row["evidence_20"]) for row in listed] == [
        (30.0, None),
        (0.2, None),
        (30.0, None),
    ]
    assert output("list").count("30 / - / -") == 2
    shown = output("show", NAMES[2])
    assert (
        "  30 to 1 at 10 sessions, aggressive asks for 2 to 1: it has a view\n"
        "  0 to 1 at 20 sessions, moderate asks for 5 to 1: it has no view\n"
    ) in shown
    assert f"{NAMES[2]} 30 to 1 at 10 sessions, aggressive asks for 2 to 1" in boursomatic("status").output


def test_evidence_is_rounded_down_as_in_a_justification() -> None:
    (line, *_) = models.evidence_lines({"evidence": {"10": {"value": 5.479}}})
    assert line.startswith("5.47 to 1 at 10 sessions")


def test_a_cautious_profile_has_no_view_where_a_bolder_one_has_none(migrated: Engine) -> None:
    much = {"value": 99.0, "against": 0.1, "steps": 9}
    little = much | {"value": 1.05}
    admit_challengers(skilled_challenger(evidence={"10": little, "20": much, "40": much}))
    assert output("show", NAMES[0]).count("it has no view") == 3


def test_versions_without_a_record_are_shown(migrated: Engine) -> None:
    """Versions of an older kind, or of a history that is too short, have no figures at all."""
    nothing = dict.fromkeys((*RECORD, *SKILL))
    admit_challengers(skilled_challenger(**nothing), skilled_challenger("b", **nothing))
    for listed in (output("list"), output("list", "--json")):
        assert all(name in listed for name in NAMES[:2])
    assert "None" not in output("show", NAMES[0])


def test_without_a_champion_the_list_shows_the_active_version(migrated: Engine) -> None:
    admit_challengers(skilled_challenger(), unskilled_challenger())
    listed = json.loads(output("list", "--json"))
    assert [(row["champion"], row["active"]) for row in listed] == [(False, True), (False, False)]


def test_a_version_is_shown_with_the_compared_numbers_and_its_reliability(three_versions: Engine) -> None:
    shown = output("show", NAMES[2])
    assert f"retrained by gate: {NAMES[2]} is champion from {first_open(DUE[2]):%Y-%m-%d %H:%M:%S} UTC\n" in shown
    assert f"versions:             challenger {NAMES[2]}, champion {NAMES[0]}" in shown
    assert "champion:             rank_ic 0.04, rank_ic_t 2.5" in shown
    assert "by_market:            US (rank_ic 0.06)" in shown
    assert shown.splitlines()[-3:] == [
        "  confidence   right       rows",
        "       0.360   0.350      1,200  ##############",
        "       0.420   0.440        300  ##################",
    ]
    assert "reliability" not in output("show", NAMES[0])


def test_a_version_is_shown_as_json(three_versions: Engine) -> None:
    shown = json.loads(output("show", NAMES[2], "--json"))
    assert shown["metrics"]["reliability"] == CURVE
    assert shown["decisions"][0]["numbers"]["champion"]["rank_ic"] == 0.04


def test_the_champion_at_a_past_time_is_shown(three_versions: Engine) -> None:
    opened = first_open(DUE[0]).isoformat()
    assert output("live", "--at", opened).startswith(f"{NAMES[0]} is champion at")
    assert (
        output("live", "--at", "2023-10-15")
        .splitlines()[1]
        .startswith(f"  refused: decision about {NAMES[1]} by gate")
    )
    assert output("live").startswith(f"{NAMES[2]} is champion at")
    assert output("live", "--at", "2020-01-01") == (
        "no champion at 2020-01-01 00:00:00 UTC: there is no model version yet\n"
    )


def test_without_a_champion_the_reason_is_shown(migrated: Engine) -> None:
    admit_challengers(skilled_challenger(), unskilled_challenger())
    shown = output("live", "--at", "2023-10-15")
    assert shown.startswith(
        "no champion at 2023-10-15 00:00:00 UTC: every recommendation is HOLD\n  withdrawn: decision about"
    )
    assert "the evidence against it is 30 to 1 at 10 sessions, and 1.1 to 1 withdraws it" in shown
    answer = json.loads(output("live", "--at", "2023-10-15", "--json"))
    assert (answer["version"], answer["decision"]["kind"]) == (None, "withdrawn")
    assert json.loads(output("live", "--at", "2020-01-01", "--json"))["decision"] is None
    assert f"none. {NAMES[1]}: Withdrawn, with the version that spoke" in boursomatic("status").output


def test_a_person_promotes_and_rolls_back(three_versions: Engine) -> None:
    shown = output("promote", NAMES[1], "--because", "its data were wrong", "--by", "ann")
    assert shown.startswith(f"forced by ann: {NAMES[1]} is champion from ")
    assert " UTC\n  its data were wrong\n" in shown
    assert output("live").startswith(f"{NAMES[1]} is champion at")
    assert output("rollback", "--because", "on second thoughts", "--by", "bob").startswith("rolled back by bob")
    assert output("live").startswith(f"{NAMES[2]} is champion at")
    assert "rolled back by bob" in output("show", NAMES[1])
    listed = {row["version"]: row for row in json.loads(output("list", "--json"))}
    assert (listed[NAMES[1]]["decision"], listed[NAMES[1]]["decided_by"]) == ("rolled back", "bob")


def test_the_systems_user_decides_by_default(three_versions: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "carol")
    assert output("rollback", "--because", "it lost money").startswith("rolled back by carol")


BAD_REQUESTS = {
    "show v1": "there is no version 'v1': `boursomatic models list` names them",
    "promote v1 --because why": "there is no version 'v1'",
    f"promote {NAMES[1]}": "Missing option '--because'",
    f"promote {NAMES[2]} --because why": f"{NAMES[2]} is champion already",
    f"promote {NAMES[1]} --because why --by gate": "needs the name of a person",
    "rollback": "Missing option '--because'",
    "live --at noon": "'noon' does not match",
}


@pytest.mark.parametrize("command", BAD_REQUESTS)
def test_a_bad_request_is_refused_and_changes_nothing(three_versions: Engine, command: str) -> None:
    before = rows(three_versions, "SELECT xmin::text, * FROM model_decisions ORDER BY id")
    assert BAD_REQUESTS[command] in error_line(boursomatic("models", *command.split()))
    assert rows(three_versions, "SELECT xmin::text, * FROM model_decisions ORDER BY id") == before


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("list", "there is no model version yet: `boursomatic backfill` trains those that are due"),
        ("rollback --because why", "there is no earlier champion"),
    ],
)
def test_without_versions_the_error_says_so(migrated: Engine, command: str, message: str) -> None:
    assert message in error_line(boursomatic("models", *command.split()))


def test_a_schema_at_another_revision_is_refused(database: Engine) -> None:
    assert "run `boursomatic db upgrade`" in error_line(boursomatic("models", "list"))


def test_a_search_reads_the_stored_history_and_changes_nothing(filled: Engine) -> None:
    before = rows(filled, "SELECT xmin::text, version FROM model_versions ORDER BY version")
    shown = output("search", "--until", "2024-02-01", "--trials", "2")
    assert "rank_ic_before" in shown
    assert "parameters.py:" in shown or "no trial was better" in shown
    assert rows(filled, "SELECT xmin::text, version FROM model_versions ORDER BY version") == before


@pytest.mark.parametrize(
    ("until", "message"),
    [
        ("2023-05-02", "nothing was scored and known before 2023-05-02"),
        ("soon", "'soon' is no date: write YYYY-MM-DD"),
    ],
)
def test_an_impossible_date_of_a_search_is_refused(filled: Engine, until: str, message: str) -> None:
    assert message in error_line(boursomatic("models", "search", "--until", until))
