"""Sources: where bars come from.

What belongs here: the protocol of a source, the choice of one, and a room for each kind (`files/`, `network/`,
`simulated/`). A source delivers rows as it has them and validates none.
Kept elsewhere: which rows are valid (`quality/contract.py`), where bars are stored (`tables/`).
"""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import polars as pl

from boursomatic_assets.calendars.markets import Market

NAME = pl.Categorical(pl.Categories("names", "boursomatic"))
"""The type of symbols and exchanges: each cell is a small number, since few names stand in many rows."""

RAW_BARS = {
    "symbol": NAME,
    "exchange": NAME,
    "ts": pl.Datetime("us"),
    **dict.fromkeys("ohlcv", pl.Float64()),
    "interval": pl.String(),
    "file": pl.String(),
    "line": pl.Int64(),
    "file_id": pl.Int64(),
    "raw": pl.String(),
    "fault": pl.String(),
}
"""The columns of delivered bars.

`file_id` stands for the file and its content, see the table `delivered_files`; null where there is none, as for
rows of a service. `raw`, null until it is asked for, is the row as it stood there, as JSON; `fault` is why the
source could not read the row, null where it could.
"""

INSTRUMENTS = dict.fromkeys(
    ("symbol", "exchange", "name", "sector", "market_cap_bucket", "pe_bucket"), pl.String()
)
"""The columns of delivered instruments."""

FILES = {
    "file": pl.String(),
    "recognised": pl.String(),
    **dict.fromkeys(("lines", "header", "blank", "comments", "footer", "delivered"), pl.Int64()),
    "digest": pl.String(),
    "file_id": pl.Int64(),
    "problem": pl.String(),
    "passed_over": pl.Boolean(),
}
"""The columns of what a source says of its files, see the table `delivered_files`."""

NOT_DELIVERED = pl.col("symbol").is_not_null() & pl.col("file").is_null() & pl.col("raw").is_not_null()
"""Rows that stand for an instrument of which a source had no bars; `raw` says why, `ts` from when on."""

UNREADABLE_FILE = pl.col("file").is_not_null() & pl.col("line").is_null() & pl.col("symbol").is_null()
"""Rows that stand for a file that could not be read; `raw` says why."""

DECLARATIONS_FILE = "columns.yaml"
"""The file beside the bars that declares what their cells do not show."""


class SourceError(ValueError):
    """A source that cannot deliver; the message says why, and what to do.

    Attributes:
        asks: what must be stated in `columns.yaml`, by key, each with what may stand there; see `UNSTATED`.
        refused: why files are refused, by name, if all of a source are.
    """

    def __init__(self, message: str, refused: Mapping[str, str] = MappingProxyType({}), /, **asks: str) -> None:
        """A message, files that are refused, and what is asked for."""
        super().__init__(message)
        self.asks, self.refused = asks, refused


UNSTATED = '"?"'
"""Stands in `columns.yaml` for a value that a person must state; it is none that any key may have."""


class Source(Protocol):
    """Anything that has instruments and bars."""

    @property
    def name(self) -> str:
        """What it is called in `rejected_bars`."""
        ...

    def instruments(self) -> pl.DataFrame:
        """The instruments it knows, with the columns of `INSTRUMENTS`."""
        ...

    def bars(self, market: Market, start: dt.datetime, end: dt.datetime, interval: str = "daily") -> pl.DataFrame:
        """Bars of one market and interval with `ts` in [start, end), and those without a readable `ts`.

        The columns are those of `RAW_BARS`; the rows are as the source has them, good or bad.
        """
        ...

    def files(self) -> pl.DataFrame:
        """What became of the lines of each of its files, with the columns of `FILES`; a service has none."""
        ...

    def with_raw(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Some of its rows, such as rejected ones, with `raw` read from their file."""
        ...

    def read_again(self, rejected: pl.DataFrame) -> pl.DataFrame:
        """Rejected rows as raw bars, read from their `raw` as the source reads its rows now.

        Args:
            rejected: rows of the source, with the columns of `raw_rows.REJECTED`.

        Returns:
            Those that can be read, and a row for each file of which none can be, as `raw_rows.READ_AGAIN`.
        """
        ...


def open_source(kind: str, files: str | None = None, first: dt.date = dt.date.min) -> Source:
    """The source of this kind: simulated, files, yahoo, stooq, or services in an order, such as stooq,yahoo.

    Args:
        kind: see above; yahoo alone falls back on stooq.
        files: the folder of the kind `files`; what other kinds need is in their own settings.
        first: the first date that has a partition.

    Raises:
        SourceError: for an unknown kind, or a folder that is missing.
    """
    if kind == "simulated":
        from boursomatic_assets import settings
        from boursomatic_assets.sources.simulated.source import Simulated

        return Simulated(
            settings.simulated_instruments(), settings.simulated_seed(), signal=settings.simulated_signal()
        )
    if kind == "files":
        from boursomatic_assets.sources.files.source import Files

        if not files:
            raise SourceError("the source `files` needs a folder: set BOURSOMATIC_FILES to it")
        return Files(Path(files), dt.datetime.combine(first, dt.time()))
    return _open_services(kind)


def _open_services(kind: str) -> Source:
    """Services of the network in the order of `kind`; behind yahoo alone stands stooq."""
    names = ["yahoo", "stooq"] if kind == "yahoo" else [name.strip() for name in kind.split(",")]
    if unknown := [name for name in names if name not in ("yahoo", "stooq")]:
        known = "simulated, files, yahoo or stooq (an order of the last two: stooq,yahoo)"
        raise SourceError(f"there is no source {unknown[0]!r}: set BOURSOMATIC_SOURCE to {known}")
    from boursomatic_assets.settings import home, stooq_key
    from boursomatic_assets.sources.network.fallback import Fallback
    from boursomatic_assets.sources.network.services import ListedSource
    from boursomatic_assets.sources.network.stooq import Stooq
    from boursomatic_assets.sources.network.yahoo import Yahoo
    from boursomatic_assets.sources.simulated.universe import read_universe

    instruments = read_universe()
    services: dict[str, ListedSource] = {
        "yahoo": Yahoo(instruments, home() / "yahoo"),
        "stooq": Stooq(instruments, stooq_key()),
    }
    return Fallback(tuple(services[name] for name in names))
