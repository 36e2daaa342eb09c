"""The figures of /metrics over HTTP are what other queries find in the databases."""

import datetime as dt
import shutil
import subprocess
import time
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import Engine
from worlds.platform import rows
from worlds.scrapes import Scrape, scrape, served

from boursomatic_assets import database
from boursomatic_assets.metrics import dagster as dagster_figures
from boursomatic_assets.metrics.descriptions import DESCRIPTIONS, PREFIX
from boursomatic_assets.metrics.reading import Readings
from boursomatic_assets.orchestration.dagster_patches.counts import checks as check_counts

SINCE_1970 = "extract(epoch FROM {} AT TIME ZONE 'UTC')::float"


def in_database(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query of the test's own."""
    return [tuple(row.values()) for row in rows(engine, query)]


def test_the_page_is_what_the_databases_hold(
    page: Scrape, busy: Engine, dagster_instance: dg.DagsterInstance
) -> None:
    rows_are_those_of_the_ledgers(page, busy)
    computations_and_champion_are_those_of_their_tables(page, busy)
    freshness_is_of_the_calendar(page, busy)
    runs_are_those_of_dagster(page, dagster_instance)
    checks_have_the_state_that_dagster_shows(page, dagster_instance)
    every_metric_is_there_as_described(page)
    assert page.values("open_alerts", "about") == {("freshness",): 1, ("check",): 0, ("run",): 0}
    assert page.values("unsent_alerts", "channel") == {("mail",): 1}


def rows_are_those_of_the_ledgers(page: Scrape, engine: Engine) -> None:
    delivered = page.values("delivered_rows", "market", "interval", "outcome")
    for market, exchanges in (("US", "<> 'EURONEXT'"), ("EURONEXT", "= 'EURONEXT'")):
        of_market = f"instrument_id IN (SELECT id FROM instruments WHERE exchange {exchanges})"
        bars = f"SELECT count(*) FROM price_bars WHERE {of_market}"
        assert [(delivered[market, "daily", "kept"],)] == in_database(engine, bars)
        refused = f"SELECT count(*) FROM rejected_bars WHERE market = '{market}'"
        assert [(delivered[market, "daily", "rejected"],)] == in_database(engine, refused)
    reasons = in_database(engine, "SELECT reason, count(*) FROM rejected_bars GROUP BY 1")
    assert page.values("rejected_rows", "reason") == {(reason,): count for reason, count in reasons}
    assert ('a "quoted" reason',) in page.values("rejected_rows", "reason")


def computations_and_champion_are_those_of_their_tables(page: Scrape, engine: Engine) -> None:
    last = SINCE_1970.format("max(computed_at)")
    found = in_database(engine, f"SELECT asset, market, count(*), {last} FROM computed_sessions GROUP BY 1, 2")
    assert len(found) == 8
    for asset, market, sessions, at in found:
        assert page.value("computed_sessions", asset=asset, market=market) == sessions
        assert page.value("last_computation_timestamp_seconds", asset=asset, market=market) == pytest.approx(at)
    ((version, as_of),) = in_database(engine, "SELECT version, as_of FROM model_versions WHERE is_active")
    assert page.values("champion_info", "version", "as_of") == {(version, as_of.isoformat()): 1}
    assert page.value("champion_as_of_timestamp_seconds") == as_of.replace(tzinfo=dt.UTC).timestamp()


def freshness_is_of_the_calendar(page: Scrape, engine: Engine) -> None:
    last = dt.datetime(2024, 2, 29, tzinfo=dt.UTC).timestamp()
    states = page.values("due_sessions", "market", "state")
    for market in ("US", "EURONEXT"):
        newest = f"SELECT {SINCE_1970.format('max(session)')} FROM delivered_sessions WHERE market = '{market}'"
        assert in_database(engine, newest) == [(last,)]
        assert page.value("newest_loaded_session_timestamp_seconds", market=market) == last
        assert page.value("newest_done_session_timestamp_seconds", market=market) == last
        assert page.value("sessions_behind", market=market) == 2, "Friday and Monday"
        assert {state: count for (one, state), count in states.items() if one == market and count} == {
            "complete": 58,
            "not loaded": 2,
        }


def runs_are_those_of_dagster(page: Scrape, instance: dg.DagsterInstance) -> None:
    assert (page.value("queued_runs"), page.value("runs_in_progress")) == (1, 0)
    assert 90 <= page.value("oldest_queued_run_age_seconds") < 900
    for status in ("SUCCESS", "FAILURE", "CANCELED"):
        count = instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus[status]]))
        assert page.value("runs_total", status=status.lower()) == count
    ended = page.values("last_run_end_timestamp_seconds", "assets", "market")
    for record in instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS])):
        run = record.dagster_run
        assets = ", ".join(sorted(key.to_user_string() for key in run.asset_selection or ()))
        market = run.tags["dagster/asset_partition_range_start"].split("|")[1]
        assert record.start_time and record.end_time
        assert ended.pop((assets, market)) == pytest.approx(record.end_time)
        seconds = page.value("last_run_duration_seconds", assets=assets, market=market)
        assert seconds == pytest.approx(record.end_time - record.start_time, abs=1e-3)
    assert not ended
    assert time.time() - page.value("daemon_heartbeat_timestamp_seconds", daemon="scheduler") < 900


