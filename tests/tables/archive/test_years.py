"""Cold storage: a year leaves its tables, nobody who reads notices, and it comes back to the last bit."""

import datetime as dt
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from sqlalchemy import Engine
from worlds.buckets import Service
from worlds.commands import boursomatic
from worlds.platform import bring_up_to_date, execute, frame, midnight, rows, slice_of

from boursomatic_assets.assets.cold_storage import cold_storage
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.registry.history import read_history
from boursomatic_assets.stores.store import StoreError
from boursomatic_assets.tables import merging, revisions
from boursomatic_assets.tables.aliases.merge import MergeResult, merge
from boursomatic_assets.tables.aliases.names import Name
from boursomatic_assets.tables.archive import year_moves, year_returns
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.reading import SliceReader, count_rows, read_slice
from boursomatic_assets.tables.reading.cold import ASSETS, ColdError
from boursomatic_assets.tables.staging import lock_slice, transaction

TODAY = dt.date(2025, 6, 1)
OLD = (dt.date(2023, 1, 3), dt.date(2023, 12, 29))
DAY = dt.date(2023, 6, 14)
OF_2023 = "ts < '2024-01-01'"
COVERAGE = (
    "market, month, as_of, sessions, bars, instruments_with_bars, instruments_with_features,"
    " instruments_with_advice"
)
FOUND = {"features_and_bars_match"}
"""Checks that see what is wrong in the old year."""

BAR_OF_US = (
    "SELECT b.* FROM price_bars b JOIN instruments i ON i.id = instrument_id"
    " WHERE ts = '2023-06-14' AND exchange <> 'EURONEXT'"
)

RESTORE_US = ("archive", "restore", "--market", "US", "--from", "2023-01-01", "--to", "2023-12-31")

REVISED = (
    "INSERT INTO price_bar_revisions (id, instrument_id, ts, interval, o, h, l, c, v, known_from, known_until)"
    " SELECT gen_random_uuid(), instrument_id, ts, interval, 1, 1, 1, 1, 1, '2024-02-01', updated_at"
    " FROM price_bars WHERE ts = '2023-06-14' AND updated_at IS NOT NULL"
)
"""Bars that were others until they were changed."""

CHANGED = "UPDATE price_bars SET v = v + 1, updated_at = '2024-03-01 12:00' WHERE ts = '2023-06-14'"


def move() -> list[str]:
    return [str(year) for year in year_moves.move(1, TODAY)]


def tables(engine: Engine) -> dict[str, pl.DataFrame]:
    """All rows of both tables, every value as the database writes it."""
    return {asset: frame(engine, f"SELECT t::text AS row FROM {asset} t ORDER BY id") for asset in ASSETS}


def count(engine: Engine, table: str, condition: str = OF_2023) -> int:
    (row,) = rows(engine, f"SELECT count(*) AS n FROM {table} WHERE {condition}")
    return int(row["n"])


def test_a_year_leaves_its_tables_and_comes_back_to_the_last_bit(filled: Engine) -> None:
    execute(filled, CHANGED)
    before = tables(filled)
    assert move() == [
        f"{market} 2023  {12 * sessions:,} price_bars, {12 * sessions:,} features"
        for market, sessions in (("US", 250), ("EURONEXT", 254))
    ]
    assert [count(filled, asset) for asset in ASSETS] == [0, 0]
    assert all(count(filled, asset, "true") for asset in ASSETS), "2024 stays"
    assert move() == [], "nothing is left to move"
    for market in ("US", "EURONEXT"):
        done = boursomatic("archive", "restore", "--market", market, "--from", "2023-01-01", "--to", "2023-12-31")
        assert done.exit_code == 0, done.output
    assert "US 2023  is in its tables already" in boursomatic(*RESTORE_US).stdout
    assert all(found.equals(before[asset]) for asset, found in tables(filled).items())
    assert count(filled, "archive_files", "superseded_at IS NULL") == 0


def history(engine: Engine) -> Any:
    with engine.connect() as connection:
        known = read_history(connection, dt.date(2024, 2, 1), Parameters())
    return known.features.sort("instrument_id", "ts"), known.closes.sort("instrument_id", "ts")


