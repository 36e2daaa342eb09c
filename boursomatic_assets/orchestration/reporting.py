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
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.orchestration.chunks import MAX_FAILURES, Rows
from boursomatic_assets.orchestration.dagster_patches.steps import add_partition_metadata, materializations
from boursomatic_assets.orchestration.partitions import partition_key, slices_of_keys
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.tables.merging import MergeCounts

DELIVERY_COUNTS = ("delivered", "merged", "rejected", "repaired")
"""What is shown of the rows that came; what was kept is what is there."""

OVERTAKEN = "left as it is: a delivery that was asked for later stands"


MAX_REASONS = 10
"""Reasons of absorbed errors that are shown; all of them are counted, and logged."""


@dataclass
class Report:
    """How a run went, gathered piece by piece."""

    table: str
    merge: MergeCounts = field(default_factory=MergeCounts)
    partitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts_by_session: dict[tuple[str, dt.date | None], dict[str, int]] = field(default_factory=dict)
    """What became of the rows that came, by market and session; None: those without a readable time."""
    absorbed: Sequence[str] = ()
    """The reasons of the errors that were absorbed."""

    def add(
        self, chunk: Slice, times: pl.Series, merge: MergeCounts, rows: Rows, overtaken: Sequence[Slice] = ()
    ) -> None:
        """A piece that was written: what it changed, and the rows of each of its partitions.

        Of what was `overtaken`, other rows are there than those that came.
        """
        self.merge += merge
        counts = dict(times.dt.date().value_counts().iter_rows())
        if isinstance(rows, Delivery):
            self.counts_by_session.setdefault((chunk.market.name, None), dict.fromkeys(DELIVERY_COUNTS, 0))
            self.counts_by_session |= _delivery_counts(rows.counts)  # a row without a time comes with every piece
        for date in chunk.dates:
            closed = {} if chunk.market.is_session(date) else {"note": "market closed"}
            key = partition_key(date, chunk.market.name)
            delivery_counts = dict.fromkeys(DELIVERY_COUNTS, 0) if isinstance(rows, Delivery) else {}
            delivery_counts |= self.counts_by_session.get((chunk.market.name, date), {})
            self.partitions[key] = {"dagster/partition_row_count": counts.get(date, 0)} | delivery_counts | closed
        for part in overtaken:
            metadata = self.partitions[partition_key(part.dates[0], part.market.name)]
            del metadata["dagster/partition_row_count"]
            metadata["note"] = OVERTAKEN

    def summarise(self, parts: Sequence[Slice], summary: Callable[[Slice], Mapping[str, Any]]) -> None:
        """Say something of each market as a whole, at the newest date of the run."""
        for part in {part.market.name: part for part in parts}.values():
            self.partitions[partition_key(part.dates[-1], part.market.name)] |= summary(part)

    def attach_metadata(self, context: dg.OutputContext) -> None:
        """Attach what was gathered to the materialisations that Dagster makes of a step that succeeds."""
        context.add_output_metadata(self._run_metadata())
        add_partition_metadata(context.step_context, context.asset_key, self.partitions)

    def materialize_written(
        self, context: dg.OutputContext
    ) -> Iterator[dg.DagsterEvent | dg.AssetMaterialization]:
        """Materialisations of the partitions that were written, for a step that is about to fail."""
        run_metadata = self._run_metadata()
        by_partition = {key: run_metadata | metadata for key, metadata in self.partitions.items()}
        return materializations(context.step_context, context.asset_key, by_partition)

    def failure(self, failed: Sequence[tuple[Slice, Exception]], parts: Sequence[Slice]) -> Exception:
        """What to raise when some dates failed: a single partition's own error, else one that names them."""
        requested = sum(len(part.dates) for part in parts)
        if requested == 1:
            return failed[0][1]
        failed_dates = sum(len(part.dates) for part, _ in failed)
        reasons = "; ".join(f"{part}: {_first_line(error)}" for part, error in failed)
        stopped_early = (
            f", and nothing was tried after {MAX_FAILURES} failures" if len(failed) == MAX_FAILURES else ""
        )
        failure = dg.Failure(
            f"{self.table}: {failed_dates} of {requested} partitions failed, {len(self.partitions)} are written"
            f"{stopped_early}: {reasons}{self._describe_follow_up()}",
            metadata={str(part): _first_line(error) for part, error in failed},
        )
        failure.__cause__ = failed[0][1]  # with its traceback
        return failure

    def _describe_follow_up(self) -> str:
        """What a step that fails keeps from the partitions that it wrote, and how they get it."""
        if not self.partitions:
            return ""
        written = ", ".join(map(str, slices_of_keys(self.partitions)))
        return (
            ". The others are not checked, and this run computes nothing from them: mend this and run the range"
            " again, which writes only what changed; or run the others alone, in the UI or by"
            f" `boursomatic backfill --from .. --to .. --market ..`: {written}"
        )

    def _run_metadata(self) -> dict[str, Any]:
        name = f"{database.engine().url.database}.public.{self.table}"
        rows = self.merge.inserted + self.merge.changed + self.merge.unchanged
        by_session = [*self.counts_by_session.values()]
        totals = (
            {outcome: sum(found[outcome] for found in by_session) for outcome in DELIVERY_COUNTS}
            if by_session
            else {}
        )
        absorbed: dict[str, Any] = {"absorbed_errors": len(self.absorbed)}
        if self.absorbed:
            absorbed["absorbed_reasons"] = "; ".join(self.absorbed[:MAX_REASONS])
        return {"dagster/table_name": name, **run_figures(asdict(self.merge) | {"rows": rows} | totals | absorbed)}


def run_figures(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of a run as a whole, named so that nobody takes them for those of a partition."""
    return {f"run/{name}": figure for name, figure in figures.items()}


def _delivery_counts(counts: pl.DataFrame) -> dict[tuple[str, dt.date | None], dict[str, int]]:
    """What is shown of the rows that came for each market and session."""
    keys = counts.select("market", pl.col("session").dt.date()).iter_rows()
    return dict(zip(keys, counts.select(DELIVERY_COUNTS).iter_rows(named=True), strict=True))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
