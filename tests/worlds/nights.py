"""Nights of a small platform under a fake clock: a vendor, schedules, the refill and runs.

What belongs here: how the clock goes on, and what happens at each hour. A run takes 40 minutes. Its bars come
through the real assets from the vendor's files; what is computed from them is only recorded as computed.
"""

import datetime as dt
import itertools
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Engine

from boursomatic_assets.automation import refill
from boursomatic_assets.calendars import slices
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.orchestration.dagster_patches import tags
from boursomatic_assets.sources.simulated.source import Simulated
from boursomatic_assets.tables.deliveries import sessions
from worlds.platform import midnight, platform
from worlds.sessions import compute

BARS = {dg.AssetKey("instruments"), dg.AssetKey("price_bars")}
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
RUN_TAKES = dt.timedelta(minutes=40)
STEP, STEP_BY_DAY = dt.timedelta(minutes=30), dt.timedelta(hours=2)


@dataclass
class Nights:
    """A platform at a time.

    Attributes:
        delivered_at: When the vendor has a session's file, by partition key; an hour after its close by default.
        down: From when to when the daemon is down.
        crashes: How many of the next runs of a partition fail.
        log: What was asked for, and what came of it: time, event, partition key.
    """

    engine: Engine
    instance: dg.DagsterInstance
    folder: Path
    now: dt.datetime
    delivered_at: dict[str, dt.datetime]
    down: list[tuple[dt.datetime, dt.datetime]]
    crashes: dict[str, int]
    log: list[tuple[dt.datetime, str, str]] = field(default_factory=list)
    cursor: str | None = None
    running: dict[str, tuple[str, dt.datetime]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.vendor = Simulated(instruments=2, events=False)
        job = platform.resolve_job_def("market_session")
        self.job = job.get_subset(asset_selection=BARS, asset_check_selection=set())
        self.vendor.instruments().write_csv(self.folder / "instruments.csv")

    def set_clocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the platform read this clock, where it compares with closes."""
        monkeypatch.setattr(slices, "utc_now", lambda: self.now)
        monkeypatch.setattr(sessions, "database_time", lambda connection: self.now)
        monkeypatch.setenv("BOURSOMATIC_FILES", str(self.folder))

    def go_on_until(self, end: dt.datetime, look: Callable[[], None] = lambda: None) -> None:
        """Let time pass; `look` is called at each step."""
        while self.now < end:
            before, self.now = self.now, self.now + (STEP_BY_DAY if 2 <= self.now.hour < 14 else STEP)
            usual = {
                key: market.close_time(session) + dt.timedelta(hours=1)
                for key, market, session in self._sessions()
            }
            for key, delivered in (usual | self.delivered_at).items():
                if before < delivered <= self.now:
                    self.deliver(key)
            self._finish_runs()
            if not any(first <= self.now < last for first, last in self.down):
                for key, market, session in self._sessions():
                    if before < market.load_time(session) <= self.now:
                        self.start(key, "schedule")
                self._refill()
            look()

    def deliver(self, key: str) -> None:
        """The vendor's file of a session."""
        date, name = key.split("|")
        first = midnight(dt.date.fromisoformat(date))
        bars = self.vendor.bars(MARKETS[name], first, first + dt.timedelta(1))
        bars.drop("file", "line", "file_id", "raw").write_parquet(self.folder / f"{name} {date}.parquet")

    def start(self, key: str, by: str) -> None:
        """A run begins, which Dagster knows of."""
        assert key not in self.running, f"{key} was asked for while it is being computed"
        self.log.append((self.now, by, key))
        run = dg.DagsterRun(
            job_name="market_session",
            run_id=str(uuid.uuid4()),
            status=dg.DagsterRunStatus.STARTED,
            tags={tags.PARTITION: key},
        )
        self.instance.add_run(run)
        self.running[key] = (run.run_id, self.now + RUN_TAKES)

    def load(self, key: str) -> None:
        """The work of a run: bars through the real assets, and the rest as it is recorded."""
        date, name = key.split("|")
        with dg.DagsterInstance.ephemeral() as instance:
            self.job.execute_in_process(run_config=QUIET, instance=instance, partition_key=key)
        compute(self.engine, name, date)

    def _finish_runs(self) -> None:
        for key, (run, end) in list(self.running.items()):
            if end <= self.now:
                del self.running[key]
                crashes = self.crashes.get(key, 0)
                self.crashes[key] = crashes - 1
                if crashes <= 0:
                    self.load(key)
                self.log.append((self.now, "crashed" if crashes > 0 else "ended", key))
                self.instance.delete_run(run)

    def _refill(self) -> None:
        result = refill.evaluate(self.instance, self.cursor, self.now)
        self.cursor = result.cursor
        for request in result.run_requests or ():
            assert request.partition_key is not None
            self.start(request.partition_key, f"refill: {request.tags['boursomatic/because']}")

    def _sessions(self) -> Iterator[tuple[str, slices.Market, dt.date]]:
        """The sessions of yesterday and today."""
        dates = (self.now.date() - dt.timedelta(1), self.now.date())
        for market, date in itertools.product(MARKETS.values(), dates):
            if market.is_session(date):
                yield f"{date}|{market.name}", market, date
