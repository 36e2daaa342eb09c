"""Revisions: earlier versions of changed and removed bars stay readable."""

import datetime as dt
from typing import Any

import polars as pl
import pytest
from sqlalchemy import Connection, Engine, event
from worlds.frames import delivered_bars, insert_instruments, instruments, query_rows, slice_of

from boursomatic_assets import database
from boursomatic_assets.checks.deliveries import reconcile_deliveries
from boursomatic_assets.database import server_time
from boursomatic_assets.orchestration.io_manager import ChunkWrite, write_chunk
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.merging import MergeCounts
from boursomatic_assets.tables.revisions import read_bars

MONDAY, TUESDAY = "2024-06-10", "2024-06-11"
BOTH = slice_of("US", MONDAY, TUESDAY)


@pytest.fixture(autouse=True)
def _instruments(migrated: Engine) -> None:
    insert_instruments(migrated)


def deliver(engine: Engine, *raw: pl.DataFrame, run: str = "first") -> dt.datetime:
    """Write what a source delivers for both sessions; returns the moment after."""
    delivery = apply_contract(pl.concat(raw), BOTH, instruments(), "toy")
    write(engine, delivery, run)
    with engine.connect() as connection:
        return server_time.database_time(connection)


def write(engine: Engine, rows: Delivery | pl.DataFrame, run: str) -> MergeCounts:
    with engine.connect() as connection:
        started_at = server_time.database_time(connection)
    return write_chunk(ChunkWrite("price_bars", GRAINS["price_bars"], BOTH, run, started_at), rows)[0]


def closes(known_at: dt.datetime | None = None) -> list[tuple[Any, ...]]:
    bars = read_bars(BOTH, known_at=known_at)
    return bars.select("symbol", pl.col("ts").dt.strftime("%a"), "c").rows()


def test_bars_are_read_as_they_were_known_at_any_moment(migrated: Engine) -> None:
    before = deliver(migrated, delivered_bars("ACME", MONDAY).clear())
    first = deliver(migrated, delivered_bars("ACME BOLT", MONDAY))
    second = deliver(migrated, delivered_bars("ACME", MONDAY, c=10.5), delivered_bars("BOLT", MONDAY))
    third = deliver(migrated, delivered_bars("BOLT", MONDAY, TUESDAY))
    back = deliver(migrated, delivered_bars("ACME BOLT", MONDAY), delivered_bars("BOLT", TUESDAY))
    assert closes(before) == []
    assert closes(first) == [("BOLT", "Mon", 10.0), ("ACME", "Mon", 10.0)]
    assert closes(second) == [("BOLT", "Mon", 10.0), ("ACME", "Mon", 10.5)]
    assert closes(third) == [("BOLT", "Mon", 10.0), ("BOLT", "Tue", 10.0)]
    assert closes() == closes(back) == [("BOLT", "Mon", 10.0), ("BOLT", "Tue", 10.0), ("ACME", "Mon", 10.0)]


def test_a_revision_has_the_source_file_and_run_that_replaced_the_bar(migrated: Engine) -> None:
    deliver(migrated, delivered_bars("ACME BOLT", MONDAY, file="old.csv", line=2))
    deliver(migrated, delivered_bars("ACME", MONDAY, c=10.5, file="new.csv", line=7), run="second")
    query = """
        SELECT symbol, c, r.source, file, run_id, known_from < known_until
        FROM price_bar_revisions r JOIN instruments i ON i.id = r.instrument_id ORDER BY symbol
    """
    assert query_rows(migrated, query) == [
        ("ACME", 10.0, "toy", "new.csv", "second", True),
        ("BOLT", 10.0, "toy", None, "second", True),
    ]


def test_the_versions_of_a_bar_follow_each_other_without_a_gap(migrated: Engine) -> None:
    deliver(migrated, delivered_bars("ACME", MONDAY))
    deliver(migrated, delivered_bars("ACME", MONDAY, c=10.5))
    deliver(migrated, delivered_bars("ACME", MONDAY, c=10.7))
    times = query_rows(migrated, "SELECT known_from, known_until FROM price_bar_revisions ORDER BY known_from")
    assert times[0][1] == times[1][0]
    assert query_rows(migrated, "SELECT created_at, updated_at FROM price_bars") == [(times[0][0], times[1][1])]


def test_an_unchanged_delivery_writes_nothing(migrated: Engine) -> None:
    """Not even a rejected row, a count or a time: no transaction is assigned an id."""
    raw = (
        delivered_bars("ACME BOLT", MONDAY, TUESDAY),
        delivered_bars("ACME", MONDAY, c=None, file="a.csv", line=3),
    )
    deliver(migrated, *raw)
    numbers: list[int | None] = []

    def record_transaction_id(connection: Connection) -> None:
        numbers.append(connection.exec_driver_sql("SELECT pg_current_xact_id_if_assigned()::text").scalar())

    event.listen(database.engine(), "commit", record_transaction_id)
    deliver(migrated, *raw, run="second")
    event.remove(database.engine(), "commit", record_transaction_id)
    assert numbers == [None]
    assert query_rows(migrated, "SELECT count(*) FROM price_bar_revisions") == [(0,)]


def test_a_computed_frame_leaves_revisions_too(migrated: Engine) -> None:
    deliver(migrated, delivered_bars("ACME", MONDAY))
    changed = apply_contract(delivered_bars("ACME", MONDAY, c=10.5), BOTH, instruments(), "toy").kept.drop(
        "market", "file"
    )
    assert write(migrated, changed, "by hand") == MergeCounts(changed=1)
    assert query_rows(migrated, "SELECT c, source, run_id FROM price_bar_revisions") == [(10.0, None, "by hand")]


@pytest.mark.parametrize(
    "missing",
    [
        delivered_bars("BOLT", MONDAY, o=None, h=None, l=None, c=None, v=None, raw='{"error": "gone"}'),
        delivered_bars(
            "BOLT", MONDAY, symbol=None, exchange=None, ts=None, file="bad.csv", raw='{"error": "torn"}'
        ),
    ],
    ids=["an instrument that was not delivered", "a file that was not understood"],
)
def test_bars_that_a_delivery_is_known_to_lack_stay_as_they_were(migrated: Engine, missing: pl.DataFrame) -> None:
    deliver(migrated, delivered_bars("ACME BOLT", MONDAY))
    deliver(migrated, delivered_bars("ACME", MONDAY, c=10.5), missing)
    assert closes() == [("BOLT", "Mon", 10.0), ("ACME", "Mon", 10.5)]
    with migrated.connect() as connection:
        assert reconcile_deliveries(connection, "daily", BOTH).errors == 0
    deliver(migrated, delivered_bars("ACME", MONDAY, c=10.5))
    assert closes() == [("ACME", "Mon", 10.5)]
