"""Verdicts: what today's rules say of rows that were rejected.

What belongs here: the judgement of rejected rows that were read again, beside the bars that are stored by now.
Kept elsewhere: the rules (`quality/contract.py`), which rows are judged, and writing what follows (`replay.py`).
"""

from dataclasses import dataclass

import polars as pl

from boursomatic_assets.quality.contract import CONTRADICTION_REASONS, apply_contract
from boursomatic_assets.sources import RAW_BARS
from boursomatic_assets.tables.deliveries.places import Place
from boursomatic_assets.tables.differences import compare
from boursomatic_assets.tables.frames import key

NOT_A_NUMBER = {
    "price is not finite": "price is missing",
    "volume is negative or not finite": "volume is missing",
}
"""A reason, and the one that the same row has when it is read again: JSON has null for NaN and infinity."""


@dataclass(frozen=True)
class Verdicts:
    """What becomes of rejected rows.

    Attributes:
        bars: those that are stored, with the columns of `price_bars` and their `id` in the ledger.
        merged: the ids of those that repeat a bar, stored or about to be.
        rejected: the rows that stay rejected, with the `reason` that they have now, and `old_reason`.
        repaired: how many of the bars have a high or low that was off by float noise.
    """

    bars: pl.DataFrame
    merged: list[str]
    rejected: pl.DataFrame
    repaired: int

    @property
    def renamed(self) -> pl.DataFrame:
        """The rows that are rejected for another reason than before."""
        return self.rejected.filter(pl.col("reason") != pl.col("old_reason"))

    @property
    def cleared(self) -> list[str]:
        """The ids of the rows that leave the ledger, or get another reason there."""
        return [*self.bars["id"], *self.merged, *self.renamed["id"]]


def judge(
    rows: pl.DataFrame, place: Place, instruments: pl.DataFrame, stored: pl.DataFrame, *, extended: bool = False
) -> Verdicts:
    """Judge rejected rows of a session by today's rules; only those that are `selected` get a verdict.

    The others are judged with them, because of two bars that contradict each other none is stored.

    Args:
        rows: rejected rows as `replay` reads them again: id, reason, selected, and the columns of raw bars.
        place: where they all belong.
        instruments: id, symbol and exchange of the known instruments.
        stored: the bars that are stored there, with the columns of `price_bars`.
        extended: whether 15m bars before the open and after the close are wanted too.
    """
    rows = rows.sort(~pl.col("selected"), maintain_order=True)
    # The contract hands `file` on to each bar and each rejected row: here it is the id by which a row is known.
    nothing = {"line": pl.lit(0, pl.Int64), "file_id": pl.lit(None, pl.Int64), "raw": pl.lit(None, pl.String)}
    named = rows.with_columns(file="id", **nothing).select(*RAW_BARS)
    delivery = apply_contract(named, place.part, instruments, "", place.interval, extended=extended)
    kept = delivery.kept.drop("market", "file_id", "line").rename({"file": "id"})
    difference = compare(kept, stored, key(place.grain.table))
    contradicting = difference.changed.select("id", reason=pl.lit(CONTRADICTION_REASONS[place.interval]))
    reasons = pl.concat([delivery.rejected.select("reason", id="file").select("id", "reason"), contradicting])
    selected = rows.filter("selected").rename({"reason": "old_reason"})
    rejected = selected.join(reasons, on="id").with_columns(reason=_known_reason())
    bars = difference.new.join(selected, on="id", how="semi")
    merged = selected.join(pl.concat([rejected.select("id"), bars.select("id")]), on="id", how="anti")
    noisy = bars.join(selected, on="id").filter(
        (pl.col("h") != pl.col("h_right")) | (pl.col("l") != pl.col("l_right"))
    )
    return Verdicts(bars, merged["id"].to_list(), rejected, noisy.height)


def _known_reason() -> pl.Expr:
    """A row's reason now; the old one where the row cannot tell it any more."""
    lost = pl.col("old_reason").replace_strict(NOT_A_NUMBER, default=None, return_dtype=pl.String)
    return pl.when(pl.col("reason") == lost).then("old_reason").otherwise("reason")
