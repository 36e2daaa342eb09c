"""A round over a real Dagster: one message for each thing that is wrong, and one when it is right again."""

import datetime as dt
from collections.abc import Sequence

import dagster as dg
import pytest
from sqlalchemy import Engine
from worlds.sessions import finish

from boursomatic_assets import database
from boursomatic_assets.alerts import problems
from boursomatic_assets.alerts.message import Message
from boursomatic_assets.alerts.rounds import go_round
from boursomatic_assets.orchestration.partitions import MARKET_SESSIONS
from boursomatic_assets.orchestration.session_counts import table

DATES = ("2024-06-10", "2024-06-11", "2024-06-12")
FAILING: set[str] = set()
"""The partitions that fail."""


@dg.asset(partitions_def=MARKET_SESSIONS)
def bars(context: dg.AssetExecutionContext) -> None:
    if context.partition_key in FAILING:
        raise ValueError("the file is torn\nand a second line")


@dg.asset_check(asset=bars, partitions_def=MARKET_SESSIONS)
def bars_are_usual(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    date, market = context.partition_key.split("|")
    bad = f"check {context.partition_key}" in FAILING
    row = {"market": market, "session": date, "symbol": "PEP"}
    return dg.AssetCheckResult(
        passed=not bad,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"3 warnings on 1 session: {market} {date}",
        metadata={"errors": 0, "warnings": 3 if bad else 0, "missing": table([row])},
    )


toys = dg.Definitions([bars], asset_checks=[bars_are_usual], jobs=[dg.define_asset_job("toy", [bars])])


class World:
    """The rounds of one channel, which keeps what it was told."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.sent = instance, list[Message]()
        self.cursor: str | None = None
        self.now = dt.datetime.now(dt.UTC).replace(tzinfo=None)

    def run(self, *dates: str, market: str = "US") -> None:
        """A run for each date."""
        for date in dates:
            toys.resolve_job_def("toy").execute_in_process(
                instance=self.instance, partition_key=f"{date}|{market}", raise_on_error=False
            )

    def round(self, minutes: float = 1) -> list[Message]:
        """Go a round later; what was told in it."""
        self.now += dt.timedelta(minutes=minutes)
        before = len(self.sent)
        self.cursor, failed, _ = go_round(self.instance, {"webhook": self.sent.append}, self.cursor, self.now)
        assert failed == []
        return self.sent[before:]


@pytest.fixture
def world(migrated: Engine, dagster_instance: dg.DagsterInstance) -> World:
    FAILING.clear()
    return World(dagster_instance)


def headlines(messages: Sequence[Message]) -> list[str]:
    return [message.headline for message in messages]


def test_nothing_is_said_while_nothing_is_wrong(world: World) -> None:
    world.run(DATES[0])
    assert world.round() == []


def test_failed_runs_of_a_market_are_one_message_until_later_ones_made_all_good(world: World) -> None:
    FAILING.update(f"{date}|US" for date in DATES[:2])
    world.run(*DATES)
    (message,) = world.round()
    assert message.headline == "PROBLEM: 2 runs failed: toy US"
    assert (message.market, message.sessions) == ("US", DATES[:2])
    assert message.detail == "2024-06-11: bars: ValueError: the file is torn"
    assert "/runs/" in message.link
    assert world.round() == []
    FAILING.clear()
    world.run(DATES[0])
    assert world.round() == []
    world.run(DATES[1])
    (recovery,) = world.round()
    assert recovery.headline == "RECOVERED: later runs made good: toy US"
    assert (recovery.sessions, recovery.link) == (message.sessions, message.link)
    assert world.round() == []


def test_a_run_that_fails_again_is_counted_half_a_day_later(world: World) -> None:
    FAILING.add(f"{DATES[0]}|US")
    world.run(DATES[0])
    assert headlines(world.round()) == ["PROBLEM: a run failed: toy US"]
    world.run(DATES[0])
    assert world.round() == []
    assert headlines(world.round(minutes=720)) == ["PROBLEM: 2 runs failed: toy US"]


def test_each_market_has_its_own_message(world: World) -> None:
    FAILING.update({f"{DATES[0]}|US", f"{DATES[0]}|EURONEXT"})
    world.run(DATES[0])
    world.run(DATES[0], market="EURONEXT")
    assert {message.market for message in world.round()} == {"US", "EURONEXT"}


def test_a_run_that_dagster_starts_again_is_not_told(world: World) -> None:
    FAILING.add(f"{DATES[0]}|US")
    world.run(DATES[0])
    (run,) = world.instance.get_runs()
    world.instance.add_run_tags(run.run_id, {"dagster/will_retry": "true"})
    assert world.round() == []


def test_a_check_is_one_message_for_all_its_sessions(world: World) -> None:
    """The run of a failed check is green, so nobody else tells of it."""
    FAILING.update(f"check {date}|US" for date in DATES[:2])
    world.run(*DATES)
    (message,) = world.round()
    assert message.headline == "PROBLEM: bars: bars_are_usual warns in US on 2 sessions"
    assert (message.sessions, message.rows, message.rule) == (DATES[:2], 6, "bars.bars_are_usual")
    assert message.detail == f"6 warnings, such as missing US {DATES[1]} PEP"
    assert message.link.endswith("/assets/bars?view=checks&checkDetail=bars_are_usual")
    FAILING.clear()
    world.run(DATES[0])
    assert world.round() == []
    world.run(DATES[1])
    (recovery,) = world.round()
    assert recovery.headline == "RECOVERED: bars.bars_are_usual passes again in US"
    assert recovery.facts() == {name: message.facts()[name] for name in ("market", "sessions", "rule", "link")}


def test_a_check_that_ran_without_a_partition_speaks_for_all(world: World) -> None:
    FAILING.add(f"check {DATES[0]}|US")
    world.run(DATES[0])
    assert len(world.round()) == 1
    passed = dg.AssetCheckEvaluation(asset_key=bars.key, check_name="bars_are_usual", passed=True, metadata={})
    world.instance.report_runless_asset_event(passed)
    assert headlines(world.round()) == ["RECOVERED: bars.bars_are_usual passes again in US"]


def test_drift_is_called_so(world: World) -> None:
    world.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey("model_versions"),
            check_name=problems.DRIFT,
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"worst_session": "US 2024-06-12 against v2024.06.03"},
        )
    )
    (message,) = world.round()
    assert message.headline == "PROBLEM: drift warns"
    assert "US 2024-06-12 against v2024.06.03" in message.detail


def test_checks_are_not_looked_at_while_none_has_a_new_result(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.round()
    monkeypatch.setattr(problems, "check_problems", lambda instance: pytest.fail("it looked"))
    world.round()
    with pytest.raises(pytest.fail.Exception, match="it looked"):
        world.round(minutes=61)


def test_a_market_that_falls_behind_is_told_with_its_sessions_and_when_it_is_back(world: World) -> None:
    finish(database.engine("owner"), "US", "2024-06-11")
    world.now = dt.datetime(2024, 6, 12, 8)
    assert world.round() == []
    world.now = dt.datetime(2024, 6, 13, 8)
    (message,) = world.round()
    assert message.headline == "PROBLEM: US is 1 session behind: 2024-06-12 not loaded"
    assert (message.market, message.sessions) == ("US", ("2024-06-12",))
    finish(database.engine("owner"), "US", "2024-06-12")
    assert headlines(world.round()) == ["RECOVERED: US is up to date again"]


def test_another_champion_is_an_event_and_so_is_its_withdrawal(readable: Engine) -> None:
    """What was known before decides whether there is something to tell."""
    now = dt.datetime(2024, 3, 1)
    with readable.connect() as connection:
        champion, unknown = problems.champion_event(connection, None, now)
        _, same = problems.champion_event(connection, champion, now)
        _, another = problems.champion_event(connection, "v2024.01.02", now)
        _, first = problems.champion_event(connection, "", now)
        none, gone = problems.champion_event(connection, champion, dt.datetime(2023, 9, 1))
    assert champion == "v2024.02.01"
    assert (list(unknown), list(same)) == ([], [])
    assert headlines(list(another)) == ["NOTE: the champion is v2024.02.01, after v2024.01.02"]
    assert headlines(list(first)) == ["NOTE: the champion is v2024.02.01, after none"]
    (withdrawn,) = gone
    assert (none, withdrawn.headline) == ("", "NOTE: v2024.02.01 is withdrawn: no champion")
    assert withdrawn.detail
