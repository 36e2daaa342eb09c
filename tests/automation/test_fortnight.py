"""A fortnight of nights with outages, by a fake clock: all is there in the end, and nothing is asked for twice."""

import datetime as dt
import sys
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Engine
from worlds.frames import query_rows
from worlds.nights import Nights

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.tables.freshness import Freshness, read_freshness

MONDAY, SECOND_SATURDAY = dt.datetime(2024, 6, 24), dt.datetime(2024, 7, 6, 12)
"""In between: an early close of New York, and its holiday."""

LATE, OUTAGE = "2024-06-25|EURONEXT", "2024-07-01|US"
EARLY, BROKEN = "2024-07-02|EURONEXT", "2024-07-05|US"


def at(day: str, clock: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"2024-{day} {clock}")


def freshness(engine: Engine, market: str, now: dt.datetime) -> Freshness:
    with engine.connect() as connection:
        return read_freshness(connection, MARKETS[market], now)


@pytest.mark.slow
def test_every_session_of_a_fortnight_is_loaded_in_spite_of_outages(
    migrated: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        nights = Nights(
            migrated,
            instance,
            tmp_path,
            MONDAY,
            delivered_at={LATE: at("06-25", "20:40"), OUTAGE: at("07-03", "02:10")},
            down=[(at("06-26", "12:00"), at("06-28", "09:30")), (at("07-02", "16:30"), at("07-02", "18:00"))],
            crashes={BROKEN: 2},
        )
        nights.set_clocks(monkeypatch)
        for market in MARKETS:
            nights.deliver(f"2024-06-21|{market}")
            nights.load(f"2024-06-21|{market}")
        said = list[str]()

        def ask_in_the_morning() -> None:
            if nights.now.hour == 8:
                said.append(str(freshness(migrated, "US", nights.now)))

        nights.go_on_until(at("07-02", "15:30"), ask_in_the_morning)
        nights.deliver(EARLY)
        nights.now = at("07-02", "15:50")
        nights.load(EARLY)  # by hand, before its bars are final
        nights.now = at("07-02", "16:00")
        nights.go_on_until(SECOND_SATURDAY, ask_in_the_morning)
    for when, event, key in nights.log:
        sys.stdout.write(f"{when:%a %m-%d %H:%M}  {event:<22} {key}\n")

    for name, market in MARKETS.items():
        assert freshness(migrated, name, SECOND_SATURDAY).fresh
        loaded = query_rows(
            migrated,
            "SELECT DISTINCT ts::date FROM price_bars b JOIN instruments i ON i.id = b.instrument_id"
            " WHERE i.exchange = ANY(:exchanges) ORDER BY 1",
            exchanges=list(market.exchanges),
        )
        assert [row[0] for row in loaded] == [
            day for day in market.sessions_loaded_by(SECOND_SATURDAY) if day >= dt.date(2024, 6, 21)
        ]

    asked = [(when, event, key) for when, event, key in nights.log if event.startswith("refill")]
    keys = [key for _, _, key in asked]
    assert set(keys) == {
        LATE, OUTAGE, EARLY, BROKEN,
        "2024-06-26|US", "2024-06-26|EURONEXT", "2024-06-27|US", "2024-06-27|EURONEXT",
    }  # fmt: skip
    assert [key for when, _, key in asked if at("06-28", "00:00") < when < at("06-28", "15:00")] == [
        "2024-06-26|US", "2024-06-26|EURONEXT", "2024-06-27|US", "2024-06-27|EURONEXT",
    ], "the oldest date first, and one date at a time"  # fmt: skip
    assert 8 <= keys.count(OUTAGE) <= 12, "for 28 hours without a file, each time later"
    assert keys.count(LATE) <= 4
    assert [event for _, event, key in asked if key == EARLY] == ["refill: provisional"]
    assert keys.count(BROKEN) == 2, "the schedule's run and the first one asked for crashed"
    assert [line for line in said if "behind" in line] == [
        "US is 1 session behind: 2024-06-26 not loaded",
        "US is 2 sessions behind: 2024-06-26 not loaded, 2024-06-27 not loaded",
        "US is 1 session behind: 2024-07-01 not loaded",
    ]
