"""What a run reports of its partitions: row counts, why there are none, failed dates.

What belongs here: metadata and events per partition, for a range of any length. The figures of the whole run are
one entry, at the newest partition of each market, beside the rows of the table.
Kept elsewhere: what the partitions of model versions show (`assets/model_versions.py`).
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

import dagster as dg
import polars as pl

from boursomatic_assets import database
from boursomatic_assets.calendars.slices import Slice
from boursomatic_assets.orchestration.chunks import MAX_FAILURES, Rows
from boursomatic_assets.orchestration.dagster_patches.steps import add_partition_metadata, materializations
from boursomatic_assets.orchestration.failures import MENDABLE, REFUSED_FILES, as_failure, refused_files
from boursomatic_assets.orchestration.partitions import partition_key, slices_of_keys
from boursomatic_assets.orchestration.session_counts import table
from boursomatic_assets.quality.delivery import Delivery
from boursomatic_assets.sources import SourceError
from boursomatic_assets.tables.merging import MergeCounts

DELIVERY_COUNTS = ("delivered", "merged", "rejected", "repaired")
"""Counts of delivered rows in the metadata of a partition; the kept rows are its row count."""

ROWS = "rows"
"""Name of the number of rows of a partition."""

CLOSED = "market closed"
NOTHING_DELIVERED = "nothing delivered: what is stored of this session stays"
NOTHING_COMPUTED = "nothing computed for this session"
OVERTAKEN = "left as it is: a delivery that was requested later stays"

MAX_REASONS = 10
"""Absorbed errors whose reasons are shown; all of them are counted, and logged."""


@dataclass
class Report:
    """The outcome of a run, collected chunk by chunk."""

    table: str
    merge: MergeCounts = field(default_factory=MergeCounts)
    partitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    counts_by_session: dict[tuple[str, dt.date | None], dict[str, int]] = field(default_factory=dict)
    """Counts of delivered rows by market and session; None stands for rows without a readable time."""
    refused: dict[str, str] = field(default_factory=dict)
    """Why files were refused, by name."""
    absorbed: Sequence[str] = ()
    """The reasons of the errors that were absorbed."""
    stored: int | None = None
    """All rows of the asset, once it is written."""

    def add(
        self,
        chunk: Slice,
        times: pl.Series,
        merge: MergeCounts,
        rows: Rows,
        overtaken: Sequence[Slice] = (),
        own: Mapping[dt.date, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        """Add a written chunk: what it changed, and the rows of each of its partitions.

        Args:
            chunk: The slice that was written.
            times: The time of each written row.
            merge: What the write changed.
            rows: The rows that were computed or delivered.
            overtaken: Sessions left untouched, as a delivery that was requested later is there.
            own: The asset's own metadata of single dates.
        """
        self.merge += merge
        counts = dict(times.dt.date().value_counts().iter_rows())
        if isinstance(rows, Delivery):
            self.refused |= rows.refused_files()
            self.counts_by_session.setdefault((chunk.market.name, None), dict.fromkeys(DELIVERY_COUNTS, 0))
            self.counts_by_session |= _delivery_counts(rows.counts)  # every chunk delivers the rows without a time
        for date in chunk.dates:
            delivered = self._counts_of_date(chunk, date) if isinstance(rows, Delivery) else {}
            metadata = {ROWS: counts.get(date, 0), **delivered, **own.get(date, {})}
            if not chunk.market.is_session(date):
                metadata["note"] = CLOSED
            elif not counts.get(date):
                metadata.setdefault("note", _why_empty(delivered))
            self.partitions[partition_key(date, chunk.market.name)] = metadata
        for part in overtaken:
            metadata = self.partitions[partition_key(part.dates[0], part.market.name)]
            del metadata[ROWS]
            metadata["note"] = OVERTAKEN

    def _counts_of_date(self, chunk: Slice, date: dt.date) -> dict[str, int]:
        """Counts of the rows that were delivered for a date, zero if none was."""
        return self.counts_by_session.get((chunk.market.name, date), dict.fromkeys(DELIVERY_COUNTS, 0))

    def summarise(self, parts: Sequence[Slice], summary: Callable[[Slice], Mapping[str, Any]]) -> None:
        """Add the summary of each market to the metadata of its newest date."""
        for part in {part.market.name: part for part in parts}.values():
            self.partitions[partition_key(part.dates[-1], part.market.name)] |= summary(part)

    def attach_metadata(self, context: dg.OutputContext) -> None:
        """Attach the metadata to the materializations of a step that succeeds."""
        if not context.has_asset_partitions:
            context.add_output_metadata(self._table_metadata() | self._run_metadata())
            return
        context.add_output_metadata(self._table_metadata())
        partitions = self._with_run_metadata(context.asset_partition_keys)
        add_partition_metadata(context.step_context, context.asset_key, partitions)

    def materialize_written(self, context: dg.OutputContext) -> Iterator[dg.DagsterEvent]:
        """Materializations of the written partitions, for a step that is about to fail."""
        table = self._table_metadata()
        partitions = self._with_run_metadata(self.partitions)
        by_partition = {key: table | metadata for key, metadata in partitions.items()}
        return materializations(context.step_context, context.asset_key, by_partition)

    def _with_run_metadata(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Metadata by partition, with that of the whole run at the newest of some partitions of each market."""
        partitions = {key: _by_market(key, metadata) for key, metadata in self.partitions.items()}
        run = self._run_metadata()
        for key in newest_keys(keys):
            partitions[key] = partitions.get(key, {}) | run
        return partitions

    def failure(self, failed: Sequence[tuple[Slice, Exception]], parts: Sequence[Slice]) -> Exception:
        """The error to raise when dates failed: that of a single partition, or one that names all failed dates."""
        requested = sum(len(part.dates) for part in parts)
        first = failed[0][1]
        refused = first.refused if isinstance(first, SourceError) else {}
        if requested == 1:
            return as_failure(first) if isinstance(first, MENDABLE) else first
        failed_dates = sum(len(part.dates) for part, _ in failed)
        parts_by_reason = defaultdict[str, list[str]](list)
        for part, error in failed:
            parts_by_reason[_first_line(error)].append(str(part))
        reasons = "; ".join(f"{', '.join(named)}: {reason}" for reason, named in parts_by_reason.items())
        stopped = f", and nothing was tried after {MAX_FAILURES} failures" if len(failed) == MAX_FAILURES else ""
        failure = dg.Failure(
            f"{self.table}: {failed_dates:,} of {requested:,} partitions failed, {len(self.partitions):,} are"
            f" written{stopped}: {reasons}{self._describe_follow_up()}",
            metadata={
                "failed": table({"sessions": str(part), "reason": _first_line(error)} for part, error in failed),
                **refused_files({**self.refused, **refused}),
            },
        )
        if not isinstance(first, MENDABLE):
            failure.__cause__ = first  # with its traceback
        return failure

    def _describe_follow_up(self) -> str:
        """What the written partitions of a failed step lack, and how to complete them."""
        if not self.partitions:
            return ""
        written = ", ".join(map(str, slices_of_keys(self.partitions)))
        return (
            ". The others are not checked, and this run computes nothing from them: correct this and run the"
            " range again, which writes only what changed; or run the others alone, in the UI or by"
            f" `boursomatic backfill --from .. --to .. --market ..`: {written}"
        )

    def _run_metadata(self) -> dict[str, Any]:
        """The entry of the whole run, and the table of the files that it refused."""
        rows = self.merge.inserted + self.merge.changed + self.merge.unchanged
        by_session = [*self.counts_by_session.values()]
        totals = {name: sum(counts[name] for counts in by_session) for name in DELIVERY_COUNTS if by_session}
        absorbed: dict[str, Any] = {"absorbed_errors": len(self.absorbed)}
        if self.absorbed:
            absorbed["absorbed_reasons"] = "; ".join(self.absorbed[:MAX_REASONS])
        refused = {REFUSED_FILES: len(self.refused)} if self.refused else {}
        entry = run_entry(asdict(self.merge) | {"rows": rows} | totals | refused | absorbed)
        stored = {} if self.stored is None else {"dagster/row_count": self.stored}
        return stored | entry | refused_files(self.refused)

    def _table_metadata(self) -> dict[str, Any]:
        return {"dagster/table_name": f"{database.engine().url.database}.public.{self.table}"}


