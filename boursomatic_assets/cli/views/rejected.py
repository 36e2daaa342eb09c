"""What `boursomatic rejected` shows: rejected rows, and what became of them when they were judged again.

What belongs here: rejected rows as a table and as CSV, the outcome of a replay as lines.
Kept elsewhere: options (`cli/rejected.py`), which rows are meant (`tables/deliveries/selection.py`).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from boursomatic_assets.cli.views.text import as_text_table
from boursomatic_assets.quality.contract import UNKNOWN_INSTRUMENT
from boursomatic_assets.tables.deliveries.replay import Outcome

MAX_LOCATION, MAX_CONTENT = 48, 60
"""Characters of a file's name with its line, and of a row's content, that the table shows."""

SYMBOL_HEADERS = ("symbol", "ticker")

FORMULA = r"^[=+\-@\t\r]"
"""The beginning of a cell that a spreadsheet computes."""


def as_table(rows: pl.DataFrame, counts: Mapping[str, int]) -> str:
    """Rejected rows as a table, a line for each, above the number of all rows by reason.

    Args:
        rows: the first rows, with the columns of `rejected_bars`.
        counts: how many rows there are by reason.
    """
    raw = [json.loads(row) for row in rows["raw"]]
    location = pl.coalesce(pl.format("{}:{}", "file", "line"), "file", "source")
    table = rows.select(
        "market",
        pl.col("session").dt.strftime("%Y-%m-%d").fill_null(""),
        location.map_elements(_shorten_location, return_dtype=pl.String).alias("file and line"),
        pl.Series("symbol", map(_find_symbol, raw), dtype=pl.String),
        "reason",
        pl.Series("row", map(_shorten_content, raw), dtype=pl.String),
    )
    total = sum(counts.values())
    shown = f", {rows.height:,} of them shown: `--limit {total}` shows all" if rows.height < total else ""
    by_reason = [f"{count:>9,} x {reason}" for reason, count in counts.items()]
    return "\n".join([as_text_table(table, whole=True), *by_reason, f"{total:>9,} rejected rows{shown}"])


def _shorten_location(location: str) -> str:
    """The end of a file's name, with the line."""
    return location if len(location) <= MAX_LOCATION else f"…{location[1 - MAX_LOCATION :]}"


def _find_symbol(row: dict[str, Any]) -> str:
    """The cell under a header that names the symbol; empty if there is none."""
    return next((str(cell) for header, cell in row.items() if header.strip("<>").lower() in SYMBOL_HEADERS), "")


def _shorten_content(row: dict[str, Any]) -> str:
    """The cells of a row, on one line; the error of a row that stands for a file or an instrument."""
    cells = [row["error"]] if "error" in row else row.values()
    content = " ".join(",".join("" if cell is None else str(cell) for cell in cells).split())
    return content if len(content) <= MAX_CONTENT else f"{content[: MAX_CONTENT - 1]}…"


def as_csv(rows: pl.DataFrame) -> str:
    """All columns as CSV (RFC 4180); a cell that a spreadsheet would compute begins with an apostrophe.

    `raw` is JSON text, and times are ISO, naive UTC.
    """
    texts = pl.col(pl.String)
    safe = rows.with_columns(pl.when(texts.str.contains(FORMULA)).then("'" + texts).otherwise(texts).name.keep())
    return safe.write_csv(line_terminator="\r\n", datetime_format="%Y-%m-%dT%H:%M:%S%.f")


def as_summary(outcome: Outcome, dry_run: bool) -> str:
    """What became of rejected rows, as lines."""
    return "\n".join(_summary_lines(outcome, dry_run))


def _summary_lines(outcome: Outcome, dry_run: bool) -> Iterator[str]:
    judged = outcome.stored + outcome.merged + outcome.rejected.total()
    if not judged and not outcome.left:
        yield "no rejected row"
        return
    yield f"{judged:>9,} rows were judged again"
    yield f"{outcome.stored:>9,} are stored as bars"
    yield f"{outcome.merged:>9,} repeat a bar"
    yield from _counted(outcome.rejected, "stay rejected")
    yield from _counted(outcome.left, "were not judged")
    if outcome.rejected[UNKNOWN_INSTRUMENT]:
        yield "what the source lists now becomes known with `boursomatic materialize instruments DATE MARKET`"
    if dry_run:
        yield "nothing was written: this was a dry run"
    elif outcome.stored:
        yield "`boursomatic refresh` computes what became stale"


def _counted(counts: Mapping[str, int], subject: str) -> Iterator[str]:
    """The total of some rows, then their number by reason, the most frequent first; nothing if there are none."""
    if not counts:
        return
    yield f"{sum(counts.values()):>9,} {subject}"
    yield from (f"{count:>13,} x {reason}" for reason, count in sorted(counts.items(), key=lambda item: -item[1]))
