"""Failed runs: one problem for all failures of some assets in a market, until later runs have made them good.

What belongs here: which failures are open, and which are made good.
Kept elsewhere: other problems (`problems.py`).
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dagster as dg

from boursomatic_assets.alerts.message import Message
from boursomatic_assets.orchestration.dagster_patches import tags
from boursomatic_assets.orchestration.failures import reason_of
from boursomatic_assets.settings.alerts import ui_address

RUN = "run|"
"""What subjects begin with."""

LOOK_BACK = dt.timedelta(days=30)
"""Older failures are not looked at: nobody is told that they are made good."""

MAX_FAILURES, MAX_SUCCESSES = 200, 1_000
MAX_DETAIL = 500
"""Characters of an error."""


@dataclass(frozen=True)
class Extent:
    """What a run computed: a name, a market, and the first and the last date; empty if it has no partitions."""

    name: str
    assets: frozenset[str]
    market: str
    first: str
    last: str

    def covers(self, other: "Extent") -> bool:
        """Whether it computed all that another did."""
        same = other.assets <= self.assets if other.assets and self.assets else self.name == other.name
        return same and self.market == other.market and self.first <= other.first and self.last >= other.last

    def __str__(self) -> str:
        return self.first if self.first == self.last else f"{self.first} .. {self.last}"


def run_problems(instance: dg.DagsterInstance, now: dt.datetime) -> tuple[list[Message], set[str]]:
    """Return a problem for each group of open failures, and the subjects whose failures are all made good."""
    since = (now - LOOK_BACK).replace(tzinfo=dt.UTC)
    failed = [
        record
        for record in instance.get_run_records(
            dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since), limit=MAX_FAILURES
        )
        if record.dagster_run.tags.get(tags.WILL_RETRY) != "true"
    ]
    if not failed:
        return [], set()
    succeeded = instance.get_run_records(
        dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.SUCCESS], updated_after=min(one.create_timestamp for one in failed)
        ),
        limit=MAX_SUCCESSES,
    )
    groups, good = defaultdict(list), set[str]()
    for record in failed:
        extent = extent_of(record.dagster_run)
        subject = f"{RUN}{extent.name}|{extent.market}"[:200]
        good.add(subject)
        if not _is_made_good(record, extent, succeeded):
            groups[subject].append(record)
    problems = [_failing(instance, subject, records) for subject, records in groups.items()]
    return problems, good - groups.keys()


def extent_of(run: dg.DagsterRun) -> Extent:
    """What a run computed."""
    keys = [run.tags[tag] for tag in (tags.RANGE_START, tags.RANGE_END, tags.PARTITION) if tag in run.tags]
    dates, markets = [key.split("|")[0] for key in keys], {key.split("|")[-1] for key in keys}
    assets = frozenset(key.to_user_string() for key in run.asset_selection or ())
    name = run.job_name if not assets else ", ".join(sorted(assets))
    market = markets.pop() if len(markets) == 1 else ""
    return Extent(name, assets, market, min(dates, default=""), max(dates, default=""))


def _is_made_good(failed: dg.RunRecord, extent: Extent, succeeded: Iterable[dg.RunRecord]) -> bool:
    """Whether a run that began later computed all of it."""
    return any(
        record.create_timestamp > failed.create_timestamp and extent_of(record.dagster_run).covers(extent)
        for record in succeeded
    )


def _failing(instance: dg.DagsterInstance, subject: str, records: Sequence[dg.RunRecord]) -> Message:
    """The problem of some failed runs, of which the newest is the first."""
    newest = records[0].dagster_run
    extent = extent_of(newest)
    where = f" {extent.market}" if extent.market else ""
    of_which = f"{extent}: " if len(records) > 1 and extent.first else ""
    return Message(
        subject=subject,
        kind="problem",
        title=f"{'a run' if len(records) == 1 else f'{len(records):,} runs'} failed: {extent.name}{where}",
        market=extent.market,
        sessions=tuple(sorted({str(extent_of(one.dagster_run)) for one in records} - {""})),
        rule="a run succeeds",
        detail=f"{of_which}{_first_error(instance, newest.run_id)}"[:MAX_DETAIL],
        link=f"{ui_address()}/runs/{newest.run_id}",
        runs=len(records),
    )


def _first_error(instance: dg.DagsterInstance, run_id: str) -> str:
    """Why a run failed, in one line."""
    for kind in (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE):
        for entry in instance.all_logs(run_id, of_type=kind):
            event = entry.get_dagster_event()
            if event.is_step_failure and (reason := reason_of(event)):
                return f"{event.step_key}: {reason}"
            if lines := (event.message or "").strip().splitlines():
                return lines[0]
    return ""


def recovery_of(subject: str) -> Message:
    """What is said when the failures of a subject are made good."""
    name, _, market = subject.removeprefix(RUN).rpartition("|")
    return Message(subject, "recovery", f"later runs made good: {name} {market}".strip(), market=market)
