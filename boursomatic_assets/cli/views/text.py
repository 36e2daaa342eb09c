"""Frames as plain text and as JSON."""

import json

import polars as pl


def as_text_table(shown: pl.DataFrame) -> str:
    """A frame as plain text, all of it."""
    with pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_formatting="ASCII_BORDERS_ONLY_CONDENSED",
        tbl_width_chars=140,
    ):
        return str(shown)


def as_number(column: str, decimals: int) -> pl.Expr:
    """A number as text, and nothing for none."""
    return pl.col(column).round(decimals).cast(pl.String).fill_null("")


def as_json(advice: pl.DataFrame) -> str:
    """Rows as a JSON array of objects; times are ISO, naive UTC."""
    rows = advice.with_columns(pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S%.f")).to_dicts()
    return json.dumps(rows, indent=2)
