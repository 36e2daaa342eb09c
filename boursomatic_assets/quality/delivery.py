"""Deliveries: valid bars, rejected rows, and the number of rows by outcome.

What belongs here: the value that the contract returns and the tables are written from, and its row counts.
Kept elsewhere: the rules (`contract.py`), the tables (`tables/deliveries/`, `tables/merging.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import polars as pl

from boursomatic_assets.calendars.slices import Slice, rows_outside

ROW_COUNTS = ("delivered", "kept", "merged", "rejected", "repaired")

UNREADABLE_REASON = "file cannot be understood"
"""Why the row that stands for a whole file is rejected; its `raw` says more."""


@dataclass(frozen=True)
class Delivery:
    """A validated delivery: delivered rows = kept + merged + rejected.

    Attributes:
        kept: valid bars, with the columns of `price_bars`, `market`, and the `file` that they stood in.
        rejected: rejected rows, with the columns of `rejected_bars` but for the run.
        counts: a row per market and session (null: no readable time) with the ROW_COUNTS.
        source: the name of the source.
        complete: whether the source delivered all it was asked for; bars that an incomplete delivery lacks
            may exist.
    """

    kept: pl.DataFrame
    rejected: pl.DataFrame
    counts: pl.DataFrame
    source: str
    complete: bool = True

    def for_slice(self, part: Slice) -> "Delivery":
        """The part of a slice; rows without a readable time belong to each slice of their market."""
        of_market = pl.col("market") == part.market.name
        in_sessions = (
            pl.col("session").is_between(part.start, part.end, closed="left") | pl.col("session").is_null()
        )
        in_time = pl.col("ts").is_between(part.start, part.end, closed="left")
        return Delivery(
            self.kept.filter(of_market & in_time),
            self.rejected.filter(of_market & in_sessions),
            self.counts.filter(of_market & in_sessions).unique(
                ["market", "session"], keep="last", maintain_order=True
            ),
            self.source,
            self.complete,
        )

    def outside_slices(self, parts: Sequence[Slice]) -> "Delivery":
        """The part outside of all these slices of its market; rows without a readable time stay."""
        return replace(
            self,
            kept=rows_outside(self.kept, "ts", parts),
            rejected=rows_outside(self.rejected, "session", parts),
            counts=rows_outside(self.counts, "session", parts),
        )

    def refused_files(self) -> dict[str, str]:
        """Why files of the delivery were refused as a whole, by name."""
        refused = self.rejected.filter(pl.col("reason") == UNREADABLE_REASON)
        return dict(refused.select("file", pl.col("raw").str.json_path_match("$.error")).iter_rows())

    def total(self, outcome: str) -> int:
        """How many rows had an outcome."""
        return int(self.counts[outcome].sum())

    def __add__(self, other: Self) -> "Delivery":
        return Delivery(
            pl.concat([self.kept, other.kept]),
            pl.concat([self.rejected, other.rejected]),
            pl.concat([self.counts, other.counts]),
            self.source,
            self.complete and other.complete,
        )


def with_session(rows: pl.DataFrame, part: Slice) -> pl.DataFrame:
    """Rows with the partition date that their `ts` falls to, as `session`: what is older falls to the first."""
    dates = pl.DataFrame({"session": pl.Series(part.dates).cast(pl.Datetime("us"))}).set_sorted("session")
    owned = rows.select("ts").unique().drop_nulls().sort("ts")
    owned = owned.join_asof(dates, left_on="ts", right_on="session", strategy="backward")
    return rows.join(
        owned.with_columns(pl.col("session").fill_null(part.start)), on="ts", how="left", maintain_order="left"
    )


def count_rows(outcomes: Mapping[str, pl.DataFrame], part: Slice) -> pl.DataFrame:
    """ROW_COUNTS by session; what was delivered and is neither merged nor rejected is kept.

    Args:
        outcomes: the rows, with `ts`, that were delivered, merged, rejected and repaired.
        part: the slice they were delivered for.
    """
    of_each = [_count_times(rows["ts"]).with_columns(outcome=pl.lit(name)) for name, rows in outcomes.items()]
    counted = with_session(pl.concat(of_each), part).group_by("session")
    named = {name: pl.col("n").filter(pl.col("outcome") == name).sum().cast(pl.Int32) for name in outcomes}
    kept = pl.col("delivered") - pl.col("merged") - pl.col("rejected")
    return counted.agg(**named).with_columns(kept=kept).select("session", *ROW_COUNTS).sort("session")


def _count_times(times: pl.Series) -> pl.DataFrame:
    """How often each time is there: ts, n; of sorted times in a fifth of the time."""
    if not times.is_sorted():
        return times.value_counts(name="n")
    return times.rle().struct.unnest().select(ts="value", n="len")
