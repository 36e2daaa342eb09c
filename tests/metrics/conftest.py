"""The small platform with something of everything that the metrics know."""

import datetime as dt
import time

import dagster as dg
import pytest
from dagster._core.storage.dagster_run import DagsterRun
from dagster._daemon.types import DaemonHeartbeat
from sqlalchemy import Engine, text
from worlds.platform import LAST, bring_up_to_date
from worlds.scrapes import Scrape, scrape, served

from boursomatic_assets.metrics import platform

FIRST = dt.date(2024, 2, 28)
WAITED_SECONDS = 90
TUESDAY = dt.datetime(2024, 3, 5, 12)
"""Two sessions of each market are due that nobody has loaded."""

HAPPENED = (
    "INSERT INTO rejected_bars (id, market, session, source, raw, reason)"
    " SELECT gen_random_uuid(), 'US', '2024-02-28', 'test', '{}', reason"
    " FROM unnest(ARRAY['price is not positive', 'price is not positive', 'a \"quoted\" reason']) AS reason",
    "UPDATE delivered_sessions SET delivered = delivered + 3, rejected = 3"
    " WHERE market = 'US' AND session = '2024-02-28'",
    "INSERT INTO alerts (id, channel, subject, kind, content, raised_at, sent_at)"
    " VALUES (gen_random_uuid(), 'mail', 'freshness|US', 'problem', '{}', '2024-03-01', '2024-03-01'),"
    " (gen_random_uuid(), 'mail', 'check|features.a|US', 'problem', '{}', '2024-03-01', '2024-03-01'),"
    " (gen_random_uuid(), 'mail', 'check|features.a|US', 'recovery', '{}', '2024-03-02', NULL)",
)
"""Three rejected rows; a problem that is open, and one that is over, whose message could not be sent yet."""

WAITS = (
    "UPDATE runs SET status = 'QUEUED', create_timestamp = create_timestamp - make_interval(secs => :waited)"
    " WHERE status = 'NOT_STARTED'"
)


def report(instance: dg.DagsterInstance, check: str, severity: dg.AssetCheckSeverity, partition: str) -> None:
    """A check of bars has failed."""
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            dg.AssetKey("price_bars"), check, passed=False, severity=severity, metadata={}, partition=partition
        )
    )


@pytest.fixture
def busy(filled: Engine, dagster_instance: dg.DagsterInstance) -> Engine:
    """Two sessions were just computed again; checks failed, a run waits, another failed, the scheduler lives."""
    bring_up_to_date(FIRST, LAST, instance=dagster_instance)
    report(dagster_instance, "prices_are_sane", dg.AssetCheckSeverity.ERROR, f"{FIRST}|US")
    report(dagster_instance, "prices_are_sane", dg.AssetCheckSeverity.WARN, f"{LAST}|US")
    for status in (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.FAILURE):
        dagster_instance.add_run(DagsterRun(job_name="market_session", status=status))
    dagster_instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SCHEDULER", "one", errors=[]))
    with filled.begin() as connection, dagster_instance.run_storage.connect() as storage:
        for statement in HAPPENED:
            connection.execute(text(statement))
        storage.execute(text(WAITS), {"waited": WAITED_SECONDS})
    return filled


@pytest.fixture
def page(busy: Engine, monkeypatch: pytest.MonkeyPatch) -> Scrape:
    """What the page says of it on the Tuesday after."""
    monkeypatch.setattr(platform, "utc_now", lambda: TUESDAY)
    with served() as port:
        return scrape(port)