READERS: dict[str, Callable[[Engine], Any]] = {
    "a session": lambda _: read_slice(GRAINS["features"], slice_of("US", DAY, DAY)),
    "from the old year into the new one": lambda _: read_slice(
        GRAINS["price_bars"], slice_of("EURONEXT", dt.date(2023, 12, 20), dt.date(2024, 1, 10))
    ),
    "some columns": lambda _: read_slice(GRAINS["features"], slice_of("US"), ("ret_20d", "additional_features")),
    "all columns": lambda _: read_slice(GRAINS["price_bars"], slice_of("US"), ("id", "created_at", "line", "ts")),
    "some times": lambda _: read_slice(GRAINS["features"], slice_of("US"), at=[midnight(DAY)]),
    "an asset's input": lambda _: SliceReader(GRAINS["features"])(slice_of("US", *OLD)),
    "bars": lambda _: revisions.read_bars(slice_of("US")),
    "bars as they were known": lambda _: revisions.read_bars(slice_of("US"), known_at=dt.datetime(2024, 2, 15)),
    "the history of a training": history,
    "a count": lambda _: [count_rows(GRAINS[asset].table, GRAINS[asset]) for asset in ASSETS],
    "the command": lambda engine: [
        boursomatic("bars", symbol(engine), "--from", "2023-12-01", "--to", "2024-01-31", *more).stdout
        for more in ((), ("--known-at", "2024-03-01T00:00"))
    ],
    "coverage": lambda engine: (
        execute(engine, "SELECT refresh_summary('coverage_by_month')"),
        rows(engine, f"SELECT {COVERAGE} FROM coverage_by_month ORDER BY market, month"),
    )[1],
    "advice, made again": lambda engine: boursomatic("audit", old_advice(engine)["id"], "--json").stdout,
    "why it was given": lambda engine: (
        boursomatic("why", old_advice(engine)["symbol"], "--date", "2023-12-29", "--json").stdout
    ),
    "the instruments": lambda _: boursomatic("instruments", "list").stdout,
}


def symbol(engine: Engine) -> str:
    return str(rows(engine, "SELECT symbol FROM instruments ORDER BY symbol LIMIT 1")[0]["symbol"])


def old_advice(engine: Engine) -> dict[str, str]:
    """The id of a recommendation of the old year, and its symbol."""
    query = (
        "SELECT r.id::text, i.symbol FROM recommendations r JOIN instruments i ON i.id = r.instrument_id"
        " WHERE as_of < '2024-01-01' ORDER BY as_of DESC, r.id LIMIT 1"
    )
    return rows(engine, query)[0]


def equal(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, pl.DataFrame):
        return bool(found.equals(wanted)) and found.height > 0 and found.schema == wanted.schema
    if isinstance(wanted, tuple):
        return all(map(equal, found, wanted))
    return bool(found == wanted)


@pytest.mark.parametrize("reader", READERS)
def test_whoever_reads_sees_no_difference(filled: Engine, reader: str) -> None:
    execute(filled, CHANGED.replace("v + 1", "v") + " AND instrument_id::text < '8'", REVISED)
    before = READERS[reader](filled)
    assert before.height if isinstance(before, pl.DataFrame) else before
    assert move()
    assert equal(READERS[reader](filled), before), before


@pytest.mark.parametrize("asset", ASSETS)
def test_a_session_that_is_computed_again_has_its_year_back_first(filled: Engine, asset: str) -> None:
    before = tables(filled)
    move()
    bring_up_to_date(DAY, DAY, (asset,), ("US",))
    of_us = "instrument_id IN (SELECT id FROM instruments WHERE exchange <> 'EURONEXT')"
    assert count(filled, asset, f"{OF_2023} AND {of_us}") == count(filled, asset, f"{OF_2023}") > 0
    move()
    for market in ("US", "EURONEXT"):
        year_returns.restore(market, *OLD)
    assert all(found.equals(before[asset]) for asset, found in tables(filled).items())


def test_who_would_write_beside_a_file_is_refused(filled: Engine) -> None:
    part, grain = slice_of("US", DAY, DAY), GRAINS["price_bars"]
    bars = read_slice(grain, part).drop("market")
    move()
    with pytest.raises(ColdError, match="archive restore --market US --from 2023-01-01"), transaction() as writing:
        merging.replace(writing, grain, part, bars.with_columns(pl.col("v") + 1))
    assert read_slice(grain, part).drop("market").equals(bars)


def beside(bar: dict[str, Any], values: str, created_at: str) -> str:
    """Another program's bar, in the place of one that is in a file."""
    return (
        "INSERT INTO price_bars (id, instrument_id, ts, interval, o, h, l, c, v, created_at) VALUES"
        f" ('{bar['id']}', '{bar['instrument_id']}', '2023-06-14', 'daily', {values}, '{created_at}')"
    )


