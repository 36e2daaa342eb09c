"""What writing a slice costs against PostgreSQL's own COPY.

What belongs here: the IO manager's transaction, from delivered rows in memory to a commit.
Kept elsewhere: reading (`reads.py`), growing tables (`growth.py`).

Both sides start from frames in memory and end with a commit. COPY gets rows that are judged, sorted and have
their ids; the IO manager gets them as a source delivers them.
"""

from collections.abc import Iterator
from functools import partial

import polars as pl
from helpers.harness import Line, interleaved, ratio, server, times
from helpers.universe import US, execute, list_instruments, slice_of
from sqlalchemy import text

from boursomatic_assets import database
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.schema import identifiers
from boursomatic_assets.sources.simulated.source import Simulated
from boursomatic_assets.tables import merging
from boursomatic_assets.tables.grains import GRAINS
from boursomatic_assets.tables.merging import MergeCounts
from boursomatic_assets.tables.reading import read_slice
from boursomatic_assets.tables.staging import copy

GRAIN = GRAINS["price_bars"]
SESSIONS, INSTRUMENTS = 2_035, 300
VERSIONS = "SELECT count(*), md5(string_agg(ctid::text || xmin::text, '' ORDER BY ctid)) FROM price_bars"
SIZE = "SELECT pg_total_relation_size('price_bars')"


def lines() -> Iterator[Line]:
    """New, first, unchanged and corrected, each against its limit."""
    with server():
        source = Simulated(instruments=INSTRUMENTS, events=False)
        listed, part = list_instruments(source), slice_of(US, SESSIONS)
        raw = _as_of_a_file(source.bars(US, part.start, part.end))
        bars = apply_contract(raw, part, listed, "simulated").kept.drop("market", "file")
        in_order = bars.sort("instrument_id", "ts")
        ready = in_order.with_columns(identifiers.of_rows(in_order))
        merges: dict[str, MergeCounts] = {}
        write = partial(_write, merges, part, listed)
        wrong = pl.int_range(pl.len()) % 100 == 0
        corrected = raw.with_columns(c=pl.when(wrong).then((pl.col("h") + pl.col("l")) / 2).otherwise("c"))
        straight, bare, new, again, some = interleaved(
            _emptied(lambda: _copy("price_bars", ready)),
            lambda: _copy_then_index(ready),
            _emptied(lambda: write("new", raw)),
            lambda: _untouched(lambda: write("again", raw)),
            lambda: write("corrected", corrected),
        )
        assert merges["new"] == MergeCounts(inserted=bars.height), merges
        assert merges["again"] == MergeCounts(unchanged=bars.height), merges
        assert merges["corrected"].changed + merges["corrected"].unchanged == bars.height
        assert read_slice(GRAIN, part).height == bars.height
        with database.engine().connect() as connection:
            before = connection.execute(text(VERSIONS)).one()
            write("once more", corrected)
            assert connection.execute(text(VERSIONS)).one() == before, "a row version was written"
        changed = merges["corrected"].changed
    work = f"a new slice of {bars.height:,} bars: contract, all indexes, foreign key, checks"
    yield Line(work, "COPY into the same empty table", times(ratio(new, straight)), "at most 1.25 x")
    yield Line(
        "the same, the first load of an empty range of years",
        "COPY into a table without keys, then all indexes",
        times(ratio(new, bare)),
        "at most 1.5 x, or why not",
        f"COPY into the table as it is: {times(ratio(straight, bare))}; each row goes through five indexes and a "
        "foreign key, which only DDL could drop and rebuild",
    )
    yield Line("the same slice again, unchanged", "its own first write", times(ratio(again, new)), "at most 0.2 x",
               "no row version written, table not grown")  # fmt: skip
    yield Line(f"the same slice, {changed:,} bars corrected", "its own first write", times(ratio(some, new)),
               "at most 0.25 x")  # fmt: skip


def _as_of_a_file(raw: pl.DataFrame) -> pl.DataFrame:
    """The rows with the file and line that each bar of a file says it came from, which have their price too."""
    return raw.with_columns(file=pl.lit("US.parquet"), line=pl.int_range(1, pl.len() + 1), file_id=pl.lit(2**62))


def _write(
    merges: dict[str, MergeCounts], part: Slice, listed: pl.DataFrame, name: str, raw: pl.DataFrame
) -> None:
    kept = apply_contract(raw, part, listed, "simulated").kept.drop("market", "file")
    with database.engine().begin() as connection:
        merges[name] = merging.replace(connection, GRAIN, part, kept)


def _copy(table: str, rows: pl.DataFrame) -> None:
    with database.engine("owner").begin() as connection:
        copy(connection, table, rows)


def _copy_then_index(rows: pl.DataFrame) -> None:
    execute("DROP TABLE IF EXISTS bare", "CREATE TABLE bare (LIKE price_bars INCLUDING DEFAULTS)")
    _copy("bare", rows)
    with database.engine().connect() as connection:
        indexes = connection.scalars(text("SELECT indexdef FROM pg_indexes WHERE tablename = 'price_bars'")).all()
    execute(*(index.replace("INDEX ", "INDEX bare_").replace(".price_bars ", ".bare ") for index in indexes))


def _emptied(work):
    """The work on an empty table; emptying it takes milliseconds of the seconds that are measured."""

    def both() -> None:
        execute("TRUNCATE price_bars")
        work()

    return both


def _untouched(work) -> None:
    """Do a work that must not let the table grow; asking takes a millisecond."""
    with database.engine().connect() as connection:
        before = connection.scalar(text(SIZE))
        work()
        assert connection.scalar(text(SIZE)) == before
