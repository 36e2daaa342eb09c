"""What became of a delivery: its good bars, its refused rows, and how many there were of each.

What belongs here: the value that the judgement gives and the tables are written from, and counting.
Kept elsewhere: the judgement (`contracts.py`), the tables (`rejections.py`, `deliveries.py`, `merging.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import polars as pl

from boursomatic_assets.calendars.slices import Slice, outside

ROW_COUNTS = ("delivered", "kept", "merged", "rejected", "repaired")


@dataclass(frozen=True)
class Delivery:
    """A judged delivery: delivered rows = kept + merged + rejected.

    Attributes:
        kept: good bars, with the columns of `price_bars`, `market`, and the `file` that they stood in.
        rejected: refused rows, with the columns of `rejected_bars` but for the run.
        counts: a row per market and session (null: no readable time) with the OUTCOMES.
        source: the name of the source.
        complete: whether the source delivered all it was asked for; what is missing in a delivery that is not
            may be there all the same.
    """

    kept: pl.DataFrame
    rejected: pl.DataFrame
    counts: pl.DataFrame
    source: str
    complete: bool = True

    def for_slice(self, part: Slice) -> "Delivery":
        """What falls to a slice; rows without a readable time fall to each of their market."""
        mine = pl.col("market") == part.market.name
        here = pl.col("session").is_between(part.start, part.end, closed="left") | pl.col("session").is_null()
        time = pl.col("ts").is_between(part.start, part.end, closed="left")
        return Delivery(
            self.kept.filter(mine & time),
            self.rejected.filter(mine & here),
            self.counts.filter(mine & here).unique(["market", "session"], keep="last", maintain_order=True),
            self.source,
            self.complete,
        )

    def without(self, parts: Sequence[Slice]) -> "Delivery":
        """What falls to none of some sessions of its market; rows without a readable time stay."""
        return replace(
            self,
            kept=outside(self.kept, "ts", parts),
            rejected=outside(self.rejected, "session", parts),
            counts=outside(self.counts, "session", parts),
        )

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
    """OUTCOMES by session; what was delivered and is neither merged nor rejected is kept.

    Args:
        outcomes: the rows, with `ts`, that were delivered, merged, rejected and repaired.
        part: the slice they were delivered for.
    """
    of_each = [
        rows["ts"].value_counts(name="n").with_columns(outcome=pl.lit(name)) for name, rows in outcomes.items()
    ]
    counted = with_session(pl.concat(of_each), part).group_by("session")
    named = {name: pl.col("n").filter(pl.col("outcome") == name).sum().cast(pl.Int32) for name in outcomes}
    kept = pl.col("delivered") - pl.col("merged") - pl.col("rejected")
    return counted.agg(**named).with_columns(kept=kept).select("session", *ROW_COUNTS).sort("session")