def test_bars_of_another_program_are_newer_and_the_older_ones_stay_known(filled: Engine) -> None:
    of_day = slice_of("US", DAY, DAY)
    before = revisions.read_bars(of_day)
    (kept,) = rows(filled, f"{BAR_OF_US} ORDER BY b.id LIMIT 1")
    move()
    execute(filled, beside(kept, "9, 9, 9, 9, 9", "2030-01-01"))
    assert revisions.read_bars(of_day)["v"].to_list().count(9.0) == 1
    assert revisions.read_bars(of_day, known_at=dt.datetime(2029, 1, 1)).equals(before)
    assert boursomatic("check", "--asset", "cold_storage").stdout.count("no_row_is_in_two_places") == 1
    assert len(move()) == 1
    assert revisions.read_bars(of_day)["v"].to_list().count(9.0) == 1
    assert revisions.read_bars(of_day, known_at=dt.datetime(2029, 1, 1)).equals(before)


def test_a_row_that_comes_while_the_market_is_waited_for_supersedes_no_file(filled: Engine) -> None:
    """It lies beside the file until the next move, which puts the year back and takes both."""
    (kept,) = rows(filled, f"{BAR_OF_US} ORDER BY b.id LIMIT 1")
    year_moves.move(1, TODAY, "US")
    with ThreadPoolExecutor(1) as pool, transaction() as writing:
        lock_slice(writing, "price_bars", slice_of("US", DAY, DAY))
        moving = pool.submit(move)
        while not waiting_for_locks(filled):
            assert not moving.done()
            time.sleep(0.02)
        execute(filled, beside(kept, "9, 9, 9, 9, 9", "2030-01-01"))
        writing.rollback()
        with pytest.raises(RuntimeError, match=r"1 years were not moved.*US 2023: 1 rows of price_bars came"):
            moving.result(30)
    assert count(filled, "archive_files", "superseded_at IS NULL") == 4
    assert len(move()) == 1
    assert read_slice(GRAINS["price_bars"], slice_of("US", *OLD)).filter(pl.col("v") == 9).height == 1


def waiting_for_locks(engine: Engine) -> int:
    query = "SELECT count(*) AS n FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE NOT granted"
    return int(rows(engine, f"{query} AND datname = current_database()")[0]["n"])


def test_bars_that_differ_in_their_times_alone_stay_known_since_the_earlier_one(filled: Engine) -> None:
    before = revisions.read_bars(slice_of("US", DAY, DAY), known_at=dt.datetime(2030, 1, 1))
    (kept,) = rows(filled, f"{BAR_OF_US} ORDER BY b.id LIMIT 1")
    move()
    execute(filled, beside(kept, ", ".join(str(kept[name]) for name in "ohlcv"), "2031-01-01"))
    move()
    assert revisions.read_bars(slice_of("US", DAY, DAY), known_at=dt.datetime(2030, 1, 1)).equals(before)


def test_the_newest_sessions_stay_so_that_nobody_becomes_inactive(filled: Engine) -> None:
    active = "SELECT id FROM instruments WHERE is_active ORDER BY id"
    before = rows(filled, active)
    assert [str(year)[:8] for year in year_moves.move(1, dt.date(2040, 1, 1), "US")] == ["US 2023 "]
    bring_up_to_date(DAY, DAY, ("price_bars",), ("US",))
    assert rows(filled, active) == before


def test_instruments_that_may_be_one_share_are_found_by_old_bars(filled: Engine) -> None:
    execute(
        filled,
        "INSERT INTO instruments (id, symbol, exchange) VALUES (gen_random_uuid(), 'OLD-B', 'NYSE'),"
        " (gen_random_uuid(), 'OLD.B', 'NYSE')",
        "INSERT INTO price_bars (id, instrument_id, ts, interval, o, h, l, c, v)"
        " SELECT gen_random_uuid(), id,"
        " CASE symbol WHEN 'OLD-B' THEN '2023-06-14' ELSE '2024-01-10' END::timestamp, 'daily', 9, 9, 9, 9, 9"
        " FROM instruments WHERE symbol LIKE 'OLD_B'",
    )
    before = boursomatic("instruments", "list", "--duplicates").stdout
    assert "OLD-B" in before
    move()
    assert boursomatic("instruments", "list", "--duplicates").stdout == before


