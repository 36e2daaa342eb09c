"""What reading a file into judged bars costs against polars reading the same file.

What belongs here: from a file in a folder to the frame that is written. Kept elsewhere: writing it (`writes.py`).

polars is given the columns and their types, and parses the dates. Ours finds out what the file is, says of each
row where it stands, and holds it against the contract.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import polars as pl
from helpers.harness import Line, interleaved, ratio, times
from helpers.universe import US, slice_of

from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.quality.contract import apply_contract
from boursomatic_assets.schema import identifiers
from boursomatic_assets.sources.files.source import Files
from boursomatic_assets.sources.simulated.source import Simulated

INSTRUMENTS, DATES = 500, 2_035
COLUMNS = {
    "symbol": pl.String(),
    "exchange": pl.String(),
    "ts": pl.Date(),
    **dict.fromkeys("ohlcv", pl.Float64()),
    "interval": pl.String(),
}


KINDS: dict[str, tuple[Callable[[pl.DataFrame, Path], None], Callable[[Path], pl.DataFrame], float]] = {
    "parquet": (pl.DataFrame.write_parquet, pl.read_parquet, 3.3),
    "csv": (pl.DataFrame.write_csv, lambda path: pl.read_csv(path, schema=COLUMNS), 2.4),
}
"""How each kind of file is written and read by polars, and the aim of ours, which reads it for the first time."""


def lines() -> Iterator[Line]:
    """For Parquet and for CSV a ratio of the first time and one of the later ones, after comparing all numbers."""
    simulated, part = Simulated(INSTRUMENTS), slice_of(US, DATES)
    listed = simulated.instruments()
    listed = listed.with_columns(identifiers.of_instruments(listed))
    bars = (
        simulated.bars(US, part.start, part.end)
        .select(*COLUMNS)
        .cast({name: COLUMNS[name] for name in ("symbol", "exchange", "ts")})
    )
    with tempfile.TemporaryDirectory(prefix="boursomatic-bench-") as folder:
        for kind, (write, read, most) in KINDS.items():
            path = Path(folder, kind, f"bars.{kind}")
            path.parent.mkdir()
            write(bars, path)

            source = Files(path.parent)
            ours, theirs = partial(_judged, source, part, listed), partial(read, path)
            first = partial(_judged_first, source, part, listed, path)
            _compare(ours(), theirs(), listed)
            again, new, peer = interleaved(ours, first, theirs, rounds=9)
            work, against = f"{bars.height:,} bars of one {kind} file", "polars reading it into typed columns"
            yield Line(
                f"{work}, read and judged for the first time",
                against,
                times(ratio(new, peer)),
                f"at most {most} x",
            )
            yield Line(f"{work}, read again and judged", against, times(ratio(again, peer)), "at most 2 x")


def _judged(source: Files, part: Slice, listed: pl.DataFrame) -> pl.DataFrame:
    """The valid bars of a file that was read before, as for each chunk of a backfill."""
    raw = source.bars(part.market, part.start, part.end)
    return apply_contract(raw, part, listed, source.name, with_raw=source.with_raw).kept


def _judged_first(source: Files, part: Slice, listed: pl.DataFrame, path: Path) -> pl.DataFrame:
    """The valid bars of a file that was just put there: nothing that is known of it is used."""
    os.utime(path)
    return _judged(source, part, listed)


def _compare(kept: pl.DataFrame, read: pl.DataFrame, listed: pl.DataFrame) -> None:
    """Both hold the same bars, to the last bit."""
    keys = ["instrument_id", "ts"]
    ids = listed.select("symbol", "exchange", instrument_id="id")
    named = read.with_columns(pl.col("ts").cast(pl.Datetime("us"))).join(ids, on=["symbol", "exchange"])
    columns = [*keys, *"ohlcv", "interval"]
    assert kept.select(columns).sort(keys).equals(named.select(columns).sort(keys))
