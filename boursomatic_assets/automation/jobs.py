"""Jobs: which assets and checks are run together.

What belongs here: the selections. Kept elsewhere: when they run (`schedules.py`, `refill.py`), what they do
(`assets/`, `checks/`).
"""

import dagster as dg

from boursomatic_assets.checks.now import freshness
from boursomatic_assets.tables.summaries import refreshing

INTRADAY = dg.AssetSelection.assets("price_bars_15m")
ARCHIVE = dg.AssetSelection.assets("archive_15m", "cold_storage")
SUMMARIES = dg.AssetSelection.assets(*refreshing.SUMMARIES)
FRESHNESS = dg.AssetSelection.checks_for_assets(freshness.ASSET)
"""Checks about now, which are no part of a run over sessions."""

market_session = dg.define_asset_job(
    "market_session",
    selection=dg.AssetSelection.all() - INTRADAY - ARCHIVE - SUMMARIES - FRESHNESS,
    description="""One session of one market, from its bars to its recommendations and the track record.

A backfill that is started here is a backfill of the job's assets: Dagster lists it and its runs under\
 [Runs > Backfills](/runs?view=backfills), and here only runs of single partitions and of the command line.""",
)
market_session_15m = dg.define_asset_job(
    "market_session_15m",
    selection=INTRADAY | dg.AssetSelection.assets("instruments"),
    description="The 15m bars of one session of one market, with their instruments and checks.",
)
archive_15m = dg.define_asset_job(
    "archive_15m_bars",
    selection=ARCHIVE,
    description="Move 15m bars that are older than 30 days, and old years of daily bars, to Parquet files.",
)
summaries = dg.define_asset_job(
    "summaries",
    selection=SUMMARIES,
    description="The materialised views of advice, track record and coverage.",
)
accounts = dg.define_asset_job(
    "accounts",
    selection=dg.AssetSelection.checks_for_assets("users"),
    description="The checks of accounts, which the application writes.",
)
check_freshness = dg.define_asset_job(
    "freshness",
    selection=FRESHNESS,
    description="The checks that the newest closed session of each market is loaded, computed and advised.",
)
jobs = [market_session, market_session_15m, archive_15m, summaries, accounts, check_freshness]
