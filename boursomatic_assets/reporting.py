"""What the UI shows of a run's partitions: rows, closed markets, and which of them failed.

What belongs here: metadata and events per partition, for a range of any length. Dagster shows a run's own figures
at each of its partitions too: their names begin with `run/`.
Kept elsewhere: what is worth reporting of a model (`assets/model_versions.py`).
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import dagster as dg
import polars as pl

from boursomatic_assets import database
from boursomatic_assets.delivered import Delivery
from boursomatic_assets.merging import Merge
from boursomatic_assets.orchestration.dagster_patches.steps import add_partition_metadata, materializations
from boursomatic_assets.partitions import partition_key, slices
from boursomatic_assets.pieces import MOST_FAILURES, Rows
from boursomatic_assets.slices import Slice

JUDGED = ("delivered", "merged", "rejected", "repaired")
"""What is shown of the rows that came; what was kept is what is there."""

OVERTAKEN = "left as it is: a delivery that was asked for later stands"


@dataclass
class Report:
    """How a run went, gathered piece by piece."""

    table: str
    merge: Merge = field(default_factory=Merge)
    partitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    judged: dict[tuple[str, dt.date | None], dict[str, int]] = field(default_factory=dict)
    """What became of the rows that came, by market and session; None: those without a readable time."""

    def add(
        self, piece: Slice, times: pl.Series, merge: Merge, rows: Rows, overtaken: Sequence[Slice] = ()
    ) -> None:
        """A piece that was written: what it changed, and the rows of each of its partitions.

        Of what was `overtaken`, other rows are there than those that came.
        """
        self.merge += merge
        counts = dict(times.dt.date().value_counts().iter_rows())
        if isinstance(rows, Delivery):
            self.judged.setdefault((piece.market.name, None), dict.fromkeys(JUDGED, 0))
            self.judged |= _judged(rows.counts)  # a row without a time comes with every piece
        for date in piece.dates:
            closed = {} if piece.market.is_session(date) else {"note": "market closed"}
            key = partition_key(date, piece.market.name)
            came = dict.fromkeys(JUDGED, 0) if isinstance(rows, Delivery) else {}
            came |= self.judged.get((piece.market.name, date), {})
            self.partitions[key] = {"dagster/partition_row_count": counts.get(date, 0)} | came | closed
        for part in overtaken:
            metadata = self.partitions[partition_key(part.dates[0], part.market.name)]
            del metadata["dagster/partition_row_count"]
            metadata["note"] = OVERTAKEN

    def summarise(self, parts: Sequence[Slice], summary: Callable[[Slice], Mapping[str, Any]]) -> None:
        """Say something of each market as a whole, at the newest date of the run."""
        for part in {part.market.name: part for part in parts}.values():
            self.partitions[partition_key(part.dates[-1], part.market.name)] |= summary(part)

    def of_all(self, context: dg.OutputContext) -> None:
        """Attach what was gathered to the materialisations that Dagster makes of a step that succeeds."""
        context.add_output_metadata(self._of_the_run())
        add_partition_metadata(context.step_context, context.asset_key, self.partitions)

    def of_what_was_done(self, context: dg.OutputContext) -> Iterator[dg.DagsterEvent]:
        """Materialisations of the partitions that were written, for a step that is about to fail."""
        of_the_run = self._of_the_run()
        each = {key: of_the_run | metadata for key, metadata in self.partitions.items()}
        return materializations(context.step_context, context.asset_key, each)

    def failure(self, failed: Sequence[tuple[Slice, Exception]], parts: Sequence[Slice]) -> Exception:
        """What to raise when some dates failed: a single partition's own error, else one that names them."""
        asked = sum(len(part.dates) for part in parts)
        if asked == 1:
            return failed[0][1]
        reasons = "; ".join(f"{part}: {_first_line(error)}" for part, error in failed)
        given_up = (
            f", and nothing was tried after {MOST_FAILURES} failures" if len(failed) == MOST_FAILURES else ""
        )
        return dg.Failure(
            f"{self.table}: {len(failed)} of {asked} partitions failed, {len(self.partitions)} are written"
            f"{given_up}: {reasons}{self._left_undone()}",
            metadata={str(part): _first_line(error) for part, error in failed},
        )

    def _left_undone(self) -> str:
        """What a step that fails keeps from the partitions that it wrote, and how they get it."""
        if not self.partitions:
            return ""
        written = ", ".join(map(str, slices(self.partitions)))
        return (
            ". The others are not checked, and this run computes nothing from them: mend this and run the range"
            " again, which writes only what changed; or run the others alone, in the UI or by"
            f" `boursomatic backfill --from .. --to .. --market ..`: {written}"
        )

    def _of_the_run(self) -> dict[str, Any]:
        name = f"{database.engine().url.database}.public.{self.table}"
        rows = self.merge.inserted + self.merge.changed + self.merge.unchanged
        came = [*self.judged.values()]
        judged = {outcome: sum(found[outcome] for found in came) for outcome in JUDGED} if came else {}
        return {"dagster/table_name": name, **of_run(asdict(self.merge) | {"rows": rows} | judged)}


def of_run(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of a run as a whole, named so that nobody takes them for those of a partition."""
    return {f"run/{name}": figure for name, figure in figures.items()}


def _judged(counts: pl.DataFrame) -> dict[tuple[str, dt.date | None], dict[str, int]]:
    """What is shown of the rows that came for each market and session."""
    keys = counts.select("market", pl.col("session").dt.date()).iter_rows()
    return dict(zip(keys, counts.select(JUDGED).iter_rows(named=True), strict=True))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
