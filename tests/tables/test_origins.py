"""Bars keep the line of the file that they came from until another delivery changes them."""

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import Engine
from worlds.frames import EXCHANGES, IDS, bars, insert_instruments, instruments, midnight, query_rows, slice_of

from boursomatic_assets.audit.origins import BarKey, describe_origin
from boursomatic_assets.database import server_time
from boursomatic_assets.orchestration.io_manager import ChunkWrite, write_chunk
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.sources.files.source import Files
from boursomatic_assets.sources.simulated.source import Simulated
from boursomatic_assets.tables.deliveries import files, replay
from boursomatic_assets.tables.deliveries.selection import Selection
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.merging import MergeCounts

MONDAY, TUESDAY = "2024-06-10", "2024-06-11"
BOTH = slice_of("US", MONDAY, TUESDAY)
HEADER = "symbol,exchange,ts,o,h,l,c,v"
ACME, BOLT = f"ACME,NYSE,{MONDAY},10,11,9,10,1000", f"BOLT,NASDAQ,{MONDAY},20,21,19,20,500"

CURRENT = (
    "SELECT i.symbol, b.c, f.file, b.line FROM price_bars b JOIN instruments i ON i.id = b.instrument_id"
    " LEFT JOIN LATERAL (SELECT file FROM delivered_files WHERE file_id = b.file_id LIMIT 1) f ON true ORDER BY 1"
)
FORMER = CURRENT.replace("price_bars", "price_bar_revisions")
VERSIONS = "SELECT ctid::text, xmin::text, id FROM price_bars ORDER BY id"


@pytest.fixture(autouse=True)
def _instruments(migrated: Engine) -> None:
    insert_instruments(migrated)


def folder(path: Path, **contents: list[str]) -> Files:
    """A folder that holds exactly these files."""
    path = path / "delivered"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    for name, lines in contents.items():
        (path / f"{name}.csv").write_text("\n".join([HEADER, *lines, ""]))
    return Files(path)


def write(engine: Engine, rows: Delivery | pl.DataFrame, run: str) -> MergeCounts:
    with engine.connect() as connection:
        started_at = server_time.database_time(connection)
    return write_chunk(ChunkWrite("price_bars", GRAINS["price_bars"], BOTH, run, started_at), rows)[0]


def load(engine: Engine, source: Files, run: str, known: pl.DataFrame | None = None) -> MergeCounts:
    """Load both sessions from a folder, as a run does."""
    files.record(source.files(), source.name, run)
    raw = source.bars(BOTH.market, BOTH.start, BOTH.end)
    listed = instruments() if known is None else known
    return write(engine, apply_contract(raw, BOTH, listed, source.name, with_raw=source.with_raw), run)


def origin(engine: Engine, symbol: str) -> dict[str, Any]:
    """Where the newest version of Monday's bar came from."""
    known_from = "SELECT coalesce(updated_at, created_at) FROM price_bars WHERE instrument_id = '{}'"
    ((since,),) = query_rows(engine, known_from.format(IDS[symbol]))
    return describe_origin(BarKey("US", IDS[symbol], midnight(MONDAY)), since)


def test_a_bar_that_is_delivered_again_unchanged_keeps_its_line_and_is_not_written(
    migrated: Engine, tmp_path: Path
) -> None:
    load(migrated, folder(tmp_path, first=[ACME, BOLT]), "run 1")
    assert query_rows(migrated, CURRENT) == [("ACME", 10.0, "first.csv", 2), ("BOLT", 20.0, "first.csv", 3)]
    before = query_rows(migrated, VERSIONS)
    assert load(migrated, folder(tmp_path, first=[BOLT, "", ACME]), "run 2") == MergeCounts(unchanged=2)
    assert load(migrated, folder(tmp_path, second=[BOLT, ACME]), "run 3") == MergeCounts(unchanged=2)
    assert query_rows(migrated, VERSIONS) == before
    assert query_rows(migrated, CURRENT) == [("ACME", 10.0, "first.csv", 2), ("BOLT", 20.0, "first.csv", 3)]


def test_a_corrected_bar_has_the_line_of_its_correction_and_its_former_version_its_own(
    migrated: Engine, tmp_path: Path
) -> None:
    load(migrated, folder(tmp_path, first=[ACME, BOLT]), "run 1")
    load(migrated, folder(tmp_path, second=[BOLT, ACME.replace(",10,1000", ",10.5,1000")]), "run 2")
    assert query_rows(migrated, CURRENT) == [("ACME", 10.5, "second.csv", 3), ("BOLT", 20.0, "first.csv", 3)]
    assert query_rows(migrated, FORMER) == [("ACME", 10.0, "first.csv", 2)]
    assert query_rows(migrated, "SELECT file, run_id FROM price_bar_revisions") == [("second.csv", "run 2")]


def test_the_content_that_was_read_counts_though_the_name_stays(migrated: Engine, tmp_path: Path) -> None:
    """As many lines, each as before but one: the ledger has a row for each content."""
    load(migrated, folder(tmp_path, bars=[ACME, BOLT]), "run 1")
    load(migrated, folder(tmp_path, bars=[BOLT, ACME.replace(",10,1000", ",10.5,1000")]), "run 2")
    acme, bolt = origin(migrated, "ACME"), origin(migrated, "BOLT")
    assert [acme[name] for name in ("file", "line", "read_by", "stored_by", "file_now")] == [
        "bars.csv", 3, "run 2", "run 2", "same",
    ]  # fmt: skip
    assert [bolt[name] for name in ("file", "line", "read_by", "file_now")] == ["bars.csv", 3, "run 1", "changed"]
    assert acme["digest"] != bolt["digest"]
    files.record(folder(tmp_path, other=[ACME]).files(), "files", "run 3")
    assert origin(migrated, "ACME")["file_now"] == "gone"
    assert origin(migrated, "ACME")["line"] == 3


def test_a_bar_that_no_file_delivered_says_what_made_it(migrated: Engine) -> None:
    raw = Simulated().bars(BOTH.market, BOTH.start, BOTH.end).head(1)
    named = raw.with_columns(symbol=pl.lit("ACME"), exchange=pl.lit("NYSE"), ts=pl.lit(midnight(MONDAY)))
    write(migrated, apply_contract(named, BOTH, instruments(), "simulated"), "run 1")
    told = origin(migrated, "ACME")
    assert (told["source"], told["stored_by"]) == ("simulated", "run 1")
    assert {told[name] for name in ("file", "line", "digest", "read_at")} == {None}


def test_a_bar_that_a_computed_frame_changes_forgets_its_line(migrated: Engine, tmp_path: Path) -> None:
    load(migrated, folder(tmp_path, first=[ACME]), "run 1")
    write(migrated, bars("ACME", MONDAY).with_columns(c=pl.lit(10.5)), "run 2")
    assert query_rows(migrated, CURRENT) == [("ACME", 10.5, None, None)]
    assert query_rows(migrated, FORMER) == [("ACME", 10.0, "first.csv", 2)]


def test_a_rejected_row_that_becomes_a_bar_has_its_line(migrated: Engine, tmp_path: Path) -> None:
    source = folder(tmp_path, first=[ACME, BOLT])
    load(migrated, source, "run 1", instruments().filter(pl.col("symbol") == "ACME"))
    assert EXCHANGES["BOLT"] == "NASDAQ"
    assert replay.replay(source, Selection()).stored == 1
    assert query_rows(migrated, CURRENT)[1] == ("BOLT", 20.0, "first.csv", 3)
