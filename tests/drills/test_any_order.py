"""Any order, any chunking: whoever computes what first, the current rows are the same to the last bit.

Bars and features session by session, upwards, downwards, shuffled, as one range, and of both markets by two
processes at once. The long drill computes a whole history of both markets by two processes at once, in pieces,
then `refresh --models`. Orders that hypothesis makes up, with late instruments and markets, through to advice:
`tests/end_to_end/test_orders.py`.
"""

import os
import random
from collections.abc import Callable

import pytest
from worlds import kept
from worlds.forks import ForkingPlace
from worlds.place import FIRST, LAST

SEED = int(os.environ.get("BOURSOMATIC_DRILL_SEED", "1"))

SESSIONS = ("2023-12-18", "2023-12-19", "2023-12-20", "2023-12-21", "2023-12-22")
MARKETS = ("US", "EURONEXT")
BOTH_ASSETS = "price_bars,features"

TABLES = ("price_bars", "features")


def one(place: ForkingPlace, session: str, market: str) -> None:
    for asset in TABLES:
        place.done("materialize", asset, session, market)


def backfill(first: str, last: str, market: str, assets: str = BOTH_ASSETS) -> tuple[str, ...]:
    return ("backfill", "--from", first, "--to", last, "--market", market, "--assets", assets)


def as_one_range(place: ForkingPlace) -> None:
    place.done("backfill", "--from", SESSIONS[0], "--to", SESSIONS[-1], "--assets", BOTH_ASSETS)


def upwards(place: ForkingPlace) -> None:
    for session in SESSIONS:
        for market in MARKETS:
            one(place, session, market)


def downwards(place: ForkingPlace) -> None:
    """Features first look back on nothing, and are stale then."""
    for session in reversed(SESSIONS):
        for market in MARKETS:
            one(place, session, market)


def shuffled(place: ForkingPlace) -> None:
    parts = [(session, market) for session in SESSIONS for market in MARKETS]
    random.Random(SEED).shuffle(parts)
    for part in parts:
        one(place, *part)


def both_markets_at_once(place: ForkingPlace) -> None:
    at_once(place, *(backfill(SESSIONS[0], SESSIONS[-1], market) for market in MARKETS))


WAYS: dict[str, Callable[[ForkingPlace], None]] = {
    way.__name__.replace("_", " "): way for way in (upwards, downwards, shuffled, both_markets_at_once)
}


def at_once(place: ForkingPlace, *commands: tuple[str, ...]) -> None:
    """Two processes begin at the same time, and both succeed."""
    for process in [place.start(*words) for words in commands]:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors


def same_rows(small: ForkingPlace, *ways: Callable[[ForkingPlace], None]) -> None:
    as_one_range(small)
    expected = small.digests()
    assert small.rows("SELECT count(*) FROM features") != [(0,)]
    for way in ways:
        kept.put_back(small, "empty")
        way(small)
        small.done("refresh")
        assert small.digests() == expected, way.__name__


def test_both_markets_at_once_are_as_one_range(small: ForkingPlace) -> None:
    same_rows(small, both_markets_at_once)


@pytest.mark.drill
@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_any_way_to_some_sessions(small: ForkingPlace, way: Callable[[ForkingPlace], None]) -> None:
    same_rows(small, way)


@pytest.mark.drill
@pytest.mark.slow
def test_a_whole_history_by_two_processes_at_once(small: ForkingPlace) -> None:
    """The newer half before the older one, each market by a process of its own, with all that follows from it."""
    models = "model_versions,recommendations,track_record"
    small.done("backfill", "--from", FIRST, "--to", LAST)
    small.done("refresh", "--models")
    expected = small.digests()
    kept.put_back(small, "empty")
    for first, last in (("2023-09-01", LAST), (FIRST, "2023-08-31")):
        at_once(small, *(backfill(first, last, market) for market in MARKETS))
        at_once(small, *(backfill(first, last, market, models) for market in MARKETS))
    small.done("refresh", "--models")
    found = small.digests()
    assert [table for table in TABLES if found[table] != expected[table]] == []
    later = small.rows("SELECT count(*) FROM recommendations WHERE superseded_at IS NULL")
    assert later != [(0,)]
    differ = [name for name in ("recommendations", "track_record") if found[name] != expected[name]]
    assert differ == []
