"""Adoption: no bar is lost that an earlier version archived, whatever happens before a row names its file."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import Engine, text
from worlds.commands import boursomatic
from worlds.platform import execute

from boursomatic_assets.calendars.markets import MARKETS
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.tables.archive import adoption, files, moving, reading

MONDAY = dt.date(2024, 6, 10)
PART = Slice(MARKETS["US"], (MONDAY,))
LATER = dt.date(2024, 12, 1)
FORMER = "date=2024-06-10/market=US/bars.parquet"

INSTRUMENT = "INSERT INTO instruments (id, symbol, exchange) VALUES (gen_random_uuid(), 'ACME', 'NYSE')"
BARS = (
    "INSERT INTO price_bars (id, instrument_id, ts, interval, o, h, l, c, v)"
    " SELECT gen_random_uuid(), id, '2024-06-10 14:00'::timestamp + n * interval '15 min', '15m', 9, 9, 9, 9, n"
    " FROM instruments, generate_series(0, 3) n"
)


@pytest.fixture
def former(migrated: Engine, home: Path) -> Path:
    """The file of a session that an earlier version archived."""
    execute(migrated, INSTRUMENT, BARS)
    moving.move_to_archive(LATER)
    execute(migrated, "DELETE FROM archive_files")
    (file,) = (home / "archive").rglob("*.parquet")
    return file.rename(file.with_name("bars.parquet"))


def volumes() -> list[float]:
    return reading.read_bars(PART, "15m")["v"].to_list()


def named(engine: Engine) -> list[tuple[str, bool]]:
    """The files that rows name, and whether they stand."""
    with engine.connect() as connection:
        query = text("SELECT name, superseded_at IS NULL FROM archive_files ORDER BY 2")
        return [tuple(row) for row in connection.execute(query)]


def archive(engine: Engine) -> None:
    moving.move_to_archive(LATER)


def adopt(engine: Engine) -> None:
    assert boursomatic("archive", "adopt").stdout == "1 files are adopted\n"
    assert boursomatic("archive", "adopt").stdout == "0 files are adopted\n"


@pytest.mark.parametrize("how", [archive, adopt])
def test_a_former_file_is_read_once_it_is_adopted(
    former: Path, migrated: Engine, dagster_instance: object, how: Callable[[Engine], None]
) -> None:
    assert volumes() == []
    assert f"1 files of the archive are named by no row, such as {FORMER}" in boursomatic("doctor").stdout
    how(migrated)
    assert volumes() == [0, 1, 2, 3]
    (before, _), (name, _) = named(migrated)
    assert before == FORMER
    assert name.startswith("date=2024-06-10/market=US/")
    assert former.read_bytes() == former.with_name(Path(name).name).read_bytes()
    assert "files that rows name" in boursomatic("doctor").stdout


def test_bars_that_came_meanwhile_are_newer_and_none_is_lost(former: Path, migrated: Engine) -> None:
    execute(migrated, BARS.replace("9, n", "9, n + 100").replace("(0, 3)", "(2, 5)"))
    moving.move_to_archive(LATER)
    assert volumes() == [0, 1, 102, 103, 104, 105]
    with migrated.connect() as connection:
        older = connection.scalars(text("SELECT v FROM price_bar_revisions ORDER BY v")).all()
    assert older == [2, 3]
    assert len([1 for _, stands in named(migrated) if stands]) == 1


def test_a_file_that_cannot_be_read_stays_and_is_named_while_others_are_adopted(
    former: Path, migrated: Engine, dagster_instance: object, home: Path, absorbed_errors: list[str]
) -> None:
    damaged = home / "archive/date=2024-06-11/market=US/bars.parquet"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("half a file")
    done = boursomatic("archive", "adopt")
    assert (done.exit_code, done.stdout) == (1, "1 files are adopted\n")
    assert "date=2024-06-11/market=US/bars.parquet is left as it is: it is no Parquet file of bars" in done.stderr
    assert damaged.read_text() == "half a file"
    moving.move_to_archive(LATER)
    assert absorbed_errors[0].startswith("date=2024-06-11/market=US/bars.parquet is left as it is")
    assert "FAIL  store" in boursomatic("doctor").stdout


def test_a_former_file_of_a_session_that_has_another_file_is_left(former: Path, migrated: Engine) -> None:
    adoption.adopt()
    execute(migrated, f"DELETE FROM archive_files WHERE name = '{FORMER}'")
    assert adoption.adopt().left.keys() == {FORMER}
    assert volumes() == [0, 1, 2, 3]


def test_superseded_files_are_removed_after_thirty_days_and_no_file_that_stands(
    former: Path, migrated: Engine, home: Path
) -> None:
    """What was superseded and stands again, since its bars came back as they were, stays."""
    moving.move_to_archive(LATER)
    (_, (first, _)) = named(migrated)
    moving.restore("US", MONDAY, MONDAY)
    execute(migrated, "UPDATE price_bars SET v = 50 WHERE v = 0")
    moving.move_to_archive(LATER)
    assert {path.name for path in (home / "archive").rglob("*.parquet")} > {"bars.parquet", Path(first).name}
    assert len(named(migrated)) == 3
    execute(migrated, "UPDATE archive_files SET superseded_at = superseded_at - interval '30 days'")
    execute(
        migrated,
        "INSERT INTO archive_files (id, asset, market, first_session, last_session, name, size, row_count)"
        f" VALUES (gen_random_uuid(), 'price_bars_15m', 'US', '2024-06-12', '2024-06-12', '{first}', 1, 1)",
    )
    moving.move_to_archive(LATER)
    assert not former.exists()
    assert (home / "archive" / first).exists()
    assert all(stands for _, stands in named(migrated))
    assert volumes() == [50, 1, 2, 3]


def test_the_file_of_a_session_is_written_before_its_rows_go(
    migrated: Engine, dagster_instance: object, home: Path
) -> None:
    """A crash between both leaves all bars in the table, and a file that no row names, which is used then."""
    execute(migrated, INSTRUMENT, BARS)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(files, "add", killed)
        moving.move_to_archive(LATER)
    (file,) = (home / "archive").rglob("*.parquet")
    assert volumes() == [0, 1, 2, 3]
    assert (
        f"no row names 1 files, such as archive/{file.relative_to(home / 'archive')}"
        in boursomatic("doctor").stdout
    )
    moving.move_to_archive(LATER)
    assert pl.read_parquet(file, hive_partitioning=False)["v"].to_list() == volumes() == [0, 1, 2, 3]
    assert len([*(home / "archive").rglob("*.parquet")]) == 1
