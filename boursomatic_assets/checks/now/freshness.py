"""Asset checks of freshness: the newest closed session of a market is loaded, computed and advised.

What belongs here: when a market's freshness is an error or a warning, and what the UI shows of it.
Kept elsewhere: the state of each session (`tables/freshness.py`), the sensor that looks each minute
(`automation/watch.py`).

They have no partitions, and an asset of their own: they are about now, whichever sessions a run computes.
"""

import datetime as dt
from typing import Final

import dagster as dg

from boursomatic_assets import database
from boursomatic_assets.calendars.clock import utc_now
from boursomatic_assets.calendars.markets import MARKETS, Market
from boursomatic_assets.tables.freshness import GRACE, Freshness, read_freshness

ASSET: Final = dg.AssetKey("current_advice")
"""No run computes it, so no backfill of old dates runs its checks, and each is about now."""

_DESCRIPTION = """The newest closed session of {market} is loaded, computed and advised.

A session is due {hours} hours after its schedule, in its market's calendar. A market that is behind is an\
 error; an earlier session that is lacking is a warning. The clock decides, so a backfill of old dates changes\
 nothing."""


def check_name(market: Market) -> str:
    """The name of a market's check."""
    return f"{market.name.lower()}_is_up_to_date"


def evaluate(freshness: Freshness) -> dg.AssetCheckResult:
    """What the check of a market says of its freshness."""
    lacking = [f"{session} {state}" for session, state in freshness.lacking.items()]
    return dg.AssetCheckResult(
        asset_key=ASSET,
        check_name=check_name(freshness.market),
        passed=freshness.fresh,
        severity=dg.AssetCheckSeverity.ERROR if freshness.behind else dg.AssetCheckSeverity.WARN,
        description=str(freshness),
        metadata={
            "sessions_behind": freshness.behind,
            "newest_complete": str(freshness.newest or "none of the newest"),
            "lacking": "; ".join(lacking) or "none",
        },
    )


def _read(market: Market) -> Freshness:
    with database.engine().connect() as connection:
        return read_freshness(connection, market, utc_now())


def _check(market: Market) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=ASSET,
        name=check_name(market),
        description=_DESCRIPTION.format(market=market.name, hours=GRACE // dt.timedelta(hours=1)),
    )
    def check() -> dg.AssetCheckResult:
        return database.again(lambda: evaluate(_read(market)))

    return check


CHECKS: Final = [_check(market) for market in MARKETS.values()]
"""One of each market."""
