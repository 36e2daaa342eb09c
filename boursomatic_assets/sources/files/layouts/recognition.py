"""Recognition: where the headers of a file are, and how its lines are cut.

What belongs here: separators, headers of one, two and three lines, Stooq without any, columns without a header.
Kept elsewhere: what the headers mean (`layout.py`, `fields.py`).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from boursomatic_assets.sources import DECLARATIONS_FILE, SourceError
from boursomatic_assets.sources.files.declarations import Declaration
from boursomatic_assets.sources.files.formats.text import Record, split_records
from boursomatic_assets.sources.files.layouts.fields import (
    NEEDED,
    field_of,
)
from boursomatic_assets.sources.files.layouts.layout import Layout, layout_of_columns

STOOQ = ("<TICKER>", "<PER>", "<DATE>", "<TIME>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>", "<OPENINT>")

_STOOQ_PERIODS = ("D", "W", "M", "1", "5", "15", "30", "60", "H")

SEPARATORS = ",;\t|"

HEAD = 60
"""Lines in which a header is looked for."""

FEWEST = 3
"""Known headers that make a line below the first one a header: `T` alone is a symbol."""

_NUMBER = re.compile(r"[^\w\s]?\s?\d[\d.,'’\s]*")

_TIME = re.compile(
    r"\s*(\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{8,19}\b|\d{1,2}[- ]\w{3,9}[- ]\d{2,4}|\w{3,9}\.? \d{1,2},? \d{4})"
)


def recognise_layout(lines: Sequence[str], name: str, declared: Declaration, says: dict[str, str]) -> Layout:
    """The layout of a text, from its first lines, with the separator under which most headers are known.

    Raises:
        SourceError: naming the file, what was found and what is expected.
    """
    if not "".join(lines).strip():
        raise SourceError(f"{name}: cannot be read as csv: it is empty")
    present = [separator for separator in SEPARATORS if any(separator in line for line in lines)] or [
        SEPARATORS[0]
    ]
    by_separator = {separator: list(split_records(lines, separator)) for separator in present}

    def known(separator: str) -> tuple[int, int]:
        rows = [cells for _, cells in by_separator[separator]]
        return _header_among(rows, declared)[1], max(map(len, rows))

    separator = max(present, key=known)
    return recognise_records(by_separator[separator], name, declared, says, separator)


def recognise_records(
    records: Sequence[Record], name: str, declared: Declaration, says: dict[str, str], separator: str = ","
) -> Layout:
    """The layout of a file, from its first records.

    Raises:
        SourceError: naming the file, what was found and what is expected.
    """
    records = [(line, [cell.strip() for cell in cells]) for line, cells in records if line > declared.skip]
    filled = [(line, cells) for line, cells in records if any(cells)]
    if not filled:
        raise SourceError(f"{name}: cannot be read as csv: it has no line with cells")
    if declared.header == "none":
        headers = [str(number + 1) for number in range(max(len(cells) for _, cells in filled))]
        return layout_of_columns(headers, separator, declared.skip, name, declared, says)
    if _is_stooq_without_header(filled[0][1]):
        headers = list(STOOQ[: len(filled[0][1])])
        return layout_of_columns(headers, separator, filled[0][0] - 1, name, declared, says)
    if len(filled) > 2 and field_of(filled[2][1][0]) == "ts" and not any(filled[2][1][1:]):
        return _layout_of_wide_file([cells for _, cells in filled[:3]], filled[2][0], separator, name)
    place, known = _header_among([cells for _, cells in filled], declared)
    place = place if known >= FEWEST else 0
    line, headers = filled[place]
    _require_no_bars(filled[:place], name)
    named = layout_of_columns(_trimmed(headers), separator, line, name, declared, says)
    return _with_unnamed_columns(named, [cells for _, cells in filled[place + 1 :]], name)


def _require_no_bars(above: Sequence[Record], name: str) -> None:
    """Raise SourceError if a line above the header has a time and four numbers."""
    for line, cells in above:
        if any(map(_TIME.match, cells)) and sum(bool(_NUMBER.fullmatch(cell)) for cell in cells) >= len("ohlc"):
            raise SourceError(
                f"{name}: line {line} looks like a bar and is above the header: move it below, or state `skip:`"
                f" for it in {DECLARATIONS_FILE}"
            )


def _header_among(rows: Sequence[Sequence[str]], declared: Declaration) -> tuple[int, int]:
    """The place of the row that names most of the needed fields, the first of several, and how many it names."""
    best = (0, 0)
    for place, cells in enumerate(rows):
        known = _known_fields(cells, declared)
        if known > best[1]:
            best = (place, known)
        if known >= len(NEEDED):
            break
    return best


def _known_fields(cells: Sequence[str], declared: Declaration) -> int:
    """How many of the needed fields a line names as headers."""
    declared_fields = {header: field for field, header in declared.columns}
    fields = {declared_fields.get(cell.strip()) or field_of(cell) for cell in cells}
    return len(fields & {*NEEDED, "clock"})


def _trimmed(headers: Sequence[str]) -> list[str]:
    """Headers without the empty ones at the end."""
    last = max((n for n, header in enumerate(headers) if header), default=0)
    return list(headers[: last + 1])


def _with_unnamed_columns(layout: Layout, rows: Sequence[Sequence[str]], name: str) -> Layout:
    """The layout of rows with fewer cells than headers, or which all have more: behind them, or one before them.

    Raises:
        SourceError: which cell belongs to which header cannot be told.
    """
    width = len(layout.headers)
    needed = max(
        layout.headers.index(header) + 1 for header in layout.series[0][1].values() if header in layout.headers
    )
    lengths = Counter(len(row) for row in rows if len(row) >= needed)
    usual = max(lengths, key=lambda length: (lengths[length], length), default=width)
    if usual < width:
        return replace(layout, fewest=usual)
    of_several = sum(len(row) > 1 for row in rows)
    if len(lengths) != 1 or (more := usual - width) == 0 or 2 * lengths[usual] <= of_several:
        return layout
    unnamed = tuple(f"column {width + n + 1}" for n in range(more))
    if 2 * sum(any(row[width:]) for row in rows) <= lengths[usual]:
        return replace(layout, headers=(*layout.headers, *unnamed), empty=unnamed)
    time = layout.series[0][1]["ts"]
    place = layout.headers.index(time) if time in layout.headers else len(layout.headers) + more
    behind = sum(bool(_TIME.match(row[place])) for row in rows if len(row) > place)
    before = sum(bool(_TIME.match(row[place + more])) for row in rows if len(row) > place + more)
    if behind > before:
        return replace(layout, headers=(*layout.headers, *unnamed))
    if before > behind:
        return replace(layout, headers=(*unnamed, *layout.headers))
    raise SourceError(
        f"{name}: its lines have {more} cells more than headers: name all columns, or state `skip:` and"
        f" `header: none` with `columns:` in {DECLARATIONS_FILE}"
    )


def _is_stooq_without_header(cells: Sequence[str]) -> bool:
    """Stooq's ten cells, a period second and a date third, and no header above them."""
    return len(cells) in (9, 10) and cells[1] in _STOOQ_PERIODS and bool(re.fullmatch(r"\d{8}", cells[2]))


