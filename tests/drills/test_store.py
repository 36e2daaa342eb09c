"""The store is away in the middle of training and of archiving: the run goes on, and nothing is half there.

The drill takes a minute; its short twin archives, with the store away for a moment. What stays away is named.
"""

import time

import pytest
from drills.conftest import DUE
from worlds import kept
from worlds.buckets import Service
from worlds.failpoints import Held
from worlds.forks import ForkingPlace

from boursomatic_assets.stores.places import open_store

SESSION = "2023-12-22"
QUARTERS = ("materialize", "price_bars_15m", SESSION, "US")
ARCHIVE = ("dagster", "job", "execute", "-m", "boursomatic_assets.definitions", "-j", "archive_15m_bars")
TRAIN = ("materialize", "model_versions", DUE, "US")
STORED = "SELECT count(*)::int FROM price_bars WHERE interval = '15m'"


def in_a_bucket(place: ForkingPlace, buckets: Service) -> str:
    """Let a place keep its files in a bucket of its own; returns the address."""
    address = buckets.new_bucket()
    place.settings |= buckets.environment | {"DAGSTER_HOME": str(place.home / "dagster")}
    assert f"set BOURSOMATIC_STORE={address}" in place.done("store", "move", str(place.home), address)
    place.settings["BOURSOMATIC_STORE"] = address
    for folder in ("models", "archive"):
        assert not list((place.home / folder).glob("**/.saving-*"))
    return address


def away(place: ForkingPlace, buckets: Service, words: tuple[str, ...], seconds: float) -> str:
    """Give a command during which the store is away, from before its first file on; returns what it said."""
    held = Held(place, place.home.parent / f"away {time.monotonic_ns()}", " store ", *words)
    assert held.await_point()
    refused = buckets.gate.refused
    buckets.gate.shut()
    held.go_on()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline or buckets.gate.refused < refused + 2:
        assert held.process.poll() is None, held.process.communicate()
        time.sleep(0.05)
    buckets.gate.open()
    ended = held.end()
    assert ended.returncode == 0, ended.stderr
    assert "the store answered after " in ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


def archived_while_away(place: ForkingPlace, buckets: Service, seconds: float) -> str:
    address = in_a_bucket(place, buckets)
    place.done(*QUARTERS)
    ((bars,),) = place.rows(STORED)
    said = away(place, buckets, ARCHIVE, seconds)
    named = place.rows("SELECT name, size, row_count FROM archive_files")
    assert place.rows(STORED) == [(0,)]
    assert [(one.name, one.size, bars) for one in open_store(f"{address}/archive").entries()] == named
    assert place.done("store", "verify") == ""
    place.done("archive", "restore", "--from", SESSION, "--to", SESSION, "--market", "US")
    assert place.rows(STORED) == [(bars,)]
    assert kept.held_by_nobody(place) == {}
    return said


def test_the_store_is_away_while_bars_are_archived(small: ForkingPlace, buckets: Service) -> None:
    archived_while_away(small, buckets, 0.5)


def test_a_store_that_stays_away_leaves_all_bars_in_the_table(small: ForkingPlace, buckets: Service) -> None:
    in_a_bucket(small, buckets)
    small.settings["BOURSOMATIC_STORE_WAIT"] = "1"
    small.done(*QUARTERS)
    before = small.rows(STORED)
    buckets.gate.shut()
    failed = small.run(*ARCHIVE)
    assert failed.returncode == 1
    assert (
        "does not answer (no connection, or none in time): start it, or correct AWS_ENDPOINT_URL" in failed.stderr
    )
    assert small.rows(STORED) == before
    assert small.rows("SELECT name FROM archive_files") == []
    buckets.gate.open()
    small.done(*ARCHIVE)
    assert small.rows(STORED) == [(0,)]


@pytest.mark.drill
@pytest.mark.slow
def test_the_store_is_away_for_a_minute_while_bars_are_archived(small: ForkingPlace, buckets: Service) -> None:
    said = archived_while_away(small, buckets, 60)
    assert "waits for the store, for 300 s at most: " in said


@pytest.mark.drill
@pytest.mark.slow
def test_the_store_is_away_for_a_minute_while_a_version_is_trained(
    history: ForkingPlace, buckets: Service
) -> None:
    kept.keep(history, "before_training")
    history.done(*TRAIN)
    calm = history.digests()
    kept.put_back(history, "before_training")
    address = in_a_bucket(history, buckets)
    said = away(history, buckets, TRAIN, 60)
    assert "waits for the store, for 300 s at most: " in said
    assert history.digests() == calm
    models = open_store(f"{address}/models")
    named = {(name,) for (name,) in history.rows("SELECT DISTINCT model_path FROM model_versions")}
    assert {(one.name,) for one in models.entries()} == named
    assert all(models.read(name) for (name,) in named)
    assert kept.held_by_nobody(history) == {}