def checks_have_the_state_that_dagster_shows(page: Scrape, instance: dg.DagsterInstance) -> None:
    states = page.values("check_partitions", "asset", "check", "market", "state")
    assert sum(states.values()) == 4 * len({(asset, check) for asset, check, *_ in states}), (
        "two dates, two markets"
    )
    sane = {
        (market, state): states["price_bars", "prices_are_sane", market, state]
        for market in ("US", "EURONEXT")
        for state in ("passed", "warning", "error")
    }
    assert {key: count for key, count in sane.items() if count} == {
        ("US", "error"): 1,
        ("US", "warning"): 1,
        ("EURONEXT", "passed"): 2,
    }
    with database.connect(database.dagster_url()) as connection:
        checks = connection.execute("SELECT DISTINCT asset_key, check_name FROM asset_check_executions").fetchall()
    assert {(f'["{asset}"]', check) for asset, check, *_ in states} == set(checks)


def every_metric_is_there_as_described(page: Scrape) -> None:
    assert page.value("up") == 1
    assert set(page.values("group_up", "group").values()) == {1}
    assert list(page.families) == [one.full_name.removesuffix("_total") for one in DESCRIPTIONS]
    for one in DESCRIPTIONS:
        assert f"# HELP {one.full_name} {one.meaning}\n# TYPE {one.full_name} {one.kind}\n" in page.page
        found = {tuple(own) for name, own, _ in page.series if name == one.full_name}
        there_is_none = one.name.startswith("repli")  # of replicas it is in tests/database/test_replica.py
        assert found == (set() if there_is_none else {tuple(sorted(one.labels))})
    named = {value for _, labels, _ in page.series for value in labels.values()}
    assert not any("SIMU" in value or "2024-02-2" in value for value in named), "no instrument, no session"
    assert page.page.startswith(f"# HELP {PREFIX}")


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_prometheus_own_linter_finds_nothing(migrated: Engine, dagster_instance: dg.DagsterInstance) -> None:
    with served() as port:
        page = scrape(port).page
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=page, text=True, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_a_platform_without_anything_is_up(migrated: Engine) -> None:
    """Before the first run Dagster has made no table."""
    with served() as port:
        page = scrape(port)
    assert page.value("up") == 1
    assert page.values("sessions_behind", "market") == {("US",): 0, ("EURONEXT",): 0}
    assert page.values("champion_info", "version") == page.values("queued_runs") == {}


def test_checks_are_counted_again_when_one_has_a_new_result(
    migrated: Engine, dagster_instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    monkeypatch.setattr(check_counts, "check_states", lambda connection: counted.append(connection) or [])
    readings = Readings()

    def report(minutes_ago: int) -> None:
        """A result, of which the event is so old."""
        dagster_instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(dg.AssetKey("bars"), "sane", passed=True, metadata={})
        )
        with database.connect(database.dagster_url()) as connection:
            moved = "UPDATE event_logs SET timestamp = timestamp - make_interval(mins => %s)"
            connection.execute(moved, [minutes_ago])

    def times_counted() -> int:
        before = len(counted)
        readings.read(), readings.read()
        return len(counted) - before

    report(minutes_ago=0)
    assert times_counted() == 2, "what follows from a new event may still be under way"
    report(minutes_ago=5)
    assert times_counted() == 1
    assert times_counted() == 0
    report(minutes_ago=5)
    assert times_counted() == 1
    later = time.monotonic() + dagster_figures.COUNTED_AGAIN_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert times_counted() == 1, "somebody may have deleted runs"