def _layout_of_wide_file(rows: list[list[str]], skipped: int, separator: str, name: str) -> Layout:
    """Two header lines above a line that names the time alone: fields over symbols, or symbols over fields."""
    top, below, last = rows
    width = max(map(len, rows))
    top, below = ([*cells, *[""] * (width - len(cells))] for cells in (top, below))
    fields, symbols = (top, below) if sum(map(bool, map(field_of, top[1:]))) > width // 2 else (below, top)
    headers = (
        last[0],
        *(f"{field} {symbol} {n}" for n, (field, symbol) in enumerate(zip(fields[1:], symbols[1:], strict=True))),
    )
    series: dict[str, dict[str, str]] = {}
    for header, field, symbol in list(zip(headers, fields, symbols, strict=True))[1:]:
        if (name_of_field := field_of(field)) and symbol:
            series.setdefault(symbol, {"ts": last[0]}).setdefault(name_of_field, header)
    complete = {symbol: columns for symbol, columns in series.items() if set(NEEDED) <= set(columns)}
    if not complete:
        found = ", ".join(f"{field} of {symbol}" for field, symbol in zip(fields[1:6], symbols[1:6], strict=True))
        raise SourceError(f"{name}: found {found}, wanted open, high, low, close and volume of a symbol")
    return Layout(separator, skipped, headers, tuple(complete.items()), vendor="Yahoo")