def _by_market(key: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of a partition, its numbers under names of its market, such as `US/rows`.

    Dagster plots what has one name as one line over all partitions, and would jump from market to market.
    """
    market = key.partition("|")[2]
    return {
        f"{market}/{name}" if isinstance(value, int | float) else name: value for name, value in metadata.items()
    }


def run_entry(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures of a whole run as one entry, `run`, which no plot draws: plots are of partitions."""
    return {"run": dg.MetadataValue.json(dict(figures))}


def newest_keys(keys: Iterable[str]) -> list[str]:
    """The newest partition of each market among some."""
    return list({key.partition("|")[2]: key for key in sorted(keys)}.values())


def _delivery_counts(counts: pl.DataFrame) -> dict[tuple[str, dt.date | None], dict[str, int]]:
    """Counts of delivered rows by market and session."""
    keys = counts.select("market", pl.col("session").dt.date()).iter_rows()
    return dict(zip(keys, counts.select(DELIVERY_COUNTS).iter_rows(named=True), strict=True))


def _why_empty(delivered: Mapping[str, int]) -> str:
    """Why a session has no row, given the counts of its delivery, if it is one."""
    if not delivered:
        return NOTHING_COMPUTED
    if not delivered["delivered"]:
        return NOTHING_DELIVERED
    return f"all {delivered['delivered']:,} delivered rows are refused: `boursomatic rejected` says why"


def _first_line(error: Exception) -> str:
    """The first line of an error's message, or the name of its class."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
