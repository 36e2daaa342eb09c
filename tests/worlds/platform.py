"""A small platform for tests: 24 made-up instruments over fourteen months, through the real assets.

What belongs here: its bars on disk, its runs, and what its tables hold. `conftest.filled` hands out copies.

Its seven versions: those of August to October 2023 are refused for their short record, so that nobody speaks;
November's is promoted, those of December to February are retrained.
"""

import datetime as dt
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from sqlalchemy import Engine, text

from boursomatic_assets import settings
from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import Slice, slices_of
from boursomatic_assets.checks.invariant import UNPARTITIONED_ASSETS
from boursomatic_assets.cli import launching
from boursomatic_assets.definitions import defs
from boursomatic_assets.features.indicators import FEATURES
from boursomatic_assets.orchestration.partitions import partition_dates
from boursomatic_assets.orchestration.resources import BarSource
from boursomatic_assets.sources import Source, open_source
from boursomatic_assets.sources.simulated.source import Simulated

FIRST, LAST = dt.date(2023, 1, 3), dt.date(2024, 2, 29)
INSTRUMENTS = 12
"""Of each market; a session with fewer than 10 has no rank IC."""

SEED, SIGNAL = 32, 1.0
"""A market in which no decision is made by a narrow margin."""

TABLES = (
    "instruments",
    "price_bars",
    "features",
    "model_versions",
    "model_decisions",
    "recommendations",
    "track_record",
    "rejected_bars",
)

ALL_HIGH = (
    f"{', '.join(f'{feature.__name__} = 99' for feature in FEATURES)},"
    """ additional_features = regexp_replace(additional_features::text, '":[^,}]*', '":1e9', 'g')::json"""
)
"""What is set in rows of `features` to make every number higher than any that was learned from."""


class Folder(BarSource):
    """The files of BOURSOMATIC_FILES, whatever source is set."""

    @property
    def kind(self) -> str:
        """Files."""
        return "files"

    def configured(self) -> Source:
        """The source of that folder."""
        return open_source("files", os.environ["BOURSOMATIC_FILES"])


platform = dg.Definitions(
    assets=defs.assets,
    asset_checks=defs.asset_checks,
    jobs=defs.jobs,
    schedules=defs.schedules,
    resources={**(defs.resources or {}), "source": Folder()},
    executor=defs.executor,
)
"""The platform's definitions, with bars from a folder that the test chooses."""


def deliver(folder: Path) -> None:
    """Write the small universe's bars as a vendor would."""
    folder.mkdir(parents=True)
    source = Simulated(instruments=INSTRUMENTS, seed=SEED, events=False, signal=SIGNAL)
    source.instruments().write_csv(folder / "instruments.csv")
    for market in MARKETS.values():
        bars = source.bars(market, midnight(FIRST), midnight(LAST + dt.timedelta(1)))
        bars.drop("file", "line", "file_id", "raw").write_parquet(folder / f"{market.name}.parquet")


def fill(folder: Path, instance: dg.DagsterInstance) -> None:
    """Take the whole universe through all assets, and keep a copy of its model files beside its bars."""
    deliver(folder)
    bring_up_to_date(instance=instance)
    shutil.copytree(settings.home() / "models", models_of(folder))


def models_of(folder: Path) -> Path:
    """Where the model files of the filled platform are kept."""
    return folder.with_name("models of the platform")


def bring_up_to_date(
    start: dt.date = FIRST,
    end: dt.date = LAST,
    assets: tuple[str, ...] = launching.ASSETS,
    markets: tuple[str, ...] = tuple(MARKETS),
    instance: dg.DagsterInstance | None = None,
    *,
    strict: bool = True,
) -> list[launching.RunResult]:
    """Carry out the runs over a range; all of them must succeed, and pass all checks if `strict`."""
    outcomes = outcomes_of(start, end, assets, markets, instance)
    problems = [problem for outcome in outcomes for problem in outcome.problems]
    assert all(outcome.success for outcome in outcomes), problems
    assert not (strict and problems), problems
    return outcomes


def outcomes_of(
    start: dt.date,
    end: dt.date,
    assets: tuple[str, ...] = launching.ASSETS,
    markets: tuple[str, ...] = tuple(MARKETS),
    instance: dg.DagsterInstance | None = None,
) -> list[launching.RunResult]:
    """Carry out the runs over a range, however they end."""
    planned = launching.plan_backfill(assets, list(markets), partition_dates(start, end))
    if instance:
        return [launching.execute_run(run, instance) for run in planned]
    with forgetful_instance() as forgetful:
        return [launching.execute_run(run, forgetful) for run in planned]


def check(name: str, market: str = "US", start: dt.date = FIRST, end: dt.date = LAST) -> dg.AssetCheckEvaluation:
    """Run one check over a range of a market, as Dagster does."""
    (evaluation,) = evaluate({name}, market, start, end)
    return evaluation


def evaluate(
    names: set[str], market: str, start: dt.date = FIRST, end: dt.date = LAST
) -> list[dg.AssetCheckEvaluation]:
    """Run checks over a range of a market, all of assets that are partitioned or all of others."""
    keys = {key for key in platform.resolve_asset_graph().asset_check_keys if key.name in names}
    undated = {key.asset_key.path[-1] for key in keys} <= set(UNPARTITIONED_ASSETS)
    name = (
        "market_session_15m"
        if {key.asset_key.path[-1] for key in keys} == {"price_bars_15m"}
        else "market_session"
    )
    job = platform.resolve_job_def(name).get_subset(asset_selection=set(), asset_check_selection=keys)
    with forgetful_instance() as forgetful:
        result = job.execute_in_process(
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags={} if undated else launching.Run((), market, start, end).tags,
            raise_on_error=False,
            instance=forgetful,
        )
        return list(result.get_asset_check_evaluations())


@contextmanager
def forgetful_instance() -> Iterator[dg.DagsterInstance]:
    """An instance in memory that keeps no list of checks: a run's result names those that ran, and how they ended.

    For each check and each partition of a range Dagster would store that it is planned, which takes longer than
    the check.
    """
    with dg.DagsterInstance.ephemeral() as instance, pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(instance.event_log_storage, "store_asset_check_event", lambda *_: None)
        yield instance


def midnight(date: dt.date) -> dt.datetime:
    """The first instant of a date."""
    return dt.datetime.combine(date, dt.time())


def slice_of(market: str, start: dt.date = FIRST, end: dt.date = LAST) -> Slice:
    """The slice of one market over a range."""
    (part,) = slices_of(MARKETS[market], partition_dates(start, end))
    return part


def rows(engine: Engine, query: str, **given: Any) -> list[dict[str, Any]]:
    """The rows of a query."""
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(text(query), given).mappings()]


def execute(engine: Engine, *statements: str) -> int:
    """Run statements in one transaction; the number of rows that the last one touched."""
    with engine.begin() as connection:
        return [connection.exec_driver_sql(statement).rowcount for statement in statements][-1]


def contents(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table, with the transaction that wrote it."""
    return {
        table: rows(engine, f"SELECT t.xmin::text, t.*::text AS row FROM {table} t ORDER BY id")
        for table in TABLES
    }


def frame(engine: Engine, query: str, **given: Any) -> pl.DataFrame:
    """The rows of a query as a frame, to be compared as a whole."""
    return pl.DataFrame(rows(engine, query, **given), infer_schema_length=None)
