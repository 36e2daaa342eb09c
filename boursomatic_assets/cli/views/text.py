"""Frames as plain text and as JSON, whatever their subject."""

import json
import re
from collections.abc import Mapping, Sequence

import click
import polars as pl

COLOURS = {"BUY": "green", "SELL": "red"}

MAX_CELL = 1_000
"""Characters of a cell that is not shortened."""


def as_text_table(frame: pl.DataFrame, *, whole: bool = False) -> str:
    """All rows of a frame as plain text; cells are shortened to fit a terminal, unless they are to be whole."""
    with pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_formatting="ASCII_BORDERS_ONLY_CONDENSED",
        tbl_width_chars=-1 if whole else 140,
        fmt_str_lengths=MAX_CELL if whole else None,
    ):
        return str(frame)


def as_lines(rows: Sequence[Mapping[str, str]]) -> str:
    """Rows of text as aligned columns, no cell cut; numbers stand to the right."""
    headers = list(rows[0])
    table = [headers, *([row[header] for header in headers] for row in rows)]
    columns = list(zip(*table, strict=True))
    widths = [max(map(len, column)) for column in columns]
    is_number = [all(cell.replace(",", "").isdigit() for cell in column[1:]) for column in columns]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, is_number, strict=True)
        ).rstrip()
        for row in table
    )


def number_as_text(column: str, decimals: int) -> pl.Expr:
    """A column of numbers as text for people; null is empty."""

    def as_text(value: float) -> str:
        return number(value, decimals)

    return pl.col(column).map_elements(as_text, return_dtype=pl.String).fill_null("")


def number(value: float, decimals: int = 0) -> str:
    """A number for people, such as `1,508,685` or `-3.90`; what rounds to zero has no sign."""
    return f"{round(value, decimals) + 0.0:,.{decimals}f}"


def change(value: float, decimals: int) -> str:
    """A difference for people, such as `+1,234.5` or `-3.90`; what rounds to zero has no sign."""
    shown = number(value, decimals)
    return f"+{shown}" if round(value, decimals) > 0 else shown


def coloured(table: str) -> str:
    """A table with each BUY in green and each SELL in red; click leaves the colours out if it is no terminal."""
    return re.sub("|".join(rf"\b{label}\b" for label in COLOURS), _in_colour, table)


def _in_colour(label: re.Match[str]) -> str:
    return click.style(label[0], fg=COLOURS[label[0]])


def as_json(frame: pl.DataFrame) -> str:
    """Rows as a JSON array of objects; times are ISO, naive UTC."""
    rows = frame.with_columns(pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S%.f")).to_dicts()
    return json.dumps(rows, indent=2)
