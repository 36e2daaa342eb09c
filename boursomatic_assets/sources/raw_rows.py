"""Raw rows: rejected rows of sources without files, read again from the JSON that is kept of them.

What belongs here: from `rejected_bars.raw` to raw bars, by our names of the columns and those of the services;
rows that stand for what cannot be read again.
Kept elsewhere: rejected rows of files (`files/rereading.py`), whose names of columns differ from vendor to vendor.
"""

from collections.abc import Iterable, Mapping

import polars as pl

from boursomatic_assets.sources import RAW_BARS

REJECTED = {
    "id": pl.String(),
    "file": pl.String(),
    "line": pl.Int64(),
    "raw": pl.String(),
    "interval": pl.String(),
    "reason": pl.String(),
}
"""The columns of rejected rows that a source reads again.

`interval` is the one that they were delivered for, `reason` why they were rejected.
"""

READ_AGAIN = {name: kind for name, kind in RAW_BARS.items() if name != "file_id"} | {"id": pl.String()}
"""The columns of rows that were read again, from what is kept of them and not from their file.

A row without an `id` stands for a file, and `raw` has its error.
"""

_NAMES = {
    "ts": ("ts", "Date"),
    "o": ("o", "Open"),
    "h": ("h", "High"),
    "l": ("l", "Low"),
    "c": ("c", "Close"),
    "v": ("v", "Volume"),
}
"""Our names, and those of the services."""

_FORMS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d")


def read_raw_rows(rejected: pl.DataFrame) -> pl.DataFrame:
    """Rows of a service or of the simulator as raw bars; what their JSON does not hold is null, and so is `fault`.

    Args:
        rejected: rows with the columns of `REJECTED`; those without an interval in `raw` have the one of the row.

    Returns:
        The same rows, in the same order, with the columns of `READ_AGAIN`.
    """
    texts = {name: pl.coalesce(map(_cell, _NAMES.get(name, (name,)))) for name in ("symbol", "exchange", *_NAMES)}
    written = pl.col("raw").str.contains('"interval":', literal=True)
    rows = rejected.with_columns(**texts, interval=pl.when(written).then(_cell("interval")).otherwise("interval"))
    date_or_time = pl.coalesce(pl.col("ts").str.to_datetime(form, strict=False) for form in _FORMS)
    return rows.with_columns(ts=date_or_time, fault=pl.lit(None)).select(
        pl.col(name).cast(kind, strict=False) for name, kind in READ_AGAIN.items()
    )


def _cell(name: str) -> pl.Expr:
    """The value of this name in `raw` as text; null if there is none."""
    return pl.col("raw").str.json_path_match(f"$.{name}")


def rows_of_errors(errors: Iterable[tuple[str, str]]) -> pl.DataFrame:
    """A row for each file whose rows cannot be read again, with the reason, and the columns of `READ_AGAIN`."""
    rows = pl.DataFrame(list(errors), schema={"file": pl.String(), "error": pl.String()}, orient="row")
    told = rows.select("file", raw=pl.struct("error").struct.json_encode())
    return pl.concat([pl.DataFrame(schema=READ_AGAIN), told], how="diagonal")


def read_rows_of_listed(rejected: pl.DataFrame, listed: Mapping[str, tuple[str, str]]) -> pl.DataFrame:
    """Rows of a service, whose `file` and not `raw` says whose they are.

    Args:
        rejected: rows with the columns of `REJECTED`.
        listed: the symbol and exchange that each `file` stands for.
    """
    names = pl.DataFrame(
        [(file, *names) for file, names in listed.items()],
        schema={name: RAW_BARS[name] for name in ("file", "symbol", "exchange")},
        orient="row",
    )
    known = rejected.join(names, on="file", how="semi")
    unlisted = sorted(set(rejected["file"].drop_nulls()) - set(known["file"]))
    rows = read_raw_rows(known).drop("symbol", "exchange").join(names, on="file").select(*READ_AGAIN)
    return pl.concat([rows, rows_of_errors((file, f"{file}: is not listed any more") for file in unlisted)])