def test_a_damaged_file_is_named_and_its_neighbours_are_read(filled: Engine, home: Path) -> None:
    move()
    (damaged,) = (home / "archive" / "asset=features" / "year=2023").glob("market=US/*.parquet")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(StoreError, match=rf"{damaged.name} is damaged.* put files/{damaged.stem} of a backup"):
        read_slice(GRAINS["features"], slice_of("US", DAY, DAY))
    assert read_slice(GRAINS["features"], slice_of("EURONEXT", DAY, DAY)).height
    assert read_slice(GRAINS["features"], slice_of("US", dt.date(2024, 1, 2))).height
    assert damaged.name in boursomatic("store", "verify").stdout
    of_all = boursomatic("check", "--from", "2024-01-02", "--to", "2024-01-31")
    assert (of_all.exit_code, "every_file_is_there" in of_all.stdout) == (1, True), of_all.output


def test_a_year_lies_in_a_bucket_as_in_a_folder(
    filled: Engine, home: Path, buckets: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, read = tables(filled), READERS["from the old year into the new one"]
    wanted = read(filled)
    monkeypatch.setenv("BOURSOMATIC_STORE", buckets.new_bucket())
    assert move()
    assert not [*home.rglob("asset=*")]
    assert read(filled).equals(wanted)
    for market in ("US", "EURONEXT"):
        year_returns.restore(market, *OLD)
    assert all(found.equals(before[asset]) for asset, found in tables(filled).items())


def test_nothing_leaves_a_table_for_a_store_that_refuses(
    filled: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tables(filled)
    (tmp_path / "a file").touch()
    monkeypatch.setenv("BOURSOMATIC_ARCHIVE", str(tmp_path / "a file"))
    with pytest.raises(OSError, match="a file"):
        move()
    assert all(found.equals(before[asset]) for asset, found in tables(filled).items())
    assert count(filled, "archive_files", "true") == 0


def test_checks_find_in_a_file_what_they_find_in_a_table(filled: Engine) -> None:
    execute(
        filled,
        "DELETE FROM features WHERE ts = '2023-06-14'",
        "UPDATE price_bars SET c = c * 3, h = h * 3 WHERE ts = '2023-12-28'",
    )
    dates = ("--from", "2023-06-01", "--to", "2024-01-31", "--json")
    before = [one for one in json.loads(boursomatic("check", *dates).stdout) if one["asset"] != "cold_storage"]
    assert {one["check"] for one in before if one["result"] != "passed"} >= FOUND
    move()
    found = json.loads(boursomatic("check", *dates).stdout)
    assert [one for one in found if one["asset"] != "cold_storage"] == before


def test_all_loaded_sessions_are_those_in_tables(filled: Engine) -> None:
    move()
    done = boursomatic("check")
    assert "years in cold storage, passed over: 2023; --from names one" in done.stderr
    assert (done.exit_code, "US 2024-01-02 .. 2024-02-29" in done.stdout) == (0, True), done.output


def test_an_instrument_is_merged_with_its_old_years(filled: Engine) -> None:
    listed = rows(
        filled, "SELECT symbol, exchange FROM instruments WHERE exchange <> 'EURONEXT' ORDER BY 1 LIMIT 2"
    )
    merged, target = (Name(row["symbol"], row["exchange"]) for row in listed)

    def what_a_merge_does() -> MergeResult:
        return merge(merged, target, dry_run=True)

    before = what_a_merge_does()
    move()
    assert what_a_merge_does() == before
    merge(merged, target)
    assert (
        not read_slice(GRAINS["price_bars"], slice_of("US"))
        .join(
            frame(filled, "SELECT id::text AS instrument_id FROM instruments WHERE symbol = :s", s=merged.symbol),
            on="instrument_id",
        )
        .height
    )


@pytest.mark.parametrize(("setting", "left"), [(None, True), ("1", False)])
def test_the_asset_moves_what_the_setting_lets_go(
    filled: Engine, monkeypatch: pytest.MonkeyPatch, setting: str | None, left: bool
) -> None:
    if setting:
        monkeypatch.setenv("BOURSOMATIC_COLD_AFTER", setting)
    done = dg.materialize([cold_storage])
    (made,) = done.asset_materializations_for_node("cold_storage")
    assert ("none" in str(made.metadata["years"].value)) is left
    assert bool(count(filled, "price_bars")) is left


def test_no_years_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="name 1 or more"):
        year_moves.move(0, TODAY)
